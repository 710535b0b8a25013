/** A copy of the index shows one moment, whatever happens to the keys while it is read. */

import { expect, test } from "bun:test";
import { compareKeys } from "../../src/keys.ts";
import { KeyIndex, type Newest } from "../../src/log/key-index.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";

test("a copy that is read while keys are put, changed and deleted is the index as it was", async () => {
  for (let round = 0; round < rounds(200); round++) {
    await withSeed(randomSeed(), (random) => {
      const index = new KeyIndex();
      let revision = 0;
      const change = (): void => {
        revision++;
        index.set(keyOf(random), newestOf(revision, random.oneIn(3) ? 0 : 1));
      };
      for (let count = random.below(400); count > 0; count--) change();
      const expected = sorted(index);
      const copy = index.copy();
      const seen: [string, Newest][] = [];
      for (let more = true; more;) {
        let left = 1 + random.below(30);
        more = copy.next((key, newest) => {
          seen.push([key, newest]);
          return --left > 0;
        });
        for (let count = random.below(60); count > 0; count--) change();
        // Nothing is forgotten as long as somebody reads.
        expect(index.dropTombstones(revision, 10)).toBe(false);
      }
      expect(seen).toEqual(expected);
      index.endCopy();
      index.dropTombstones(revision, Infinity);
      expect([...index.all()].every(([, { version }]) => version > 0)).toBe(true);
    });
  }
});

test("there is one copy at a time, and another one after it", () => {
  const index = new KeyIndex();
  index.set("a", newestOf(1, 1));
  index.copy();
  expect(() => index.copy()).toThrow("one copy of the index at a time");
  index.endCopy();
  const seen: string[] = [];
  expect(index.copy().next((key) => seen.push(key) > 0)).toBe(false);
  expect(seen).toEqual(["a"]);
});

test("the bytes of live keys follow puts, changes and deletes", () => {
  const index = new KeyIndex();
  index.set("a", newestOf(1, 1, 100));
  index.set("b", newestOf(2, 1, 200));
  expect(index.liveBytes).toBe(300);
  index.set("a", newestOf(3, 2, 150));
  index.set("b", newestOf(4, 0, 80));
  expect(index.liveBytes).toBe(150);
  index.dropTombstones(4, 10);
  index.set("b", newestOf(5, 1, 10));
  expect(index.liveBytes).toBe(160);
});

function keyOf(random: Random): string {
  return `${random.pick(["a", "é", "\uFFFF", "\u{1F600}", ""])}${random.below(150)}`;
}

function sorted(index: KeyIndex): [string, Newest][] {
  return [...index.all()].toSorted(([a], [b]) => compareKeys(a, b));
}

function newestOf(revision: number, version: number, bytes = 8): Newest {
  const contentType = "text/plain";
  return { revision, createRevision: 1, version, contentType, deadline: 0, position: 0, bytes };
}
