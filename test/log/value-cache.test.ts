/** The bounded cache of values. */

import { expect, test } from "bun:test";
import { ValueCache } from "../../src/log/value-cache.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";

test("whatever is done with it, a value is the right one or is not there", async () => {
  await withSeed(randomSeed(), (random) => {
    for (let run = 0; run < rounds(20); run++) {
      const cache = new ValueCache(random.pick([0, 200, 3_000, 20_000, 100_000]));
      const right = new Map<number, Uint8Array<ArrayBuffer>>();
      let next = 8;
      for (let step = 0; step < 3_000; step++) {
        const one = 8 * random.below(next / 8 + 1);
        const what = random.below(10);
        if (what < 4) {
          const value = randomValue(random);
          const padded = Uint8Array.of(1, 2, 3, ...value, 4);
          next += 8;
          // Segments differ in what is above 32 bits.
          const position = next + 2 ** 32 * random.below(3);
          const before = random.oneIn(2) ? one : -1;
          cache.put(before, position, padded, 3, 3 + value.length);
          right.delete(before);
          right.set(position, value);
        } else if (what === 4) {
          cache.remove(one);
          right.delete(one);
        } else if (what === 5 && right.has(one)) {
          next += 8;
          cache.move(one, next);
          right.set(next, right.get(one)!);
          right.delete(one);
        } else {
          const found = cache.get(one);
          if (found !== undefined) expect(found).toEqual(right.get(one)!);
        }
        expect(cache.count).toBeLessThanOrEqual(right.size);
      }
      for (const [position, value] of right) {
        const at = cache.find(position);
        if (at < 0) continue;
        expect(cache.ring.slice(at, at + cache.length(at))).toEqual(value);
        expect(cache.get(position)).toEqual(value);
      }
      for (const position of right.keys()) cache.remove(position);
      expect(cache.count).toBe(0);
    }
  });
});

test("what fits is there", () => {
  const cache = new ValueCache(100_000);
  for (let at = 0; at < 500; at++) cache.add(8 * at, new Uint8Array(100).fill(at));
  for (let at = 0; at < 500; at++) expect(cache.get(8 * at)?.[50]).toBe(at % 256);
});

test("it takes no more memory than it may", () => {
  for (const bytesMax of [0, 1_000, 64 * 1024, 10_000_000]) {
    expect(new ValueCache(bytesMax).ring.length).toBeLessThanOrEqual(bytesMax);
  }
});

test("what was used stays, what was not goes first", () => {
  const cache = new ValueCache(12_000);
  for (let at = 0; at < 100; at++) {
    cache.add(8 * at, new Uint8Array(1_000));
    // Used again and again, however many others come.
    expect(cache.get(0)).toHaveLength(1_000);
  }
  expect(cache.get(8)).toBeUndefined();
  expect(cache.get(8 * 99)).toHaveLength(1_000);
});

test("a value that replaces one of the same size makes no other one go", () => {
  const cache = new ValueCache(12_000);
  for (let at = 0; at < 8; at++) cache.add(8 * at, new Uint8Array(1_000).fill(at));
  for (let at = 8; at < 1_000; at++) {
    cache.put(8 * (at === 8 ? 3 : at - 1), 8 * at, new Uint8Array(1_000).fill(9), 0, 1_000);
  }
  for (const at of [0, 1, 2, 4, 5, 6, 7]) expect(cache.get(8 * at)?.[500]).toBe(at);
  expect(cache.get(8 * 999)?.[500]).toBe(9);
  expect(cache.get(8 * 3)).toBeUndefined();
});

test("a value too large for it does not empty the cache", () => {
  const cache = new ValueCache(10_000);
  cache.add(8, new Uint8Array(100));
  cache.add(16, new Uint8Array(9_000));
  expect(cache.get(16)).toBeUndefined();
  expect(cache.get(8)).toHaveLength(100);
});

test("empty values count too, so that no number of them fills the memory", () => {
  const cache = new ValueCache(10_000);
  for (let at = 0; at < 10_000; at++) cache.add(8 * at, new Uint8Array(0));
  let held = 0;
  for (let at = 0; at < 10_000; at++) if (cache.get(8 * at) !== undefined) held++;
  expect(held).toBeGreaterThan(10);
  expect(held).toBeLessThan(200);
});

test("a value that is added twice is there once", () => {
  const cache = new ValueCache(10_000);
  cache.add(8, new Uint8Array(500));
  cache.add(8, new Uint8Array(500));
  expect(cache.count).toBe(1);
});

// --- internal ---

function randomValue(random: Random): Uint8Array<ArrayBuffer> {
  const length = random.pick([0, 1, 7, 8, 9, 40, 100, 100, 100, 500, 3_000]);
  return new Uint8Array(length).fill(random.below(256));
}
