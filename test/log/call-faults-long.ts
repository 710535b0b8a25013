/**
 * Every call to the disk fails in every way, for many stores:
 * `bun test/log/call-faults-long.ts [SEEDS] [SEED] [CALL CODE once|always]`. With a call, that one alone.
 */

import { runFault, runFaults, type Fault } from "../support/crash/faults.ts";
import { randomSeed } from "../support/random.ts";

const [seeds = "100", seedText, call, code = "EIO", often = "once"] = process.argv.slice(2);
const seed = seedText === undefined ? randomSeed() : Number(seedText);
console.log(`seed ${seed}`);

try {
  if (call !== undefined) {
    await runFault(seed, {
      call: Number(call),
      code: code as Fault["code"],
      always: often === "always",
    });
  } else {
    let cases = 0;
    for (let at = 0; at < Number(seeds); at++) {
      cases += await runFaults(seed + at);
      console.log(`${cases} faults in ${at + 1} stores`);
    }
  }
} catch (error) {
  console.error((error as Error).message);
  console.error((error as Error).cause);
  process.exit(1);
}
