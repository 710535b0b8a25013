/** A start with a checkpoint knows what a start without it knows, whatever the store went through. */

import { describe, expect, test } from "bun:test";
import type { KvError } from "../../src/errors.ts";
import { openLog, type LogStore } from "../../src/log/engine.ts";
import {
  CHECKPOINT,
  EAGER,
  expectSameStart,
  maintained,
  randomTxn,
  startOn,
  withCheckpoint,
} from "../support/checkpoints.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { diskOf, goldenDirectories } from "../support/golden-directories.ts";
import { segmentNames } from "../support/logs.ts";
import { FakeTime } from "../support/fake-time.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { del, put } from "../support/stores.ts";

describe("random stores", () => {
  test(
    "are the same with their checkpoint and without it, after a stop and after a death",
    async () => {
      let resumed = 0;
      for (let round = 0; round < rounds(40); round++) {
        await withSeed(randomSeed(), async (random) => {
          resumed += await live(random);
        });
      }
      // Most checkpoints are of use.
      expect(resumed).toBeGreaterThan(rounds(40));
    },
    RANDOM_MS_MAX,
  );
});

/** Some lives of one store; answers how many of its starts a checkpoint helped. */
async function live(random: Random): Promise<number> {
  const time = new FakeTime();
  let disk = new FakeDisk();
  let resumed = 0;
  for (let life = 0; life < 6; life++) {
    const store = await open(disk, time, random);
    for (let left = random.below(60); left > 0; left--) await step(store, time, random);
    if (random.oneIn(2)) await store.close();
    const died = random.oneIn(3) ? disk.powerCut(random) : disk.kill();
    const start = await expectSameStart(died);
    expect(start.error).toBeUndefined();
    resumed += Number(start.resumed);
    disk = died;
  }
  return resumed;
}

function open(disk: FakeDisk, time: FakeTime, random: Random): Promise<LogStore> {
  return openLog({
    directory: disk.directory,
    disk,
    ...EAGER,
    checkpointBytesMin: random.pick([1, 500, 5_000, 20_000]),
    durability: random.pick([{ mode: "sync" }, { mode: "os" }]),
    reservedRevisions: 100,
    clock: time.clock,
    timer: time.timer,
  });
}

async function step(store: LogStore, time: FakeTime, random: Random): Promise<void> {
  const what = random.below(20);
  if (what === 0) {
    const { revision, oldest } = store.status();
    const to = random.oneIn(2) ? revision : oldest + random.below(revision - oldest + 1);
    await store.compact(to).catch((error: KvError) => expect(error.code).toBe("compacted"));
  } else if (what === 1) {
    time.now += random.below(1_500);
    time.fire();
  } else if (what < 4) await maintained(store);
  // A checkpoint that is under way meets what is done next.
  else if (what === 4) store.beginUpkeep();
  else await store.commit(randomTxn(random));
}

describe("a store", () => {
  test("makes a checkpoint when it is stopped, and starts with its help", async () => {
    const disk = new FakeDisk();
    const store = await openLog({ directory: "", disk, checkpointBytesMin: 200 });
    await store.commit({ checks: [], then: [put("a", "1"), put("b", "2")] });
    await store.close();
    const start = await expectSameStart(disk);
    expect(start.resumed).toBe(true);
    expect(start.notices).toEqual([]);
  });

  test("makes none for so little log that reading it is nothing", async () => {
    const disk = new FakeDisk();
    const store = await openLog({ directory: "", disk, checkpointBytesMin: 2_000 });
    await store.commit({ checks: [], then: [put("a", "1"), put("b", "2")] });
    await store.close();
    expect(disk.list()).not.toContain(CHECKPOINT);
  });

  test("makes one while it is open, again after more log than it has itself", async () => {
    const { disk, store } = await filled(400);
    await maintained(store);
    const first = disk.bytes(CHECKPOINT).slice();
    expect(first.length).toBeGreaterThan(4_000);
    await store.commit({ checks: [], then: [put("z", "1")] });
    await maintained(store);
    expect(disk.bytes(CHECKPOINT)).toEqual(first);
    await store.commit({ checks: [], then: [put("z", "x".repeat(2 * first.length))] });
    await maintained(store);
    expect(disk.bytes(CHECKPOINT)).not.toEqual(first);
    expect((await expectSameStart(disk)).resumed).toBe(true);
    await store.close();
  });

  test("reads a checkpoint, what was merged since, and what came after both", async () => {
    const { disk, store } = await filled(300);
    // The last segment is to have room for what follows: the one it ends in is not merged then.
    const files = disk.list().length;
    for (let at = 0; disk.list().length === files; at++) {
      await store.commit({ checks: [], then: [put(`more ${at}`, "value")] });
    }
    await maintained(store);
    const checkpoint = disk.bytes(CHECKPOINT).slice();
    for (let at = 0; at < 15; at++) {
      const key = `key ${at}`;
      await store.commit({ checks: [], then: [at % 3 === 0 ? del(key) : put(key, "new")] });
    }
    const before = disk.bytes(segmentNames(disk)[0]!).length;
    // Not to the newest one, which would seal that segment.
    await store.compact(store.status().revision - 1);
    await maintained(store);
    expect(disk.bytes(segmentNames(disk)[0]!).length).not.toBe(before);
    const start = await expectSameStart(withCheckpoint(disk, checkpoint));
    expect(start.notices).toEqual([]);
    expect(start.resumed).toBe(true);
    await store.close();
  });

  test("starts without help where the place of the checkpoint was merged away", async () => {
    const { disk, store } = await filled(30);
    await maintained(store);
    const checkpoint = disk.bytes(CHECKPOINT).slice();
    for (let at = 0; at < 400; at++) {
      await store.commit({ checks: [], then: [put(`key ${at % 30}`, "new")] });
    }
    await store.compact(store.status().revision);
    await maintained(store);
    const start = await expectSameStart(withCheckpoint(disk, checkpoint));
    expect([start.resumed, start.error]).toEqual([false, undefined]);
    expect(start.notices.join()).toContain("CHECKPOINT is of no use");
    await store.close();
  });

  test("does not lose its checkpoint to a power cut right after it was made", async () => {
    await withSeed(randomSeed(), async (random) => {
      for (let round = 0; round < rounds(20); round++) {
        const { disk, store } = await filled(50);
        await maintained(store);
        await disk.syncDirectory();
        await store.commit({ checks: [], then: [put("after", "1")] });
        const after = disk.powerCut(random);
        expect((await expectSameStart(after)).resumed).toBe(true);
      }
    });
  });
});

describe("a checkpoint of a golden directory", () => {
  test("gives what the log gives", async () => {
    expect(await startOf("format-1-checkpoint-2")).toMatchObject({ resumed: true, notices: [] });
  });

  test("is ignored when it is of another version: all of the log is read", async () => {
    const { resumed, notices } = await startOf("format-1-checkpoint");
    expect(resumed).toBe(false);
    expect(notices.join()).toContain("its format is version 1");
  });
});

function startOf(golden: string): ReturnType<typeof expectSameStart> {
  const { files } = goldenDirectories.find(({ name }) => name === golden)!;
  return expectSameStart(diskOf(files));
}

/** A store with some keys of one segment or several, all of them put once. */
async function filled(keys: number): Promise<{ disk: FakeDisk; store: LogStore }> {
  const disk = new FakeDisk();
  const store = await openLog({ directory: "", disk, ...EAGER });
  for (let at = 0; at < keys; at++) {
    await store.commit({ checks: [], then: [put(`key ${at}`, "value")] });
  }
  return { disk, store };
}

test("a start changes nothing of a checkpoint that it cannot use", async () => {
  const { disk, store } = await filled(10);
  await store.close();
  const broken = disk.bytes(CHECKPOINT).slice(0, -1);
  const copy = withCheckpoint(disk, broken);
  await startOn(copy);
  expect(copy.bytes(CHECKPOINT)).toEqual(broken);
});
