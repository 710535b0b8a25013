/**
 * Gathers a page of a range: walks the keys in order, either way, and folds those with a delimiter
 * into folders. Knows neither where keys come from nor what an entry is.
 */

import {
  compareKeys,
  folderOf,
  inRange,
  keyBehind,
  prefixEnd,
  rangeEnd,
  rangeStart,
} from "../keys.ts";
import type { ListedEntry, ListOptions, Page, Range } from "../kv.ts";
import { PAGE_ENTRIES_DEFAULT, type Limits } from "../limits.ts";

/** Keys in order, some of which may have no entry. */
export interface KeySource {
  /** Keys at or above `start`, upwards. */
  up(start: string): Iterator<string>;
  /** Keys below `end` (all, when it is left out), downwards. */
  down(end: string | undefined): Iterator<string>;
}

/** An entry cannot be told yet: the listing stops before its key. */
export const LATER = Symbol("later");

/** The entry of a key; without its value when only `keys` are wanted. */
export type ReadEntry = (key: string, keys: boolean) => ListedEntry | undefined | typeof LATER;

export class Listing {
  readonly #source: KeySource;
  readonly #range: Range;
  readonly #options: ListOptions;
  readonly #limit: number;
  readonly #pageBytesMax: number;
  #keys: Iterator<string>;
  readonly #entries: ListedEntry[] = [];
  readonly #folders: string[] = [];
  #count = 0;
  #bytes = 0;
  #more = false;
  /** The last key or folder of the page. */
  #last: string | undefined;
  /** The last key that was looked at, and the folder that was taken for it. */
  #seen: string | undefined;
  #seenFolder: string | undefined;

  constructor(source: KeySource, range: Range, options: ListOptions, limits: Limits) {
    this.#source = source;
    this.#range = range;
    this.#options = options;
    this.#limit = options.limit ?? PAGE_ENTRIES_DEFAULT;
    this.#pageBytesMax = limits.pageBytesMax;
    this.#keys = this.#begin();
  }

  /** Bytes of values on the page. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Looks at keys until the page is whole, and answers true then; false when `stop`, which is asked
   * after each key, says so before, or an entry comes later. `resume` goes on then.
   */
  gather(read: ReadEntry, stop: () => boolean): boolean {
    const { count, keys = false, delimiter } = this.#options;
    for (;;) {
      const key = this.#nextKey();
      if (key === undefined) return true;
      const full = count !== true && this.#isFull();
      const folder = delimiter === undefined ? undefined : folderOf(this.#range, delimiter, key);
      const entry = read(key, keys || full || count === true || folder !== undefined);
      if (entry === LATER) return false;
      this.#seen = key;
      this.#seenFolder = undefined;
      if (entry !== undefined) {
        this.#more = full;
        if (full) return true;
        if (count === true) this.#count++;
        else this.#take(entry, folder);
      }
      if (stop()) return false;
    }
  }

  /** Finds its place again after the keys have changed. */
  resume(): void {
    if (this.#seenFolder !== undefined) this.#keys = this.#behindFolder(this.#seenFolder);
    else if (this.#seen !== undefined) this.#keys = this.#behind(this.#seen);
    else this.#keys = this.#begin();
  }

  page(): Page & { readonly next?: string } {
    const { count, delimiter } = this.#options;
    return {
      entries: this.#entries,
      ...(delimiter === undefined ? undefined : { folders: this.#folders }),
      ...(count === true ? { count: this.#count } : undefined),
      more: this.#more,
      ...(this.#more ? { next: this.#last! } : undefined),
    };
  }

  #isFull(): boolean {
    const size = this.#entries.length + this.#folders.length;
    return size === this.#limit || this.#bytes > this.#pageBytesMax;
  }

  #take(entry: ListedEntry, folder: string | undefined): void {
    if (folder === undefined) {
      this.#entries.push(entry);
      this.#bytes += entry.value?.length ?? 0;
      this.#last = entry.key;
      return;
    }
    this.#folders.push(folder);
    this.#last = folder;
    this.#seenFolder = folder;
    this.#keys = this.#behindFolder(folder);
  }

  #nextKey(): string | undefined {
    const { done, value: key } = this.#keys.next();
    if (done === true || !inRange(this.#range, key)) return undefined;
    return key;
  }

  #begin(): Iterator<string> {
    const { after, reverse, delimiter } = this.#options;
    const start = rangeStart(this.#range);
    const end = rangeEnd(this.#range);
    if (after === undefined)
      return reverse === true ? this.#source.down(end) : this.#source.up(start);
    const folder = delimiter === undefined ? undefined : folderOf(this.#range, delimiter, after);
    if (reverse === true) {
      // A folder lies where its name does: before what is in it.
      const below = folder === undefined || folder === after ? after : prefixEnd(folder);
      return this.#source.down(below !== undefined && isBelow(below, end) ? below : end);
    }
    const from = folder === undefined ? keyBehind(after) : prefixEnd(folder);
    if (from === undefined) return NONE;
    // A folder may begin below its range, and `after` be any text.
    return this.#source.up(isBelow(start, from) ? from : start);
  }

  #behind(key: string): Iterator<string> {
    return this.#options.reverse === true
      ? this.#source.down(key)
      : this.#source.up(keyBehind(key));
  }

  #behindFolder(folder: string): Iterator<string> {
    if (this.#options.reverse === true) return this.#source.down(folder);
    const end = prefixEnd(folder);
    return end === undefined ? NONE : this.#source.up(end);
  }
}

// --- internal ---

const NONE: Iterator<string> = { next: () => ({ done: true, value: undefined }) };

function isBelow(key: string, end: string | undefined): boolean {
  return end === undefined || compareKeys(key, end) < 0;
}
