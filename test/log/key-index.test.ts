/** The ordered index of keys, against a sorted list. */

import { expect, test } from "bun:test";
import { compareKeys } from "../../src/keys.ts";
import { KeyIndex, type Newest, offsetOf, position, segmentOf } from "../../src/log/key-index.ts";
import { randomSeed, withSeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";

test("keys come in order from any start, whatever the order they were set in", async () => {
  await withSeed(randomSeed(), (random) => {
    const index = new KeyIndex();
    const expected = new Map<string, Newest>();
    const parts = ["a", "b", "/", "\u0000", "é", "\uFFFF", "\u{1F600}", "x".repeat(20)];
    for (let round = 0; round < rounds(6_000); round++) {
      const key =
        Array.from({ length: 1 + random.below(6) }, () => random.pick(parts)).join("") +
        (random.oneIn(2) ? String(round) : "");
      const newest = newestOf(round, random.below(3));
      index.set(key, newest);
      expected.set(key, newest);
    }
    const sorted = [...expected].toSorted(([a], [b]) => compareKeys(a, b));
    expect([...index.up("")].map((key) => [key, index.get(key)])).toEqual(sorted);
    expect([...index.down(undefined)]).toEqual(sorted.map(([key]) => key).toReversed());
    expect(index.live).toBe(sorted.filter(([, { version }]) => version > 0).length);
    for (let round = 0; round < 200; round++) {
      const start = random.oneIn(2) ? random.pick(sorted)[0] : random.pick(parts) + round;
      const first = sorted.find(([key]) => compareKeys(key, start) >= 0);
      expect(index.up(start).next().value).toEqual(first?.[0]);
      const last = sorted.findLast(([key]) => compareKeys(key, start) < 0);
      expect(index.down(start).next().value).toEqual(last?.[0]);
    }
  });
});

test("keys that are set in order, or in the opposite order, come in order", () => {
  const keys = Array.from({ length: 5_000 }, (_, at) => String(at).padStart(5, "0"));
  for (const set of [keys, keys.toReversed()]) {
    const index = new KeyIndex();
    for (const [at, key] of set.entries()) index.set(key, newestOf(at, 1));
    expect([...index.up("")]).toEqual(keys);
    expect([...index.up("04990")]).toHaveLength(10);
    expect([...index.up("04990x")]).toHaveLength(9);
    expect([...index.up("~")]).toEqual([]);
  }
});

test("an empty index has no keys", () => {
  const index = new KeyIndex();
  expect([...index.up("")]).toEqual([]);
  expect(index.get("a")).toBeUndefined();
  expect(index.live).toBe(0);
});

test("live keys are counted through deletes and new puts", () => {
  const index = new KeyIndex();
  index.set("__proto__", newestOf(1, 1));
  index.set("a", newestOf(2, 1));
  index.set("a", newestOf(3, 2));
  expect(index.live).toBe(2);
  index.set("a", newestOf(4, 0));
  index.set("a", newestOf(5, 0));
  expect(index.live).toBe(1);
  expect([...index.up("")]).toEqual(["__proto__", "a"]);
  index.set("a", newestOf(6, 1));
  expect(index.live).toBe(2);
});

test("a position keeps segment and offset apart, up to two million and 4 GiB", () => {
  for (const [segment, offset] of [
    [1, 128],
    [1, 2 ** 32 - 8],
    [2_000_000, 0],
    [2_000_000, 2 ** 32 - 1],
  ] as const) {
    const both = position(segment, offset);
    expect(Number.isSafeInteger(both)).toBe(true);
    expect([segmentOf(both), offsetOf(both)]).toEqual([segment, offset]);
  }
});

// --- internal ---

function newestOf(revision: number, version: number): Newest {
  return {
    revision,
    createRevision: revision,
    version,
    contentType: "a",
    deadline: 0,
    position: revision,
    bytes: 88,
  };
}
