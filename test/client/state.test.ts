/** The state that a watch begins with, through losses, slow consumers and other stores. */

import { expect, test } from "bun:test";
import { filterOf } from "../../src/client/filter.ts";
import type { WatchPart } from "../../src/client/parts.ts";
import type { Watcher } from "../../src/client/watcher.ts";
import { entryToJson } from "../../src/json.ts";
import type { ListedEntry } from "../../src/kv.ts";
import type { SocketFrame } from "../../src/messages.ts";
import { decodeCursor, encodeCursor } from "../../src/protocol.ts";
import { expectFailure } from "./expect-failure.ts";
import { quickWatches } from "./quick-watches.ts";
import { startScriptedServer } from "./scripted-server.ts";
import { until } from "./until.ts";

const FILTER = filterOf({ prefix: "k" });

function entry(key: string, size = 1): ListedEntry {
  const value = new Uint8Array(size).fill(120);
  return { key, value, contentType: "t", revision: 1, createRevision: 1, version: 1 };
}

function created(id: number | string, watch: number, revision: number, store = "s") {
  return { id, type: "created", watch, revision, store } as const;
}

function state(watch: number, ...entries: ListedEntry[]): SocketFrame {
  return { watch, type: "state", entries: entries.map(entryToJson) };
}

function whole(watch: number, revision: number, store = "s"): SocketFrame {
  return { watch, type: "sync", revision, store };
}

function change(watch: number, revision: number): SocketFrame {
  return { watch, type: "change", revision, events: [{ type: "delete", key: "k1", revision }] };
}

/** Pages of a listing, answered one after the other; the questions for them. */
function pages(...answers: (ListedEntry[] | { more: ListedEntry[] } | Response)[]) {
  const asked: { prefix?: string | undefined; after?: string; revision: number }[] = [];
  const http = ({ searchParams }: URL): Response => {
    const cursor = searchParams.get("cursor");
    const place = cursor === null ? undefined : decodeCursor(cursor);
    const { range = { prefix: searchParams.get("prefix") ?? undefined }, after } = place ?? {};
    const revision = place?.revision ?? Number(searchParams.get("revision"));
    asked.push({ prefix: range.prefix, ...(after !== undefined && { after }), revision });
    const answer = answers.shift() ?? [];
    if (answer instanceof Response) return answer;
    const entries = "more" in answer ? answer.more : answer;
    const page = { revision, entries: entries.map(entryToJson) };
    if (!("more" in answer)) return Response.json(page);
    const next = { range: { prefix: "k" }, after: entries.at(-1)!.key, revision };
    return Response.json({ ...page, cursor: encodeCursor(next) });
  };
  return { asked, http };
}

function refusal(status: number, code: string): Response {
  return Response.json({ error: { code, message: code } }, { status });
}

/** What a pull brings, in short, until there are `count` of them. */
async function take(watcher: Watcher, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const chunk = await watcher.pull();
    if (chunk === undefined) throw new Error(`ended after ${seen.join(", ")}`);
    seen.push(...chunk.parts.map(shown));
  }
  return seen;
}

function shown(part: WatchPart): string {
  if (part.type === "state") return part.entries.map(({ key }) => key).join("+");
  return `${part.type} ${part.revision}`;
}

test("a state that breaks off is read on behind its last key, at its revision", async () => {
  const { asked, http } = pages([entry("k3"), entry("k4")]);
  await using server = startScriptedServer(http);
  const log: string[] = [];
  const watcher = quickWatches(server.url).watch({
    filter: FILTER,
    initial: true,
    onDisconnect: () => log.push("lost"),
    onReconnect: () => log.push("back"),
  });
  const first = await server.connection(0);
  const { id, ...question } = await first.next("watch");
  expect(question).toEqual({ op: "watch", prefix: "k", initial: true });
  first.send(created(id, 1, 10), state(1, entry("k1"), entry("k2")));
  expect(await watcher.started).toEqual({ revision: 10, store: "s" });
  expect(await take(watcher, 1)).toEqual(["k1+k2"]);
  first.close();
  const second = await server.connection(1);
  const again = await second.next("watch");
  expect(again).toMatchObject({ from: 11, initial: true });
  expect(await take(watcher, 1)).toEqual(["k3+k4"]);
  // That the state is whole is said when it is known that this is still the same store.
  second.send(created(again.id, 1, 10), change(1, 12));
  expect(await take(watcher, 2)).toEqual(["sync 10", "change 12"]);
  expect(asked).toEqual([{ prefix: "k", after: "k2", revision: 10 }]);
  expect(log).toEqual(["lost", "back"]);
  watcher.stop();
});

test("a state that breaks off before its first part is read from its beginning", async () => {
  const { asked, http } = pages([entry("k1")]);
  await using server = startScriptedServer(http);
  const watcher = quickWatches(server.url).watch({ filter: FILTER, initial: true });
  const first = await server.connection(0);
  first.send(created((await first.next("watch")).id, 1, 10));
  await watcher.started;
  first.close();
  expect(await take(watcher, 1)).toEqual(["k1"]);
  expect(asked).toEqual([{ prefix: "k", revision: 10 }]);
  watcher.stop();
});

test("of several ranges, those that are behind are not read again", async () => {
  const { asked, http } = pages([entry("b2")], [entry("c1")]);
  await using server = startScriptedServer(http);
  const ranges = [{ key: "a" }, { prefix: "b" }, { prefix: "c" }];
  const watcher = quickWatches(server.url).watch({ filter: filterOf(ranges), initial: true });
  const first = await server.connection(0);
  first.send(created((await first.next("watch")).id, 1, 10), state(1, entry("a"), entry("b1")));
  expect(await take(watcher, 1)).toEqual(["a+b1"]);
  first.close();
  expect(await take(watcher, 2)).toEqual(["b2", "c1"]);
  expect(asked).toEqual([
    { prefix: "b", after: "b1", revision: 10 },
    { prefix: "c", revision: 10 },
  ]);
  watcher.stop();
});

test("a range of one key is behind as soon as the state has come to that key", async () => {
  const { asked, http } = pages([entry("b1")]);
  await using server = startScriptedServer(http);
  const filter = filterOf([{ key: "a" }, { prefix: "b" }]);
  const watcher = quickWatches(server.url).watch({ filter, initial: true });
  const first = await server.connection(0);
  first.send(created((await first.next("watch")).id, 1, 10), state(1, entry("a")));
  expect(await take(watcher, 1)).toEqual(["a"]);
  first.close();
  expect(await take(watcher, 1)).toEqual(["b1"]);
  expect(asked).toEqual([{ prefix: "b", revision: 10 }]);
  watcher.stop();
});

test("a consumer that is slow gets the rest of the state when it asks, and holds a part", async () => {
  const { asked, http } = pages({ more: [entry("k2", 900)] }, [entry("k3")]);
  await using server = startScriptedServer(http);
  const watcher = quickWatches(server.url, { bytesMax: 1_000 }).watch({
    filter: FILTER,
    initial: true,
  });
  const first = await server.connection(0);
  const large = entry("k1", 900);
  first.send(
    created((await first.next("watch")).id, 1, 10),
    state(1, large),
    state(1, entry("k2")),
  );
  first.send(whole(1, 10), change(1, 11));
  // It has given its watch back, and nothing is read as long as nothing is taken.
  expect(await first.next("unwatch")).toMatchObject({ watch: 1 });
  await Bun.sleep(5);
  expect(asked).toEqual([]);
  expect(await take(watcher, 1)).toEqual(["k1"]);
  expect(await take(watcher, 2)).toEqual(["k2", "k3"]);
  expect(asked).toEqual([
    { prefix: "k", after: "k1", revision: 10 },
    { prefix: "k", after: "k2", revision: 10 },
  ]);
  const again = await first.next("watch");
  expect(again).toMatchObject({ from: 11, initial: true });
  first.send(created(again.id, 1, 10));
  expect(await take(watcher, 1)).toEqual(["sync 10"]);
  expect(server.connections.length).toBe(1);
  watcher.stop();
});

test("a rest whose revision is forgotten is reset, and the state begins anew", async () => {
  for (const answer of [refusal(410, "compacted"), refusal(400, "invalid_argument")]) {
    await using server = startScriptedServer(pages(answer).http);
    const watcher = quickWatches(server.url).watch({ filter: FILTER, initial: true });
    const first = await server.connection(0);
    first.send(created((await first.next("watch")).id, 1, 10), state(1, entry("k1")));
    expect(await take(watcher, 1)).toEqual(["k1"]);
    first.close();
    const second = await server.connection(1);
    const again = await second.next("watch");
    expect(again).not.toHaveProperty("from");
    second.send(created(again.id, 1, 20), state(1, entry("k2")), whole(1, 20), change(1, 21));
    expect(await take(watcher, 4)).toEqual(["reset 20", "k2", "sync 20", "change 21"]);
    watcher.stop();
  }
});

test("a rest is asked for until the server is back, and ended by what would not pass", async () => {
  const away = () => refusal(503, "unavailable");
  const { asked, http } = pages(away(), away(), [entry("k2")], refusal(403, "permission_denied"));
  await using server = startScriptedServer(http);
  const watches = quickWatches(server.url);
  const log: string[] = [];
  const onDisconnect = (): number => log.push("lost");
  const watcher = watches.watch({ filter: FILTER, initial: true, onDisconnect });
  const first = await server.connection(0);
  first.send(created((await first.next("watch")).id, 1, 10), state(1, entry("k1")));
  expect(await take(watcher, 1)).toEqual(["k1"]);
  first.close();
  expect(await take(watcher, 1)).toEqual(["k2"]);
  expect(asked).toHaveLength(3);
  expect(log).toEqual(["lost"]);
  const second = await server.connection(1);
  await second.next("watch");

  const other = watches.watch({ filter: filterOf({ prefix: "k2" }), initial: true });
  const question = await second.next("watch");
  second.send(created(question.id, 2, 10));
  await other.started;
  second.close();
  await expectFailure(other.pull(), "permission_denied");
  watches.close();
});

test("a state of which another store has the rest is reset before it counts as whole", async () => {
  const { http } = pages([entry("k2")]);
  await using server = startScriptedServer(http);
  const watcher = quickWatches(server.url).watch({ filter: FILTER, initial: true });
  const first = await server.connection(0);
  first.send(created((await first.next("watch")).id, 1, 10), state(1, entry("k1")));
  expect(await take(watcher, 1)).toEqual(["k1"]);
  first.close();
  expect(await take(watcher, 1)).toEqual(["k2"]);
  const second = await server.connection(1);
  second.send(created((await second.next("watch")).id, 1, 10, "other"), change(1, 11));
  expect(await second.next("unwatch")).toMatchObject({ watch: 1 });
  const again = await second.next("watch");
  expect(again).not.toHaveProperty("from");
  second.send(created(again.id, 1, 15, "other"), state(1, entry("k3")), whole(1, 15, "other"));
  expect(await take(watcher, 3)).toEqual(["reset 15", "k3", "sync 15"]);
  expect(watcher.store).toBe("other");
  watcher.stop();
});

test("a watch that is told to reset in its run does, and one without `initial` ends", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const patient = watches.watch({ filter: FILTER, initial: true, from: 5 });
  const connection = await server.connection(0);
  const asked = await connection.next("watch");
  expect(asked).toMatchObject({ from: 5, initial: true });
  connection.send(created(asked.id, 1, 4), change(1, 6));
  expect(await take(patient, 1)).toEqual(["change 6"]);
  const strict = watches.watch({ filter: FILTER, from: 7 });
  expect((await strict.started).revision).toBe(6);
  connection.send({ watch: 1, type: "reset", revision: 30, store: "s" }, state(1, entry("k1")));
  connection.send(whole(1, 30), change(1, 31));
  expect(await take(patient, 4)).toEqual(["reset 30", "k1", "sync 30", "change 31"]);
  const other = await server.connection(1);
  const own = await other.next("watch");
  expect(own).toMatchObject({ from: 7 });
  expect(own).not.toHaveProperty("initial");
  const error = { code: "compacted", message: "forgotten", oldest: 30 };
  other.send({ id: own.id, type: "error", error });
  await expectFailure(strict.pull(), "compacted");
  watches.close();
});

test("a watch of history that is gone begins with the reset, and nothing from before", async () => {
  await using server = startScriptedServer();
  const watcher = quickWatches(server.url).watch({ filter: FILTER, initial: true, from: 5 });
  const connection = await server.connection(0);
  connection.send(created((await connection.next("watch")).id, 1, 30));
  connection.send({ watch: 1, type: "reset", revision: 30, store: "s" }, whole(1, 30));
  expect(await take(watcher, 2)).toEqual(["reset 30", "sync 30"]);
  expect(await watcher.started).toEqual({ revision: 30, store: "s" });
  watcher.stop();
});

test("a watch that is ended as compacted is asked for again, and reset by the server", async () => {
  await using server = startScriptedServer();
  const watcher = quickWatches(server.url).watch({ filter: FILTER, initial: true });
  const connection = await server.connection(0);
  connection.send(created((await connection.next("watch")).id, 1, 10), whole(1, 10));
  expect(await take(watcher, 1)).toEqual(["sync 10"]);
  connection.send({ watch: 1, type: "end", reason: "compacted" });
  expect(await connection.next("watch")).toMatchObject({ from: 11, initial: true });
  watcher.stop();
});

test("those who begin in the same turn share one state; a later one has its own, for a while", async () => {
  await using server = startScriptedServer();
  const watches = quickWatches(server.url);
  const options = { filter: FILTER, initial: true };
  const keeper = watches.watch({ filter: filterOf({ key: "keeper" }) });
  const first = await server.connection(0);
  first.send(created((await first.next("watch")).id, 9, 10));
  await keeper.started;
  const together = [watches.watch(options), watches.watch(options), watches.watch(options)];
  const { id } = await first.next("watch");
  const later = watches.watch(options);
  const plain = watches.watch({ filter: FILTER });
  first.send(created(id, 1, 10), state(1, entry("k1")), whole(1, 10));
  for (const watcher of together) expect(await take(watcher, 2)).toEqual(["k1", "sync 10"]);

  const second = await server.connection(1);
  const own = await second.next("watch");
  expect(own).toMatchObject({ initial: true });
  second.send(created(own.id, 1, 11), state(1, entry("k1")), whole(1, 11));
  expect(await take(later, 2)).toEqual(["k1", "sync 11"]);
  // The state of others may be long, and what changes now is not to wait for it.
  const third = await server.connection(2);
  third.send(created((await third.next("watch")).id, 1, 11), change(1, 12));
  expect(await take(plain, 1)).toEqual(["change 12"]);

  for (const connection of [first, second, third]) connection.send(change(1, 13));
  for (const watcher of together) expect(await take(watcher, 1)).toEqual(["change 13"]);
  for (const watcher of [later, plain]) expect(await take(watcher, 1)).toEqual(["change 13"]);
  for (const one of [first, second, third]) one.send({ watch: 1, type: "progress", revision: 20 });
  // All are at the same place now, and go on by the oldest connection.
  await until(() => second.isClosed && third.isClosed);
  first.send(change(1, 21));
  for (const watcher of [...together, later, plain]) {
    expect(await take(watcher, 1)).toEqual(["change 21"]);
  }
  expect(watches.connections).toBe(1);
  watches.close();
});
