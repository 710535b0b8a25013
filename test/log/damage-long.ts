/**
 * As `damage-random.test.ts`, for as long as it takes: `bun test/log/damage-long.ts FAULTS [SEED]`.
 * Each number from the seed on is one damaged directory.
 */

import { damageAtRandom, OUTCOMES } from "../support/damage-random.ts";
import { randomSeed } from "../support/random.ts";

const total = Number(process.argv[2] ?? 1_000_000);
const first = process.argv[3] === undefined ? randomSeed() : Number(process.argv[3]);
if (!Number.isSafeInteger(total) || total < 1 || !Number.isSafeInteger(first)) {
  throw new Error("bun test/log/damage-long.ts FAULTS [SEED]: whole numbers, please");
}

console.log(`${total} damaged directories from seed ${first}`);
const counts = new Map(OUTCOMES.map((outcome) => [outcome, 0]));
const began = performance.now();
let failed = false;
for (let done = 1; done <= total && !failed; done++) {
  const seed = first + done - 1;
  try {
    const outcome = await damageAtRandom(seed);
    counts.set(outcome, counts.get(outcome)! + 1);
  } catch (error) {
    console.error(error);
    console.error(`to see it again: bun test/log/damage-long.ts 1 ${seed}`);
    failed = true;
  }
  if (done % 20_000 === 0 || done === total) {
    const rate = Math.round((done / (performance.now() - began)) * 1000);
    const seen = [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(", ");
    console.log(`${done} of ${total}, ${rate} a second: ${seen}`);
  }
}
process.exitCode = failed ? 1 : 0;
