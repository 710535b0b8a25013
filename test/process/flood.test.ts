/**
 * Hundreds of slow clients of every kind at once: the server stays within the sum of its bounds, and
 * serves others. The peak that the system counts is compared.
 */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect as connectClient } from "../../src/client/index.ts";
import { LIMITS, STREAM_READ_BYTES } from "../../src/limits.ts";
import { CLIENT_BYTES, inMib, sharedBytes } from "../support/memory-bounds.ts";
import { rounds } from "../support/rounds.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { flood, floodMessages, floodUploads, SLOW } from "./flood.ts";

const MIB = 1024 ** 2;
/** Clients of each kind. */
const COUNT = Math.min(rounds(8), 40);
/** Large enough that the sum of what is asked for is many times the bound. */
const LARGE_BYTES = 2 * MIB;
const LARGE_VALUES = 40;
/**
 * What a normal client writes meanwhile, and every watch would have to be told. Small: slow clients may
 * use up what is kept for large bodies.
 */
const WRITES = 300;
const WRITE_BYTES = 32 * 1024;

test(`${COUNT} slow clients of each kind cost no more than the sum of the bounds`, async () => {
  const began = performance.now();
  using directory = temporaryDirectory();
  await using server = await startServerProcess({ directory: directory.path });
  const kv = connectClient(server.url, { timeoutMs: 60_000 });
  for (let at = 0; at < LARGE_VALUES; at++) {
    await kv.put(`large/${at}`, new Uint8Array(LARGE_BYTES).fill(120));
  }
  await using slow = await flood({ port: server.port, largeKey: "large/0", count: COUNT });
  await slow.settled();
  for (let at = 0; at < WRITES; at++) {
    await kv.put(`normal/${at}`, new Uint8Array(WRITE_BYTES).fill(110));
    const entry = await kv.get(`normal/${at}`);
    expect(entry?.bytes.length).toBe(WRITE_BYTES);
  }
  await kv.close();
  const clients = [...slow.kinds.values()].reduce((sum, count) => sum + count, 0);
  const milliseconds = Math.round(performance.now() - began);
  expectWithin(server, boundBytes(COUNT), `${clients} slow clients in ${milliseconds} ms`);
}, 180_000);

test("uploads that stop in the middle share one bound, however many they are", async () => {
  using directory = temporaryDirectory();
  await using server = await startServerProcess({ directory: directory.path });
  await using slow = floodUploads(server.port, UPLOADS);
  await slow.settled();
  expect((await fetch(`${server.url}/livez`)).status).toBe(200);
  const bound = sharedBytes(["the program, with garbage", "request bodies that are being read"]);
  const own = UPLOADS * CLIENT_BYTES["HTTP request"];
  // Far below what they would take without a bound.
  expect(bound + own).toBeLessThan((UPLOADS * SLOW) / 2);
  expectWithin(server, bound + own, `${UPLOADS} uploads`);
}, 60_000);

test("messages that stop in the middle cost what is stated for each", async () => {
  using directory = temporaryDirectory();
  await using server = await startServerProcess({ directory: directory.path });
  await using slow = await floodMessages(server.port, MESSAGES);
  await slow.settled();
  const connection = CLIENT_BYTES["WebSocket connection"];
  // What has come of the message, not what may come of it.
  const own = MESSAGES * (connection + SLOW);
  expect(SLOW).toBeLessThan(CLIENT_BYTES["WebSocket message that is not whole"]);
  expectWithin(server, sharedBytes(["the program, with garbage"]) + own, `${MESSAGES} messages`);
}, 60_000);

test("JSON of tens of millions of values costs what large JSON does", async () => {
  using directory = temporaryDirectory();
  await using server = await startServerProcess({ directory: directory.path });
  const body = Buffer.from(`[${"[],".repeat(15_000_000)}1]`);
  const refusals = Array.from({ length: 5 }, async () => {
    const { status } = await fetch(`${server.url}/v1/txn`, { method: "POST", body });
    return status;
  });
  expect(await Promise.all(refusals)).toEqual([413, 413, 413, 413, 413]);
  const bound = sharedBytes([
    "the program, with garbage",
    "request bodies that are being read",
    "JSON that is being taken apart",
  ]);
  expectWithin(server, bound, "hostile JSON");
}, 60_000);

test("large transactions one behind the other leave no more than is stated", async () => {
  using directory = temporaryDirectory();
  await using server = await startServerProcess({ directory: directory.path });
  // One character that is not Latin-1 makes the whole text, and each value, twice as large.
  const value = `${"x".repeat(MIB - 3)}€`;
  const then = Array.from({ length: 31 }, (_, at) => ({ op: "put", key: `large/${at}`, value }));
  const body = JSON.stringify({ then });
  for (let round = 0; round < TXNS; round++) {
    const answer = await fetch(`${server.url}/v1/txn`, { method: "POST", body });
    expect([answer.status, await answer.text()]).toMatchObject([200, expect.any(String)]);
  }
  const bound = sharedBytes([
    "the program, with garbage",
    "values read last, newest commits",
    "JSON that is being taken apart",
    "writes on their way to the disk",
  ]);
  // Read in pieces, and waiting for the disk, once each.
  expectWithin(server, bound + 2 * body.length, `${TXNS} large transactions`);
}, 60_000);

// --- internal ---

const UPLOADS = 120;
const MESSAGES = 24;
const TXNS = 10;

/** The sum of what the server may keep for so many clients of each kind. */
function boundBytes(count: number): number {
  const { "HTTP request": request, "watch over HTTP": watch } = CLIENT_BYTES;
  const answers = LARGE_BYTES + LIMITS.pageBytesMax + LARGE_BYTES + STREAM_READ_BYTES + LARGE_BYTES;
  // Four uploads, three reads and two watches over HTTP, and a WebSocket with a watch and answers.
  const each =
    7 * request + 2 * watch + CLIENT_BYTES["WebSocket connection"] + 2 * (answers + LARGE_BYTES);
  return sharedBytes() + count * each;
}

/** Holds the most that the server has had in memory so far to a bound. */
function expectWithin(server: ServerProcess, bound: number, what: string): void {
  const peak = peakBytes(server);
  console.log(`${what}: ${inMib(peak)} of at most ${inMib(bound)}`);
  expect(peak).toBeLessThan(bound);
}

function peakBytes({ pid }: ServerProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}
