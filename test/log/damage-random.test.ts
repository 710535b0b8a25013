/** Several faults at once, of many kinds, to the files of the golden directories. */

import { expect, test } from "bun:test";
import { damageAtRandom, OUTCOMES } from "../support/damage-random.ts";
import { randomSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";

test(
  "whatever befalls the files, a start is refused or shows what was there, or its beginning",
  async () => {
    const first = randomSeed();
    const counts = new Map(OUTCOMES.map((outcome) => [outcome, 0]));
    for (let seed = first; seed < first + rounds(1_000); seed++) {
      try {
        const outcome = await damageAtRandom(seed);
        counts.set(outcome, counts.get(outcome)! + 1);
      } catch (error) {
        const command = `bun test/log/damage-long.ts 1 ${seed}`;
        throw new Error(`failed; to see it again: ${command}`, { cause: error });
      }
    }
    for (const [outcome, count] of counts) expect([outcome, count]).not.toEqual([outcome, 0]);
  },
  RANDOM_MS_MAX,
);
