/** Watchers that come, go and stall, of a server that is killed: each has all six guarantees. */

import { expect, test } from "bun:test";
import { random, randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { shuffled } from "./alter.ts";
import { checkWatcher } from "./checker.ts";
import { whatWasMet } from "./met.ts";
import { PLANTED_CHANGES } from "./planted-changes.ts";
import { PLANTED_FRAMES } from "./planted-frames.ts";
import { runWatchers, type RunReport } from "./run.ts";

const DISCONNECTS = rounds(80);

/** What a run meets that is long enough. */
const MET_BY_LONG_RUNS = [
  "a watch by ws",
  "a watch by sse",
  "a watch by ndjson",
  "a resumed watch",
  "a resumed event source",
  "a refusal: compacted",
  "a refusal: invalid_argument",
  "a stall",
  "a frame created",
  "a frame state",
  "a frame sync",
  "a frame change",
  "a frame progress",
  "a frame reset",
  "an end: shutdown",
  "an end: compacted",
  "a reset of a running watch",
  "a commit in parts",
  "skipped events",
  "a watch by sdk",
];

test(
  `${DISCONNECTS} broken connections lose, repeat and tear nothing`,
  async () => {
    await withSeed(randomSeed(), async ({ seed }) => {
      const report = await runWatchers({ seed, disconnects: DISCONNECTS });
      expect(report.violations).toEqual([]);
      expect(report.disconnects).toBeGreaterThanOrEqual(DISCONNECTS);
      if (DISCONNECTS >= 2_000) {
        expect([...whatWasMet(report.records).keys()]).toEqual(
          expect.arrayContaining(MET_BY_LONG_RUNS),
        );
      }
      expectPlantedFound(report, random(seed));
    });
  },
  RANDOM_MS_MAX,
);

test(
  "silent watchers are told how far they are, whatever else happens",
  async () => {
    await withSeed(randomSeed(), async ({ seed }) => {
      const disconnects = rounds(30);
      const { violations } = await runWatchers({ seed, disconnects, progressMs: 20 });
      expect(violations).toEqual([]);
    });
  },
  RANDOM_MS_MAX,
);

/** Each error that has a place in what was recorded is found there. */
function expectPlantedFound({ records, truth }: RunReport, numbers: Random): void {
  let found = 0;
  for (const [name, rules, plant] of [...PLANTED_CHANGES, ...PLANTED_FRAMES]) {
    for (const record of shuffled(records, numbers)) {
      const altered = plant(record, truth, numbers);
      if (altered === undefined) continue;
      const violation = checkWatcher(altered, truth, { silenceMsMax: 30_000 });
      expect([name, violation, rules]).toEqual([name, expect.anything(), rules]);
      expect([name, violation, rules.includes(violation!.rule)]).toEqual([name, violation, true]);
      found++;
      break;
    }
  }
  expect(found).toBeGreaterThan(20);
}
