/** A clock that jumps, and a process that stands still: nothing is lost, and nothing comes back. */

import { expect } from "bun:test";
import { testWithTool } from "../support/needs.ts";
import { randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { pauseRun } from "./pause-run.ts";

testWithTool(
  "faketime",
  "clocks that jump and pauses lose nothing, let nothing come back, and never turn times round",
  async () => {
    const stores = rounds(1);
    const began = performance.now();
    let expired = 0;
    for (let store = 0; store < stores; store++) {
      await withSeed(randomSeed(), async ({ seed }) => {
        const report = await pauseRun(seed);
        expired += report.expired;
      });
    }
    console.log(
      `${stores} stores with jumps and pauses in ${Math.round(performance.now() - began)} ms`,
    );
    expect(expired).toBeGreaterThan(0);
  },
  RANDOM_MS_MAX,
);
