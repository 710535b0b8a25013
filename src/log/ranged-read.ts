/**
 * One attempt to list a range at a revision, in slices. Keys that it finds overdue, which nobody
 * may see, make it begin anew once they have expired.
 */

import type { ListedEntry, ListOptions, ListResult, Range } from "../kv.ts";
import { EXPIRE_EVENTS_MAX } from "../limits.ts";
import { Slice } from "../slice.ts";
import { EntriesAhead } from "./entries-ahead.ts";
import { LATER, Listing } from "./listing.ts";
import { PastSearch } from "./past-search.ts";
import type { ReadState, SlicedRead, SlicedReadOptions } from "./sliced-read.ts";

export class RangedRead implements SlicedRead<ListResult> {
  readonly revision: number;
  readonly now: number;
  readonly overdue: string[] = [];
  readonly #options: SlicedReadOptions;
  readonly #listing: Listing;
  readonly #source: EntriesAhead;
  readonly #slice = new Slice();
  /** An entry of the past that takes long to find, and what was found for its key. */
  #search: PastSearch | undefined;
  #past: { readonly key: string; readonly entry: ListedEntry | undefined } | undefined;

  constructor(range: Range, shape: ListOptions, options: SlicedReadOptions) {
    this.revision = options.revision;
    this.now = options.now;
    this.#options = options;
    this.#source = new EntriesAhead(options.index);
    this.#listing = new Listing(this.#source, range, shape, options.limits);
  }

  run(): ReadState {
    const whole = this.#listing.gather(
      (key, keys) => this.#read(key, keys),
      () => this.#isFullOfOverdue() || this.#slice.isOver(),
    );
    if (this.overdue.length > 0 && (whole || this.#isFullOfOverdue())) return "overdue";
    return whole ? "whole" : "slow";
  }

  async pause(): Promise<void> {
    if (this.#search !== undefined) {
      const { key } = this.#search;
      this.#past = { key, entry: await this.#options.reader.complete(this.#search) };
      this.#search = undefined;
    }
    await this.#slice.next();
    this.#listing.resume();
  }

  result(): ListResult {
    return { revision: this.revision, ...this.#listing.page() };
  }

  #read(key: string, keys: boolean): ListedEntry | undefined | typeof LATER {
    const { reader, revision, now } = this.#options;
    if (this.#past?.key === key) return withOrWithout(this.#past.entry, keys);
    const entry = reader.entry(key, this.#source.entry, revision, { keys, ahead: this.#source });
    if (entry instanceof PastSearch) {
      this.#search = entry;
      return LATER;
    }
    if (entry?.expiresAt === undefined || entry.expiresAt > now) return entry;
    this.overdue.push(key);
    return undefined;
  }

  #isFullOfOverdue(): boolean {
    return this.overdue.length >= EXPIRE_EVENTS_MAX;
  }
}

// --- internal ---

function withOrWithout(entry: ListedEntry | undefined, keys: boolean): ListedEntry | undefined {
  if (entry === undefined || !keys) return entry;
  const { value: _, ...info } = entry;
  return info;
}
