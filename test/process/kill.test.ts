/** A server that is killed in the middle of writes, merges and starts: nothing acknowledged is lost. */

import { expect, test } from "bun:test";
import { randomSeed, withSeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";
import { killRun } from "./kill-run.ts";

test(
  "what was acknowledged is there after every kill, and no watcher misses or repeats a commit",
  () =>
    withSeed(randomSeed(), async ({ seed }) => {
      const kills = rounds(2);
      const report = await killRun({ seed, kills });
      console.log(`${kills} kills in ${Math.round(report.milliseconds)} ms`);
      expect(report.kills).toBe(kills);
      expect(report.acknowledged).toBeGreaterThan(0);
      if (kills >= 50) expect(report.merged).toBeGreaterThan(0);
    }),
  rounds(20_000),
);
