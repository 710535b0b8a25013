/** The index is what a plain map and a sorted list are, whatever happens to it. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { compareKeys } from "../../src/keys.ts";
import { KeyColumns } from "../../src/log/key-columns.ts";
import { secretHash, type HashWords } from "../../src/log/key-hash.ts";
import { KeyIndex, type Newest } from "../../src/log/key-index.ts";
import { emptyColumns, keys, ModelledIndex, steps } from "../support/index-model.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";

const fair = secretHash(new Uint32Array([7, 11]));

const HASHES: [string, HashWords | undefined][] = [
  ["a hash with a secret of its own", undefined],
  ["a hash that is the same for all keys", () => 0],
  ["a hash with four values", (...key) => (fair(...key) & 3) << 30],
  ["a hash that finds the table only", (...key) => fair(...key) & 0xfff00000],
  ["a hash that is the highest in its table", (...key) => fair(...key) | 0x000fffff],
];

describe("any steps leave the index as a plain map would be:", () => {
  test.each(HASHES)(
    "%s",
    (_, hash) => {
      fc.assert(
        fc.property(steps, fc.array(keys, { maxLength: 3 }), (all, starts) => {
          const both = new ModelledIndex(hash);
          for (const step of all) both.take(step);
          both.check();
          for (const start of starts) both.checkFrom(start);
          both.endCopy();
          both.check();
        }),
        { numRuns: rounds(hash === undefined ? 100 : 25) },
      );
    },
    RANDOM_MS_MAX,
  );
});

test("a log that is loaded in any order has its keys in order then", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(keys, fc.boolean()), { maxLength: 3_000 }), (all) => {
      const index = new KeyIndex();
      const right = new Map<string, Newest>();
      for (const [at, [key, isDeleted]] of all.entries()) {
        const version = isDeleted && right.has(key) ? 0 : at + 1;
        const newest = newestOf(at + 1, version);
        const bytes = Buffer.from(key);
        const { revision, createRevision, contentType, deadline, position } = newest;
        index.loadBytes(
          bytes,
          0,
          bytes.length,
          revision,
          createRevision,
          version,
          contentType,
          deadline,
          position,
          newest.bytes,
        );
        right.set(key, newest);
      }
      const oldest = Math.floor(all.length / 2);
      while (index.dropTombstones(oldest, 7));
      for (const [key, { version, revision }] of right) {
        if (version === 0 && revision <= oldest) right.delete(key);
      }
      index.sort();
      expect([...index.all()]).toEqual([...right].toSorted(([a], [b]) => compareKeys(a, b)));
    }),
    { numRuns: rounds(100) },
  );
});

test("keys that differ late, or in nothing but zeros at their ends, are sorted", () => {
  const index = new KeyIndex();
  const all: string[] = [];
  for (let zeros = 0; zeros < 200; zeros++) all.push(`a${"\u0000".repeat(zeros)}`);
  for (let at = 0; at < 3_000; at++) {
    all.push(`${"long".repeat(at % 3)}${"same".repeat(200)}${(at * 7_919) % 3_000}`);
  }
  for (const key of all.toReversed()) index.load(key, newestOf(1, 1));
  index.sort();
  expect([...index.up("")]).toEqual(all.toSorted(compareKeys));
});

test("an index that is copied in columns and appended again is the same", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 500 }), (all, keysMax) => {
      const { index, right } = modelled(all);
      const again = new KeyIndex();
      again.reserve(right.size);
      const columns = emptyColumns(keysMax);
      const copy = index.copy();
      for (let more = true; more;) {
        columns.count = 0;
        more = copy.fill(columns);
        expect(again.appendColumns(columns)).toBe(true);
      }
      again.endAppend();
      index.endCopy();
      expect([...again.all()]).toEqual([...index.all()]);
      expect(sums(again)).toEqual(sums(index));
      // Deletions are forgotten in the same order.
      const deletions = [...right.values()].filter(({ version }) => version === 0);
      const middle = deletions[deletions.length >> 1]?.revision ?? 0;
      for (const revision of [middle - 1, middle, 2 ** 53]) {
        while (index.dropTombstones(revision, 5));
        while (again.dropTombstones(revision, 3));
        expect([...again.up("")]).toEqual([...index.up("")]);
      }
      expect([...again.all()]).toEqual([...index.all()]);
    }),
    { numRuns: rounds(40) },
  );
});

test.each([
  ["upwards", (at: number) => at],
  ["downwards", (at: number) => 1_499 - at],
])("keys that are put between full leaves stay in order: %s", (_, numberOf) => {
  const both = new ModelledIndex();
  const put = (number: number): void => {
    both.put(String(number).padStart(9, "0"), newestOf(0, 1), false);
  };
  for (let at = 0; at < 2_048; at++) put(at * 10_000);
  for (let at = 0; at < 1_500; at++) put(511 * 10_000 + 1 + numberOf(at));
  both.check();
});

test("a content type that was gone comes again as itself", () => {
  const index = new KeyIndex();
  const put = (key: string, version: number, contentType: string): void => {
    index.set(key, { ...newestOf(1, version), contentType });
  };
  put("a", 0, "");
  index.dropTombstones(1, 2);
  put("b", 1, "");
  put("c", 1, "text/plain");
  expect(["b", "c"].map((key) => index.get(key)?.contentType)).toEqual(["", "text/plain"]);
});

test("columns whose keys do not rise are refused", () => {
  for (const [first, second] of [
    ["b", "a"],
    ["a", "a"],
    ["a\u0000", "a"],
  ] as const) {
    for (const apart of [false, true]) {
      const index = new KeyIndex();
      const [a, b] = [columnsOf(first), columnsOf(second)];
      if (apart) {
        expect(index.appendColumns(a)).toBe(true);
        expect(index.appendColumns(b)).toBe(false);
      } else expect(index.appendColumns(columnsOf(first, second))).toBe(false);
    }
  }
});

// --- internal ---

function sums({ live, liveBytes, timed }: KeyIndex): number[] {
  return [live, liveBytes, timed];
}

function modelled(all: Parameters<ModelledIndex["take"]>[0][]): ModelledIndex {
  const both = new ModelledIndex();
  for (const step of all) both.take(step);
  both.endCopy();
  return both;
}

function columnsOf(...names: string[]): KeyColumns {
  const columns = new KeyColumns(names.length);
  for (const name of names) {
    const start = columns.keysEnd;
    columns.keyEnds[columns.count++] = start + Buffer.from(columns.keys.buffer).write(name, start);
  }
  columns.versions.fill(1);
  return columns;
}

function newestOf(revision: number, version: number): Newest {
  const contentType = "a";
  return { revision, createRevision: 1, version, contentType, deadline: 0, position: 1, bytes: 88 };
}
