/**
 * Which filters want a key. Exact keys are one look-up, prefixes one for each length in use, ranges
 * a comparison each; so the work grows with what matches, not with all that watch.
 */

import { inRange } from "../keys.ts";
import type { Filter } from "./watcher.ts";

export class Matcher {
  readonly #keys = new Map<string, Filter>();
  readonly #prefixes = new Map<string, Filter>();
  /** How many prefixes have each length, in UTF-16 units. */
  readonly #lengths = new Map<number, number>();
  readonly #ranges = new Set<Filter>();

  /** Adds a filter that is not in yet. */
  add(filter: Filter): void {
    const { key } = filter.range;
    const prefix = prefixOf(filter);
    if (key !== undefined) this.#keys.set(key, filter);
    else if (prefix === undefined) this.#ranges.add(filter);
    else {
      this.#prefixes.set(prefix, filter);
      this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1);
    }
  }

  /** Removes a filter that is in. */
  remove(filter: Filter): void {
    const { key } = filter.range;
    const prefix = prefixOf(filter);
    if (key !== undefined) this.#keys.delete(key);
    else if (prefix === undefined) this.#ranges.delete(filter);
    else {
      this.#prefixes.delete(prefix);
      const left = this.#lengths.get(prefix.length)! - 1;
      if (left === 0) this.#lengths.delete(prefix.length);
      else this.#lengths.set(prefix.length, left);
    }
  }

  /** Calls `found` once for each filter that holds the key. */
  match(key: string, found: (filter: Filter) => void): void {
    const exact = this.#keys.get(key);
    if (exact !== undefined) found(exact);
    for (const length of this.#lengths.keys()) {
      if (length > key.length) continue;
      const filter = this.#prefixes.get(key.slice(0, length));
      if (filter !== undefined) found(filter);
    }
    for (const filter of this.#ranges) {
      if (inRange(filter.range, key)) found(filter);
    }
  }
}

// --- internal ---

/** The prefix of a filter; every key is the empty one. */
function prefixOf({ range }: Filter): string | undefined {
  if (range.prefix !== undefined) return range.prefix;
  const everyKey = range.key === undefined && !range.start && range.end === undefined;
  return everyKey ? "" : undefined;
}
