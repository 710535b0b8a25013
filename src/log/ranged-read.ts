/**
 * One attempt to list a range at a revision: in slices, and given up when it meets a key that is
 * overdue, which nobody may see.
 */

import type { ListOptions, ListResult, Range } from "../kv.ts";
import type { Limits } from "../limits.ts";
import type { KeyIndex } from "./key-index.ts";
import { Listing } from "./listing.ts";
import type { Reader } from "./reader.ts";
import { Slice } from "./slice.ts";

export interface RangedReadOptions {
  readonly index: KeyIndex;
  readonly reader: Reader;
  readonly limits: Limits;
  readonly revision: number;
  /** Keys whose deadline is at or before it are overdue; 0 where the clock does not count. */
  readonly now: number;
}

export class RangedRead {
  readonly revision: number;
  readonly now: number;
  readonly #options: RangedReadOptions;
  readonly #listing: Listing;
  readonly #slice = new Slice();
  #overdue = false;

  constructor(range: Range, shape: ListOptions, options: RangedReadOptions) {
    this.revision = options.revision;
    this.now = options.now;
    this.#options = options;
    this.#listing = new Listing(options.index, range, shape, options.limits);
  }

  /** Reads for a slice of time: `slow` when there is more to look at. */
  run(): "whole" | "slow" | "overdue" {
    const { index, reader, revision, now } = this.#options;
    const whole = this.#listing.gather(
      (key, keys) => {
        const entry = reader.entry(key, index.get(key), revision, { keys, scan: true });
        if (entry?.expiresAt !== undefined && entry.expiresAt <= now) this.#overdue = true;
        return entry;
      },
      () => this.#overdue || this.#slice.isOver(),
    );
    if (this.#overdue) return "overdue";
    return whole ? "whole" : "slow";
  }

  /** Lets others have their turn; `run` goes on where it was. */
  async pause(): Promise<void> {
    await this.#slice.next();
    this.#listing.resume();
  }

  result(): ListResult {
    return { revision: this.revision, ...this.#listing.page() };
  }
}
