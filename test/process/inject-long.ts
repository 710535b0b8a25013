/** Faults of system calls for as long as it takes: `bun test/process/inject-long.ts [FAULTS] [SEED]`. */

import { injectRun } from "./inject-run.ts";
import { countsOf, longRun } from "./long.ts";

await longRun({
  name: "inject-long",
  rounds: 2_000,
  portion: 50,
  async run(seed, injections) {
    const { hits, answers } = await injectRun({ seed, injections });
    return `${countsOf(hits)}; writes: ${countsOf(answers)}`;
  },
});
