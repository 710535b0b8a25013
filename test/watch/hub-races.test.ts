/** Random interleavings of everything that can happen to watches, held against the log. */

import { expect, test } from "bun:test";
import type { Store } from "../../src/kv.ts";
import { openModel } from "../support/model-store.ts";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { temporaryLog } from "../support/temporary-log.ts";
import { Simulation, type Tally } from "./simulation.ts";

const NAME =
  "whatever happens in whatever order, every watch is ordered, unique, whole and without a hole";

test(
  `${NAME}: over the model`,
  async () => {
    const tally = await simulate(10 + rounds(3), 400, async (random, run) => {
      const store = openModel({ chunkCommitsMax: 1 + random.below(5), step: 1 + random.below(3) });
      await run(store);
    });
    expectEveryCase(tally);
  },
  RANDOM_MS_MAX,
);

test(
  `${NAME}: over the log engine`,
  async () => {
    const tally = await simulate(3 + rounds(1), 600, async (random, run) => {
      // Small segments and a short memory, so that most of the history comes from files.
      const segmentBytesMax = 2_000_000;
      const recentBytesMax = random.below(500_000);
      await using log = await temporaryLog({ segmentBytesMax, recentBytesMax });
      await run(log.store);
    });
    // How fast the disk is decides how often watches fall behind, and what becomes of them.
    expectEveryCase(tally, ["stalls", "ended", "resets", "laterResets"]);
  },
  RANDOM_MS_MAX,
);

type Run = (store: Store) => Promise<void>;

function expectEveryCase(tally: Tally, byChance: readonly (keyof Tally)[] = []): void {
  for (const name of Object.keys(tally) as (keyof Tally)[]) {
    if (byChance.includes(name)) continue;
    expect({ name, met: tally[name] > 0 }).toEqual({ name, met: true });
  }
}

/** Runs a simulation for each of some seeds, and adds up what happened in them. */
async function simulate(
  count: number,
  steps: number,
  body: (random: Random, run: Run) => Promise<void>,
): Promise<Tally> {
  const first = randomSeed();
  const tallies: Tally[] = [];
  for (let round = 0; round < count; round++) {
    await withSeed(first + round, (random) =>
      body(random, async (store) => {
        const simulation = new Simulation(store, random);
        await simulation.run(steps);
        tallies.push(simulation.tally);
      }),
    );
  }
  const total = { ...tallies[0]! };
  for (const tally of tallies.slice(1)) {
    for (const name of Object.keys(total) as (keyof Tally)[]) total[name] += tally[name];
  }
  return total;
}
