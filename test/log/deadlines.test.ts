/** Deadlines come in order, each that counts once or more, whatever was changed and forgotten since. */

import { expect, test } from "bun:test";
import { Deadlines } from "../../src/log/deadlines.ts";
import { KeyIndex } from "../../src/log/key-index.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";

test("keys that change, go and are forgotten leave the deadlines of all others", async () => {
  for (let round = 0; round < rounds(3); round++) await withSeed(randomSeed(), change);
});

// --- internal ---

function change(random: Random): void {
  const index = new KeyIndex();
  let revision = 0;
  const set = (number: number, version: number, deadline: number): number => {
    const newest = { revision: ++revision, createRevision: 1, version, contentType: "a" };
    index.set(`key ${number}`, { ...newest, deadline, position: 0, bytes: 88 });
    return index.findKey(`key ${number}`);
  };
  for (let number = 0; number < 3_000; number++) set(number, 1, 1 + random.below(10_000));
  const deadlines = new Deadlines(index);
  for (let step = 0; step < 40_000; step++) {
    const number = random.below(4_000);
    if (random.oneIn(4)) set(number, 0, 0);
    else {
      const deadline = 1 + random.below(10_000);
      deadlines.push(set(number, 1, deadline), deadline);
    }
    // Their entries are those of others then, or of none.
    if (step % 100 === 0) index.dropTombstones(revision, Infinity);
  }
  // What does not count any more is bounded.
  expect(deadlines.size).toBeLessThan(6 * index.timed + 10_000);
  const right = new Map(index.deadlines());
  const seen = new Map<number, number>();
  let last = 0;
  while (deadlines.size > 0) {
    const { firstEntry: entry, firstDeadline: deadline } = deadlines;
    expect(deadline).toBeGreaterThanOrEqual(last);
    last = deadline;
    if (index.isUsed(entry) && index.deadline(entry) === deadline) seen.set(entry, deadline);
    deadlines.pop();
  }
  expect(seen).toEqual(right);
  expect(deadlines.firstDeadline).toBe(Infinity);
}
