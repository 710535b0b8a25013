/** Tables of hashes find what a plain map finds, one entry at a time or many, with room or without. */

import { expect, test } from "bun:test";
import { HashTables } from "../../src/log/hash-tables.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";

/** The key of an entry is its number plus one; hashes are those of the keys. */
function tablesOf(hashes: Map<number, number>): HashTables<number> {
  const check = { isKey: (entry: number, key: number) => entry + 1 === key };
  return new HashTables(check, (entry) => hashes.get(entry)!);
}

function holds(tables: HashTables<number>, hashes: ReadonlyMap<number, number>): void {
  expect(tables.size).toBe(hashes.size);
  const lost: number[] = [];
  for (const [entry, hash] of hashes) if (tables.find(hash, entry + 1) !== entry) lost.push(entry);
  expect(lost).toEqual([]);
}

/** Some hashes are those of many entries. */
function hashOf(random: Random): number {
  return random.oneIn(20) ? 0xdeadbeef : random.below(2 ** 32);
}

test.each([
  ["few", 100, 10],
  ["as many as few tables have", 4_096, 4_096],
  ["one more than few tables have", 4_097, 1],
  ["many", 30_000, 5_000],
])("entries that are added many at a time are found: %s", async (_, count, atOnce) => {
  for (const room of [0, count / 2, count, 4 * count]) {
    await withSeed(randomSeed(), (random) => {
      const hashes = new Map<number, number>();
      const tables = tablesOf(hashes);
      tables.reserve(room);
      for (let from = 0; from < count; from += atOnce) {
        const end = Math.min(count, from + atOnce);
        const entries = Uint32Array.from({ length: end - from }, (_, at) => from + at);
        const those = entries.map(() => hashOf(random));
        for (const [at, entry] of entries.entries()) hashes.set(entry, those[at]!);
        tables.addAll(those, entries, entries.length);
      }
      holds(tables, hashes);
      for (let entry = 0; entry < count; entry += 3) {
        tables.remove(hashes.get(entry)!, entry);
        hashes.delete(entry);
      }
      for (let entry = count; entry < count + 100; entry++) {
        hashes.set(entry, hashOf(random));
        tables.add(hashes.get(entry)!, entry);
      }
      holds(tables, hashes);
      expect([tables.find(7, -1), tables.find(0xdeadbeef, -1)]).toEqual([-1, -1]);
    });
  }
});

test("with room for many at once, none of the tables is made anew while they come", async () => {
  await withSeed(randomSeed(), (random) => {
    const hashes = new Map<number, number>();
    const tables = tablesOf(hashes);
    tables.reserve(400_000);
    const before = tables.bytesHeld;
    for (let entry = 0; entry < 300_000; entry++) {
      hashes.set(entry, random.below(2 ** 32));
      tables.add(hashes.get(entry)!, entry);
    }
    expect(tables.bytesHeld).toBe(before);
    expect(before).toBeLessThan(400_000 * 10);
    holds(tables, hashes);
  });
});

test("room for fewer than there are takes nothing away", async () => {
  await withSeed(randomSeed(), (random) => {
    const hashes = new Map<number, number>();
    const tables = tablesOf(hashes);
    for (let entry = 0; entry < 20_000; entry++) {
      hashes.set(entry, random.below(2 ** 32));
      tables.add(hashes.get(entry)!, entry);
    }
    tables.reserve(5_000);
    holds(tables, hashes);
  });
});
