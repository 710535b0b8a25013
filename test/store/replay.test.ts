/**
 * Every read at a revision is the replay of the log up to it: whatever the history was, before and
 * after compaction, restart, the death of the process and a power cut.
 */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { openRemoteStore } from "../../src/client/remote-store.ts";
import type { Commit, Operation, Range, Store } from "../../src/kv.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { commitsIn, openOn } from "../support/logs.ts";
import { propertySeed, random, randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { startServerProcess } from "../support/server-process.ts";
import {
  changesBetween,
  del,
  delRange,
  incr,
  put,
  putFor,
  shownCommits,
  touch,
  write,
} from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { operation, range } from "./random-steps.ts";
import { equalsReplay } from "./replay.ts";

/** A transaction, or a jump of the clock. */
type Past = readonly Operation[] | { readonly ms: number };

const past: fc.Arbitrary<Past> = fc.oneof(
  { weight: 5, arbitrary: fc.array(operation, { minLength: 1, maxLength: 5 }) },
  { weight: 1, arbitrary: fc.record({ ms: fc.integer({ min: -200, max: 400 }) }) },
);

const EVERYTHING: Range[] = [{}];

const history = fc.record({
  pasts: fc.array(past, { maxLength: 40, size: "max" }),
  more: fc.array(past, { maxLength: 8 }),
  ranges: fc.array(range, { maxLength: 2 }).map((ranges) => EVERYTHING.concat(ranges)),
  /** Which of the commits is compacted to, in parts of all of them. */
  compacted: fc.double({ min: 0, max: 1, noNaN: true }),
  seed: fc.nat(),
});

/** What comes between a store and the one that opens its files again. */
const ends: [string, (store: Store, disk: FakeDisk, seed: number) => Promise<FakeDisk>][] = [
  [
    "a restart",
    async (store, disk) => {
      await store.close();
      return disk;
    },
  ],
  ["the death of the process", async (_, disk) => disk.kill()],
  ["a power cut", async (_, disk, seed) => disk.powerCut(random(seed))],
];

test.each(ends)(
  "every read at a revision is the replay of the log, before and after compaction and %s",
  async (_, end) => {
    await fc.assert(
      fc.asyncProperty(history, async ({ pasts, more, ranges, compacted, seed }) => {
        const time = new FakeTime();
        const options = { segmentBytesMax: 2_000, clock: time.clock, timer: time.timer };
        let disk = new FakeDisk();
        let store = await openOn(disk, options);
        const check = async () => {
          await settle(store);
          await equalsReplay(store, commitsIn(disk), ranges);
        };
        await live(store, pasts, time);
        await check();
        const { revision } = await store.status();
        await store.compact(Math.floor(revision * compacted));
        await check();
        disk = await end(store, disk, seed);
        store = await openOn(disk, options);
        await check();
        await live(store, more, time);
        await check();
        disk = await end(store, disk, seed);
        store = await openOn(disk, options);
        await check();
        await store.close();
      }),
      { numRuns: rounds(8), ...propertySeed() },
    );
  },
  RANDOM_MS_MAX,
);

test("a server that is killed again and again shows the replay of its log each time", async () => {
  const directory = temporaryDirectory();
  await withSeed(randomSeed(), async (random) => {
    const answered = new Map<number, string>();
    for (let cycle = 0; cycle < 4; cycle++) {
      await using server = await startServerProcess({ directory: directory.path });
      const store = await openRemoteStore(server.url);
      await untilNothingExpires(store);
      const commits = commitsIn(diskOf(directory.path));
      await equalsReplay(store, commits, [{}, { prefix: "a/" }]);
      const { revision, oldest } = await store.status();
      const streamed = await changesBetween(store, oldest + 1, revision);
      expect(shownCommits(streamed)).toEqual(
        shownCommits(commits.filter((commit) => commit.revision > oldest)),
      );
      for (const [at, mark] of answered) expect(markOf(commits, at)).toBe(mark);
      if (cycle === 2) await store.compact(Math.floor(revision / 2));
      await loadUntilKilled(store, random, answered, () => server.kill());
      await store.close();
    }
    expect(answered.size).toBeGreaterThan(20);
  });
  directory.remove();
}, 60_000);

// --- internal ---

/** Random transactions, each sent when the one before is answered, and jumps of the clock. */
async function live(store: Store, pasts: readonly Past[], time: FakeTime): Promise<void> {
  for (const past of pasts) {
    if ("ms" in past) time.now += past.ms;
    // Some fail, as a touch of an absent key does: they change nothing.
    else await write(store, ...past).catch(() => undefined);
  }
}

/** Lets everything expire that is due. */
async function settle(store: Store): Promise<void> {
  await store.list({}, { count: true });
}

/** The files of a directory as they are at this moment. */
function diskOf(directory: string): FakeDisk {
  const disk = new FakeDisk();
  for (const name of readdirSync(directory)) {
    if (name.endsWith(".log")) disk.place(name, readFileSync(join(directory, name)));
  }
  return disk;
}

/** Several clients write at once; in the middle of it the server dies. */
async function loadUntilKilled(
  store: Store,
  random: Random,
  answered: Map<number, string>,
  kill: () => Promise<number>,
): Promise<void> {
  const count = 10 + random.below(60);
  let dead: Promise<number> | undefined;
  const client = async (name: number): Promise<void> => {
    for (let at = 0; dead === undefined; at++) {
      const mark = `${name}-${at}-${random.seed + random.below(1_000_000)}`;
      const then = [put(`mark/${name}`, mark), randomOperation(random)];
      try {
        const { revision } = await write(store, ...then);
        answered.set(revision, mark);
      } catch {
        // Refused, or nobody knows: the next start tells.
      }
      if (answered.size % count === count - 1) dead = kill();
    }
  };
  await Promise.all([client(1), client(2), client(3)]);
  await dead;
}

function randomOperation(random: Random): Operation {
  const key = random.pick(["a/1", "a/2", "b", "\u{1F600}", "__proto__", "n"]);
  return random.pick<Operation>([
    put(key, `value ${random.below(100)}`),
    putFor(key, "short", 1 + random.below(30)),
    putFor(key, "long", 3_600_000),
    del(key),
    delRange({ prefix: "a/" }, 1),
    incr(`count/${random.below(3)}`, 5n),
    touch(key, "keep"),
  ]);
}

/** Waits for the last key with a short time to live; the others live for an hour. */
async function untilNothingExpires(store: Store): Promise<void> {
  for (;;) {
    const { entries } = await store.list({}, { keys: true });
    const soon = entries.map(({ expiresAt = Infinity }) => expiresAt - Date.now());
    const first = Math.min(...soon);
    if (first > 600_000) return;
    await Bun.sleep(Math.max(first, 1));
  }
}

/** The value that a commit gave to one of the marks. */
function markOf(commits: readonly Commit[], revision: number): string | undefined {
  const commit = commits.find((commit) => commit.revision === revision);
  for (const event of commit?.events ?? []) {
    if (event.key.startsWith("mark/") && event.type === "put") {
      return Buffer.from(event.value).toString();
    }
  }
  return undefined;
}
