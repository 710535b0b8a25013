/** System calls that fail, and deaths at system calls: nothing acknowledged is lost. */

import { expect } from "bun:test";
import { testWithTool } from "../support/needs.ts";
import { randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { injectRun } from "./inject-run.ts";
import { countsOf } from "./long.ts";

testWithTool(
  "strace",
  "a call that fails, or kills, loses nothing that was acknowledged, and is said in clear words",
  () =>
    withSeed(randomSeed(), async ({ seed }) => {
      const injections = rounds(3);
      const { hits, milliseconds } = await injectRun({ seed, injections });
      console.log(`${injections} faults in ${Math.round(milliseconds)} ms: ${countsOf(hits)}`);
      if (injections >= 60) {
        expect([...hits.keys()]).toEqual(
          expect.arrayContaining(["fdatasync error=EIO", "pwrite64 error=ENOSPC"]),
        );
      }
    }),
  RANDOM_MS_MAX,
);
