/** Random interleavings of everything that can happen to watches, held against the log. */

import { expect, test } from "bun:test";
import { openModel } from "../support/model-store.ts";
import { randomSeed, withSeed } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";
import { Simulation, type Tally } from "./simulation.ts";

test("whatever happens in whatever order, every watch is ordered, unique, whole and without a hole", async () => {
  const tally: Partial<Tally> = {};
  const first = randomSeed();
  for (let round = 0; round < rounds(20); round++) {
    await withSeed(first + round, async (random) => {
      const store = openModel({ chunkCommitsMax: 1 + random.below(5), step: 1 + random.below(3) });
      const simulation = new Simulation(store, random, (revision) => store.compact(revision));
      await simulation.run(400);
      for (const [name, count] of Object.entries(simulation.tally)) {
        const key = name as keyof Tally;
        tally[key] = (tally[key] ?? 0) + count;
      }
    });
  }
  // The rounds have met every case.
  for (const [name, count] of Object.entries(tally))
    expect({ name, count }).not.toEqual({ name, count: 0 });
}, 60_000);
