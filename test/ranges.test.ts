/** Where ranges end, which of them are everything, and the folders in them. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  compareKeys,
  folderOf,
  inRange,
  isEverything,
  prefixEnd,
  type Range,
  rangeEnd,
  rangeStart,
} from "../src/keys.ts";
import { RANDOM_MS_MAX, rounds } from "./support/rounds.ts";

/** Well-formed text with many characters that have no neighbour. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom("a", "/", "\u0000", "\uD7FF", "\uE000", "\uFFFF", "\u{10000}", "\u{10FFFF}"),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
    { maxLength: 5 },
  )
  .map((parts) => parts.join(""));

describe("the end of a prefix", () => {
  test.each([
    ["a", "b"],
    ["a/", "a0"],
    ["a\u007f", "a\u0080"],
    ["a\u07ff", "a\u0800"],
    ["a\uD7FF", "a\uE000"],
    ["\uE000", "\uE001"],
    ["a\uFFFF", "a\u{10000}"],
    ["a\u{10FFFE}", "a\u{10FFFF}"],
    ["a\u{10FFFF}", "b"],
    ["a\u{10FFFF}\u{10FFFF}", "b"],
    ["\uD7FF\u{10FFFF}", "\uE000"],
    ["\u{1F600}", "\u{1F601}"],
  ])("%j is %j", (prefix, end) => {
    expect(prefixEnd(prefix)).toBe(end);
    expect(rangeEnd({ prefix })).toBe(end);
  });

  test.each(["", "\u{10FFFF}", "\u{10FFFF}\u{10FFFF}"])("%j has none", (prefix) => {
    expect(prefixEnd(prefix)).toBeUndefined();
    expect(rangeEnd({ prefix })).toBeUndefined();
  });

  test(
    "is well-formed, and above all that begins with it, and nothing lies between",
    () => {
      fc.assert(
        fc.property(text, text, (prefix, other) => {
          const end = prefixEnd(prefix);
          if (end === undefined) {
            expect(prefix).toBe("\u{10FFFF}".repeat([...prefix].length));
            return;
          }
          expect(end.isWellFormed()).toBe(true);
          expect(compareKeys(prefix + other, end)).toBeLessThan(0);
          const between = compareKeys(other, prefix) >= 0 && compareKeys(other, end) < 0;
          expect(between).toBe(other.startsWith(prefix));
        }),
        { numRuns: rounds(3_000) },
      );
    },
    RANDOM_MS_MAX,
  );
});

describe("a range", () => {
  const range: fc.Arbitrary<Range> = fc.oneof(
    fc.constant({}),
    fc.record({ key: text }),
    fc.record({ prefix: text }),
    fc.record({ start: text, end: text }),
    fc.record({ start: text }),
    fc.record({ end: text }),
  );

  test(
    "holds exactly what lies from its start up to its end",
    () => {
      fc.assert(
        fc.property(range, text, (range, key) => {
          const end = rangeEnd(range);
          const within =
            compareKeys(key, rangeStart(range)) >= 0 &&
            (end === undefined || compareKeys(key, end) < 0);
          expect(within).toBe(inRange(range, key));
        }),
        { numRuns: rounds(3_000) },
      );
    },
    RANDOM_MS_MAX,
  );

  const everything: Range[] = [{}, { prefix: "" }, { start: "" }];
  test.each(everything)("is everything: %j", (range) => {
    expect(isEverything(range)).toBe(true);
  });

  const less: Range[] = [
    { key: "a" },
    { key: "" },
    { prefix: "a" },
    { prefix: "\u{10FFFF}" },
    { start: "a" },
    { end: "b" },
    { end: "" },
    { end: "\u{10FFFF}" },
    { start: "", end: "\u{10FFFF}" },
  ];
  test.each(less)("is not everything: %j", (range) => {
    expect(isEverything(range)).toBe(false);
  });
});

describe("a folder", () => {
  const folders: [Range, string, string, string | undefined][] = [
    [{}, "/", "a/b/c", "a/"],
    [{}, "/", "/a", "/"],
    [{}, "/", "a", undefined],
    [{}, "/", "a/", "a/"],
    [{ prefix: "a/" }, "/", "a/b/c", "a/b/"],
    [{ prefix: "a/" }, "/", "a/b", undefined],
    [{ prefix: "a" }, "/", "a/b/c", "a/"],
    [{ prefix: "a/b" }, "/", "a/bc/d", "a/bc/"],
    [{ prefix: "a:" }, "::", "a::b", undefined],
    [{ prefix: "a" }, "::", "a::b", "a::"],
    [{ prefix: "\u{1F600}" }, "\u{1F600}", "\u{1F600}\u{1F600}b", "\u{1F600}\u{1F600}"],
    [{ start: "a/b", end: "c" }, "/", "a/c/d", "a/"],
    [{ key: "a/b" }, "/", "a/b", "a/"],
  ];
  test.each(folders)("in %j by %j of %j is %j", (range, delimiter, key, folder) => {
    expect(folderOf(range, delimiter, key)).toBe(folder!);
  });

  test(
    "holds keys that stand together in the order of keys",
    () => {
      const delimiter = fc.constantFrom("/", "\u0000", "\u{10FFFF}", "a");
      const keys = fc.uniqueArray(text, { maxLength: 20 });
      fc.assert(
        fc.property(keys, text, delimiter, (keys, prefix, delimiter) => {
          const sorted = keys.map((key) => prefix + key).toSorted(compareKeys);
          const names = sorted.map((key) => folderOf({ prefix }, delimiter, key) ?? key);
          const starts = names.filter((name, at) => name !== names[at - 1]);
          expect(starts.length).toBe(new Set(names).size);
          // What stands for them sorts where they do.
          expect(starts).toEqual(starts.toSorted(compareKeys));
        }),
        { numRuns: rounds(1_000) },
      );
    },
    RANDOM_MS_MAX,
  );
});
