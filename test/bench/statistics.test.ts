/** The arithmetic of the bench. */

import { describe, expect, test } from "bun:test";
import { median, percentile, ratios, spread } from "./statistics.ts";

describe("the median", () => {
  test("is the middle one, or between the two in the middle, in whatever order they come", () => {
    expect(median([5])).toBe(5);
    expect(median([30, 1, 2])).toBe(2);
    expect(median([4, 1, 30, 2])).toBe(3);
    expect(median([9, 10, 11, 100])).toBe(10.5);
  });

  test("leaves what it is given as it was", () => {
    const numbers = [3, 1, 2];
    median(numbers);
    expect(numbers).toEqual([3, 1, 2]);
  });

  test("of nothing is refused", () => {
    expect(() => median([])).toThrow(RangeError);
  });
});

describe("a percentile", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);

  test("is the smallest that the share does not pass", () => {
    expect(percentile(hundred, 0.5)).toBe(50);
    expect(percentile(hundred, 0.99)).toBe(99);
    expect(percentile(hundred, 0.991)).toBe(100);
  });

  test("goes from the least to the most", () => {
    expect(percentile(hundred, 0)).toBe(1);
    expect(percentile(hundred, 1)).toBe(100);
    expect(percentile([7], 0.99)).toBe(7);
  });

  test("of nothing is refused", () => {
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });
});

describe("ratios", () => {
  test("are of each round its own, so that a slow round changes none of the others", () => {
    expect(ratios([100, 10, 100], [50, 5, 50])).toEqual([2, 2, 2]);
    expect(spread(ratios([4, 9, 10], [4, 3, 5]))).toEqual({ median: 2, least: 1, most: 3 });
  });

  test("need a figure of each side", () => {
    expect(() => ratios([1, 2], [1])).toThrow(RangeError);
  });
});
