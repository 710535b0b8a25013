/** Both checkers on random histories: right ones pass, and one error in them is found. */

import { expect, test } from "bun:test";
import { random, randomSeed, withSeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import type { History, Violation } from "./history.ts";
import { checkLinearizability } from "./linearizability.ts";
import {
  duplicateRevision,
  futureRead,
  lostUpdate,
  lostWrite,
  staleRead,
  tornTransaction,
  wrongCondition,
  type Plant,
} from "./planted.ts";
import { checkRevisionOrder } from "./revision-order.ts";
import { simulate } from "./simulated-store.ts";

type Checker = (history: History) => Violation[];

test.each([
  ["when every answer came", 0],
  ["with one unknown outcome in 100", 100],
  ["with one unknown outcome in 10", 10],
])(
  "a right history is right %s",
  async (_, unknownOneIn) => {
    for (let round = 0; round < rounds(20); round++) {
      await withSeed(randomSeed() + round, (random) => {
        const clients = 1 + random.below(16);
        const history = simulate(random, { operations: 300, clients, unknownOneIn });
        expect(checkRevisionOrder(history)).toEqual([]);
        expect(checkLinearizability(history)).toEqual([]);
      });
    }
  },
  RANDOM_MS_MAX,
);

test(
  "where every answer came and nothing expires, no watch is needed",
  async () => {
    for (let round = 0; round < rounds(10); round++) {
      await withSeed(randomSeed() + round, (random) => {
        const whole = simulate(random, { operations: 300, ttlMsMax: 1_000_000_000 });
        const { operations } = whole;
        expect(checkRevisionOrder({ operations })).toEqual([]);
        const stale = staleRead(whole, random)!;
        expect(checkRevisionOrder({ operations: stale.operations })).not.toEqual([]);
      });
    }
  },
  RANDOM_MS_MAX,
);

test(
  "a long history takes seconds, not minutes",
  () => {
    const operations = rounds(4_000);
    const history = simulate(random(1), { operations, clients: 16, unknownOneIn: 5_000 });
    const began = performance.now();
    expect(checkRevisionOrder(history)).toEqual([]);
    expect(checkLinearizability(history)).toEqual([]);
    // A tenth of it on a machine that does nothing else.
    expect(performance.now() - began).toBeLessThan(operations / 2);
  },
  RANDOM_MS_MAX,
);

test.each<[string, Plant, Checker[]]>([
  ["a stale read", staleRead, [checkRevisionOrder, checkLinearizability]],
  ["a future read", futureRead, [checkRevisionOrder, checkLinearizability]],
  ["a lost update", lostUpdate, [checkRevisionOrder, checkLinearizability]],
  ["a wrong condition", wrongCondition, [checkRevisionOrder, checkLinearizability]],
  ["a lost write", lostWrite, [checkRevisionOrder]],
  ["a duplicate revision", duplicateRevision, [checkRevisionOrder]],
  ["a torn transaction", tornTransaction, [checkRevisionOrder]],
])(
  "%s is found wherever it is",
  async (_, plant, checkers) => {
    let planted = 0;
    for (let round = 0; round < rounds(20); round++) {
      await withSeed(randomSeed() + round, (random) => {
        const history = plant(simulate(random, { operations: 300 }), random);
        if (history === undefined) return;
        planted++;
        for (const check of checkers) expect(check(history)).not.toEqual([]);
      });
    }
    expect(planted).toBeGreaterThan(rounds(5));
  },
  RANDOM_MS_MAX,
);
