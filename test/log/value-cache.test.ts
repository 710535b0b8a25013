/** The bounded cache of values. */

import { expect, test } from "bun:test";
import { ValueCache } from "../../src/log/value-cache.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";

test("whatever is done with it, a value is the right one or is not there", async () => {
  await withSeed(randomSeed(), (random) => {
    for (let run = 0; run < rounds(5); run++) {
      const cache = new ValueCache(random.pick([0, 200, 3_000, 20_000, 100_000]));
      const right = new Map<number, Uint8Array<ArrayBuffer>>();
      const entries = random.pick([10, 200, 5_000]);
      for (let step = 0; step < 3_000; step++) {
        const entry = random.below(entries);
        const what = random.below(10);
        if (what < 4) {
          const value = randomValue(random);
          const padded = Uint8Array.of(1, 2, 3, ...value, 4);
          if (cache.find(entry) < 0 && random.oneIn(2)) {
            cache.offer(entry, padded, 3, 3 + value.length);
          } else cache.put(entry, padded, 3, 3 + value.length);
          right.set(entry, value);
        } else if (what === 4) {
          cache.remove(entry);
          right.delete(entry);
        } else {
          if (what === 5) cache.touch(Int32Array.of(entry, -1, entries), 3);
          const found = cache.get(entry);
          if (found !== undefined) expect(found).toEqual(right.get(entry)!);
        }
        expect(cache.count).toBeLessThanOrEqual(right.size);
      }
      for (const [entry, value] of right) {
        const at = cache.find(entry);
        if (at < 0) continue;
        expect(cache.ring.slice(at, at + cache.length(at))).toEqual(value);
        expect(cache.get(entry)).toEqual(value);
      }
      for (const entry of right.keys()) cache.remove(entry);
      expect(cache.count).toBe(0);
    }
  });
});

test("what fits is there", () => {
  const cache = new ValueCache(100_000);
  for (let at = 0; at < 500; at++) add(cache, at, new Uint8Array(100).fill(at));
  for (let at = 0; at < 500; at++) expect(cache.get(at)?.[50]).toBe(at % 256);
});

test("it takes no more memory than it may", () => {
  for (const bytesMax of [0, 1_000, 64 * 1024, 10_000_000]) {
    expect(new ValueCache(bytesMax).ring.length).toBeLessThanOrEqual(bytesMax);
  }
});

test("the newest stay, whatever memory it had when the oldest came", () => {
  const cache = new ValueCache(100_000);
  // Of eight words each, so that one begins wherever the memory may have ended before.
  for (let at = 0; at < 10_000; at++) {
    add(cache, at, new Uint8Array(56).fill(at));
    if (at >= 600) expect(cache.count).toBeGreaterThan(400);
  }
  for (let at = 9_600; at < 10_000; at++) expect(cache.get(at)?.[55]).toBe(at % 256);
  const there = Array.from({ length: 10_000 }, (_, at) => at).filter((at) => cache.find(at) >= 0);
  expect(there).toHaveLength(cache.count);
});

test("one that takes an eighth of it is kept from the beginning", () => {
  const cache = new ValueCache(200_000);
  add(cache, 1, new Uint8Array(20_000));
  expect(cache.get(1)).toHaveLength(20_000);
});

test("what was used stays, what was not goes first", () => {
  const cache = new ValueCache(12_000);
  for (let at = 0; at < 100; at++) {
    add(cache, at, new Uint8Array(1_000));
    // Used again and again, however many others come.
    expect(cache.get(0)).toHaveLength(1_000);
  }
  expect(cache.get(1)).toBeUndefined();
  expect(cache.get(99)).toHaveLength(1_000);
});

test("a value that replaces one of the same size makes no other one go", () => {
  const cache = new ValueCache(12_000);
  for (let at = 0; at < 8; at++) add(cache, at, new Uint8Array(1_000).fill(at));
  for (let at = 0; at < 1_000; at++) add(cache, 3, new Uint8Array(1_000).fill(at));
  for (const at of [0, 1, 2, 4, 5, 6, 7]) expect(cache.get(at)?.[500]).toBe(at);
  expect(cache.get(3)?.[500]).toBe(999 % 256);
});

test("a value that is too large leaves nothing of the one before", () => {
  const cache = new ValueCache(10_000);
  add(cache, 1, new Uint8Array(100));
  add(cache, 1, new Uint8Array(9_000));
  expect(cache.get(1)).toBeUndefined();
});

test("a value too large for it does not empty the cache", () => {
  const cache = new ValueCache(10_000);
  add(cache, 8, new Uint8Array(100));
  add(cache, 16, new Uint8Array(9_000));
  expect(cache.get(16)).toBeUndefined();
  expect(cache.get(8)).toHaveLength(100);
});

test("empty values count too, so that no number of them fills the memory", () => {
  const cache = new ValueCache(10_000);
  for (let at = 0; at < 10_000; at++) add(cache, at, new Uint8Array(0));
  let held = 0;
  for (let at = 0; at < 10_000; at++) if (cache.get(at) !== undefined) held++;
  expect(held).toBeGreaterThan(10);
  expect(held).toBeLessThan(200);
});

test("all that is offered is kept while there is room", () => {
  const cache = new ValueCache(100_000);
  for (let at = 0; at < 500; at++) cache.offer(at, new Uint8Array(100), 0, 100);
  expect(cache.count).toBe(500);
});

test("where there is none, what is offered once pushes little out, and again and again comes in", () => {
  const cache = new ValueCache(12_000);
  for (let at = 0; at < 20; at++) add(cache, at, new Uint8Array(1_000));
  const full = cache.count;
  for (let at = 100; at < 104; at++) cache.offer(at, new Uint8Array(1_000), 0, 1_000);
  const came = [100, 101, 102, 103].filter((at) => cache.find(at) >= 0);
  expect(came).toHaveLength(1);
  expect(cache.count).toBe(full);
  for (let times = 0; times < 4; times++) {
    if (cache.find(200) < 0) cache.offer(200, new Uint8Array(1_000), 0, 1_000);
  }
  expect(cache.find(200)).toBeGreaterThanOrEqual(0);
});

test("a value that is added twice is there once", () => {
  const cache = new ValueCache(10_000);
  add(cache, 8, new Uint8Array(500));
  add(cache, 8, new Uint8Array(500));
  expect(cache.count).toBe(1);
});

// --- internal ---

function add(cache: ValueCache, entry: number, value: Uint8Array): void {
  cache.put(entry, value, 0, value.length);
}

function randomValue(random: Random): Uint8Array<ArrayBuffer> {
  const length = random.pick([0, 1, 7, 8, 9, 40, 100, 100, 100, 500, 3_000]);
  return new Uint8Array(length).fill(random.below(256));
}
