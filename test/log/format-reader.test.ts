/**
 * A second reader, made from FORMAT.md alone, finds in the files of a log what the engine shows: the
 * page is right, and enough to read a log by.
 */

import { describe, expect, test } from "bun:test";
import type { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
import { maintained } from "../support/checkpoints.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { faultsOfCheckpoint, readCheckpoint } from "../support/format/checkpoint.ts";
import { readLog } from "../support/format/reader.ts";
import { diskOf, goldenDirectories } from "../support/golden-directories.ts";
import { filesOf, viewOfContent, viewOfStore } from "../support/log-view.ts";
import { openOn } from "../support/logs.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { del, delRange, incr, put, putFor, write } from "../support/stores.ts";

describe("the reader of the format", () => {
  test("finds in each golden directory what the engine shows", async () => {
    for (const { files, now } of goldenDirectories) await expectSame(diskOf(files), now);
  });

  test(
    "finds in logs of random commits what the engine shows, also where it was killed",
    async () => {
      const seed = randomSeed();
      let [merges, checkpoints] = [0, 0];
      for (let run = 0; run < rounds(8); run++) {
        await withSeed(seed + run, async (random) => {
          let disk = new FakeDisk();
          let now = 1_000_000;
          for (let cycle = 0; cycle < 3; cycle++) {
            const store = await openOn(disk, {
              segmentBytesMax: 3_000,
              clock: () => now,
              durability: { mode: random.oneIn(2) ? "sync" : "os" },
              mergeBytesMin: 1,
              checkpointBytesMin: 1,
              timer: () => () => {},
            });
            await load(store, random, () => (now += random.below(2_000)));
            if (random.oneIn(2)) {
              const before = readLog(filesOf(disk));
              await maintained(store);
              const { voids, oldest } = readLog(filesOf(disk));
              // A merge keeps what is lost as well as what is there.
              const kept = (all: typeof voids) => all.filter(({ last }) => last > oldest);
              expect(kept(voids)).toEqual(kept(before.voids));
            }
            if (random.oneIn(2)) await store.close();
            disk = disk.kill();
            merges += readLog(filesOf(disk)).records.filter(({ kind }) => kind === "end").length;
            await expectSame(disk.copy(), now);
            checkpoints += Number(await expectCheckpoint(disk.copy(), now));
          }
        });
      }
      expect(merges).toBeGreaterThan(0);
      expect(checkpoints).toBeGreaterThan(0);
    },
    RANDOM_MS_MAX,
  );

  test("finds in the checkpoint of a golden directory what the log says", () => {
    const { files } = goldenDirectories.find(({ name }) => name === "format-1-checkpoint-2")!;
    const checkpoint = readCheckpoint(files.get("CHECKPOINT")!);
    expect(checkpoint.segments.length).toBeGreaterThan(1);
    expect(checkpoint.voids).toHaveLength(1);
    expect(faultsOfCheckpoint(checkpoint, files, readLog(files))).toEqual([]);
    const [first, ...rest] = checkpoint.keys;
    const other = { ...checkpoint, keys: [{ ...first!, version: first!.version + 1 }, ...rest] };
    expect(faultsOfCheckpoint(other, files, readLog(files))).toHaveLength(1);
  });
});

// --- internal ---

/** Holds what the engine shows of a disk against what the reader finds, before and after. */
async function expectSame(disk: FakeDisk, now: number): Promise<void> {
  const before = viewOfContent(readLog(filesOf(disk)));
  const store = await openOn(disk, { clock: () => now, timer: () => () => {} });
  const view = await viewOfStore(store);
  // What expired at the start is a commit more.
  expect(view.commits.slice(0, before.commits.length)).toEqual([...before.commits]);
  const after = viewOfContent(readLog(filesOf(disk)));
  expect(view).toEqual(after);
  await store.close();
  expect(viewOfContent(readLog(filesOf(disk)))).toEqual(after);
}

/** Holds the checkpoint that a close leaves against the log, where there is one. */
async function expectCheckpoint(disk: FakeDisk, now: number): Promise<boolean> {
  const options = { clock: () => now, timer: () => () => {}, checkpointBytesMin: 1 };
  const store = await openOn(disk, options);
  await write(store, put("one more", "x".repeat(500)));
  // Nothing is merged after it.
  await store.close();
  const files = filesOf(disk);
  const bytes = files.get("CHECKPOINT");
  if (bytes === undefined) return false;
  const checkpoint = readCheckpoint(bytes);
  const log = readLog(files);
  if (checkpoint.revision !== log.revision) return false;
  expect(faultsOfCheckpoint(checkpoint, files, log)).toEqual([]);
  return true;
}

/** Random commits of all kinds, compactions among them. */
async function load(store: Store, random: Random, tick: () => void): Promise<void> {
  const keys = ["a", "b", "c/d", "c/e", "é", "\u{1F600}", "__proto__"];
  for (let count = 5 + random.below(30); count > 0; count--) {
    tick();
    const key = random.pick(keys);
    const value = "x".repeat(random.below(random.oneIn(10) ? 2_000 : 40));
    const { revision, oldest } = await store.status();
    if (random.oneIn(12) && revision > oldest) {
      const near = random.oneIn(2) ? revision - random.below(5) : oldest + 1 + random.below(5);
      // In a void, where nothing can be read, nothing can be compacted to.
      await store.compact(Math.min(Math.max(near, oldest), revision)).catch(expectCompacted);
    }
    await random.pick([
      () => write(store, put(key, value)),
      () => write(store, put(key, value), put(random.pick(keys), "more")),
      () => write(store, del(key)),
      () => write(store, del(key), put(key, "anew")),
      () => write(store, putFor(key, value, 1_000)),
      () => write(store, incr(`n/${key}`)),
      () => write(store, delRange({ prefix: "c/" })),
      () => Promise.all([write(store, put(key, "1")), write(store, put(key, "2"))]),
    ])();
  }
}

function expectCompacted(error: unknown): void {
  expect((error as KvError).code).toBe("compacted");
}
