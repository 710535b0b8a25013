/**
 * Reads of the state, now or at a revision that can be read. Keys that are overdue, which nobody
 * may see, expire first; what takes long goes on in slices.
 */

import { checkKey, checkRange } from "../keys.ts";
import type {
  CommitResult,
  Entry,
  GetResult,
  ListOptions,
  ListResult,
  MaybePromise,
  Operation,
  Range,
  Txn,
} from "../kv.ts";
import { EXPIRE_EVENTS_MAX, type Limits } from "../limits.ts";
import { checkList } from "../rules.ts";
import type { Horizon } from "./horizon.ts";
import type { KeyIndex, Newest } from "./key-index.ts";
import { PastSearch } from "./past-search.ts";
import { RangedRead } from "./ranged-read.ts";
import type { Reader } from "./reader.ts";

export interface StateReadsOptions {
  readonly index: KeyIndex;
  readonly reader: Reader;
  readonly horizon: Horizon;
  readonly limits: Limits;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Throws once the store is closed; asked after each pause. */
  readonly checkOpen: () => void;
  /** Runs a transaction, which lets overdue keys that it meets expire first. */
  readonly commit: (txn: Txn) => Promise<CommitResult>;
  /** Resolves when every key that was due at a time has expired. */
  readonly settled: (asOf: number) => Promise<void>;
}

export class StateReads {
  readonly #options: StateReadsOptions;

  constructor(options: StateReadsOptions) {
    this.#options = options;
  }

  get(key: string, revision: number | undefined): MaybePromise<GetResult> {
    checkKey(key);
    const { horizon, index, reader } = this.#options;
    const at = horizon.readable(revision);
    const newest = index.get(key);
    if (revision === undefined && this.isOverdue(newest)) return this.getOverdue(key);
    // With its value, which nothing but a wish for keys alone leaves out.
    const found = reader.entry(key, newest, at);
    if (found instanceof PastSearch) return this.#getSlowly(found, at);
    const entry = found as Entry | undefined;
    return entry === undefined ? { revision: at } : { revision: at, entry };
  }

  list(range: Range, options: ListOptions): MaybePromise<ListResult> {
    checkRange(range);
    checkList(options, this.#options.limits);
    // Reads at a revision never look at the clock.
    const now = options.revision === undefined ? this.#options.clock() : 0;
    const read = this.#rangedRead(range, options, now);
    const state = read.run();
    return state === "whole" ? read.result() : this.#listOn(read, state, range, options);
  }

  isOverdue(newest: Newest | undefined): boolean {
    const deadline = newest?.deadline ?? 0;
    return deadline !== 0 && deadline <= this.#options.clock();
  }

  /** A transaction that reads the key lets it expire first. */
  async getOverdue(key: string): Promise<GetResult> {
    const { revision, results } = await this.#options.commit({
      checks: [],
      then: [{ op: "get", key }],
    });
    const [result] = results;
    const entry = result?.op === "get" ? (result.entry as Entry | undefined) : undefined;
    return entry === undefined ? { revision } : { revision, entry };
  }

  async #getSlowly(search: PastSearch, revision: number): Promise<GetResult> {
    const entry = await this.#options.reader.complete(search);
    this.#options.checkOpen();
    this.#options.horizon.readable(revision);
    return entry === undefined ? { revision } : { revision, entry };
  }

  #rangedRead(range: Range, options: ListOptions, now: number): RangedRead {
    const { index, reader, limits, horizon } = this.#options;
    const revision = horizon.readable(options.revision);
    return new RangedRead(range, options, { index, reader, limits, revision, now });
  }

  /**
   * Goes on with a listing that took long, or begins it anew when it met an overdue key. What falls
   * due meanwhile does not count.
   */
  async #listOn(
    read: RangedRead,
    state: "slow" | "overdue",
    range: Range,
    options: ListOptions,
  ): Promise<ListResult> {
    if (state === "slow") await read.pause();
    else await this.#expire(read.overdue, read.now);
    this.#options.checkOpen();
    const isGone = state === "overdue" || read.revision < this.#options.horizon.oldest;
    // By a clock that was set back, they are not overdue any more.
    const now = Math.min(read.now, this.#options.clock());
    const next = isGone ? this.#rangedRead(range, options, now) : read;
    const after = next.run();
    return after === "whole" ? next.result() : await this.#listOn(next, after, range, options);
  }

  /** Lets overdue keys expire: by a transaction that reads them, or with all that were due then. */
  async #expire(keys: readonly string[], now: number): Promise<void> {
    if (keys.length >= EXPIRE_EVENTS_MAX) return await this.#options.settled(now);
    const gets = keys.map((key): Operation => ({ op: "get", key, keys: true }));
    await this.#options.commit({ checks: [], then: gets });
  }
}
