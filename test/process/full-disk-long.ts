/** Full disks for as long as it takes: `bun test/process/full-disk-long.ts [DISKS] [SEED]`, as root. */

import { fullDiskRun } from "./full-disk-run.ts";
import { countsOf, longRun } from "./long.ts";

await longRun({
  name: "full-disk-long",
  rounds: 1_000,
  portion: 1,
  lanes: 4,
  async run(seed) {
    const { setting, answers, deletedWhileFull } = await fullDiskRun(seed);
    return `${setting}; ${countsOf(answers)}, ${deletedWhileFull} deleted while full`;
  },
});
