/** Streams with one error each: the checker finds it, and knows which guarantee it breaks. */

import { describe, expect, test } from "bun:test";
import { random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { checkWatcher } from "./checker.ts";
import { PLANTED_CHANGES } from "./planted-changes.ts";
import { PLANTED_FRAMES } from "./planted-frames.ts";
import { simulateWatcher } from "./simulated-watcher.ts";
import { SimulatedWorld } from "./simulated-world.ts";

/** Each error is planted so many times. */
const TIMES = rounds(5);
const SEEDS_MAX = 400 * TIMES;

describe("the checker finds", () => {
  test.each([...PLANTED_CHANGES, ...PLANTED_FRAMES])(
    "%s",
    (_, rules, plant) => {
      let planted = 0;
      for (let seed = 1; planted < TIMES; seed++) {
        if (seed > SEEDS_MAX) throw new Error(`there was a place for it only ${planted} times`);
        const numbers = random(seed);
        const world = worldOf(1 + (seed % WORLDS));
        const record = simulateWatcher(world, numbers, `seed ${seed}`);
        const altered = plant(record, world.truth, numbers);
        if (altered === undefined) continue;
        planted++;
        const violation = checkWatcher(altered, world.truth, { silenceMsMax: 1_000 });
        expect([seed, violation, rules]).toEqual([seed, expect.anything(), rules]);
        expect([seed, violation, rules.includes(violation!.rule)]).toEqual([seed, violation, true]);
      }
    },
    RANDOM_MS_MAX,
  );
});

// --- internal ---

const WORLDS = 5;
const worlds = new Map<number, SimulatedWorld>();

function worldOf(seed: number): SimulatedWorld {
  const world = worlds.get(seed) ?? new SimulatedWorld(random(seed));
  worlds.set(seed, world);
  return world;
}
