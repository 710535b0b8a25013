/** Strict UTF-8, the nearest known name, and texts in messages. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { decodeUtf8, didYouMean, encodeUtf8, isWellFormed, nearest, quote } from "../src/text.ts";
import { rounds } from "./support/rounds.ts";

describe("UTF-8", () => {
  test("of well-formed text comes back as it was", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(decodeUtf8(encodeUtf8(text))).toBe(text);
      }),
      { numRuns: rounds(500) },
    );
  });

  test("keeps a byte order mark", () => {
    expect(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\uFEFFa");
  });

  const malformed = [
    [0xff],
    [0xc3],
    [0xc3, 0x28],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
  ];
  test.each(malformed)("that is malformed is no text: %#", (...bytes) => {
    expect(decodeUtf8(Uint8Array.from(bytes))).toBeUndefined();
  });
});

test("a lone surrogate is found with and without the platform's help", () => {
  const find = Object.getOwnPropertyDescriptor(String.prototype, "isWellFormed")!;
  const cases = ["", "a", "grüße", "\u{1F600}", "\uD83D", "\uDE00\uD83D", "a\uDFFFb", "\uFFFD"];
  const native = cases.map(isWellFormed);
  expect(native).toEqual([true, true, true, true, false, false, false, true]);
  try {
    Reflect.deleteProperty(String.prototype, "isWellFormed");
    expect(cases.map(isWellFormed)).toEqual(native);
  } finally {
    Reflect.defineProperty(String.prototype, "isWellFormed", find);
  }
});

describe("the nearest name", () => {
  const known = ["prefix", "start", "end", "limit", "cursor", "keys"];

  test.each([
    ["limt", "limit"],
    ["LIMIT", "limit"],
    ["kyes", "keys"],
    ["perfix", "prefix"],
    ["cursors", "cursor"],
    ["pre", "prefix"],
    ["sta", "start"],
  ])("of %s is %s", (typo, meant) => {
    expect(nearest(typo, known)).toBe(meant);
    expect(didYouMean(typo, known)).toBe(`; did you mean "${meant}"?`);
  });

  test("of a short name is not one that shares a letter", () => {
    expect(nearest("ttl", ["url", "help"])).toBeUndefined();
    expect(nearest("form", ["from", "once"])).toBe("from");
  });

  test.each(["banana", "x", "zz", "qqq", ""])("of %j is none, so all are named", (name) => {
    expect(nearest(name, known)).toBeUndefined();
    expect(didYouMean(name, known)).toBe(`; known are ${known.join(", ")}`);
  });

  test("of nothing known is none", () => {
    expect(didYouMean("a", [])).toBe("; there are none here");
  });

  test("is found quickly for a name of any length", () => {
    expect(didYouMean("a".repeat(1_000_000), known)).toContain("known are");
  });
});

describe("a quoted text", () => {
  test("has no control character and no line end", () => {
    expect(quote("a\nb\u0000\u001b[31m\u007f\u009b\u2028\u0085")).toBe(
      String.raw`"a\nb\u0000\u001b[31m\u007f\u009b\u2028\u0085"`,
    );
  });

  test("is at most 80 characters of the text", () => {
    expect(quote("a".repeat(80))).toBe(`"${"a".repeat(80)}"`);
    expect(quote("a".repeat(81))).toBe(`"${"a".repeat(79)}…"`);
  });

  test("is well-formed also where the cut is within a character", () => {
    expect(quote(`${"a".repeat(78)}😀${"b".repeat(9)}`).isWellFormed()).toBe(true);
  });
});
