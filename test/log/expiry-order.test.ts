/** The order in which keys fall due, against a plain list that is sorted anew each time. */

import { expect, test } from "bun:test";
import { compareKeys } from "../../src/keys.ts";
import { EXPIRE_EVENTS_MAX } from "../../src/limits.ts";
import { Expiry } from "../../src/log/expiry.ts";
import { KeyIndex } from "../../src/log/key-index.ts";
import { FakeTime } from "../support/fake-time.ts";
import { randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";

const KEYS = ["a", "b", "c/d", "\uFFFF", "\u{1F600}", "__proto__", "é"];

function beginWith(index: KeyIndex) {
  const time = new FakeTime();
  time.now = 0;
  let woken = 0;
  const { clock, timer } = time;
  const expiry = new Expiry({ index, clock, timer, wake: () => woken++ });
  return { expiry, time, wakes: () => woken };
}

/** Many changes are of deadlines that move to another heap all the time. */
const CHANGES: [string, number, number][] = [
  ["a few times", 4, 20],
  ["a great many times", 400, 2],
];

test.each(CHANGES)(
  "what is due comes by deadline, then by key, each once, where keys were changed %s",
  async (_, changesMax, runs) => {
    await withSeed(randomSeed(), (random) => {
      for (let run = 0; run < rounds(runs); run++) {
        const index = new KeyIndex();
        const { expiry } = beginWith(index);
        const deadlines = new Map<string, number>();
        let revision = 0;
        const set = (key: string, deadline: number): void => {
          setDeadline(index, expiry, key, ++revision, deadline);
          if (deadline > 0) deadlines.set(key, deadline);
          else deadlines.delete(key);
        };
        for (let round = 0; round < 200; round++) {
          for (let change = random.below(changesMax); change > 0; change--) {
            set(random.pick(KEYS) + random.below(4), random.oneIn(4) ? 0 : 1 + random.below(100));
          }
          if (!random.oneIn(3)) continue;
          const now = random.below(100);
          const right = [...deadlines]
            .filter(([, deadline]) => deadline <= now)
            .toSorted(([a, first], [b, second]) => first - second || compareKeys(a, b))
            .map(([key]) => key);
          if (right.length > 0) expect(expiry.isDue(now)).toBe(true);
          const max = 1 + random.below(6);
          const taken = expiry.take(now, max);
          expect(taken).toEqual(right.slice(0, max));
          if (random.oneIn(3)) expiry.giveBack(taken);
          else for (const key of taken) set(key, 0);
        }
      }
    });
  },
  RANDOM_MS_MAX,
);

test("deadlines that are there at the beginning count, and those of deleted keys do not", () => {
  const index = new KeyIndex();
  for (const [at, key] of ["d", "b", "a", "c"].entries()) index.set(key, newestOf(at + 1, 50 - at));
  index.set("b", newestOf(9, 0));
  const { expiry } = beginWith(index);
  expect(expiry.isDue(46)).toBe(false);
  expect(expiry.isDue(47)).toBe(true);
  expect(expiry.take(100, 10)).toEqual(["c", "a", "d"]);
  expect(expiry.isDue(1_000)).toBe(false);
});

test("a key whose deadline is moved a million times takes no more room than a few", () => {
  const index = new KeyIndex();
  const { expiry } = beginWith(index);
  Bun.gc(true);
  const before = process.memoryUsage().heapUsed;
  for (let at = 1; at <= 1_000_000; at++) {
    setDeadline(index, expiry, "a", at, 1_000_000 + (at % 2 === 0 ? at : 0));
  }
  Bun.gc(true);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(16 * 1024 * 1024);
  expect(expiry.take(3_000_000, 10)).toEqual(["a"]);
});

test("keys that are touched all the time never make all deadlines be looked at anew", () => {
  const index = new KeyIndex();
  let looks = 0;
  const { deadlines } = index;
  index.deadlines = () => {
    looks++;
    return deadlines.call(index);
  };
  const { expiry } = beginWith(index);
  const names = ["a", "b", "c"];
  for (let at = 1; at <= 10_000; at++) {
    for (const name of names) setDeadline(index, expiry, name, at, 1_000 + at);
  }
  expect(looks).toBe(1);
  expect(expiry.take(10_999, 10)).toEqual([]);
  expect(expiry.isDue(10_999)).toBe(false);
  expect(expiry.take(11_000, 10)).toEqual(names);
  expect(expiry.isDue(Number.MAX_SAFE_INTEGER)).toBe(false);
});

test("deadlines that are taken away and set again make no call look at many, and leave few behind", () => {
  const index = new KeyIndex();
  const names = Array.from({ length: 3_000 }, (_, at) => `k${String(at).padStart(6, "0")}`);
  const { expiry } = beginWith(index);
  // Beside keys that stay as they are, with the deadline that the others have in the end.
  const still = names.map((name) => `${name}/`);
  for (const name of still) setDeadline(index, expiry, name, 1, 1_970);
  let looks = 0;
  const { deadline } = index;
  index.deadline = (entry) => {
    looks++;
    return deadline.call(index, entry);
  };
  index.deadlines = () => {
    throw new Error("all of them are looked at");
  };
  let most = 0;
  for (let at = 1; at <= 30; at++) {
    for (const name of names) {
      setDeadline(index, expiry, name, 2 * at, 0);
      looks = 0;
      setDeadline(index, expiry, name, 2 * at + 1, 2_000 - at);
      most = Math.max(most, looks);
    }
  }
  expect(most).toBeLessThan(10);
  looks = 0;
  const taken: string[] = [];
  while (expiry.isDue(1_970)) taken.push(...expiry.take(1_970, EXPIRE_EVENTS_MAX));
  expect([...new Set(taken)]).toEqual(names.flatMap((name, at) => [name, still[at]!]));
  expect(looks).toBeLessThan(6 * names.length + 2_000);
});

test("many deadlines that were moved are passed a part at a time, and none is lost", () => {
  const index = new KeyIndex();
  const { expiry } = beginWith(index);
  const count = 3 * EXPIRE_EVENTS_MAX;
  const names = Array.from({ length: count }, (_, at) => `k${String(at).padStart(6, "0")}`);
  for (const name of names) setDeadline(index, expiry, name, 1, 100);
  for (const [at, name] of names.entries())
    setDeadline(index, expiry, name, 2, at === 0 ? 50 : 200);
  expect(expiry.take(100, 10)).toEqual(["k000000"]);
  expect(expiry.isDue(100)).toBe(true);
  for (let turn = 0; turn < 3; turn++) expect(expiry.take(100, 10)).toEqual([]);
  expect(expiry.isDue(100)).toBe(false);
  const taken: string[] = [];
  while (expiry.isDue(200)) taken.push(...expiry.take(200, 1_000));
  expect(taken).toEqual(names.slice(1));
});

test("the timer is set for the first deadline, is moved when one comes before it, and stops", () => {
  const index = new KeyIndex();
  const { expiry, time, wakes } = beginWith(index);
  const set = (key: string, deadline: number): void => {
    setDeadline(index, expiry, key, 1, deadline);
    expiry.schedule();
  };
  expiry.schedule();
  expect(time.timers).toBe(0);
  set("a", 500);
  set("b", 700);
  set("c", 100);
  expect(time.timers).toBe(1);
  time.fire();
  expect([wakes(), time.timers]).toEqual([1, 0]);
  expiry.schedule();
  expect(time.timers).toBe(1);
  expiry.stop();
  expect(time.timers).toBe(0);
  expiry.schedule();
  expect(time.timers).toBe(0);
});

// --- internal ---

/** Sets a key as the engine does. */
function setDeadline(
  index: KeyIndex,
  expiry: Expiry,
  key: string,
  revision: number,
  deadline: number,
): void {
  const before = index.get(key)?.deadline ?? 0;
  index.set(key, newestOf(revision, deadline));
  expiry.change(index.findKey(key), before, deadline);
}

function newestOf(revision: number, deadline: number) {
  return {
    revision,
    createRevision: revision,
    version: 1,
    contentType: "a",
    deadline,
    position: revision,
    bytes: 88,
  };
}
