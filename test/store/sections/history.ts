/** What a key was: every change of it, newest first, page by page. */

import { expect, test } from "bun:test";
import type { HistoryOptions, HistoryResult, Store } from "../../../src/kv.ts";
import { del, delRange, failure, incr, put, shown, TEXT, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

export function historySection(subject: Subject): void {
  const { fresh } = subject;

  test("every change of a key comes, newest first: puts with their entries, and deletions", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const first = (await write(store, put(key, "1", "text/css"))).revision;
    await write(store, put(`${key}/b`), put(`${key}\u0000`));
    const second = (await write(store, put(key, Uint8Array.of(255, 0)))).revision;
    const third = (await write(store, del(key))).revision;
    const fourth = (await write(store, incr(key, 4n))).revision;
    const last = (await write(store, put(`${key}b`))).revision;
    const { revision, entries, more } = await store.history(key);
    expect([revision, more]).toEqual([last, false]);
    const type = { type: "put", key };
    expect(entries.map(shown)).toEqual([
      {
        ...type,
        value: "4",
        contentType: TEXT,
        revision: fourth,
        createRevision: fourth,
        version: 1,
      },
      { type: "delete", key, revision: third },
      {
        ...type,
        value: "\u00ff\u0000",
        contentType: TEXT,
        revision: second,
        createRevision: first,
        version: 2,
      },
      {
        ...type,
        value: "1",
        contentType: "text/css",
        revision: first,
        createRevision: first,
        version: 1,
      },
    ]);
  });

  test("a key that never was has none, and the answer tells the store's revision", async () => {
    const { store } = subject;
    const { revision } = await write(store, put(`${fresh()}a`));
    expect(await store.history(`${fresh()}absent`)).toEqual({ revision, entries: [], more: false });
  });

  test("a deleted key keeps its history, and has one deletion for each time it was there", async () => {
    const { store } = subject;
    const prefix = fresh();
    const key = `${prefix}a`;
    for (const _ of [1, 2, 3]) {
      await write(store, put(key));
      await write(store, delRange({ prefix }));
      await write(store, del(key));
    }
    const { entries } = await store.history(key);
    expect(entries.map(({ type }) => type)).toEqual(
      [1, 2, 3].flatMap(() => ["delete", "put"] as const),
    );
  });

  test("a transaction is one change of each key, its net effect", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [a, b] = [`${prefix}a`, `${prefix}b`];
    await write(store, put(a, "1"));
    const { revision } = await write(store, put(a, "2"), del(a), put(a, "3"), put(b), del(b));
    const { entries } = await store.history(a);
    expect(entries.map((entry) => [entry.revision, valueOf(entry)])).toEqual([
      [revision, "3"],
      [entries[1]!.revision, "1"],
    ]);
    expect((await store.history(b)).entries).toEqual([]);
  });

  test("with `keys` the values are left out, and nothing else", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key, "1"));
    await write(store, put(key, "2"));
    await write(store, del(key));
    const whole = (await store.history(key)).entries;
    const bare = (await store.history(key, { keys: true })).entries;
    expect(bare).toEqual(
      whole.map((entry) => {
        if (entry.type !== "put") return entry;
        const { value: _, ...rest } = entry;
        return rest;
      }),
    );
    expect(bare.every((entry) => !("value" in entry))).toBe(true);
  });

  test("pages of every size lead through all changes by `before`", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    for (let round = 0; round < 7; round++) {
      await write(store, round % 3 === 2 ? del(key) : put(key, String(round)));
      await write(store, put(`${key}-other`));
    }
    const whole = (await store.history(key)).entries.map(shown);
    expect(whole).toHaveLength(7);
    for (let limit = 1; limit <= 8; limit++) {
      const pages = await pagesOf(store, key, { limit });
      expect(pages.map(({ entries }) => entries.length)).toEqual(
        Array.from({ length: Math.ceil(7 / limit) }, (_, at) => Math.min(limit, 7 - at * limit)),
      );
      expect(pages.flatMap(({ entries }) => entries.map(shown))).toEqual(whole);
    }
  });

  test("`before` is not in the answer, and need not be a change of the key", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const revisions: number[] = [];
    for (const value of ["1", "2", "3"]) {
      revisions.push((await write(store, put(key, value))).revision);
      revisions.push((await write(store, put(`${key}-other`))).revision);
    }
    const at = async (before: number) =>
      (await store.history(key, { before })).entries.map((entry) => valueOf(entry));
    expect(await at(revisions[4]!)).toEqual(["2", "1"]);
    expect(await at(revisions[3]!)).toEqual(["2", "1"]);
    expect(await at(revisions[2]!)).toEqual(["1"]);
    expect(await at(revisions[0]!)).toEqual([]);
    expect(await at(revisions[5]! + 1_000)).toEqual(["3", "2", "1"]);
  });

  test("a page holds 1,000 changes when no limit is given", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await Promise.all(Array.from({ length: 1_002 }, () => write(store, incr(key))));
    const { entries, more } = await store.history(key);
    expect([entries.length, more]).toEqual([1_000, true]);
    const rest = await store.history(key, { before: entries.at(-1)!.revision });
    expect([rest.entries.map((entry) => valueOf(entry)), rest.more]).toEqual([["2", "1"], false]);
  }, 30_000);

  test("a page ends with the value that passes its bytes; without values it does not", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const value = new Uint8Array(Math.floor(store.limits.pageBytesMax / 2) + 1).fill(0x61);
    for (let round = 0; round < 3; round++) await write(store, put(key, value));
    const { entries, more } = await store.history(key);
    expect([entries.length, more]).toEqual([2, true]);
    const rest = await store.history(key, { before: entries[1]!.revision });
    expect([rest.entries.length, rest.more]).toEqual([1, false]);
    expect((await store.history(key, { keys: true })).entries).toHaveLength(3);
  });

  test("every history after an answered write shows it", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    for (let round = 0; round < 10; round++) {
      const { revision } = await write(store, put(key, String(round)));
      const { entries, revision: at } = await store.history(key, { limit: 1 });
      expect([entries[0]!.revision, at]).toEqual([revision, revision]);
    }
  });

  test("a key, limit or position that is none is refused", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key));
    const max = store.limits.pageEntriesMax;
    for (const limit of [0, -1, 1.5, Number.NaN, max + 1]) {
      await failure(() => store.history(key, { limit }), "invalid_argument");
    }
    await store.history(key, { limit: max });
    for (const before of [-1, 0.5, Number.NaN]) {
      await failure(() => store.history(key, { before }), "invalid_argument");
    }
    for (const bad of ["", "..", "\uD800"]) {
      await failure(() => store.history(bad), "invalid_argument");
    }
    const long = "x".repeat(store.limits.keyBytesMax + 1);
    await failure(() => store.history(long), "too_large");
  });

  test("a position at or below the oldest revision is compacted and names the first possible", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key));
    const { oldest } = await store.status();
    const error = await failure(() => store.history(key, { before: oldest }), "compacted");
    expect(error.details.oldest).toBe(oldest + 1);
    expect(await store.history(key, { before: oldest + 1 })).toMatchObject({ entries: [] });
  });
}

// --- internal ---

type Past = HistoryResult["entries"][number];

function valueOf(entry: Past): string {
  return entry.type === "put" ? Buffer.from(entry.value!).toString() : entry.type;
}

async function pagesOf(
  store: Store,
  key: string,
  options: HistoryOptions,
): Promise<HistoryResult[]> {
  const pages = [await store.history(key, options)];
  while (pages.at(-1)!.more) {
    const before = pages.at(-1)!.entries.at(-1)!.revision;
    pages.push(await store.history(key, { ...options, before }));
  }
  return pages;
}
