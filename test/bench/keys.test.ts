/** Keys and values of the bench, and the random choice of them. */

import { describe, expect, test } from "bun:test";
import {
  KEY_BYTES,
  keyOf,
  numberAt,
  Picker,
  scattered,
  VALUE_BYTES,
  valueOf,
  writeKey,
} from "./keys.ts";

describe("a key", () => {
  test("has 16 bytes, its value 100, and the value says whose it is", () => {
    for (const number of [0, 7, 9_999_999]) {
      expect(Buffer.byteLength(keyOf(number))).toBe(KEY_BYTES);
      expect(Buffer.byteLength(valueOf(number))).toBe(VALUE_BYTES);
      expect(valueOf(number)).toStartWith(keyOf(number));
    }
    expect([KEY_BYTES, VALUE_BYTES]).toEqual([16, 100]);
  });

  test("is written as bytes, and read back, as it is as text", () => {
    for (const number of [0, 9, 10, 123_456, 9_999_999]) {
      const bytes = Buffer.alloc(20, "-");
      writeKey(bytes, 3, number);
      expect(bytes.toString()).toBe(`---${keyOf(number)}-`);
      expect(numberAt(bytes, 3)).toBe(number);
    }
  });
});

test("scattered numbers are all there, and not in order", () => {
  const numbers = Array.from({ length: 10_000 }, (_, at) => scattered(at, 10_000));
  expect(new Set(numbers).size).toBe(10_000);
  expect(Math.max(...numbers)).toBe(9_999);
  expect(numbers.slice(0, 100)).not.toEqual(numbers.slice(0, 100).toSorted((a, b) => a - b));
});

test("a picker repeats itself for its seed, and meets every number", () => {
  const [one, same, other] = [new Picker(100, 1), new Picker(100, 1), new Picker(100, 2)];
  const picks = Array.from({ length: 5_000 }, () => one.next());
  expect(Array.from({ length: 5_000 }, () => same.next())).toEqual(picks);
  expect(Array.from({ length: 5_000 }, () => other.next())).not.toEqual(picks);
  expect(new Set(picks).size).toBe(100);
  expect(picks.every((number) => number >= 0 && number < 100)).toBe(true);
});
