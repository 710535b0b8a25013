/**
 * Which filters want a key. Keys and prefixes are in one tree, ranges in another, so that the work
 * grows with the filters that match and not with all that are watched.
 */

import { rangeStart } from "../keys.ts";
import type { Range } from "../kv.ts";
import { IntervalTree } from "./interval-tree.ts";
import { PrefixTree } from "./prefix-tree.ts";

/** What is matched of a filter: ranges of which no two overlap. */
export interface Matchable {
  readonly ranges: readonly Range[];
}

export class Matcher<F extends Matchable> {
  readonly #texts = new PrefixTree<F>();
  readonly #intervals = new IntervalTree<F>();

  /** Adds a filter that is not in yet. */
  add(filter: F): void {
    for (const range of filter.ranges) {
      const { key, prefix } = range;
      if (key !== undefined) this.#texts.add("key", key, filter);
      else if (prefix !== undefined) this.#texts.add("prefix", prefix, filter);
      else this.#intervals.add(intervalOf(range), filter);
    }
  }

  /** Removes a filter that is in. */
  remove(filter: F): void {
    for (const range of filter.ranges) {
      const { key, prefix } = range;
      if (key !== undefined) this.#texts.remove("key", key, filter);
      else if (prefix !== undefined) this.#texts.remove("prefix", prefix, filter);
      else this.#intervals.remove(intervalOf(range), filter);
    }
  }

  /**
   * Calls `found` once for each filter that holds the key. Answers how many nodes of the trees it
   * looked at.
   */
  match(key: string, found: (filter: F) => void): number {
    return this.#texts.match(key, found) + this.#intervals.match(key, found);
  }
}

// --- internal ---

function intervalOf(range: Range) {
  return { start: rangeStart(range), end: range.end };
}
