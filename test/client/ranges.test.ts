/** Ranges, histories and compaction of the SDK, against a real server. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type KvClient, type KvPastEvent } from "../../src/client/index.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import type { Range } from "../../src/kv.ts";
import { openModel } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";

const NAMES = ["a", "b/1", "b/2", "b/c/3", "d", "e/4"];
const CLOCK = 1_000_000;

let now = CLOCK;
let server: RunningServer;
let kv: KvClient;

beforeAll(() => {
  const store = openModel({ limits: { commitEventsMax: 10 }, clock: () => now });
  server = startServer({ store, host: "127.0.0.1", port: 0 });
  kv = connect(server.url);
});

afterAll(async () => {
  await kv.close();
  await server.stop();
});

/** Puts a key for each of `NAMES` below `base`. */
async function fill(base: string, names: readonly string[] = NAMES): Promise<void> {
  for (const name of names) await kv.put(base + name, name);
}

async function keysOf(range: Range, options = {}): Promise<string[]> {
  const entries = await Array.fromAsync(kv.list(range, options));
  return entries.map(({ key }) => key.slice(key.indexOf(":") + 1));
}

test("a list goes from the last key to the first, over all pages and up to its limit", async () => {
  await fill("back:");
  const range = { prefix: "back:" };
  expect(await keysOf(range, { reverse: true })).toEqual(NAMES.toReversed());
  expect(await keysOf(range, { reverse: true, limit: 2 })).toEqual(["e/4", "d"]);
  expect(await keysOf({ start: "back:b", end: "back:d" }, { reverse: true })).toEqual([
    "b/c/3",
    "b/2",
    "b/1",
  ]);
});

test("pages follow each other by `next` at one revision, both ways and with folders", async () => {
  await fill("page:");
  const range = { prefix: "page:" };
  for (const reverse of [false, true]) {
    const seen: string[] = [];
    let after: string | undefined;
    let revision: number | undefined;
    do {
      const options = { limit: 1, delimiter: "/", keys: true, reverse, after, revision };
      const page = await kv.page(range, options);
      seen.push(...page.entries.map(({ key }) => key), ...page.folders!);
      expect(page.more).toBe(page.next !== undefined);
      ({ next: after, revision } = page);
      if (seen.length === 1) await kv.put("page:c", "too late for this listing");
    } while (after !== undefined);
    await kv.delete("page:c");
    const items = ["a", "b/", "d", "e/"].map((name) => `page:${name}`);
    expect(seen).toEqual(reverse ? items.toReversed() : items);
  }
});

test("a page without a delimiter has no folders, and one without more has no next", async () => {
  await fill("plain:");
  const page = await kv.page({ prefix: "plain:" });
  expect(page).toMatchObject({ more: false, entries: { length: NAMES.length } });
  expect(page).not.toHaveProperty("folders");
  expect(page).not.toHaveProperty("next");
  expect(page).not.toHaveProperty("count");
  expect(page.entries[0]!.text()).toBe("a");
  const below = await kv.page({ prefix: "plain:b/" }, { delimiter: "/" });
  expect([below.entries.map(({ key }) => key), below.folders]).toEqual([
    ["plain:b/1", "plain:b/2"],
    ["plain:b/c/"],
  ]);
});

test("a count is of the whole range, now or at an older revision", async () => {
  await fill("count:");
  const { revision } = await kv.delete("count:a");
  expect(await kv.count({ prefix: "count:" })).toBe(5);
  expect(await kv.count({ prefix: "count:" }, { revision: revision - 1 })).toBe(6);
  expect(await kv.count({ key: "count:a" })).toBe(0);
  expect(await kv.count({ key: "count:d" })).toBe(1);
  expect(await kv.count({ start: "count:b", end: "count:c" })).toBe(3);
  expect(await kv.count()).toBe((await kv.status()).keys);
});

test("a history has puts, deletions and expiries, the newest first", async () => {
  await kv.put("past", "one");
  await kv.incr("past").catch(() => {});
  await kv.put("past", "two", { ttl: "1m" });
  await kv.put("other", "x");
  now += 60_000;
  expect(await kv.get("past")).toBeUndefined();
  await kv.put("past", "three");
  const { revision } = await kv.delete("past");
  const entries = await Array.fromAsync(kv.history("past"));
  expect(entries.map(shownPast)).toEqual(["delete", "three", "expire", "two", "one"]);
  expect(entries[0]).toEqual({ type: "delete", key: "past", revision });
  expect(entries[3]).toMatchObject({ type: "put", version: 2, expiresAt: now });
  expect(await Array.fromAsync(kv.history("never"))).toEqual([]);
});

test("a history is read up to its limit, below a revision, and without its values", async () => {
  const revisions: number[] = [];
  for (let at = 0; at < 5; at++) revisions.push((await kv.put("long", `${at}`)).revision);
  const limited = await Array.fromAsync(kv.history("long", { limit: 2 }));
  expect(limited.map(shownPast)).toEqual(["4", "3"]);
  const older = await Array.fromAsync(kv.history("long", { before: revisions[2]! }));
  expect(older.map(shownPast)).toEqual(["1", "0"]);
  const [bare] = await Array.fromAsync(kv.history("long", { keys: true, limit: 1 }));
  expect(bare).toMatchObject({ type: "put", revision: revisions[4]! });
  expect(bare).not.toHaveProperty("value");
  expect(await Array.fromAsync(kv.history("long", { limit: 0 }))).toEqual([]);
  await expectFailure(Array.fromAsync(kv.history("long", { before: -1 })), "invalid_argument");
  await expectFailure(Array.fromAsync(kv.history("")), "invalid_argument");
});

test("a history of thousands of changes is read in pages", async () => {
  for (let at = 0; at < 2_100; at++) await kv.incr("pages");
  const values = (await Array.fromAsync(kv.history("pages"))).map(shownPast);
  expect(values).toEqual(Array.from({ length: 2_100 }, (_, at) => `${2_100 - at}`));
});

test("a range is deleted at one revision, all of it or its first keys", async () => {
  await fill("gone:");
  const range = { prefix: "gone:" };
  const { revision } = await kv.status();
  const first = await kv.deleteRange(range, { limit: 2 });
  expect(first).toEqual({ deleted: 2, revision: revision + 1, more: true });
  expect(await keysOf(range)).toEqual(NAMES.slice(2));
  expect(await kv.deleteRange(range)).toEqual({ deleted: 4, revision: revision + 2, more: false });
  expect(await kv.deleteRange(range)).toEqual({ deleted: 0, revision: revision + 2, more: false });
  await expectFailure(kv.deleteRange(range, { limit: 0 }), "invalid_argument");
});

test("a range with more keys than a commit takes is too_large, and can be cleared", async () => {
  const names = Array.from({ length: 25 }, (_, at) => `${at}`);
  await fill("many:", names);
  await fill("many;", ["stays"]);
  const large = await expectFailure(kv.deleteRange({ prefix: "many:" }), "too_large");
  expect(large.details).toEqual({ limit: 10 });
  expect(await kv.count({ prefix: "many:" })).toBe(25);
  const { revision } = await kv.status();
  const cleared = await kv.clear({ prefix: "many:" });
  expect(cleared).toEqual({ deleted: 25, revision: revision + 3 });
  expect(await kv.count({ prefix: "many" })).toBe(1);
  expect(await kv.clear({ prefix: "many:" })).toEqual({ deleted: 0, revision: revision + 3 });
});

test("every key is deleted only by who says so", async () => {
  await fill("all:");
  const everything: Range[] = [{}, { prefix: "" }, { start: "" }, { prefix: undefined as never }];
  for (const range of everything) {
    await expectFailure(kv.deleteRange(range), "invalid_argument", "all=true");
    await expectFailure(kv.clear(range), "invalid_argument", "all=true");
    const txn = { then: [{ op: "deleteRange", range }] } as const;
    await expectFailure(kv.txn(txn), "invalid_argument", "all=true");
  }
  await expectFailure(kv.clear({ prefix: "all:" }, { all: true }), "invalid_argument");
  const before = await kv.count();
  expect(before).toBeGreaterThan(10);
  expect((await kv.clear({}, { all: true })).deleted).toBe(before);
  expect(await kv.count()).toBe(0);
});

test("compaction answers the oldest revision, and what is older is compacted", async () => {
  const old = await kv.put("compacted", "old");
  const { revision } = await kv.put("compacted", "new");
  expect(await kv.compact(revision)).toEqual({ oldest: revision });
  expect(await kv.compact(revision)).toEqual({ oldest: revision });
  const { details } = await expectFailure(
    kv.get("compacted", { revision: old.revision }),
    "compacted",
  );
  expect(details.oldest).toBe(revision);
  const history = (await Array.fromAsync(kv.history("compacted"))).map(shownPast);
  expect(history).toEqual(["new"]);
  await expectFailure(kv.compact(old.revision), "compacted");
  const above = await expectFailure(kv.compact(revision + 1), "invalid_argument");
  expect(above.details.revision).toBe(revision);
  await expectFailure(kv.compact(1.5), "invalid_argument");
  await expectFailure(kv.compact(undefined as unknown as number), "invalid_argument");
  const loop = kv.history("compacted", { before: revision });
  await expectFailure(Array.fromAsync(loop), "compacted");
});

function shownPast(past: KvPastEvent): string {
  return past.type === "put" ? past.text() : past.type;
}
