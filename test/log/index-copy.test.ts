/** A copy of the index shows one moment, whatever happens to the keys while it is read. */

import { expect, test } from "bun:test";
import { compareKeys } from "../../src/keys.ts";
import type { IndexCopy } from "../../src/log/index-copy.ts";
import { KeyColumns } from "../../src/log/key-columns.ts";
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

test("columns that are full take no key more, and none is lost", () => {
  const index = new KeyIndex();
  for (const key of ["a", "b", "c"]) index.set(key, newestOf(1, 1));
  const copy = index.copy();
  const columns = new KeyColumns(2);
  expect([fill(copy, columns), columns.count]).toEqual([true, 2]);
  expect([fill(copy, columns), columns.count]).toEqual([true, 2]);
  expect(Buffer.from(columns.keys).toString("latin1", 0, columns.keysEnd)).toBe("ab");
  columns.count = 0;
  expect([fill(copy, columns), columns.count]).toEqual([false, 1]);
  expect(Buffer.from(columns.keys).toString("latin1", 0, columns.keysEnd)).toBe("c");
  index.endCopy();
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

// --- internal ---

function fill(copy: IndexCopy, columns: KeyColumns): boolean {
  // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- it is no array
  return copy.fill(columns);
}

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
