/** A map of numbers is as a plain one, and its parts stay small whatever the numbers are. */

import { expect, test } from "bun:test";
import { NumberMap, partOf } from "../../src/log/number-map.ts";
import { randomSeed, withSeed } from "../support/random.ts";

test("what is set, deleted and looked up is as in a plain map", async () => {
  await withSeed(randomSeed(), (random) => {
    const map = new NumberMap<number>();
    const plain = new Map<number, number>();
    for (let step = 0; step < 5_000; step++) {
      const number = random.below(500) * random.pick([1, 6, 1_024, 4_194_304]);
      if (random.oneIn(3)) {
        map.delete(number);
        plain.delete(number);
      } else {
        map.set(number, step);
        plain.set(number, step);
      }
      expect([map.get(number), map.has(number)]).toEqual([plain.get(number), plain.has(number)]);
    }
    expect(map.size).toBe(plain.size);
    expect(new Map(map.entries())).toEqual(plain);
  });
});

test.each([1, 6, 8, 16, 32, 128, 132, 1_024])(
  "multiples of %d are spread over all parts",
  (step) => {
    const counts = new Map<number, number>();
    for (let at = 0; at < 100_000; at++) {
      const part = partOf(at * step);
      counts.set(part, (counts.get(part) ?? 0) + 1);
    }
    expect(counts.size).toBe(256);
    expect(Math.max(...counts.values())).toBeLessThan((2 * 100_000) / 256);
  },
);
