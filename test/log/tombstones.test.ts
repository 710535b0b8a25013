/** The queue of deletions: its order, what it forgets, and that no call does much. */

import { expect, test } from "bun:test";
import { Tombstones } from "../../src/log/tombstones.ts";
import { random } from "../support/random.ts";

test("deletions come out in order, and none that counts is missing", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const pick = random(seed);
    const newest = new Map<number, number>();
    const queue = new Tombstones((entry, revision) => newest.get(entry) === revision);
    let revision = 0;
    let dropped = 0;
    const dead = new Map<number, number>();
    for (let step = 0; step < 20_000; step++) {
      const entry = pick.below(seed * 100);
      const before = newest.get(entry);
      if (before !== undefined) dead.delete(before);
      newest.set(entry, ++revision);
      if (pick.oneIn(2)) {
        queue.add(entry, revision);
        dead.set(revision, entry);
      }
      while (pick.oneIn(3)) {
        if (queue.oldest < 0) break;
        expect(queue.oldestRevision).toBeGreaterThan(dropped);
        dropped = queue.oldestRevision;
        queue.drop();
        dead.delete(dropped);
      }
      const [first] = dead.keys();
      if (first !== undefined) expect(first).toBeGreaterThan(dropped);
    }
    const left: [number, number][] = [];
    for (; queue.oldest >= 0; queue.drop()) left.push([queue.oldestRevision, queue.oldest]);
    expect(left).toEqual(left.toSorted(([a], [b]) => a - b));
    expect(left.filter(([one]) => dead.has(one))).toEqual([...dead]);
  }
});

test("keys that are made and deleted again and again leave few behind, and no call looks at many", () => {
  const newest = new Map<number, number>();
  let looks = 0;
  const queue = new Tombstones((entry, revision) => {
    looks++;
    return newest.get(entry) === revision;
  });
  for (let revision = 1; revision <= 500_000; revision++) {
    newest.set(revision % 5_000, revision);
    const before = looks;
    queue.add(revision % 5_000, revision);
    expect(looks - before).toBeLessThanOrEqual(4_096);
  }
  expect(queue.size).toBeLessThan(5 * 5_000);
  expect(queue.bytesHeld).toBeLessThan(5 * 5_000 * 12);
});

test("what was added out of order can be sorted", () => {
  for (const count of [0, 1, 1_023, 1_024, 5_000]) {
    const queue = new Tombstones(() => true);
    const order = Array.from({ length: count }, (_, at) => (at * 7_919) % count);
    for (const revision of order) queue.add(revision + 7, revision);
    queue.sort();
    expect(queue.size).toBe(count);
    for (let revision = 0; revision < count; revision++) {
      expect([queue.oldest, queue.oldestRevision]).toEqual([revision + 7, revision]);
      queue.drop();
    }
    expect(queue.oldest).toBe(-1);
    for (let revision = 9_000; revision < 12_000; revision++) queue.add(3, revision);
    expect([queue.oldest, queue.oldestRevision]).toEqual([3, 9_000]);
  }
});
