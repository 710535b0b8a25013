/**
 * Sorts many entries by their keys, without a comparison for most of them: what the keys have
 * behind their common beginning is made a number, as far as it goes, and the platform sorts those.
 */

import type { Entries } from "./entries.ts";
import { WantedKey } from "./wanted-key.ts";

/** Sorts the numbers of entries by the keys of these. */
export function sortEntries(entries: Entries, numbers: Uint32Array): void {
  sortRun(entries, numbers, 0, new WantedKey());
}

// --- internal ---

/** Entries that are sorted by comparing them. */
const RUN_MIN = 16;
/** Bytes of keys that are looked at for one number, at most. */
const WINDOW = 24;

/** Sorts entries whose keys have the same first `from` bytes. */
function sortRun(entries: Entries, run: Uint32Array, from: number, first: WantedKey): void {
  const { length } = run;
  if (length <= RUN_MIN) return sortFew(entries, run);
  entries.takeKey(run[0]!, first);
  let common = first.length;
  for (const entry of run) common = Math.min(common, entries.commonBytes(entry, first, from));

  const { lows, ranges } = alphabets(entries, run, common);
  const indexes = 2 ** Math.ceil(Math.log2(length));
  let heads = 1;
  let count = 0;
  while (count < WINDOW && heads * ranges[count]! * indexes <= 2 ** 53) heads *= ranges[count++]!;

  const sorted = new Float64Array(length);
  for (let index = 0; index < length; index++) {
    let head = 0;
    for (let at = 0; at < count; at++) {
      head = head * ranges[at]! + entries.symbol(run[index]!, common + at) - lows[at]!;
    }
    sorted[index] = head * indexes + index;
  }
  sorted.sort();
  const before = run.slice();
  for (let at = 0; at < length; at++) run[at] = before[sorted[at]! % indexes]!;
  for (let start = 0; start < length;) {
    const head = Math.floor(sorted[start]! / indexes);
    let end = start + 1;
    while (end < length && Math.floor(sorted[end]! / indexes) === head) end++;
    if (end - start > 1) sortRun(entries, run.subarray(start, end), common + count, first);
    start = end;
  }
}

/** Of each place behind the common bytes: the lowest symbol there, and how many there may be. */
function alphabets(entries: Entries, run: Uint32Array, common: number) {
  const lows = new Uint16Array(WINDOW).fill(256);
  const highs = new Uint16Array(WINDOW);
  for (const entry of run) {
    for (let at = 0; at < WINDOW; at++) {
      const symbol = entries.symbol(entry, common + at);
      if (symbol < lows[at]!) lows[at] = symbol;
      if (symbol > highs[at]!) highs[at] = symbol;
      if (symbol === 0) {
        // Nothing but ends follow.
        lows.fill(0, at + 1);
        break;
      }
    }
  }
  return { lows, ranges: highs.map((high, at) => Math.max(1, high - lows[at]! + 1)) };
}

function sortFew(entries: Entries, run: Uint32Array): void {
  for (let end = 1; end < run.length; end++) {
    const entry = run[end]!;
    let at = end;
    for (; at > 0 && entries.compareBoth(run[at - 1]!, entry) > 0; at--) run[at] = run[at - 1]!;
    run[at] = entry;
  }
}
