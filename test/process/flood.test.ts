/**
 * Hundreds of slow clients of every kind at once: the server stays within the sum of its bounds, and
 * serves others. The peak that the system counts is compared.
 */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect as connectClient } from "../../src/client/index.ts";
import {
  BATCH_BYTES_MAX,
  BODIES_BYTES_MAX,
  LIMITS,
  QUEUE_BYTES_MAX,
  RECENT_BYTES_MAX,
  SOCKET_ANSWER_BYTES_MAX,
  STREAM_READ_BYTES,
  VALUE_CACHE_BYTES_MAX,
  WATCHER_UNSENT_BYTES_MAX,
} from "../../src/limits.ts";
import { rounds } from "../support/rounds.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { flood } from "./flood.ts";

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
  const [peak, bound] = [peakBytes(server), boundBytes(COUNT)];
  const clients = [...slow.kinds.values()].reduce((sum, count) => sum + count, 0);
  const milliseconds = Math.round(performance.now() - began);
  console.log(
    `${clients} slow clients in ${milliseconds} ms: ${inMib(peak)} of at most ${inMib(bound)}`,
  );
  expect(peak).toBeLessThan(bound);
}, 180_000);

// --- internal ---

/** An idle server, with the garbage that the platform lets pile up. */
const BASE_BYTES = 200 * MIB;

/** The sum of what the server may keep for so many clients of each kind. */
function boundBytes(count: number): number {
  const once =
    BASE_BYTES +
    VALUE_CACHE_BYTES_MAX +
    RECENT_BYTES_MAX +
    BODIES_BYTES_MAX +
    QUEUE_BYTES_MAX +
    // Encoded beside what it was made of.
    2 * BATCH_BYTES_MAX;
  const each =
    // One answer of each HTTP connection, and the copy that is being sent.
    2 * LARGE_BYTES +
    2 * (LIMITS.pageBytesMax + LARGE_BYTES) +
    STREAM_READ_BYTES +
    2 * LARGE_BYTES +
    // Two watches over HTTP, and a WebSocket with a watch and answers.
    2 * 2 * WATCHER_UNSENT_BYTES_MAX +
    2 * WATCHER_UNSENT_BYTES_MAX +
    SOCKET_ANSWER_BYTES_MAX +
    LARGE_BYTES;
  return once + count * each;
}

function peakBytes({ pid }: ServerProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

function inMib(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}
