/**
 * One attempt to hand the entries of a range, at a revision, to a sink; in slices. As a ranged read
 * does, it begins anew where it meets keys that are overdue, once they have expired.
 */

import { type EntrySink, giveEntry } from "../entry-sink.ts";
import { compareKeys, inRange, keyBehind, rangeEnd, rangeStart } from "../keys.ts";
import type { ListedEntry, Range, ScanOptions, ScanResult } from "../kv.ts";
import { EXPIRE_EVENTS_MAX, LIMITS } from "../limits.ts";
import { Slice } from "../slice.ts";
import { EntriesAhead } from "./entries-ahead.ts";
import { NO_ENTRY, type KeyIndex } from "./key-index.ts";
import { PastSearch } from "./past-search.ts";
import { listed, type Reader } from "./reader.ts";
import type { ReadState, SlicedRead, SlicedReadOptions } from "./sliced-read.ts";

export class ScanRead implements SlicedRead<ScanResult> {
  readonly revision: number;
  readonly now: number;
  readonly overdue: string[] = [];
  readonly #index: KeyIndex;
  readonly #reader: Reader;
  readonly #sink: EntrySink;
  readonly #range: Range;
  readonly #keysOnly: boolean;
  readonly #reverse: boolean;
  readonly #ahead: EntriesAhead;
  readonly #slice = new Slice();
  readonly #key = new Uint8Array(LIMITS.keyBytesMax);
  /** What the keys have to be behind. */
  #after: string | undefined;
  /** Entries that are still wanted. */
  #left: number;
  /** An entry of the past that takes long to find. */
  #search: PastSearch | undefined;
  #isWhole = false;

  constructor(
    range: Range,
    { limit = Number.POSITIVE_INFINITY, after, keys = false, reverse = false }: ScanOptions,
    sink: EntrySink,
    { index, reader, revision, now }: SlicedReadOptions,
  ) {
    this.revision = revision;
    this.now = now;
    this.#index = index;
    this.#reader = reader;
    this.#sink = sink;
    this.#range = range;
    this.#keysOnly = keys;
    this.#reverse = reverse;
    this.#left = limit;
    this.#ahead = new EntriesAhead(index, (key) => inRange(range, key));
    this.#begin(after);
  }

  run(): ReadState {
    for (;;) {
      const isFull = this.#left === 0 || this.#sink.isFull || this.#isFullOfOverdue();
      const entry = isFull ? NO_ENTRY : this.#ahead.nextEntry();
      if (entry === NO_ENTRY) {
        this.#isWhole = !isFull;
        return this.overdue.length > 0 ? "overdue" : "whole";
      }
      this.#give(entry);
      if (this.#search !== undefined || this.#slice.isOver()) return "slow";
    }
  }

  async pause(): Promise<void> {
    const last = this.#last;
    if (this.#search !== undefined) {
      const found = await this.#reader.complete(this.#search);
      this.#search = undefined;
      if (found !== undefined) this.#giveMade(found);
    }
    await this.#slice.next();
    this.#begin(last);
  }

  result(): ScanResult {
    return { revision: this.revision, ...(this.#isWhole ? undefined : { next: this.#last }) };
  }

  /** The key that was looked at last; `after` before the first. */
  get #last(): string {
    return this.#ahead.at < 0 ? this.#after! : this.#index.key(this.#ahead.entry);
  }

  #isFullOfOverdue(): boolean {
    return this.overdue.length >= EXPIRE_EVENTS_MAX;
  }

  #begin(after: string | undefined): void {
    this.#after = after;
    const start = rangeStart(this.#range);
    const end = rangeEnd(this.#range);
    if (this.#reverse) {
      const isBelow = after !== undefined && (end === undefined || compareKeys(after, end) < 0);
      this.#ahead.down(isBelow ? after : end);
    } else {
      const from = after === undefined ? start : keyBehind(after);
      this.#ahead.up(compareKeys(start, from) < 0 ? from : start);
    }
  }

  #give(entry: number): void {
    const index = this.#index;
    const revision = index.revision(entry);
    if (revision > this.revision) return this.#givePast(entry);
    const version = index.version(entry);
    if (version === 0) return;
    const deadline = index.deadline(entry);
    if (deadline !== 0 && deadline <= this.now) return void this.overdue.push(this.#last);
    const type = index.contentType(entry);
    const created = index.createRevision(entry);
    const key = this.#key;
    const keyEnd = index.copyKey(entry, key, 0);
    this.#left--;
    if (this.#keysOnly) {
      return this.#sink.entry(key, keyEnd, type, revision, created, version, deadline);
    }
    const reader = this.#reader;
    reader.seekAhead(this.#ahead);
    const { bytes, start, end } = reader;
    this.#sink.entry(key, keyEnd, type, revision, created, version, deadline, bytes, start, end);
  }

  #givePast(entry: number): void {
    const options = { keys: this.#keysOnly };
    const found = this.#reader.entry(this.#last, entry, this.revision, options);
    if (found instanceof PastSearch) this.#search = found;
    else if (found !== undefined) this.#giveMade(found);
  }

  #giveMade(found: ListedEntry): void {
    if (found.expiresAt !== undefined && found.expiresAt <= this.now) {
      return void this.overdue.push(found.key);
    }
    this.#left--;
    giveEntry(this.#sink, listed(found, this.#keysOnly));
  }
}
