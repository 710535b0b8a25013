/**
 * What the long scripts of this folder share: `bun test/process/<name>-long.ts ROUNDS [SEED]` runs portions
 * with seeds one after the other, says how far it is, and ends at the first fault with the command
 * that makes the same choices again.
 */

import { build, isStale } from "../../scripts/build.ts";
import { randomSeed } from "../support/random.ts";

export interface LongRun {
  /** The name of the script, `kill-long` for example. */
  readonly name: string;
  /** Rounds when none are named. */
  readonly rounds: number;
  /** Rounds of one portion, at most. */
  readonly portion: number;
  /** Portions beside each other; 1 when left out. */
  readonly lanes?: number;
  /** Runs a portion; what it resolves with stands in the line about it. */
  readonly run: (seed: number, rounds: number) => Promise<string>;
}

export async function longRun({ name, rounds, portion, lanes = 1, run }: LongRun): Promise<void> {
  const [total = rounds, first = randomSeed()] = Bun.argv.slice(2).map((text) => {
    const number = Number(text);
    if (Number.isSafeInteger(number) && number >= 0) return number;
    throw new Error(`usage: bun test/process/${name}.ts [ROUNDS] [SEED]; ${text} is no number`);
  });
  if (isStale()) build();
  console.log(`${total} rounds from seed ${first}`);
  const began = performance.now();
  let [begun, done, seed] = [0, 0, first];
  const lane = async (): Promise<void> => {
    while (begun < total && process.exitCode === undefined) {
      const [own, count] = [seed++, Math.min(portion, total - begun)];
      begun += count;
      try {
        const said = await run(own, count);
        done += count;
        const seconds = Math.round((performance.now() - began) / 1_000);
        console.log(`${seconds} s: ${done} rounds, seed ${own}: ${said}`);
      } catch (error) {
        console.error(error);
        console.error(`again: bun test/process/${name}.ts ${count} ${own}`);
        process.exitCode = 1;
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** `3 × this, 1 × that`. */
export function countsOf(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([what, count]) => `${count} × ${what}`).join(", ");
}
