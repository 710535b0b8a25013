/** The bounded cache of values. */

import { expect, test } from "bun:test";
import { ValueCache } from "../../src/log/value-cache.ts";
import { randomSeed, withSeed } from "../support/random.ts";

test("the cache stays within its bytes, whatever is added", async () => {
  await withSeed(randomSeed(), (random) => {
    const cache = new ValueCache(100_000);
    let held = 0;
    for (let at = 0; at < 5_000; at++) {
      const value = new Uint8Array(random.below(random.oneIn(10) ? 30_000 : 2_000));
      cache.add(at, value);
      expect(cache.bytes).toBeLessThanOrEqual(100_000);
      if (random.oneIn(5)) cache.get(random.below(at + 1));
      if (random.oneIn(9)) cache.remove(random.below(at + 1));
      if (cache.get(at) !== undefined) held++;
    }
    expect(held).toBeGreaterThan(4_000);
    for (let at = 0; at < 5_000; at++) cache.remove(at);
    expect(cache.bytes).toBe(0);
  });
});

test("what was used last stays, what was not goes first", () => {
  const cache = new ValueCache(12_000);
  for (let at = 0; at < 8; at++) cache.add(at, new Uint8Array(1_000));
  cache.get(0);
  cache.add(8, new Uint8Array(1_000));
  expect(cache.get(0)).toHaveLength(1_000);
  expect(cache.get(1)).toBeUndefined();
  expect(cache.get(8)).toHaveLength(1_000);
});

test("a value too large for it does not empty the cache", () => {
  const cache = new ValueCache(10_000);
  cache.add(1, new Uint8Array(100));
  cache.add(2, new Uint8Array(9_000));
  expect(cache.get(2)).toBeUndefined();
  expect(cache.get(1)).toHaveLength(100);
});

test("empty values count too, so that no number of them fills the memory", () => {
  const cache = new ValueCache(10_000);
  for (let at = 0; at < 10_000; at++) cache.add(at, new Uint8Array(0));
  let held = 0;
  for (let at = 0; at < 10_000; at++) if (cache.get(at) !== undefined) held++;
  expect(held).toBeGreaterThan(10);
  expect(held).toBeLessThan(200);
});

test("a value that is added twice counts once", () => {
  const cache = new ValueCache(10_000);
  cache.add(1, new Uint8Array(500));
  const { bytes } = cache;
  cache.add(1, new Uint8Array(500));
  expect(cache.bytes).toBe(bytes);
});

test("a full cache takes a value as quickly as an empty one", () => {
  const cache = new ValueCache(20_000_000);
  const value = new Uint8Array(0);
  const fill = (from: number): number => {
    const start = performance.now();
    for (let at = from; at < from + 50_000; at++) cache.add(at, value);
    return performance.now() - start;
  };
  const empty = Math.max(fill(0), fill(50_000));
  for (let from = 100_000; from < 300_000; from += 50_000) fill(from);
  // It was hundreds of times slower when an eviction searched for the oldest entry.
  expect(fill(300_000)).toBeLessThan(20 * Math.max(empty, 10));
});
