/** The keys of a run, and watches of them at random. */

import type { Range } from "../../src/keys.ts";
import type { Random } from "../support/random.ts";
import type { WatchFilter } from "./record.ts";

/** Every key that is written. Those under `t/` have short lives. */
export const KEYS: readonly string[] = [
  "a",
  "a/1",
  "a/2",
  "a/3",
  "b",
  "b/1",
  "b/2",
  "t/1",
  "t/2",
  "t/3",
  "t/4",
  "ä",
  "\uE000",
  "𝄞",
];

/** More than a page of a state begins with; written now and then. */
export const MANY: readonly string[] = Array.from({ length: 100 }, (_, at) => `many/${at}`);

/** Nothing is ever written here. */
export const SILENT: Range = { prefix: "silent/" };

export function randomFilter(random: Random): WatchFilter {
  const ranges = randomRanges(random);
  return {
    ranges: ranges.length === 1 && random.oneIn(2) ? ranges[0]! : ranges,
    prev: random.oneIn(3),
    keys: random.oneIn(4),
    latest: random.oneIn(4),
  };
}

// --- internal ---

const RANGES: readonly Range[] = [
  {},
  {},
  { prefix: "" },
  { prefix: "a" },
  { prefix: "a/" },
  { prefix: "t/" },
  { prefix: "ä" },
  { prefix: "many/" },
  { start: "a/2", end: "ä" },
  { start: "b" },
  { end: "a/3" },
  { start: "ä", end: "𝄞" },
  SILENT,
];

function randomRanges(random: Random): Range[] {
  if (random.oneIn(4)) return [{ key: random.pick(KEYS) }];
  if (random.below(3) > 0) return [random.pick(RANGES)];
  return Array.from({ length: 2 + random.below(4) }, () => {
    const key = random.pick(KEYS);
    return random.oneIn(2) ? { key } : { prefix: random.pick([key, key.slice(0, 2)]) };
  });
}
