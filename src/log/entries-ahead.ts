/**
 * The keys of the index in order for one listing, by the numbers of their entries: so that no key
 * is looked up again, and that those that come next are known before they are asked for.
 */

import { type KeyIndex, NO_ENTRY } from "./key-index.ts";
import type { EntryScan } from "./key-order.ts";
import type { KeySource } from "./listing.ts";

/** Entries in the order of a listing, from the one that it looks at on. */
export interface Ahead {
  readonly entries: Uint32Array;
  /** The one that it looks at. */
  readonly at: number;
  readonly end: number;
}

/** Both ways are gone in turns: one iterator, that of the call that came last, is of use. */
export class EntriesAhead implements KeySource, Ahead, Iterator<string> {
  readonly #index: KeyIndex;
  readonly #isIn: ((key: string) => boolean) | undefined;
  #scan: EntryScan | undefined;
  /** As many as are taken from the scan at once; few at first, for most ranges are small. */
  #batch = BATCH_MIN;
  #entries = new Uint32Array(BATCH_MIN);
  #at = -1;
  #end = 0;
  readonly #result: IteratorYieldResult<string> = { done: false, value: "" };

  /** `isIn`: keys behind the first that is not in it are left out, as is this one. */
  constructor(index: KeyIndex, isIn?: (key: string) => boolean) {
    this.#index = index;
    this.#isIn = isIn;
  }

  get entries(): Uint32Array {
    return this.#entries;
  }

  get at(): number {
    return this.#at;
  }

  get end(): number {
    return this.#end;
  }

  /** The entry of the key that was answered last. */
  get entry(): number {
    return this.#entries[this.#at]!;
  }

  up(start: string): Iterator<string> {
    return this.#begin(this.#index.scanUp(start));
  }

  down(end: string | undefined): Iterator<string> {
    return this.#begin(this.#index.scanDown(end));
  }

  /** The next entry; `NO_ENTRY` behind the last one, when there is no `entry` any more. */
  nextEntry(): number {
    if (++this.#at === this.#end && !this.#fill()) return NO_ENTRY;
    return this.entry;
  }

  /** The next key; the result is good until the one after it. */
  next(): IteratorResult<string> {
    if (this.nextEntry() === NO_ENTRY) return DONE;
    this.#result.value = this.#index.key(this.entry);
    return this.#result;
  }

  #begin(scan: EntryScan): Iterator<string> {
    this.#scan = scan;
    this.#at = -1;
    this.#end = 0;
    return this;
  }

  #fill(): boolean {
    const scan = this.#scan!;
    if (this.#entries.length < this.#batch) this.#entries = new Uint32Array(this.#batch);
    this.#batch = Math.min(2 * this.#batch, BATCH_MAX);
    let end = 0;
    for (; end < this.#entries.length; end++) {
      const entry = scan.next();
      if (entry < 0) break;
      this.#entries[end] = entry;
    }
    this.#at = 0;
    this.#end = this.#cut(end);
    return this.#end > 0;
  }

  /** How many of the first `count` entries are in, before the first that is not. */
  #cut(count: number): number {
    const isIn = this.#isIn;
    const isEntryIn = (at: number): boolean => isIn!(this.#index.key(this.#entries[at]!));
    if (isIn === undefined || count === 0 || isEntryIn(count - 1)) return count;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isEntryIn(middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

// --- internal ---

const BATCH_MIN = 16;
const BATCH_MAX = 1_024;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };
