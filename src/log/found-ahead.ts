/**
 * The entries of the keys of operations that come next, found for all at once: what the searches
 * read of memory is read ahead of them. Of use until the index changes.
 */

import type { KeyIndex } from "./key-index.ts";
import type { Many } from "../many.ts";

export class FoundAhead {
  /** Those found last, the first one's first; `NO_ENTRY` where a key is not in the index. */
  readonly entries = new Int32Array(FOUND_AHEAD_MAX);
  #from = 0;

  /** Finds those of operations from number `from` on, up to `to` at most; answers up to where. */
  find(index: KeyIndex, operations: Many, from: number, to: number): number {
    const { bytes, keyStarts, keyEnds } = operations;
    const end = Math.min(to, from + FOUND_AHEAD_MAX);
    index.findMany(bytes, keyStarts, keyEnds, from, end, this.entries);
    this.#from = from;
    return end;
  }

  /** The entry of an operation that was looked for last. */
  of(at: number): number {
    return this.entries[at - this.#from]!;
  }
}

/** Entries that are found at once at most: what is read ahead of them has to stay near. */
export const FOUND_AHEAD_MAX = 128;
