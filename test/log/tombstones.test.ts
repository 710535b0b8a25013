/** The queue of deletions: its order, what it forgets, and that no call does much. */

import { expect, test } from "bun:test";
import { Tombstones } from "../../src/log/tombstones.ts";
import { random } from "../support/random.ts";

test("deletions come out in order, and none that counts is missing", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const pick = random(seed);
    const newest = new Map<string, number>();
    const queue = new Tombstones(({ key, revision }) => newest.get(key) === revision);
    let revision = 0;
    let dropped = 0;
    const dead = new Map<number, string>();
    for (let step = 0; step < 20_000; step++) {
      const key = `k${pick.below(seed * 100)}`;
      const before = newest.get(key);
      if (before !== undefined) dead.delete(before);
      newest.set(key, ++revision);
      if (pick.oneIn(2)) {
        queue.add({ key, revision });
        dead.set(revision, key);
      }
      while (pick.oneIn(3)) {
        const { oldest } = queue;
        if (oldest === undefined) break;
        expect(oldest.revision).toBeGreaterThan(dropped);
        dropped = oldest.revision;
        queue.drop();
        dead.delete(dropped);
      }
      const [first] = dead.keys();
      if (first !== undefined) expect(first).toBeGreaterThan(dropped);
    }
    const left: number[] = [];
    for (let next = queue.oldest; next !== undefined; next = queue.oldest) {
      left.push(next.revision);
      queue.drop();
    }
    expect(left).toEqual(left.toSorted((a, b) => a - b));
    const counting = left.filter((one) => dead.has(one));
    expect(counting).toEqual([...dead.keys()]);
  }
});

test("keys that are made and deleted again and again leave few behind, and no call looks at many", () => {
  const newest = new Map<string, number>();
  let looks = 0;
  const queue = new Tombstones(({ key, revision }) => {
    looks++;
    return newest.get(key) === revision;
  });
  for (let revision = 1; revision <= 500_000; revision++) {
    const key = `k${revision % 5_000}`;
    newest.set(key, revision);
    const before = looks;
    queue.add({ key, revision });
    expect(looks - before).toBeLessThanOrEqual(4_096);
  }
  expect(queue.size).toBeLessThan(5 * 5_000);
});

test("what was added out of order can be sorted", () => {
  const queue = new Tombstones(() => true);
  const order = Array.from({ length: 5_000 }, (_, at) => (at * 7_919) % 5_000);
  for (const revision of order) queue.add({ key: `k${revision}`, revision });
  queue.sort();
  for (let revision = 0; revision < 5_000; revision++) {
    expect(queue.oldest).toEqual({ key: `k${revision}`, revision });
    queue.drop();
  }
  queue.add({ key: "k", revision: 9_000 });
  expect(queue.oldest?.revision).toBe(9_000);
});
