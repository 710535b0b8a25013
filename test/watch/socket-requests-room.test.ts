/** What the requests of all connections together may take: who is not read from, and who is refused. */

import { expect, test } from "bun:test";
import { decodeAnswers } from "../../src/binary-answer.ts";
import { encodeRequest } from "../../src/binary-request.ts";
import { Connection, type Socket } from "../../src/http/socket-connection.ts";
import { FramePool } from "../../src/http/socket-frames.ts";
import { SOCKET_SMALL_REQUEST_BYTES, SOCKETS_REQUEST_BYTES_MAX } from "../../src/limits.ts";
import { Hub } from "../../src/watch/hub.ts";
import { putFrame, shown } from "../support/frames.ts";
import { holdCommits } from "./socket-rig.ts";

const MIB = 1024 * 1024;
/** Four of them are on one connection: what one may hold by itself is not the bound here. */
const LARGE = 15 * MIB;
const FITTING = Math.floor(SOCKETS_REQUEST_BYTES_MAX / (LARGE + 100));

/** Connections over one store, whose writes wait until a test lets them go. */
class Room {
  readonly requests = { bytes: 0 };
  readonly #held = holdCommits();
  readonly #hub = new Hub({ store: this.#held.store });
  readonly #frames = new FramePool(this.#held.store, fail);

  connect() {
    const seen = { paused: false, unsent: 0, answers: [] as Record<string, unknown>[] };
    const socket: Socket = {
      send: (message) => seen.answers.push(answerIn(message)),
      cork: (run) => run(),
      ping: () => {},
      close: () => {},
      terminate: () => {},
      getBufferedAmount: () => seen.unsent,
      subscribe: () => {},
      unsubscribe: () => {},
      pause: () => (seen.paused = true),
      resume: () => (seen.paused = false),
    };
    const { store } = this.#held;
    const [hub, frames] = [this.#hub, this.#frames];
    const options = { store, hub, frames, requests: this.requests, onError: fail };
    const connection = new Connection(socket, options);
    const put = (id: number, bytes: number): void => {
      connection.receive(JSON.stringify({ id, op: "put", key: `${id}`, value: "x".repeat(bytes) }));
    };
    const putFrames = (id: number, keys: string[], bytes = 1): void => {
      const value = "x".repeat(bytes);
      const operations = keys.map((key) => putFrame(key, value));
      connection.receive(encodeRequest(id, operations));
    };
    return { connection, seen, put, putFrames };
  }

  get begun(): number {
    return this.#held.calls.length;
  }

  /** Lets `count` writes be answered. */
  async release(count: number): Promise<void> {
    this.#held.release(count);
    await Bun.sleep(1);
  }
}

/** What a message says, as it is now: bytes may be used again. */
function answerIn(message: string | Uint8Array): Record<string, unknown> {
  if (typeof message === "string") return JSON.parse(message) as Record<string, unknown>;
  const { id, answers } = decodeAnswers(message);
  return { id, answers: shown(answers) };
}

function fail(error: unknown): void {
  throw error;
}

/** Fills what there is with large requests of connections of their own. */
function fill(room: Room, count: number) {
  return Array.from({ length: count }, (_, id) => {
    const client = room.connect();
    client.put(id, LARGE);
    return client;
  });
}

test("past half of it, who holds much is not read from until that is answered", async () => {
  const room = new Room();
  const half = Math.ceil(FITTING / 2) + 1;
  const clients = fill(room, half);
  expect(clients[0]!.seen.paused).toBe(false);
  expect(clients.at(-1)!.seen.paused).toBe(true);
  // A small one is served all the time.
  const small = room.connect();
  small.put(1, SOCKET_SMALL_REQUEST_BYTES / 2);
  expect(small.seen.paused).toBe(false);
  small.put(2, SOCKET_SMALL_REQUEST_BYTES);
  expect(small.seen.paused).toBe(true);
  await room.release(half + 2);
  for (const { seen } of [...clients, small]) expect(seen.paused).toBe(false);
  expect(room.requests.bytes).toBe(0);
  expect(small.seen.answers.map(({ type }) => type)).toEqual(["result", "result"]);
});

test("a large request past all of it is unavailable in its place, and small ones are taken", async () => {
  const room = new Room();
  fill(room, FITTING);
  const rest = SOCKETS_REQUEST_BYTES_MAX - room.requests.bytes;
  room.requests.bytes += rest;
  const { seen, put } = room.connect();
  put(1, 10);
  put(2, LARGE);
  put(3, 10);
  expect(room.begun).toBe(FITTING + 2);
  expect(room.requests.bytes).toBeLessThan(SOCKETS_REQUEST_BYTES_MAX + 200);
  expect(seen.answers).toMatchObject([{ id: 2, type: "error", error: { code: "unavailable" } }]);
  room.requests.bytes -= rest;
  await room.release(FITTING + 2);
  put(4, LARGE);
  await room.release(1);
  expect(seen.answers.map(({ id, type }) => [id, type])).toEqual([
    [2, "error"],
    [1, "result"],
    [3, "result"],
    [4, "result"],
  ]);
  expect(room.requests.bytes).toBe(0);
});

test("what is no request is told so, also where there is no room for it", async () => {
  const room = new Room();
  fill(room, FITTING);
  const { connection, seen } = room.connect();
  connection.receive(`"${"x".repeat(LARGE)}"`);
  expect(seen.answers).toMatchObject([{ id: null, error: { code: "invalid_argument" } }]);
  await room.release(FITTING);
  expect(room.requests.bytes).toBe(0);
});

test("a connection that ends gives back what waited on it at once, and the rest when it is done", async () => {
  const room = new Room();
  const { connection, seen, put } = room.connect();
  put(1, LARGE);
  const begun = room.requests.bytes;
  seen.unsent = 2 * MIB;
  put(2, LARGE);
  put(3, LARGE);
  expect(room.begun).toBe(1);
  expect(room.requests.bytes).toBeGreaterThan(3 * LARGE);
  connection.closed();
  expect(room.requests.bytes).toBe(begun);
  await room.release(1);
  expect([room.requests.bytes, room.begun]).toEqual([0, 1]);
});

test("a binary frame counts as any other request, and is refused as one where there is no room", async () => {
  const room = new Room();
  const { seen, putFrames } = room.connect();
  putFrames(1, ["a"], LARGE);
  expect(room.requests.bytes).toBeGreaterThan(LARGE);
  const rest = SOCKETS_REQUEST_BYTES_MAX - room.requests.bytes;
  room.requests.bytes += rest;
  putFrames(2, ["b"], LARGE);
  putFrames(3, ["c"]);
  expect(seen.answers).toEqual([{ id: 2, answers: ["refused unavailable"] }]);
  room.requests.bytes -= rest;
  await room.release(2);
  expect(seen.answers.slice(1)).toEqual([
    { id: 1, answers: ["put 1"] },
    { id: 3, answers: ["put 2"] },
  ]);
  expect(room.requests.bytes).toBe(0);
});

test("answers in frames that have to wait are what they were when they do go out", async () => {
  const room = new Room();
  const { connection, seen, putFrames } = room.connect();
  for (let id = 1; id <= 50; id++) putFrames(id, id % 2 === 1 ? ["a", "b"] : ["a"]);
  seen.unsent = 2 * MIB;
  await room.release(Infinity);
  expect(seen.answers).toEqual([]);
  // All connections share what frames are written into.
  const other = room.connect();
  for (let id = 1; id <= 50; id++) other.putFrames(id, ["other", "other"]);
  await room.release(Infinity);
  seen.unsent = 0;
  connection.drained();
  putFrames(51, ["a"]);
  await room.release(1);
  expect(other.seen.answers).toHaveLength(50);
  let revision = 0;
  const expected = Array.from({ length: 50 }, (_, at) => ({
    id: at + 1,
    answers: Array.from({ length: at % 2 === 0 ? 2 : 1 }, () => `put ${++revision}`),
  }));
  expected.push({ id: 51, answers: [`put ${revision + 101}`] });
  expect(seen.answers).toEqual(expected);
});

test("small frames that wait take little memory beside their bytes", async () => {
  const room = new Room();
  const clients = Array.from({ length: 10 }, () => room.connect());
  Bun.gc(true);
  const before = process.memoryUsage();
  for (const { putFrames } of clients) for (let id = 1; id <= 1_000; id++) putFrames(id, ["a"]);
  Bun.gc(true);
  const { heapUsed, external } = process.memoryUsage();
  const bytes = heapUsed + external - before.heapUsed - before.external;
  expect(bytes / 10_000).toBeLessThan(8 * 1024);
  expect(room.begun).toBe(10_000);
  await room.release(Infinity);
  for (const { seen } of clients) expect(seen.answers).toHaveLength(1_000);
});
