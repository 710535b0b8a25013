/** Kills for as long as it takes: `bun test/process/kill-long.ts [KILLS] [SEED]`. */

import { killRun } from "./kill-run.ts";
import { countsOf, longRun } from "./long.ts";

const MODES = ["sync", "sync", "interval:20", "os"];

await longRun({
  name: "kill-long",
  rounds: 5_000,
  portion: 100,
  async run(seed, kills) {
    const durability = MODES[seed % MODES.length]!;
    const report = await killRun({ seed, kills, durability });
    const { acknowledged, merged, resets, unfinished } = report;
    return (
      `${durability}, ${acknowledged} writes, ${merged} merged segments, ` +
      `${resets} resets, left behind: ${countsOf(unfinished)}`
    );
  },
});
