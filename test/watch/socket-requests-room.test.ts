/** What the requests of all connections together may take: who is not read from, and who is refused. */

import { expect, test } from "bun:test";
import { Connection, type Socket } from "../../src/http/socket-connection.ts";
import { SOCKET_SMALL_REQUEST_BYTES, SOCKETS_REQUEST_BYTES_MAX } from "../../src/limits.ts";
import { Hub } from "../../src/watch/hub.ts";
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

  connect() {
    const seen = { paused: false, unsent: 0, answers: [] as Record<string, unknown>[] };
    const socket: Socket = {
      send: (text) => seen.answers.push(JSON.parse(text) as Record<string, unknown>),
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
    const options = { store, hub: this.#hub, requests: this.requests, onError: fail };
    const connection = new Connection(socket, options);
    const put = (id: number, bytes: number): void => {
      connection.receive(JSON.stringify({ id, op: "put", key: `${id}`, value: "x".repeat(bytes) }));
    };
    return { connection, seen, put };
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
