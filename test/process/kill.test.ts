/** A server that is killed in the middle of writes, merges and starts: nothing acknowledged is lost. */

import { expect, test } from "bun:test";
import { randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { killRun } from "./kill-run.ts";
import { countsOf } from "./long.ts";

for (const [durability, count] of [
  ["sync", 2],
  ["interval:20", 1],
  ["os", 1],
] as const) {
  test(
    `in ${durability}, every kill leaves what was acknowledged, and no watcher misses a commit`,
    () =>
      withSeed(randomSeed(), async ({ seed }) => {
        const kills = rounds(count);
        const report = await killRun({ seed, kills, durability });
        const { merged, unfinished, milliseconds } = report;
        console.log(
          `${kills} kills in ${Math.round(milliseconds)} ms, ${merged} merged segments, ` +
            `left behind: ${countsOf(unfinished)}`,
        );
        expect(report.kills).toBe(kills);
        expect(report.acknowledged).toBeGreaterThan(0);
        if (kills >= 25) expect(merged).toBeGreaterThan(0);
      }),
    RANDOM_MS_MAX,
  );
}
