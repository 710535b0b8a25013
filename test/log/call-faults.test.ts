/** Each call to the disk fails in turn, in every way, once and from then on: see `call-faults-long.ts`. */

import { expect, test } from "bun:test";
import { runFault, runFaults } from "../support/crash/faults.ts";
import { randomSeed } from "../support/random.ts";

test("whichever call to the disk fails, nothing answered is lost, and nothing is left open", async () => {
  const seed = randomSeed();
  const faults = await runFaults(seed);
  console.log(`${faults} faults of seed ${seed}`);
  expect(faults).toBeGreaterThan(100);
}, 120_000);

test("a seed gives the same calls again", async () => {
  expect(await runFault(7, undefined)).toEqual(await runFault(7, undefined));
});
