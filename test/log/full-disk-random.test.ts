/** Random loads on disks that fill up at any place, with restarts and power cuts in the middle. */

import { expect, test } from "bun:test";
import { runFullDisk, type Outcome } from "../support/full-disk-run.ts";
import { randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";

test(
  "nothing acknowledged is lost on a full disk, deletes go on, and writes resume by themselves",
  async () => {
    const first = randomSeed();
    const count = rounds(25);
    const all: Outcome[] = [];
    for (let seed = first; seed < first + count; seed++) {
      await withSeed(seed, async (random) => void all.push(await runFullDisk(random)));
    }
    if (process.env["KV_TEST_SEED"] !== undefined) return;
    for (const what of ["refused", "deletedWhileFull", "resumed", "restarts", "yielded"] as const) {
      const sum = all.reduce((total, outcome) => total + outcome[what], 0);
      expect([what, sum > count / 5]).toEqual([what, true]);
    }
  },
  RANDOM_MS_MAX,
);
