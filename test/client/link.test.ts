/** What a client does on the wire for its watches: the server says exactly what a test wants. */

import { expect, test } from "bun:test";
import { filterOf } from "../../src/client/filter.ts";
import type { Watcher } from "../../src/client/watcher.ts";
import type { EndReason, SocketFrame } from "../../src/messages.ts";
import { expectFailure } from "./expect-failure.ts";
import { unusedPort } from "./odd-server.ts";
import { quickWatches } from "./quick-watches.ts";
import { startScriptedServer } from "./scripted-server.ts";
import { until } from "./until.ts";

function created(id: number | string, watch: number, revision: number, store = "s") {
  return { id, type: "created", watch, revision, store } as const;
}

/** A change of one key, `size` characters large. */
function change(watch: number, revision: number, size = 1): SocketFrame {
  const entry = { key: "k", contentType: "t", revision, createRevision: 1, version: 1 };
  const event = { type: "put", ...entry, value: "x".repeat(size) } as const;
  return { watch, type: "change", revision, events: [event] };
}

/** The revisions that a pull brings, until there are `count` of them. */
async function revisions(watcher: Watcher, count: number): Promise<number[]> {
  const seen: number[] = [];
  while (seen.length < count) {
    const chunk = await watcher.pull();
    if (chunk === undefined) throw new Error(`ended after ${seen.join(", ")}`);
    for (const part of chunk.parts) if (part.type === "change") seen.push(part.revision);
  }
  return seen;
}

/** The first revision that it still needs. */
function nextOf({ need }: Watcher): number | undefined {
  return need.type === "from" ? need.revision : undefined;
}

const ALL = filterOf({});

test("a watch is asked for again from where it was; old frames do not count", async () => {
  await using server = startScriptedServer();
  const watcher = quickWatches(server.url).watch({ filter: filterOf({ prefix: "a" }), from: 5 });
  const first = await server.connection(0);
  const asked = await first.next("watch");
  expect(asked).toEqual({ id: asked.id, op: "watch", prefix: "a", from: 5 });
  first.send(created(asked.id, 7, 4), change(7, 6), { watch: 7, type: "progress", revision: 9 });
  first.send({ ...(change(7, 12) as object), more: true } as SocketFrame);
  expect(await revisions(watcher, 1)).toEqual([6]);
  await until(() => nextOf(watcher) === 10);
  first.close();
  const second = await server.connection(1);
  const again = await second.next("watch");
  expect(again).toEqual({ id: again.id, op: "watch", prefix: "a", from: 10 });
  // The same number on another connection is another watch.
  second.send(change(7, 99), created(again.id, 8, 9), change(7, 99), change(8, 12));
  expect(await revisions(watcher, 1)).toEqual([12]);
  watcher.stop();
});

test("a frame that comes again is not delivered again", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const watcher = watches.watch({ filter: ALL });
  const connection = await server.connection(0);
  const { id } = await connection.next("watch");
  connection.send(created(id, 1, 4), change(1, 5), change(1, 6), change(1, 5), change(1, 4));
  connection.send({ watch: 1, type: "progress", revision: 3 }, change(1, 6), change(1, 7));
  expect(await revisions(watcher, 3)).toEqual([5, 6, 7]);
  connection.send(change(1, 5), { watch: 1, type: "progress", revision: 8 });
  await until(() => nextOf(watcher) === 9);
  // Nor does it move where the stream is: who needs what follows can have it from here.
  connection.send(change(1, 6));
  await Bun.sleep(5);
  await watches.watch({ filter: ALL, from: 9 }).started;
  expect(server.connections.length).toBe(1);
  watches.close();
});

test("a watch given up before its answer is ended then, and not asked for again", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const stays = watches.watch({ filter: filterOf({ key: "stays" }), from: 3 });
  const goes = watches.watch({ filter: ALL, from: 3 });
  const first = await server.connection(0);
  const [ofStays, ofGoes] = [await first.next("watch"), await first.next("watch")];
  first.send(created(ofStays.id, 1, 2));
  await stays.started;
  goes.stop();
  first.send(created(ofGoes.id, 2, 2));
  expect(await first.next("unwatch")).toMatchObject({ watch: 2 });

  const late = watches.watch({ filter: ALL, from: 3 });
  await first.next("watch");
  late.stop();
  first.close();
  const second = await server.connection(1);
  const again = await second.next("watch");
  expect(again).toMatchObject({ key: "stays" });
  second.send(created(again.id, 1, 2));
  await Bun.sleep(5);
  expect(second.requests).toEqual([]);
  stays.stop();
  await until(() => second.isClosed);
});

test("a watch that is being asked for is not taken for one from elsewhere", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const early = watches.watch({ filter: ALL, from: 50 });
  const connection = await server.connection(0);
  const asked = await connection.next("watch");
  const keeper = watches.watch({ filter: filterOf({ key: "keeper" }), from: 50 });
  await connection.next("watch");
  early.stop();
  // Nobody is left who wants what was asked for, and this one wants more.
  const older = watches.watch({ filter: ALL, from: 10 });
  const other = await server.connection(1);
  const own = await other.next("watch");
  expect(own).toMatchObject({ from: 10 });
  connection.send(created(asked.id, 1, 49), change(1, 60));
  other.send(created(own.id, 1, 9), change(1, 20));
  expect(await revisions(older, 1)).toEqual([20]);
  keeper.stop();
  older.stop();
});

test("one that joins gets what came after its question, and nothing from before", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const first = watches.watch({ filter: ALL });
  const connection = await server.connection(0);
  const asked = await connection.next("watch");
  const later = watches.watch({ filter: ALL });
  connection.send(created(asked.id, 1, 4), change(1, 5));
  const question = await connection.next("list");
  connection.send(change(1, 6), change(1, 7), change(1, 8));
  connection.send({ id: question.id, type: "result", revision: 6, entries: [] }, change(1, 9));
  expect(await revisions(later, 3)).toEqual([7, 8, 9]);
  expect((await later.started).revision).toBe(6);
  expect(await revisions(first, 5)).toEqual([5, 6, 7, 8, 9]);
  watches.close();
});

test("one that would join but waits too long gets a connection of its own for a while", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const first = watches.watch({ filter: ALL });
  const connection = await server.connection(0);
  connection.send(created((await connection.next("watch")).id, 1, 4));
  await first.started;
  const joining = watches.watch({ filter: ALL });
  const question = await connection.next("list");
  for (let revision = 5; revision < 8; revision++) connection.send(change(1, revision, 600_000));
  const other = await server.connection(1);
  const own = await other.next("watch");
  connection.send({ id: question.id, type: "result", revision: 7, entries: [] }, change(1, 8));
  expect(await revisions(first, 4)).toEqual([5, 6, 7, 8]);
  other.send(created(own.id, 1, 6), change(1, 7), change(1, 8));
  expect(await revisions(joining, 2)).toEqual([7, 8]);
  // Both have come to 8: they go on together.
  await until(() => other.isClosed);
  expect(other.requests).toMatchObject([{ op: "unwatch" }]);
  connection.send(change(1, 9));
  expect(await revisions(joining, 1)).toEqual([9]);
  expect(server.connections.length).toBe(2);
  watches.close();
});

test("a server that takes two ranges for the same gets them on two connections", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const first = watches.watch({ filter: filterOf({ prefix: "a" }), from: 1 });
  const second = watches.watch({ filter: filterOf({ start: "a", end: "b" }), from: 1 });
  const one = await server.connection(0);
  one.send(created((await one.next("watch")).id, 1, 0));
  const error = { code: "conflict", message: "the same watch" };
  one.send({ id: (await one.next("watch")).id, type: "error", error });
  const two = await server.connection(1);
  two.send(created((await two.next("watch")).id, 1, 0), change(1, 2));
  one.send(change(1, 2));
  expect(await revisions(second, 1)).toEqual([2]);
  expect(await revisions(first, 1)).toEqual([2]);
  watches.close();
});

const AGAIN: EndReason[] = ["compacted", "too_slow"];

for (const reason of AGAIN) {
  test(`a watch that the server ends as ${reason} is asked for again at once`, async () => {
    await using server = startScriptedServer();
    const watcher = quickWatches(server.url).watch({ filter: ALL, from: 1 });
    const connection = await server.connection(0);
    connection.send(created((await connection.next("watch")).id, 1, 0), change(1, 3));
    expect(await revisions(watcher, 1)).toEqual([3]);
    connection.send({ watch: 1, type: "end", reason }, change(1, 99));
    const again = await connection.next("watch");
    expect(again).toMatchObject({ from: 4 });
    const error = { code: "compacted", message: "forgotten", oldest: 9 };
    connection.send({ id: again.id, type: "error", error });
    expect((await expectFailure(watcher.pull(), "compacted")).details.oldest).toBe(9);
    await until(() => connection.isClosed);
  });
}

test("a watch that the server ends because it stops goes on over a new connection", async () => {
  await using server = startScriptedServer();
  const watcher = quickWatches(server.url).watch({ filter: ALL, from: 1 });
  const connection = await server.connection(0);
  connection.send(created((await connection.next("watch")).id, 1, 0));
  connection.send({ watch: 1, type: "end", reason: "shutdown" });
  const second = await server.connection(1);
  expect(await second.next("watch")).toMatchObject({ from: 1 });
  watcher.stop();
});

test("a watch that is not allowed any more ends with permission_denied", async () => {
  await using server = startScriptedServer();
  const watcher = quickWatches(server.url).watch({ filter: ALL, from: 1 });
  const connection = await server.connection(0);
  connection.send(created((await connection.next("watch")).id, 1, 0), change(1, 1));
  connection.send({ watch: 1, type: "end", reason: "unauthorized" });
  expect(await revisions(watcher, 1)).toEqual([1]);
  await expectFailure(watcher.pull(), "permission_denied");
});

test("a refusal that may pass ends a new watch, not one that had begun", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const error = { code: "unavailable", message: "the server is stopping" };
  const watcher = watches.watch({ filter: ALL, from: 1 });
  const first = await server.connection(0);
  first.send(created((await first.next("watch")).id, 1, 0));
  await watcher.started;
  first.close();
  const second = await server.connection(1);
  second.send({ id: (await second.next("watch")).id, type: "error", error });
  const third = await server.connection(2);
  const again = await third.next("watch");
  const fresh = watches.watch({ filter: filterOf({ key: "fresh" }), from: 1 });
  third.send({ id: (await third.next("watch")).id, type: "error", error });
  await expectFailure(fresh.pull(), "unavailable", "the server is stopping");
  expect(again).toMatchObject({ from: 1 });
  watches.close();
});

test("a paused watch keeps its connection, though it has no watch on the server", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url, { bytesMax: 1_000 });
  const watcher = watches.watch({ filter: ALL, from: 1 });
  const connection = await server.connection(0);
  connection.send(created((await connection.next("watch")).id, 1, 0));
  connection.send(change(1, 1, 2_000), change(1, 2), change(1, 3));
  await connection.next("unwatch");
  expect(await revisions(watcher, 1)).toEqual([1]);
  const resumed = revisions(watcher, 2);
  const again = await connection.next("watch");
  expect(again).toMatchObject({ from: 2 });
  connection.send(created(again.id, 1, 1), change(1, 2), change(1, 3));
  expect(await resumed).toEqual([2, 3]);
  expect(server.connections.length).toBe(1);
  watcher.stop();
  await until(() => connection.isClosed);
});

test("waits between attempts grow up to their bound, by how much is left to chance", async () => {
  const waits: number[] = [];
  let last = 0;
  const watches = quickWatches(`:${await unusedPort()}`, {
    backoffMsMin: 4,
    backoffMsMax: 16,
    random: () => 0.999,
    diagnose: async (error) => {
      const now = performance.now();
      waits.push(now - last);
      last = now;
      return error;
    },
  });
  const watcher = watches.watch({ filter: ALL, waitForServer: true });
  await until(() => waits.length > 6);
  watcher.stop();
  // Timers may be late, and early by no more than their grain.
  for (const [index, least] of [4, 8, 16, 16].entries()) {
    expect(waits[index + 1]).toBeGreaterThan(least - 1.5);
  }
  expect(waits[6]).toBeLessThan(200);
});

test("an endpoint that did not select kv's subprotocol is refused, silent or not", async () => {
  await using server = startScriptedServer();
  // As in a browser, which lets it pass; Bun refuses by itself.
  const own = globalThis.WebSocket;
  globalThis.WebSocket = class extends own {
    override get protocol(): string {
      return "";
    }
  } as typeof WebSocket;
  try {
    const watcher = quickWatches(server.url, { diagnose: async (error) => error }).watch({
      filter: ALL,
    });
    await expectFailure(watcher.pull(), "unavailable", "no subprotocol kv.v1");
  } finally {
    globalThis.WebSocket = own;
  }
});

test("a connection that is lost in silence may be silent for longer the next time", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url, { heartbeatMs: 20 });
  const watcher = watches.watch({ filter: ALL, from: 1, waitForServer: true });
  const lifeOf = async (index: number): Promise<number> => {
    const connection = await server.connection(index);
    await until(() => connection.isClosed);
    return connection.lifeMs;
  };
  // What fails a heartbeat here could also be a frame that takes long to come.
  await lifeOf(0);
  expect(await lifeOf(1)).toBeGreaterThan(70);
  expect(await lifeOf(2)).toBeGreaterThan(140);
  const last = await server.connection(3);
  last.send(created((await last.next("watch")).id, 1, 0), change(1, 1));
  expect(await revisions(watcher, 1)).toEqual([1]);
  expect(await lifeOf(3)).toBeGreaterThan(280);
  // It was heard, so the usual time counts again.
  expect(await lifeOf(4)).toBeLessThan(500);
  watcher.stop();
});

test("what the platform refuses to connect to ends the watch with its reason", async () => {
  const own = globalThis.WebSocket;
  const reason = new Error("an insecure WebSocket on a secure page");
  globalThis.WebSocket = function refuse() {
    throw reason;
  } as unknown as typeof WebSocket;
  try {
    const watches = quickWatches("http://127.0.0.1:9");
    const watcher = watches.watch({ filter: ALL });
    expect(await watcher.pull().catch((error: unknown) => error)).toBe(reason);
    expect(watches.connections).toBe(0);
  } finally {
    globalThis.WebSocket = own;
  }
});
