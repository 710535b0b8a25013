/** A read of many entries at one revision that goes on in slices of time. */

import type { Limits } from "../limits.ts";
import type { KeyIndex } from "./key-index.ts";
import type { Reader } from "./reader.ts";

/** What a read is made from, and of when. */
export interface SlicedReadOptions {
  readonly index: KeyIndex;
  readonly reader: Reader;
  readonly limits: Limits;
  readonly revision: number;
  /** Keys whose deadline is at or before it are overdue; 0 where the clock does not count. */
  readonly now: number;
}

/**
 * `slow`: there is more to look at. `overdue`: it met keys that nobody may see any more, which have
 * to expire before it is begun anew.
 */
export type ReadState = "whole" | "slow" | "overdue";

export interface SlicedRead<Result> {
  readonly revision: number;
  /** The time by which keys are overdue, in milliseconds since 1970; 0 where it does not count. */
  readonly now: number;
  /** The overdue keys that were met, the first `EXPIRE_EVENTS_MAX` of them. */
  readonly overdue: readonly string[];
  /** Reads for a slice of time. */
  run(): ReadState;
  /** Lets others have their turn; `run` goes on where it was. */
  pause(): Promise<void>;
  /** Once it is `whole`. */
  result(): Result;
}
