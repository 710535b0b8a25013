/** Shapes of a listing: from the end, counted, in folders, and page by page in each of them. */

import { beforeAll, expect, test } from "bun:test";
import type { ListOptions, ListResult, Range } from "../../../src/kv.ts";
import { del, failure, listPages, put, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

const NAMES = ["a", "a/", "a/b", "a/c", "a/d/e", "b/x", "b0", "c", "c/x/y", "é/x", "😀", "😀/x"];

/** The lines of a listing of `NAMES` in folders: what sorts where its keys would. */
const FOLDED = ["a", "a/", "b/", "b0", "c", "c/", "é/", "😀", "😀/"];

export function rangesSection(subject: Subject): void {
  const { fresh } = subject;
  let base: string;

  beforeAll(async () => {
    base = fresh();
    await write(subject.store, ...NAMES.map((name) => put(base + name, `v${name}`)));
  });

  const cut = (text: string): string => text.slice(base.length);

  const list = async (options: ListOptions, range: Range = { prefix: base }) => {
    const { entries, folders, count, more } = await subject.store.list(range, options);
    const keys = entries.map(({ key }) => cut(key));
    return { keys, more, ...(folders && { folders: folders.map(cut) }), ...(count && { count }) };
  };

  test("`reverse` gives the same entries from the last to the first", async () => {
    expect(await list({ reverse: true })).toEqual({ keys: NAMES.toReversed(), more: false });
    expect(await list({ reverse: false })).toEqual({ keys: NAMES, more: false });
    const { entries } = await subject.store.list({ prefix: base }, { reverse: true, limit: 1 });
    expect(Buffer.from(entries[0]!.value!).toString()).toBe("v😀/x");
    const bare = await subject.store.list({ prefix: base }, { reverse: true, keys: true });
    expect(bare.entries.every((entry) => entry.value === undefined)).toBe(true);
  });

  test("from the end too, start is in the range and end is not", async () => {
    const range = { start: `${base}a/b`, end: `${base}c` };
    expect((await list({ reverse: true }, range)).keys).toEqual([
      "b0",
      "b/x",
      "a/d/e",
      "a/c",
      "a/b",
    ]);
    expect((await list({ reverse: true }, { start: `${base}c`, end: `${base}a` })).keys).toEqual(
      [],
    );
    expect((await list({ reverse: true }, { key: `${base}c` })).keys).toEqual(["c"]);
    const upTo = await list({ reverse: true, limit: 2 }, { end: `${base}a/b` });
    expect(upTo.keys).toEqual(["a/", "a"]);
  });

  test("a limited listing from the end says whether there is more, and goes on behind it", async () => {
    const newest = await list({ reverse: true, limit: 3 });
    expect(newest).toEqual({ keys: ["😀/x", "😀", "é/x"], more: true });
    const after = (name: string) => list({ reverse: true, after: base + name });
    expect((await after("a/b")).keys).toEqual(["a/", "a"]);
    expect((await after("a/bb")).keys).toEqual(["a/b", "a/", "a"]);
    expect((await after("a")).keys).toEqual([]);
    expect((await after("\u{10FFFF}")).keys).toHaveLength(NAMES.length);
    expect((await list({ reverse: true, after: "!" })).keys).toEqual([]);
    expect((await list({ reverse: true, limit: 11 })).more).toBe(true);
    expect((await list({ reverse: true, limit: 12 })).more).toBe(false);
  });

  test("`count` tells the number of entries and nothing else, whatever a page holds", async () => {
    const { store } = subject;
    const prefix = fresh();
    const many = Array.from({ length: 1_500 }, (_, at) => put(`${prefix}${at}`));
    const { revision } = await write(store, ...many);
    const result = await store.list({ prefix }, { count: true });
    expect(result).toEqual({ revision, entries: [], count: 1_500, more: false });
    await write(store, del(`${prefix}1`), del(`${prefix}2`), put(`${prefix}3`, "again"));
    expect((await store.list({ prefix }, { count: true })).count).toBe(1_498);
    const then = await store.list({ prefix }, { count: true, revision });
    expect([then.count, then.revision]).toEqual([1_500, revision]);
    const all = await store.list({}, { count: true });
    expect(all.count).toBe((await store.status()).keys);
    expect((await store.list({ prefix: `${prefix}x` }, { count: true })).count).toBe(0);
    expect((await store.list({ key: `${prefix}3` }, { count: true })).count).toBe(1);
  });

  const clashes: ListOptions[] = [
    { limit: 1 },
    { after: "a" },
    { keys: true },
    { reverse: true },
    { delimiter: "/" },
  ];
  test.each(clashes)("`count` excludes %j", async (options) => {
    const { store } = subject;
    await failure(() => store.list({}, { count: true, ...options }), "invalid_argument");
    await store.list({ prefix: base }, { count: false, ...options });
  });

  test("a delimiter puts keys that have it behind the prefix into folders, each once", async () => {
    const top = { keys: ["a", "b0", "c", "😀"], folders: ["a/", "b/", "c/", "é/", "😀/"] };
    expect(await list({ delimiter: "/" })).toEqual({ ...top, more: false });
    expect(await list({ delimiter: "/", reverse: true })).toEqual({
      keys: top.keys.toReversed(),
      folders: top.folders.toReversed(),
      more: false,
    });
    const inside = await list({ delimiter: "/" }, { prefix: `${base}a/` });
    expect(inside).toEqual({ keys: ["a/", "a/b", "a/c"], folders: ["a/d/"], more: false });
    const none = await list({ delimiter: "|" });
    expect(none).toEqual({ keys: NAMES, folders: [], more: false });
    const empty = await list({ delimiter: "/" }, { prefix: `${base}nothing` });
    expect(empty).toEqual({ keys: [], folders: [], more: false });
  });

  test("a prefix may end within a folder's name, and a delimiter have several characters", async () => {
    const { store } = subject;
    const prefix = fresh();
    const names = ["ab::x", "ab::y", "abc", "ac::z", "a:", "a:::b", "a😀b"];
    await write(store, ...names.map((name) => put(prefix + name)));
    const folded = async (under: string, delimiter: string) => {
      const page = await store.list({ prefix: prefix + under }, { delimiter });
      return [page.entries.map(({ key }) => key), page.folders!].map((texts) =>
        texts.map((text) => text.slice(prefix.length)),
      );
    };
    expect(await folded("a", "::")).toEqual([
      ["a:", "abc", "a😀b"],
      ["a::", "ab::", "ac::"],
    ]);
    // One colon belongs to the prefix: behind it there are only two.
    expect(await folded("a:", "::")).toEqual([["a:"], ["a:::"]]);
    expect(await folded("ab:", "::")).toEqual([["ab::x", "ab::y"], []]);
    expect(await folded("a", "😀")).toEqual([
      ["a:", "a:::b", "ab::x", "ab::y", "abc", "ac::z"],
      ["a😀"],
    ]);
  });

  test("a range from `start` has the folders that its keys are in", async () => {
    const { store } = subject;
    // Such a range has no prefix: the delimiter counts from the beginning of the key.
    const delimiter = "|";
    const prefix = `${fresh()}`;
    const keys = ["a|1", "a|2", "b", "c|1"].map((name) => prefix + name);
    await write(store, ...keys.map((key) => put(key)));
    const range = { start: keys[1]!, end: `${prefix}d` };
    const page = await store.list(range, { delimiter });
    expect(page.folders).toEqual([`${prefix}a|`, `${prefix}c|`]);
    expect(page.entries.map(({ key }) => key)).toEqual([`${prefix}b`]);
    const reversed = await store.list(range, { delimiter, reverse: true, limit: 2 });
    expect(reversed.folders).toEqual([`${prefix}c|`]);
    expect(reversed.next).toBe(`${prefix}b`);
    const rest = await store.list(range, { delimiter, reverse: true, after: reversed.next! });
    expect([rest.entries, rest.folders]).toEqual([[], [`${prefix}a|`]]);
  });

  test("a folder that begins below its range is paged over, from `start` on too", async () => {
    const { store } = subject;
    const prefix = fresh();
    const keys = ["a|m", "a|n", "b", "c|1", "c|2"].map((name) => prefix + name);
    await write(store, ...keys.map((key) => put(key)));
    const range = { start: keys[0]!, end: `${prefix}d` };
    const lines = async (reverse: boolean) =>
      (await listPages(store, range, { delimiter: "|", limit: 1, reverse })).flatMap(linesOf);
    const expected = [`${prefix}a|`, `${prefix}b`, `${prefix}c|`];
    expect(await lines(false)).toEqual(expected);
    expect(await lines(true)).toEqual(expected.toReversed());
  });

  test("`after` need not be a line of the listing: a folder lies where its name does", async () => {
    const { store } = subject;
    const prefix = fresh();
    const keys = ["a|m", "a|n", "b", "c|1"].map((name) => prefix + name);
    await write(store, ...keys.map((key) => put(key)));
    const behind = async (after: string, reverse: boolean) => {
      const options = { delimiter: "|", after: prefix + after, reverse };
      const page = await store.list({ prefix }, options);
      return linesOf(page)
        .map((text) => text.slice(prefix.length))
        .toSorted();
    };
    expect(await behind("a", false)).toEqual(["a|", "b", "c|"]);
    expect(await behind("a|", false)).toEqual(["b", "c|"]);
    expect(await behind("a|b", false)).toEqual(["b", "c|"]);
    expect(await behind("a|m", false)).toEqual(["b", "c|"]);
    expect(await behind("c|1", true)).toEqual(["a|", "b", "c|"]);
    expect(await behind("c|", true)).toEqual(["a|", "b"]);
    expect(await behind("a|b", true)).toEqual(["a|"]);
    expect(await behind("a|", true)).toEqual([]);
  });

  for (const reverse of [false, true]) {
    const direction = reverse ? "from the end" : "from the beginning";
    test(`pages of every size lead through entries and folders ${direction}`, async () => {
      const expected = reverse ? FOLDED.toReversed() : FOLDED;
      for (let limit = 1; limit <= FOLDED.length + 1; limit++) {
        const options = { delimiter: "/", reverse, limit };
        const pages = await listPages(subject.store, { prefix: base }, options);
        expect(pages.map((page) => linesOf(page).length)).toEqual(
          Array.from({ length: pages.length }, (_, at) =>
            Math.min(limit, FOLDED.length - at * limit),
          ),
        );
        const keys = pages.flatMap(({ entries }) => entries.map(({ key }) => cut(key)));
        const folders = pages.flatMap((page) => page.folders!.map(cut));
        expect(keys).toEqual(expected.filter((text) => keys.includes(text)));
        expect(folders).toEqual(expected.filter((text) => folders.includes(text)));
        expect([...keys, ...folders].toSorted()).toEqual(FOLDED.toSorted());
        const ends = pages.flatMap(({ next }) => (next === undefined ? [] : [cut(next)]));
        expect(ends).toEqual(
          expected.filter((_, at) => (at + 1) % limit === 0).slice(0, pages.length - 1),
        );
      }
    });

    test(`pages stay at the first one's revision ${direction}, whatever is written`, async () => {
      const { store } = subject;
      const prefix = fresh();
      const names = ["a", "b/1", "b/2", "c", "d/1", "e"];
      await write(store, ...names.map((name) => put(prefix + name, "old")));
      const lines: string[] = [];
      let page = await store.list({ prefix }, { delimiter: "/", reverse, limit: 1 });
      const { revision } = page;
      for (let round = 0; ; round++) {
        lines.push(...linesOf(page).map((text) => text.slice(prefix.length)));
        if (!page.more) break;
        const changes = names.map((name, at) =>
          (at + round) % 2 === 0 ? del(prefix + name) : put(prefix + name, "new"),
        );
        await write(store, ...changes, put(`${prefix}new${round}/x`), put(`${prefix}n${round}`));
        const options = { delimiter: "/", reverse, limit: 1, after: page.next!, revision };
        page = await store.list({ prefix }, options);
        for (const entry of page.entries) expect(entry.revision).toBe(revision);
      }
      const expected = ["a", "b/", "c", "d/", "e"];
      expect(lines).toEqual(reverse ? expected.toReversed() : expected);
    });
  }

  test("a page from the end ends with the value that passes its bytes", async () => {
    const { store } = subject;
    const prefix = fresh();
    const size = Math.floor(store.limits.pageBytesMax / 2) + 1;
    const value = new Uint8Array(size).fill(0x61);
    for (const name of ["1", "2", "3"]) await write(store, put(prefix + name, value));
    const page = await store.list({ prefix }, { reverse: true });
    expect(page.entries.map(({ key }) => key.slice(prefix.length))).toEqual(["3", "2"]);
    expect([page.more, page.next]).toEqual([true, `${prefix}2`]);
  });

  test("prefixes whose end is hard to name hold what begins with them, and nothing else", async () => {
    const { store } = subject;
    const ends = ["\u007f", "\u07ff", "\ud7ff", "\ue000", "\uffff", "\u{1ffff}", "\u{10ffff}"];
    const root = fresh();
    for (const end of ends) {
      const prefix = `${root}${end}`;
      const inside = [prefix, `${prefix}\u0000`, `${prefix}x`, `${prefix}\u{10ffff}\u{10ffff}`];
      await write(store, ...inside.map((key) => put(key)));
    }
    for (const end of [...ends, "\u{10ffff}\u{10ffff}"]) {
      const prefix = `${root}${end}`;
      const all = (await store.list({ prefix: root })).entries.map(({ key }) => key);
      const expected = all.filter((key) => key.startsWith(prefix));
      const read = async (options: ListOptions) => (await store.list({ prefix }, options)).entries;
      expect((await read({})).map(({ key }) => key)).toEqual(expected);
      expect((await read({ reverse: true })).map(({ key }) => key)).toEqual(expected.toReversed());
      expect((await store.list({ prefix }, { count: true })).count).toBe(expected.length);
    }
  });

  test("the last characters of Unicode alone are a prefix too", async () => {
    const { store } = subject;
    const last = "\u{10ffff}";
    await write(store, put(last, "1"), put(`${last}${last}`, "2"), put(`${last}a`, "3"));
    const reversed = await store.list({ prefix: last }, { reverse: true, keys: true });
    expect(reversed.entries.map(({ key }) => key)).toEqual([last + last, `${last}a`, last]);
    expect((await store.list({ prefix: last }, { count: true })).count).toBe(3);
    await write(store, { op: "deleteRange", range: { prefix: last + last } });
    expect((await store.list({ prefix: last }, { count: true })).count).toBe(2);
  });

  test("a delimiter that is none is refused", async () => {
    const { store } = subject;
    await failure(() => store.list({}, { delimiter: "" }), "invalid_argument");
    await failure(() => store.list({}, { delimiter: "\uD800" }), "invalid_argument");
    const long = "x".repeat(store.limits.keyBytesMax + 1);
    await failure(() => store.list({}, { delimiter: long }), "invalid_argument", "too_large");
  });
}

// --- internal ---

/** Keys and folders of a page. */
function linesOf({ entries, folders = [] }: ListResult): string[] {
  return [...entries.map(({ key }) => key), ...folders];
}
