/** Jumping clocks and pauses for as long as it takes: `bun test/process/pause-long.ts [STORES] [SEED]`. */

import { longRun } from "./long.ts";
import { pauseRun } from "./pause-run.ts";

await longRun({
  name: "pause-long",
  rounds: 300,
  portion: 1,
  lanes: 2,
  async run(seed) {
    const { flags, jumps, pauses, kills, acknowledged, expired } = await pauseRun(seed);
    return `${flags}: ${jumps} jumps, ${pauses} pauses, ${kills} kills, ${acknowledged} writes, ${expired} expired`;
  },
});
