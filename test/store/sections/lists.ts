/** Pages of a range: order, bounds, limits, and paging at one revision. */

import { beforeAll, expect, test } from "bun:test";
import type { ListOptions, Range } from "../../../src/kv.ts";
import { del, failure, listAll, put, shown, TEXT, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

export function listsSection(subject: Subject): void {
  const { fresh } = subject;
  let base: string;
  const names = ["a", "a/b", "a/c", "a0", "b", "b/", "c"];

  beforeAll(async () => {
    base = fresh();
    const shuffled = names.toSorted((a, b) => b.localeCompare(a));
    for (const name of shuffled) await write(subject.store, put(base + name, `v${name}`));
  });

  /** The names below `base` that a range holds. */
  const namesOf = async (range: Range, options: ListOptions = {}) => {
    const { entries, more } = await subject.store.list(range, options);
    return { names: entries.map(({ key }) => key.slice(base.length)), more };
  };

  const page = (limit: number, after?: string) =>
    namesOf({ prefix: base }, after === undefined ? { limit } : { limit, after: base + after });

  test("a prefix holds exactly the keys that begin with it, in order", async () => {
    expect(await namesOf({ prefix: base })).toEqual({ names, more: false });
    const below = await namesOf({ prefix: `${base}a/` });
    expect(below).toEqual({ names: ["a/b", "a/c"], more: false });
    expect((await namesOf({ prefix: `${base}a` })).names).toEqual(["a", "a/b", "a/c", "a0"]);
    expect(await namesOf({ prefix: `${base}nothing` })).toEqual({ names: [], more: false });
  });

  test("start is in the range and end is not", async () => {
    const list = async (start: string, end: string) =>
      (await namesOf({ start: base + start, end: base + end })).names;
    expect(await list("a/b", "b")).toEqual(["a/b", "a/c", "a0"]);
    expect(await list("a/bb", "b!")).toEqual(["a/c", "a0", "b"]);
    expect(await list("b", "b")).toEqual([]);
    expect(await list("c", "a")).toEqual([]);
    const open = await namesOf({ start: `${base}b/` }, { limit: 2 });
    expect(open.names).toEqual(["b/", "c"]);
    const upTo = await listAll(subject.store, { end: `${base}a/c` }, { keys: true });
    expect(upTo.slice(-2).map(({ key }) => key)).toEqual([`${base}a`, `${base}a/b`]);
  });

  test("a key alone is a range of at most one", async () => {
    expect(await namesOf({ key: `${base}a` })).toEqual({ names: ["a"], more: false });
    expect(await namesOf({ key: `${base}absent` })).toEqual({ names: [], more: false });
  });

  test("the empty range is every key", async () => {
    const all = await listAll(subject.store, {}, { keys: true });
    expect(all.filter(({ key }) => key.startsWith(base))).toHaveLength(names.length);
    expect(all).toHaveLength((await subject.store.status()).keys);
    expect(await listAll(subject.store, { prefix: "" }, { keys: true })).toHaveLength(all.length);
  });

  test("entries have all fields; with `keys` all but the value", async () => {
    const range = { key: `${base}a` };
    const [entry] = (await subject.store.list(range)).entries;
    const { revision } = entry!;
    const info = {
      key: `${base}a`,
      contentType: TEXT,
      revision,
      createRevision: revision,
      version: 1,
    };
    expect(shown(entry!)).toEqual({ ...info, value: "va" });
    const [bare] = (await subject.store.list(range, { keys: true })).entries;
    expect(shown(bare!)).toEqual(info);
    expect(bare!.value).toBeUndefined();
  });

  test("`keys` leaves the value out of an entry that has changed since too", async () => {
    const { store } = subject;
    const key = `${fresh()}old`;
    const { revision } = await write(store, put(key, "one"));
    await write(store, put(key, "two"));
    const [entry] = (await store.list({ key }, { revision })).entries;
    expect(shown(entry!).value).toBe("one");
    const [bare] = (await store.list({ key }, { revision, keys: true })).entries;
    expect(bare).toMatchObject({ key, revision, version: 1 });
    expect(bare!.value).toBeUndefined();
  });

  test("a page ends at its limit and says whether there is more", async () => {
    expect(await page(3)).toEqual({ names: ["a", "a/b", "a/c"], more: true });
    expect(await page(3, "a/c")).toEqual({ names: ["a0", "b", "b/"], more: true });
    expect(await page(3, "b/")).toEqual({ names: ["c"], more: false });
    expect(await page(7)).toEqual({ names, more: false });
    expect(await page(6)).toEqual({ names: names.slice(0, 6), more: true });
    expect(await page(1, "c")).toEqual({ names: [], more: false });
  });

  test("`after` need not be a key that is there", async () => {
    const after = (name: string) => namesOf({ prefix: base }, { after: base + name });
    expect((await after("a/bbb")).names).toEqual(["a/c", "a0", "b", "b/", "c"]);
    expect((await namesOf({ prefix: base }, { after: "!" })).names).toEqual(names);
    expect((await namesOf({ prefix: base }, { after: `${base}~` })).names).toEqual([]);
    const between = await namesOf({ start: `${base}b`, end: `${base}c` }, { after: `${base}a` });
    expect(between.names).toEqual(["b", "b/"]);
  });

  test("a page holds 1,000 entries when no limit is given", async () => {
    const { store } = subject;
    const prefix = fresh();
    const keys = Array.from({ length: 1_001 }, (_, at) => prefix + String(at).padStart(4, "0"));
    await write(store, ...keys.map((key) => put(key)));
    const page = await store.list({ prefix });
    expect(page.entries.map(({ key }) => key)).toEqual(keys.slice(0, 1_000));
    expect(page.more).toBe(true);
    const whole = await store.list({ prefix }, { limit: 1_001 });
    expect(whole.entries).toHaveLength(1_001);
    expect(whole.more).toBe(false);
  });

  test("a limit that is none is refused", async () => {
    const { store } = subject;
    const max = store.limits.pageEntriesMax;
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      await failure(() => store.list({}, { limit }), "invalid_argument");
    }
    await failure(() => store.list({}, { limit: max + 1 }), "invalid_argument", "too_large");
    await store.list({ prefix: base }, { limit: max });
  });

  test("a range whose texts are none is refused", async () => {
    const { store } = subject;
    for (const range of [{ prefix: "\uD800" }, { start: "\uDC00" }, { end: "a\uD800b" }]) {
      await failure(() => store.list(range), "invalid_argument");
    }
    await failure(() => store.list({}, { after: "\uD800" }), "invalid_argument");
  });

  test("all pages are of the first page's revision, whatever is written meanwhile", async () => {
    const { store } = subject;
    const prefix = fresh();
    const keys = ["a", "b", "c", "d", "e"].map((name) => prefix + name);
    await write(store, ...keys.map((key) => put(key, "old")));
    const first = await store.list({ prefix }, { limit: 2 });
    expect(first.revision).toBe((await store.status()).revision);
    await write(store, del(keys[2]!), put(keys[3]!, "new"), put(`${prefix}cc`, "new"));
    await write(store, put(keys[0]!, "new"));
    const at = { revision: first.revision };
    const second = await store.list({ prefix }, { ...at, limit: 2, after: keys[1]! });
    expect(second.revision).toBe(first.revision);
    expect(second.more).toBe(true);
    const third = await store.list({ prefix }, { ...at, limit: 2, after: keys[3]! });
    expect(third.more).toBe(false);
    const entries = [...first.entries, ...second.entries, ...third.entries].map(shown);
    expect(entries.map(({ key, value }) => [key, value])).toEqual(keys.map((key) => [key, "old"]));
    expect(new Set(entries.map(({ revision }) => revision))).toEqual(new Set([first.revision]));
    const current = (await listAll(store, { prefix })).map(({ key }) => key.slice(-2));
    expect(current).toEqual(["/a", "/b", "cc", "/d", "/e"]);
    const bare = await store.list({ prefix }, { ...at, keys: true });
    expect(bare.entries.map(({ key }) => key)).toEqual(keys);
  });

  test("a list at an older revision shows what was deleted since, and nothing newer", async () => {
    const { store } = subject;
    const prefix = fresh();
    const start = (await write(store, put(`${prefix}x`, "1"))).revision;
    const both = (await write(store, put(`${prefix}y`, "1"))).revision;
    const gone = (await write(store, del(`${prefix}x`), put(`${prefix}y`, "2"))).revision;
    const at = async (revision: number) =>
      (await listAll(store, { prefix }, { revision })).map((entry) => {
        const { key, value, version } = shown(entry);
        return [String(key).slice(-1), value, version];
      });
    expect(await at(start)).toEqual([["x", "1", 1]]);
    expect(await at(both)).toEqual([
      ["x", "1", 1],
      ["y", "1", 1],
    ]);
    expect(await at(gone)).toEqual([["y", "2", 2]]);
  });

  test("a list above the store's revision or below the oldest is refused", async () => {
    const { store } = subject;
    const { revision, oldest } = await store.status();
    const list = (at: number) => () => store.list({}, { revision: at, limit: 1 });
    const error = await failure(list(revision + 1), "invalid_argument");
    expect(error.details.revision).toBe(revision);
    await failure(list(-1), "invalid_argument");
    await failure(list(0.5), "invalid_argument");
    if (oldest === 0) return;
    expect((await failure(list(oldest - 1), "compacted")).details.oldest).toBe(oldest);
  });

  test("a page ends with the value that passes its bytes; keys alone are not counted", async () => {
    const { store } = subject;
    const prefix = fresh();
    const size = Math.floor(store.limits.pageBytesMax / 4) + 1;
    const value = new Uint8Array(size).fill(0x61);
    const keys = ["1", "2", "3", "4", "5", "6"].map((name) => prefix + name);
    for (const key of keys) await write(store, put(key, value));
    const page = await store.list({ prefix });
    expect(page.entries.map(({ key }) => key)).toEqual(keys.slice(0, 4));
    expect(page.more).toBe(true);
    const rest = await store.list({ prefix }, { after: keys[3]!, revision: page.revision });
    expect(rest.entries.map(({ key, value }) => [key, value!.length])).toEqual([
      [keys[4]!, size],
      [keys[5]!, size],
    ]);
    expect(rest.more).toBe(false);
    const bare = await store.list({ prefix }, { keys: true });
    expect(bare.entries).toHaveLength(6);
    expect(bare.more).toBe(false);
  });
}
