/**
 * The recorded run for as long as you like: `bun test/history/long.ts [OPERATIONS] [SEED]`, 5,000,000
 * when left out. Each portion has a server of its own, every other one is killed in between. Exits
 * with 1 at the first violation and says which seed makes the same choices again.
 */

import { build, isStale } from "../../scripts/build.ts";
import { randomSeed } from "../support/random.ts";
import { recordedRun } from "./recorded-run.ts";

const PORTION = 50_000;
/** So that no two clients of a run make the same choices. */
const SEEDS_A_PORTION = 1_000;

const [total = 5_000_000, first = randomSeed()] = process.argv.slice(2).map(Number);

if (isStale()) build();
console.log(`${total} operations from seed ${first}`);
const began = performance.now();
let checked = 0;
for (let portion = 0; checked < total; portion++) {
  const seed = first + portion * SEEDS_A_PORTION;
  const operations = Math.min(PORTION, total - checked);
  // A portion that is run again by its own seed must be killed, or not, as it was.
  const kills = seed % (2 * SEEDS_A_PORTION) < SEEDS_A_PORTION ? 0 : 4;
  const { violations, runMs, checkMs } = await recordedRun({ seed, operations, kills });
  if (violations.length > 0) {
    for (const { rule, message } of violations.slice(0, 10)) console.error(`${rule}: ${message}`);
    console.error(`${violations.length} violations`);
    console.error(`again: bun test/history/long.ts ${operations} ${seed}`);
    process.exit(1);
  }
  checked += operations;
  const rate = checked / ((performance.now() - began) / 1_000);
  const times = `${(runMs / 1_000).toFixed(1)} s run, ${(checkMs / 1_000).toFixed(1)} s checks`;
  console.log(`${checked} right, ${rate.toFixed()} a second (${times}, ${kills} kills)`);
}
