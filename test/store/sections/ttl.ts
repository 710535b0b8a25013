/** Times to live: deadlines, how they change, and keys that nobody sees after theirs. */

import { expect, test } from "bun:test";
import type { Check, Commit, Operation, Store } from "../../../src/kv.ts";
import { TTL_MS_MAX } from "../../../src/limits.ts";
import {
  bytes,
  changesBetween,
  del,
  delRange,
  failure,
  incr,
  listAll,
  put,
  putFor,
  shown,
  shownCommits,
  TEXT,
  textOf,
  touch,
  write,
  writeAndSee,
} from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

const HOUR = 3_600_000;

/** Long enough to look at a key before it expires on a slow machine, most times. */
const SOON = 100;

export function ttlSection(subject: Subject): void {
  const { fresh } = subject;

  /** Commits one operation, and answers with the deadline that its result tells. */
  const deadlineOf = async (operation: Operation): Promise<number | undefined> => {
    const { results } = await write(subject.store, operation);
    const [result] = results;
    if (result === undefined || !("version" in result)) throw new Error("no result of a change");
    const { entry } = await subject.store.get(result.key);
    expect(entry?.expiresAt).toBe(result.expiresAt);
    expect("expiresAt" in result).toBe(result.expiresAt !== undefined);
    return result.expiresAt;
  };

  test("a put with a time to live has a deadline, which every answer tells", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const before = Date.now();
    const { revision, results, events } = await writeAndSee(store, putFor(key, "v", HOUR));
    const after = Date.now();
    const changed = { key, revision, createRevision: revision, version: 1 };
    const { expiresAt } = results[0] as { expiresAt: number };
    expect(results).toEqual([{ op: "put", ...changed, expiresAt }]);
    expect(Number.isInteger(expiresAt)).toBe(true);
    expect(expiresAt).toBeGreaterThanOrEqual(before + HOUR);
    expect(expiresAt).toBeLessThanOrEqual(after + HOUR);
    const entry = { ...changed, value: "v", contentType: TEXT, expiresAt };
    expect(events).toEqual([{ type: "put", ...entry }]);
    expect(shown((await store.get(key)).entry!)).toEqual(entry);
    expect((await store.list({ key })).entries.map(shown)).toEqual([entry]);
    expect((await store.history(key)).entries.map(shown)).toEqual([{ type: "put", ...entry }]);
    const [bare] = (await store.list({ key }, { keys: true })).entries;
    expect(bare!.expiresAt).toBe(expiresAt);
    const read = await write(store, { op: "get", key }, { op: "list", range: { key } });
    expect(JSON.stringify(read.results).match(/"expiresAt":/g)).toHaveLength(2);
  });

  test("a put without one clears the deadline, and `keep` leaves it as it is", async () => {
    const key = `${fresh()}a`;
    expect(await deadlineOf(put(key))).toBeUndefined();
    const deadline = await deadlineOf(putFor(key, "1", HOUR));
    expect(deadline).toBeGreaterThan(Date.now());
    expect(await deadlineOf(putFor(key, "2", "keep"))).toBe(deadline!);
    expect(await deadlineOf(putFor(key, "3", 2 * HOUR))).toBeGreaterThan(deadline!);
    expect(await deadlineOf(put(key, "4"))).toBeUndefined();
    expect(await deadlineOf(putFor(key, "5", "keep"))).toBeUndefined();
    expect(await deadlineOf(putFor(`${key}-absent`, "new", "keep"))).toBeUndefined();
  });

  test("touch gives the same bytes a new deadline, keeps it, or takes it away", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const value = Uint8Array.of(0xff, 0, 1);
    const created = await write(store, put(key, value, "text/css"));
    const { revision, results, events } = await writeAndSee(store, touch(key, HOUR));
    const { expiresAt } = results[0] as { expiresAt: number };
    const changed = { key, revision, createRevision: created.revision, version: 2, expiresAt };
    expect(results).toEqual([{ op: "touch", ...changed }]);
    expect(expiresAt).toBeGreaterThan(Date.now());
    const text = Buffer.from(value).toString("latin1");
    expect(events).toEqual([{ type: "put", value: text, contentType: "text/css", ...changed }]);
    expect((await store.get(key)).entry!.value).toEqual(value);
    expect(await deadlineOf(touch(key, "keep"))).toBe(expiresAt);
    expect(await deadlineOf(touch(key, "none"))).toBeUndefined();
    expect(await deadlineOf(touch(key, "keep"))).toBeUndefined();
    expect((await store.get(key)).entry).toMatchObject({ version: 5, contentType: "text/css" });
  });

  test("a touch of an absent key fails, and changes nothing", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key));
    const { revision } = await write(store, del(key));
    for (const ttl of [HOUR, "keep", "none"] as const) {
      const error = await failure(() => write(store, touch(key, ttl)), "not_found");
      expect(error.details.index).toBe(0);
    }
    expect((await store.status()).revision).toBe(revision);
  });

  test("an increment has a time to live only when it creates the key", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const deadline = await deadlineOf(incr(key, 1n, HOUR));
    expect(deadline).toBeGreaterThan(Date.now());
    expect(await deadlineOf(incr(key, 1n, 2 * HOUR))).toBe(deadline!);
    expect(await deadlineOf(incr(key))).toBe(deadline!);
    await write(store, put(key, "7"));
    expect(await deadlineOf(incr(key, 1n, HOUR))).toBeUndefined();
    const { results } = await write(store, del(key), incr(key, 1n, HOUR));
    expect(results[1]).toMatchObject({ value: 1n, version: 1, expiresAt: expect.any(Number) });
  });

  test("within a transaction each operation sees the deadline of the one before", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { results } = await write(
      store,
      putFor(key, "1", HOUR),
      incr(key),
      putFor(key, "2", "keep"),
      touch(key, "none"),
      incr(key),
      putFor(key, "3", "keep"),
    );
    const deadlines = results.map((one) => "expiresAt" in one && one.expiresAt !== undefined);
    expect(deadlines).toEqual([true, true, true, false, false, false]);
    const kept = await write(store, touch(key, HOUR), del(key), putFor(key, "4", "keep"));
    expect(kept.results[2]).not.toHaveProperty("expiresAt");
  });

  test("a key is there until its deadline and never after it, whoever looks", async () => {
    const { store } = subject;
    const prefix = fresh();
    const key = `${prefix}a`;
    const looks: (() => Promise<boolean>)[] = [
      async () => (await store.get(key)).entry !== undefined,
      async () => (await store.list({ prefix })).entries.length > 0,
      async () => (await store.list({ prefix }, { reverse: true })).entries.length > 0,
      async () => (await store.list({ prefix }, { count: true })).count === 1,
      async () => (await store.list({ prefix }, { delimiter: "/" })).entries.length > 0,
      async () => (await store.history(key)).entries[0]!.type === "put",
      async () => {
        const [result] = (await write(store, { op: "get", key })).results;
        return result!.op === "get" && result!.entry !== undefined;
      },
      () => holds(store, { key, version: 0, not: true }),
      () => holds(store, { key, value: bytes("v") }),
    ];
    for (const look of looks) {
      await write(store, del(key));
      const { results } = await write(store, putFor(key, "v", SOON));
      const { expiresAt } = results[0] as { expiresAt: number };
      let there = true;
      while (there) {
        const before = Date.now();
        there = await look();
        if (before >= expiresAt) expect(there).toBe(false);
        if (Date.now() < expiresAt) expect(there).toBe(true);
      }
      expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
      expect(await look()).toBe(false);
    }
  }, 30_000);

  test("writes that come after the deadline find the key absent", async () => {
    const { store } = subject;
    const prefix = fresh();
    const names = ["put", "incr", "delete", "touch", "range", "absent"] as const;
    const keys = Object.fromEntries(names.map((name) => [name, prefix + name]));
    const { results } = await write(store, ...names.map((name) => putFor(keys[name]!, "41", SOON)));
    const { expiresAt } = results.at(-1) as { expiresAt: number };
    // Not a sleep for something to happen: the writes below must be right at any time after it.
    await Bun.sleep(expiresAt - Date.now() + 1);
    const absent = await store.commit({
      checks: [{ key: keys["absent"]!, revision: 0 }],
      then: [
        put(keys["put"]!, "new"),
        incr(keys["incr"]!),
        del(keys["delete"]!),
        delRange({ key: keys["range"]! }),
      ],
    });
    expect(absent.succeeded).toBe(true);
    const { revision } = absent;
    expect(absent.results).toMatchObject([
      { createRevision: revision, version: 1 },
      { createRevision: revision, version: 1, value: 1n },
      { deleted: 0 },
      { deleted: 0 },
    ]);
    await failure(() => write(store, touch(keys["touch"]!, HOUR)), "not_found");
  });

  test("a key that expires is an event of its own, never early, and takes a revision", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { revision, results } = await write(store, putFor(key, "v", SOON));
    const { expiresAt } = results[0] as { expiresAt: number };
    const [expired] = await follow(store, revision + 1, key, 1);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
    expect(expired!.revision).toBeGreaterThan(revision);
    const event = { type: "expire", key, revision: expired!.revision };
    expect(shownCommits([expired!])).toEqual([{ revision: expired!.revision, events: [event] }]);
    const { entries } = await store.history(key);
    expect(entries.map(({ type }) => type)).toEqual(["expire", "put"]);
    expect(entries[0]).toMatchObject(event);
    expect((await store.get(key)).revision).toBeGreaterThanOrEqual(expired!.revision);
  });

  test("at its revision a key is there for ever: old reads do not look at the clock", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { revision } = await write(store, putFor(key, "v", SOON));
    const [expired] = await follow(store, revision + 1, key, 1);
    expect(await textOf(store, key, revision)).toBe("v");
    expect(await listAll(store, { key }, { revision })).toHaveLength(1);
    expect((await store.list({ key }, { revision, count: true })).count).toBe(1);
    expect(await textOf(store, key, expired!.revision)).toBeUndefined();
  });

  test("a key whose deadline was moved or taken away outlives the old one", async () => {
    const { store } = subject;
    const prefix = fresh();
    const names = ["put", "touched", "moved", "recreated", "last"];
    const [cleared, touched, moved, again, last] = names.map((name) => prefix + name) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const all = [cleared, touched, moved, again];
    const { revision } = await write(store, ...all.map((key) => putFor(key, "v", SOON)));
    const changed = await write(
      store,
      put(cleared, "v"),
      touch(touched, "none"),
      touch(moved, HOUR),
      del(again),
      put(again, "v"),
    );
    await write(store, putFor(last, "v", SOON));
    // Due after all the others were: what is to expire before it has expired.
    await follow(store, revision + 1, last, 2);
    const { entries } = await store.list({ prefix });
    const early = await changesBetween(store, revision + 1, changed.revision);
    const tooSlow = early.some(({ events }) => events.some(({ type }) => type === "expire"));
    if (!tooSlow) expect(entries.map(({ key }) => key)).toEqual([...all].toSorted());
  });

  test("a deleted key does not expire", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [key, last] = [`${prefix}a`, `${prefix}b`];
    const { revision } = await write(store, putFor(key, "v", 2 * SOON));
    const gone = await write(store, del(key));
    expect(gone.results).toEqual([{ op: "delete", deleted: 1 }]);
    await write(store, putFor(last, "v", 2 * SOON));
    const commits = await follow(store, revision + 1, last, 2);
    const { entries } = await store.history(key);
    expect(entries.map(({ type }) => type)).toEqual(["delete", "put"]);
    expect(commits.flatMap(({ events }) => events).map(({ type }) => type)).toEqual([
      "put",
      "expire",
    ]);
  });

  test("of many keys each expires once, those first whose deadline is first", async () => {
    const { store } = subject;
    const prefix = fresh();
    const keys = Array.from({ length: 60 }, (_, at) => `${prefix}${String(at).padStart(2, "0")}`);
    const { revision } = await write(
      store,
      ...keys.map((key, at) => putFor(key, "v", SOON + ((at * 7) % 5) * 10)),
    );
    const expired: string[] = [];
    for await (const { commits } of store.changes(revision + 1, { range: { prefix } })) {
      for (const { events } of commits) expired.push(...events.map(({ key }) => key));
      if (expired.length >= keys.length) break;
    }
    expect(expired.toSorted()).toEqual(keys);
    const delays = expired.map((key) => (Number(key.slice(-2)) * 7) % 5);
    expect(delays).toEqual(delays.toSorted());
    expect((await store.list({ prefix }, { count: true })).count).toBe(0);
  });

  test("expired keys are not counted as live", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { keys } = await store.status();
    const { revision } = await write(store, putFor(key, "v", SOON));
    await follow(store, revision + 1, key, 1);
    expect((await store.status()).keys).toBe(keys);
  });

  test("a time to live that is none is refused, and the longest is fine", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    for (const ttl of [0, -1, 1.5, Number.NaN, TTL_MS_MAX + 1]) {
      await failure(() => write(store, putFor(key, "v", ttl)), "invalid_argument");
      await failure(() => write(store, touch(key, ttl)), "invalid_argument");
      await failure(() => write(store, incr(key, 1n, ttl)), "invalid_argument");
    }
    expect((await store.get(key)).entry).toBeUndefined();
    expect(await deadlineOf(putFor(key, "v", TTL_MS_MAX))).toBeGreaterThan(Date.now() + HOUR);
    expect(await textOf(store, key)).toBe("v");
  });
}

// --- internal ---

/** Commits of a key from a revision on, until there are `count` of them. */
async function follow(store: Store, from: number, key: string, count: number): Promise<Commit[]> {
  const seen: Commit[] = [];
  for await (const { commits } of store.changes(from, { range: { key } })) {
    seen.push(...commits);
    if (seen.length >= count) break;
  }
  return seen;
}

async function holds(store: Store, check: Check): Promise<boolean> {
  return (await store.commit({ checks: [check], then: [] })).succeeded;
}
