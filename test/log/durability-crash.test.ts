/** Crashes at any call to the disk, in every mode of durability and from each to each. */

import { expect, test } from "bun:test";
import type { Store } from "../../src/kv.ts";
import { anyMode, DurabilityRun } from "../support/durability-run.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn } from "../support/logs.ts";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";

test(
  "whatever the modes and the crashes, a prefix survives and no revision comes a second time",
  async () => {
    const seed = randomSeed();
    for (let run = 0; run < rounds(60); run++) await withSeed(seed + run, crashAgainAndAgain);
  },
  RANDOM_MS_MAX,
);

// --- internal ---

async function crashAgainAndAgain(random: Random): Promise<void> {
  const time = new FakeTime();
  const run = new DurabilityRun(random, time);
  let disk = new FakeDisk();
  let crash = "kill";
  for (let cycle = 0; cycle < 8; cycle++) {
    const last = cycle === 7;
    const dieAfter = disk.calls + random.below(random.oneIn(3) ? 15 : 120);
    if (!last) disk.fault = () => (disk.calls > dieAfter ? "EIO" : undefined);
    const store = await open(disk, random, time, run).catch((error: unknown) => {
      if (disk.calls <= dieAfter || last) throw error;
    });
    if (store !== undefined) {
      await run.verify(store, crash);
      await run.load(store, random.below(40));
      if (last) await store.close().catch(() => undefined);
    }
    const next = random.oneIn(2) ? "kill" : "power cut";
    // After a start that failed, what the crash before it has taken shows only now.
    if (store !== undefined || next === "power cut") crash = next;
    if (last) expect(disk.openFiles).toBe(0);
    disk = next === "kill" ? disk.kill() : disk.powerCut(random);
  }
}

function open(
  disk: FakeDisk,
  random: Random,
  { clock, timer }: FakeTime,
  run: DurabilityRun,
): Promise<Store> {
  return openOn(disk, {
    onFatal: () => run.noteFailure(),
    durability: anyMode(random),
    reservedRevisions: random.pick([1, 2, 7, 50]),
    segmentBytesMax: random.pick([1_500, 4_096]),
    // Copies of the index and merges at every opportunity, or none.
    checkpointBytesMin: random.pick([500, Infinity]),
    mergeBytesMin: random.pick([500, Infinity]),
    clock,
    timer,
  });
}
