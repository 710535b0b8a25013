/** Times as text, there and back. */

import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { TTL_MS_MAX } from "../src/limits.ts";
import { durationFromText, durationToText, ttlFromText, ttlToText } from "../src/ttl.ts";
import { failure } from "./support/stores.ts";
import { rounds } from "./support/rounds.ts";

test.each([
  ["1ms", 1],
  ["500ms", 500],
  ["1s", 1_000],
  ["30s", 30_000],
  ["10m", 600_000],
  ["2h", 7_200_000],
  ["7d", 604_800_000],
  ["3650d", TTL_MS_MAX],
  ["1000000s", 1_000_000_000],
])("%s is %d ms", (text, milliseconds) => {
  expect(durationFromText(text)).toBe(milliseconds);
  expect(ttlFromText(text, "KV-TTL")).toBe(milliseconds);
});

test.each([
  ["", "empty"],
  ["30", "without a unit"],
  ["s", "without a number"],
  ["0s", "no time at all"],
  ["01s", "with a leading zero"],
  ["-1s", "below zero"],
  ["+1s", "with a plus"],
  ["1.5s", "with a fraction"],
  ["1e3s", "with an exponent"],
  ["1 s", "with a space"],
  [" 1s", "with a space before it"],
  ["1s\n", "with a line end"],
  ["1S", "in capitals"],
  ["1sec", "of another unit"],
  ["1m30s", "of two units"],
  ["1w", "in weeks"],
  ["１s", "in other digits"],
  ["Infinity", "without an end"],
  ["9007199254740993ms", "beyond 2^53"],
  [`${"9".repeat(400)}d`, "of very many digits"],
])("no time is %j: %s", async (text) => {
  expect(durationFromText(text)).toBeUndefined();
  const error = await failure(() => ttlFromText(text, "KV-TTL"), "invalid_argument");
  expect(error.message).toStartWith("KV-TTL cannot be ");
  expect(error.message).toEndWith("500ms, 30s, 10m, 2h or 7d, up to 3650d");
});

test("a time to live ends at 3,650 days, other times do not", async () => {
  expect(ttlFromText("315360000s", "ttl")).toBe(TTL_MS_MAX);
  for (const text of ["3651d", "315360001s", "315360000001ms", "100000000h"]) {
    expect(durationFromText(text)).toBeGreaterThan(TTL_MS_MAX);
    await failure(() => ttlFromText(text, "ttl"), "invalid_argument");
  }
});

test("a word is one only where it is allowed, and the message names those that are", async () => {
  expect(ttlFromText("keep", "ttl", "keep", "none")).toBe("keep");
  expect(ttlFromText("none", "ttl", "keep", "none")).toBe("none");
  expect(ttlFromText("5s", "ttl", "keep", "none")).toBe(5_000);
  await failure(() => ttlFromText("keep", "ttl"), "invalid_argument");
  const error = await failure(() => ttlFromText("none", "then[0].ttl", "keep"), "invalid_argument");
  expect(error.message).toStartWith('then[0].ttl cannot be "none"');
  expect(error.message).toEndWith("up to 3650d, or keep");
  for (const text of ["Keep", "keep ", "toString", "__proto__"]) {
    await failure(() => ttlFromText(text, "ttl", "keep"), "invalid_argument");
  }
});

test("every time comes back from its text, in the largest unit that has no remainder", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: TTL_MS_MAX }), (milliseconds) => {
      const text = durationToText(milliseconds);
      expect(durationFromText(text)).toBe(milliseconds);
      expect(ttlFromText(ttlToText(milliseconds), "ttl")).toBe(milliseconds);
    }),
    { numRuns: rounds(1_000) },
  );
  expect([1, 999, 1_000, 90_000, 3_600_000, 86_400_000, TTL_MS_MAX].map(durationToText)).toEqual([
    "1ms",
    "999ms",
    "1s",
    "90s",
    "1h",
    "1d",
    "3650d",
  ]);
  expect([ttlToText("keep"), ttlToText("none"), ttlToText(30_000)]).toEqual([
    "keep",
    "none",
    "30s",
  ]);
});
