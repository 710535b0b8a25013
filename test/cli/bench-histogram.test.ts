/** The histogram of a bench: how near its percentiles are, whatever was recorded. */

import { describe, expect, test } from "bun:test";
import { array, assert, double, property } from "fast-check";
import { Histogram } from "../../src/cli/bench-histogram.ts";
import { rounds } from "../support/rounds.ts";

/** Milliseconds of anything between a microsecond and half an hour, as likely short as long. */
const times = array(
  double({ min: -3, max: 6.2, noNaN: true }).map((power) => 10 ** power),
  { minLength: 1, maxLength: 400 },
);

/** The value that so large a share of the others is not above. */
function exact(sorted: readonly number[], share: number): number {
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1]!;
}

describe("percentiles", () => {
  test("are within 1 % of what was recorded, or a microsecond", () => {
    assert(
      property(times, (recorded) => {
        const histogram = new Histogram();
        for (const time of recorded) histogram.record(time);
        const sorted = recorded.toSorted((a, b) => a - b);
        for (const share of [0, 0.5, 0.9, 0.99, 0.999, 1]) {
          const wanted = exact(sorted, share);
          const error = Math.abs(histogram.percentileMs(share) - wanted);
          expect(error).toBeLessThanOrEqual(Math.max(0.01 * wanted, 0.001));
        }
      }),
      { numRuns: rounds(300) },
    );
  });

  test("never pass the largest, which is exact, as the mean and the number are", () => {
    assert(
      property(times, (recorded) => {
        const histogram = new Histogram();
        for (const time of recorded) histogram.record(time);
        const largest = Math.max(...recorded);
        const sum = recorded.reduce((total, time) => total + time, 0);
        expect(histogram.maxMs).toBe(largest);
        expect(histogram.percentileMs(1)).toBeLessThanOrEqual(largest);
        expect(histogram.meanMs).toBeCloseTo(sum / recorded.length, 6);
        expect(histogram.count).toBe(recorded.length);
      }),
      { numRuns: rounds(100) },
    );
  });

  test("of nothing are 0", () => {
    const histogram = new Histogram();
    expect(histogram.percentileMs(0.5)).toBe(0);
    expect(histogram.meanMs).toBe(0);
    expect(histogram.maxMs).toBe(0);
  });
});

test("what cannot be, and what takes longer than half an hour, does no harm", () => {
  const histogram = new Histogram();
  for (const time of [-1, 0, 2 ** 31, 1e12]) histogram.record(time);
  expect(histogram.count).toBe(4);
  expect(histogram.percentileMs(0.5)).toBeLessThanOrEqual(0.001);
  expect(histogram.maxMs).toBe(1e12);
});
