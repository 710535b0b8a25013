/** Integers of 64 bits as text: one spelling each. */

import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { int64FromText, INT64_MAX, INT64_MIN, isInt64 } from "../src/int64.ts";
import { RANDOM_MS_MAX, rounds } from "./support/rounds.ts";

test("every integer of 64 bits comes back from its text", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: INT64_MIN, max: INT64_MAX }), (value) => {
      expect(int64FromText(String(value))).toBe(value);
    }),
    { numRuns: rounds(1_000) },
  );
  for (const value of [0n, 1n, -1n, 2n ** 53n + 1n, INT64_MAX, INT64_MIN]) {
    expect(int64FromText(String(value))).toBe(value);
  }
});

test(
  "a text is an integer only as it is written, so no two texts are the same one",
  () => {
    const digits = fc.string({
      unit: fc.constantFrom("0", "1", "9", "-", "+", ".", " "),
      maxLength: 5,
    });
    fc.assert(
      fc.property(digits, (text) => {
        const value = int64FromText(text);
        if (value !== undefined) expect(String(value)).toBe(text);
        else expect(/^(0|-?[1-9][0-9]*)$/.test(text)).toBe(false);
      }),
      { numRuns: rounds(2_000) },
    );
  },
  RANDOM_MS_MAX,
);

test.each([
  "",
  " ",
  "-",
  "+1",
  "01",
  "-0",
  "-01",
  "1.0",
  "1e3",
  "0x1",
  "1n",
  "1_0",
  " 1",
  "1\n",
  "\u00001",
  "１",
  "٣",
  "²",
  "--1",
  "9223372036854775808",
  "-9223372036854775809",
  "1".repeat(40),
])("is no integer of 64 bits: %j", (text) => {
  expect(int64FromText(text)).toBeUndefined();
});

test("the bounds are those of 64 bits in two's complement", () => {
  expect([INT64_MIN, INT64_MAX]).toEqual([-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n]);
  expect([isInt64(INT64_MIN), isInt64(INT64_MAX), isInt64(0n)]).toEqual([true, true, true]);
  expect([isInt64(INT64_MIN - 1n), isInt64(INT64_MAX + 1n)]).toEqual([false, false]);
});
