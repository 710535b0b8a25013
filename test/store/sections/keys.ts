/** Keys that are hard to carry and hard to sort, and keys that are none. */

import { beforeAll, expect, test } from "bun:test";
import type { Range } from "../../../src/kv.ts";
import { del, failure, listAll, put, textOf, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

/** Each is valid, and each has been some store's undoing. */
const HARD_KEYS = [
  "__proto__",
  "constructor",
  "toString",
  "%",
  "%41",
  "%2F",
  "%zz",
  "/",
  "//",
  "/leading",
  "trailing/",
  "a//b",
  "...",
  "a/.b",
  "a/..b/c",
  " ",
  " spaces around ",
  "a+b",
  "a b",
  "a?b=c&d",
  "a#b",
  "a\\b",
  'a"b',
  "'",
  "\u0000",
  "line\nend\r\n",
  "\u007f",
  "\uFEFFbegins with a BOM",
  "\uFEFF",
  "\uFFFD",
  "é",
  "e\u0301",
  "שלום/עולם",
  "\u202Eright to left",
  "日本語",
  "\uE000",
  "\uFFFF",
  "\u{10000}",
  "\u{10FFFF}",
  "👩‍👩‍👧‍👦",
  "a\u{1F600}",
  "a\uFF5E",
  "x".repeat(1024),
  `${"x".repeat(1023)}y`,
  `${"é".repeat(512)}`,
  `${"\u{1F600}".repeat(256)}`,
];

const BAD_KEYS: [string, string][] = [
  ["empty", ""],
  ["a dot", "."],
  ["two dots", ".."],
  ["a dot segment", "a/./b"],
  ["two dots first", "../a"],
  ["two dots last", "a/.."],
  ["a lone high surrogate", "a\uD800"],
  ["a lone low surrogate", "\uDC00a"],
  ["surrogates in the wrong order", "\uDC00\uD800"],
];

export function keysSection(subject: Subject): void {
  beforeAll(async () => {
    for (const key of HARD_KEYS) await write(subject.store, put(key, key));
  });

  const keysOf = async (range: Range) =>
    (await listAll(subject.store, range)).map(({ key }) => key);

  test("a hard key is itself and no other", async () => {
    for (const key of HARD_KEYS) {
      const { entry } = await subject.store.get(key);
      expect(entry?.key).toBe(key);
      expect(Buffer.from(entry!.value).toString()).toBe(key);
      expect(entry!.version).toBe(1);
    }
  });

  test("keys are listed in the order of their UTF-8 bytes", async () => {
    const listed = (await listAll(subject.store, {}, { keys: true })).map(({ key }) => key);
    const expected = HARD_KEYS.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(listed.filter((key) => HARD_KEYS.includes(key))).toEqual(expected);
  });

  test("a range is cut by bytes, also where UTF-16 would sort differently", async () => {
    expect(await keysOf({ start: "a\uFF5E", end: "a\u{1F600}" })).toEqual(["a\uFF5E"]);
    expect(await keysOf({ start: "\uFFFF", end: "\u{10FFFF}" })).toEqual([
      "\uFFFF",
      "\u{10000}",
      "👩‍👩‍👧‍👦",
      "\u{1F600}".repeat(256),
    ]);
    expect(await keysOf({ prefix: "\uFEFF" })).toEqual(["\uFEFF", "\uFEFFbegins with a BOM"]);
    expect(await keysOf({ prefix: "%" })).toEqual(["%", "%2F", "%41", "%zz"]);
    expect(await keysOf({ prefix: "x".repeat(1024) })).toEqual(["x".repeat(1024)]);
    expect(await keysOf({ key: "__proto__" })).toEqual(["__proto__"]);
  });

  test("hard keys survive a transaction and its checks", async () => {
    const { store } = subject;
    const then = HARD_KEYS.map((key) => put(key, `${key}!`));
    const checks = HARD_KEYS.map((key) => ({ key, revision: 0, not: true }));
    const result = await store.commit({ checks, then });
    expect(result.succeeded).toBe(true);
    expect(result.results.map((one) => (one.op === "put" ? one.key : undefined))).toEqual(
      HARD_KEYS,
    );
    expect(await textOf(store, "__proto__")).toBe("__proto__!");
    expect(await textOf(store, "\u0000")).toBe("\u0000!");
  });

  test.each(BAD_KEYS)("a key that is none is refused everywhere: %s", async (_, key) => {
    const { store } = subject;
    const before = (await store.status()).revision;
    await failure(() => store.get(key), "invalid_argument");
    await failure(() => store.list({ key }), "invalid_argument");
    await failure(() => write(store, put(key)), "invalid_argument");
    await failure(() => write(store, del(key)), "invalid_argument");
    await failure(() => write(store, { op: "get", key }), "invalid_argument");
    await failure(
      () => store.commit({ checks: [{ key, revision: 0 }], then: [] }),
      "invalid_argument",
    );
    const otherwise = { checks: [], then: [put("keys/fine")], else: [put(key)] };
    await failure(() => store.commit(otherwise), "invalid_argument");
    expect((await store.status()).revision).toBe(before);
  });

  test("a key of more bytes than allowed is too large, whatever its characters", async () => {
    const { store } = subject;
    const max = store.limits.keyBytesMax;
    for (const key of ["x".repeat(max + 1), `${"é".repeat(max / 2)}x`, "日".repeat(max / 3 + 1)]) {
      const error = await failure(() => store.get(key), "too_large");
      expect(error.details.limit).toBe(max);
      await failure(() => write(store, put(key)), "too_large");
      await failure(() => write(store, put("keys/fine"), del(key)), "too_large");
      await failure(() => store.list({ prefix: key }), "too_large");
    }
    expect((await store.get("keys/fine")).entry).toBeUndefined();
  });
}
