/** The checker says nothing of streams that are right. */

import { expect, test } from "bun:test";
import { randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { checkWatchers } from "./checker.ts";
import { simulateWatcher } from "./simulated-watcher.ts";
import { SimulatedWorld } from "./simulated-world.ts";

test(
  "watchers that a right server serves are right, however they come and go",
  async () => {
    const met = new Set<string>();
    for (let round = 0; round < rounds(20); round++) {
      await withSeed(randomSeed() + round, (random) => {
        const world = new SimulatedWorld(random);
        const records = Array.from({ length: 20 }, (_, at) =>
          simulateWatcher(world, random, `w${at}`),
        );
        expect(checkWatchers(records, world.truth, { silenceMsMax: 250 })).toEqual([]);
        for (const { sessions } of records) {
          for (const { arrivals, refusal, reaches } of sessions) {
            if (refusal !== undefined) met.add(refusal.code);
            if (reaches !== undefined) met.add("the end");
            for (const { frame } of arrivals) {
              met.add(frame.type);
              if (frame.type === "change" && frame.more) met.add("parts");
              if (frame.type === "change" && frame.skipped) met.add("skipped");
            }
          }
        }
      });
    }
    const frames = ["created", "reset", "state", "sync", "change", "progress", "end"];
    const others = ["parts", "skipped", "compacted", "invalid_argument", "the end"];
    expect([...met].toSorted()).toEqual([...frames, ...others].toSorted());
  },
  RANDOM_MS_MAX,
);
