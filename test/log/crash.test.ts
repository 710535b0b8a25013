/** Crashes at any call to the disk: of the process, and of the power with what was not synced. */

import { expect, test } from "bun:test";
import type { Store } from "../../src/kv.ts";
import { CrashRun } from "../support/crash-run.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { type Random, randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";

/** How a disk comes out of a crash. */
const crashes = {
  "the process dies": (disk: FakeDisk) => disk.kill(),
  "the power is cut": (disk: FakeDisk, random: Random) => disk.powerCut(random),
  "now the one, now the other happens": (disk: FakeDisk, random: Random) =>
    random.oneIn(2) ? disk.kill() : disk.powerCut(random),
};

test.each(Object.entries(crashes))(
  "when %s, again and again, at any call, nothing answered is lost",
  async (_, crash) => {
    const seed = randomSeed();
    for (let run = 0; run < rounds(20); run++) {
      await withSeed(seed + run, async (random) => {
        const crashRun = new CrashRun(random);
        let disk = new FakeDisk();
        for (let cycle = 0; cycle < 6; cycle++) {
          const dieAfter = disk.calls + random.below(random.oneIn(3) ? 12 : 150);
          await runUntil(disk, dieAfter, crashRun, random);
          disk = crash(disk, random);
        }
        const store = await openOn(disk, { segmentBytesMax: 4_096 });
        await crashRun.verify(store);
        await store.close();
        expect(disk.openFiles).toBe(0);
      });
    }
  },
  RANDOM_MS_MAX,
);

// --- internal ---

/** Opens, verifies and loads a store, until the disk has had its number of calls. */
async function runUntil(
  disk: FakeDisk,
  dieAfter: number,
  crashRun: CrashRun,
  random: Random,
): Promise<void> {
  disk.fault = () => (disk.calls > dieAfter ? "EIO" : undefined);
  let store: Store;
  try {
    store = await openOn(disk, { segmentBytesMax: 4_096 });
  } catch (error) {
    if (disk.calls > dieAfter) return;
    throw error;
  }
  await crashRun.verify(store);
  const went = await crashRun.load(store, 5 + random.below(60));
  if (went && random.oneIn(2)) await store.close().catch(() => undefined);
}
