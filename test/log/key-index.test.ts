/** The ordered index of keys, against a sorted list. */

import { expect, test } from "bun:test";
import { compareKeys } from "../../src/keys.ts";
import { KeyIndex, type Newest, offsetOf, position, segmentOf } from "../../src/log/key-index.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";

test(
  "keys come in order from any start, whatever the order they were set in",
  async () => {
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
  },
  RANDOM_MS_MAX,
);

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

test("keys come from any end down, whatever the order they were set in", () => {
  const index = new KeyIndex();
  expect([...index.down(undefined)]).toEqual([]);
  expect([...index.down("a")]).toEqual([]);
  const keys = Array.from({ length: 3_000 }, (_, at) => String(at).padStart(4, "0"));
  for (const [at, key] of keys.entries()) index.set(key, newestOf(at, 1));
  expect([...index.down(undefined)]).toEqual(keys.toReversed());
  expect([...index.down("0003")]).toEqual(["0002", "0001", "0000"]);
  expect([...index.down("0002x")]).toEqual(["0002", "0001", "0000"]);
  expect([...index.down("0000")]).toEqual([]);
  expect([...index.down("")]).toEqual([]);
  expect(index.down("~").next().value).toBe("2999");
  // The first key of each chunk is above all of the chunk before.
  for (const end of ["1023", "1024", "1025", "2047", "2048", "2049"]) {
    const below = String(Number(end) - 1).padStart(4, "0");
    expect(index.down(end).next().value).toBe(below);
  }
});

test(
  "deletions up to a revision are forgotten, in turns, and no key that came again is",
  async () => {
    const seed = randomSeed();
    for (let run = 0; run < rounds(1); run++) await withSeed(seed + run, forget);
  },
  RANDOM_MS_MAX,
);

test("an index whose keys are all forgotten is empty, and takes keys again", () => {
  const index = new KeyIndex();
  const keys = Array.from({ length: 2_500 }, (_, at) => String(at).padStart(4, "0"));
  for (const key of keys) index.set(key, newestOf(1, 1));
  for (const key of keys) index.set(key, newestOf(2, 0));
  expect([...index.up("")]).toHaveLength(2_500);
  expect(index.dropTombstones(1, 5_000)).toBe(false);
  expect([...index.up("")]).toHaveLength(2_500);
  while (index.dropTombstones(2, 100));
  expect([...index.up("")]).toEqual([]);
  expect([...index.down(undefined)]).toEqual([]);
  expect([index.live, index.get("0000")]).toEqual([0, undefined]);
  for (const key of keys.toReversed()) index.set(key, newestOf(3, 1));
  expect([...index.up("")]).toEqual(keys);
});

test("the entry of a key that was forgotten is that of no key", () => {
  const index = new KeyIndex();
  const key = Buffer.from("a");
  index.set("a", newestOf(1, 1));
  const entry = index.findKey("a");
  expect(index.isEntryOf(entry, key, 0, 1)).toBe(true);
  index.set("a", newestOf(2, 0));
  expect(index.isEntryOf(entry, key, 0, 1)).toBe(true);
  index.dropTombstones(2, 10);
  expect(index.isEntryOf(entry, key, 0, 1)).toBe(false);
  index.set("b", newestOf(3, 1));
  expect(index.findKey("b")).toBe(entry);
  expect(index.isEntryOf(entry, key, 0, 1)).toBe(false);
});

test("a key that is deleted a million times has few deletions to forget", () => {
  const index = new KeyIndex();
  for (let revision = 1; revision <= 1_000_000; revision++) {
    index.set("a", newestOf(revision, revision % 2));
  }
  let turns = 1;
  while (index.dropTombstones(1_000_000, 1)) turns++;
  expect(turns).toBeLessThan(10_000);
  expect([...index.up("")]).toEqual([]);
});

test("keys with a deadline are counted", () => {
  const index = new KeyIndex();
  const timed = (revision: number, version: number) => ({
    ...newestOf(revision, version),
    deadline: 7,
  });
  index.set("a", timed(1, 1));
  index.set("b", timed(2, 1));
  index.set("a", timed(3, 2));
  expect(index.timed).toBe(2);
  index.set("a", newestOf(4, 3));
  index.set("b", newestOf(5, 0));
  expect(index.timed).toBe(0);
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

/** Sets, deletes and forgets keys at random, and holds the index against a plain map. */
function forget(random: Random): void {
  const index = new KeyIndex();
  const right = new Map<string, Newest>();
  const parts = ["a", "/", "\u0000", "\uFFFF", "\u{1F600}", "__proto__"];
  for (let revision = 1; revision <= 6_000; revision++) {
    const key = random.pick(parts) + random.pick(parts) + random.below(400);
    // A key that was never there is not deleted.
    const version = right.has(key) ? random.below(3) : 1;
    const newest = newestOf(revision, version);
    index.set(key, newest);
    right.set(key, newest);
    if (!random.oneIn(200)) continue;
    const oldest = Math.max(1, revision - random.below(500));
    const turn = 1 + random.below(50);
    for (let turns = 0; index.dropTombstones(oldest, turn); turns++) {
      expect(turns).toBeLessThan(10_000);
    }
    for (const [key, { revision, version }] of right) {
      if (version === 0 && revision <= oldest) right.delete(key);
    }
    const sorted = [...right.keys()].toSorted(compareKeys);
    expect([...index.up("")]).toEqual(sorted);
    expect([...index.down(undefined)]).toEqual(sorted.toReversed());
    for (const key of sorted) expect(index.get(key)).toEqual(right.get(key)!);
  }
  expect(index.live).toBe([...right.values()].filter(({ version }) => version > 0).length);
}

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
