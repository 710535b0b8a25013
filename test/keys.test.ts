/** The order of keys, which are valid, and ranges over them. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  checkBound,
  checkKey,
  checkRange,
  compareKeys,
  inRange,
  type Range,
  rangeStart,
  utf8Bytes,
} from "../src/keys.ts";
import { failure } from "./support/stores.ts";
import { rounds } from "./support/rounds.ts";

/** Well-formed text with many neighbours of the surrogates. */
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6 }),
  fc
    .array(
      fc.constantFrom("a", "b", "\u0000", "é", "\uD7FF", "\uE000", "\uFFFF", "\u{10000}", "😀"),
      {
        maxLength: 6,
      },
    )
    .map((parts) => parts.join("")),
);

describe("the order of keys", () => {
  test("is the order of their UTF-8 bytes", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareKeys(a, b))).toBe(expected);
      }),
      { numRuns: rounds(2_000) },
    );
  });

  test("puts every character beyond U+FFFF above U+FFFF, unlike JavaScript's own", () => {
    expect(["\uFFFF", "\u{10000}"].toSorted()).toEqual(["\u{10000}", "\uFFFF"]);
    expect(compareKeys("\u{10000}", "\uFFFF")).toBeGreaterThan(0);
    expect(compareKeys("a\u{1F600}", "a\uE000")).toBeGreaterThan(0);
    expect(compareKeys("\u{10000}", "\u{10001}")).toBeLessThan(0);
    expect(compareKeys("\u{10FFFF}", "\u{10FFFF}")).toBe(0);
  });

  test("puts a key before all that begin with it", () => {
    expect(compareKeys("a", "a\u0000")).toBeLessThan(0);
    expect(compareKeys("", "a")).toBeLessThan(0);
  });
});

describe("a valid key", () => {
  const valid = [
    "a",
    "a/b",
    "/",
    "//",
    "...",
    ".a",
    "a.",
    "a/..b",
    "..\n",
    "..\\a",
    "\u0000",
    "x".repeat(1024),
  ];
  test.each(valid)("passes: %j", (key) => {
    checkKey(key);
  });

  test.each(["", ".", "..", "./a", "a/.", "a/../b", "/..", "../", "//.//"])(
    "has neither no bytes nor dot segments: %j",
    async (key) => {
      await failure(() => checkKey(key), "invalid_argument");
    },
  );

  test.each(["\uD800", "a\uDFFF", "\uDC00\uD800"])("is well-formed: %j", async (key) => {
    await failure(() => checkKey(key), "invalid_argument");
    await failure(() => checkBound(key, "prefix"), "invalid_argument");
  });

  test("has at most 1,024 bytes, which are not its characters", async () => {
    checkKey("é".repeat(512));
    checkKey("😀".repeat(256));
    for (const key of ["x".repeat(1025), "é".repeat(513), "日".repeat(342), "😀".repeat(257)]) {
      const error = await failure(() => checkKey(key), "too_large");
      expect(error.details.limit).toBe(1024);
      expect(error.message).toContain(String(utf8Bytes(key)));
      await failure(() => checkBound(key, "end"), "too_large");
    }
  });

  test("is named in the message as the caller calls it", async () => {
    const error = await failure(() => checkKey("", "checks[2].key"), "invalid_argument");
    expect(error.message).toStartWith("the checks[2].key is empty");
  });

  test("is longer than a bound may be: bounds may be empty and have dot segments", () => {
    for (const bound of ["", ".", "..", "a/../"]) checkBound(bound, "prefix");
  });
});

describe("a range", () => {
  const ranges: [Range, string[], string[]][] = [
    [{}, ["a", "\u{10FFFF}", "\u0000"], []],
    [{ key: "a" }, ["a"], ["", "a/", "A"]],
    [{ prefix: "a" }, ["a", "a\u0000", "a\u{10FFFF}"], ["b", "", "A"]],
    [{ prefix: "" }, ["a", "\u0000"], []],
    [{ start: "b" }, ["b", "ba", "\uFFFF", "\u{10000}"], ["a", "a\uFFFF"]],
    [{ end: "b" }, ["a", "a\uFFFF"], ["b", "ba"]],
    [{ start: "\uE000", end: "\u{10000}" }, ["\uE000", "\uFFFF"], ["\u{10000}", "\uD7FF"]],
    [{ start: "b", end: "a" }, [], ["a", "aa", "b"]],
  ];
  test.each(ranges)("holds what it says: %j", (range, inside, outside) => {
    for (const key of inside) expect(inRange(range, key)).toBe(true);
    for (const key of outside) expect(inRange(range, key)).toBe(false);
  });

  test("begins at or below each of its keys, and is without a hole from its first to its last", () => {
    const range = fc.oneof(
      fc.record({ key: text }),
      fc.record({ prefix: text }),
      fc.record({ start: text, end: text }),
      fc.record({ start: text }),
    );
    fc.assert(
      fc.property(range, fc.array(text, { maxLength: 20 }), (range, keys) => {
        const sorted = keys.toSorted(compareKeys);
        const from = sorted.findIndex((key) => compareKeys(key, rangeStart(range)) >= 0);
        const scanned = from === -1 ? [] : sorted.slice(from);
        const end = scanned.findIndex((key) => !inRange(range, key));
        const found = end === -1 ? scanned : scanned.slice(0, end);
        expect(found).toEqual(sorted.filter((key) => inRange(range, key)));
      }),
      { numRuns: rounds(1_000) },
    );
  });

  test("is refused when one of its texts is none", async () => {
    checkRange({});
    checkRange({ start: "", end: ".." });
    await failure(() => checkRange({ key: "" }), "invalid_argument");
    await failure(() => checkRange({ key: "a/.." }), "invalid_argument");
    await failure(() => checkRange({ prefix: "\uD800" }), "invalid_argument");
    await failure(() => checkRange({ start: "x".repeat(1025) }), "too_large");
    const error = await failure(() => checkRange({ end: "\uDC00" }), "invalid_argument");
    expect(error.message).toContain("the end");
  });
});
