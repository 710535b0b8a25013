/** With what a store of the log engine is opened. */

import type { Durability } from "../durability.ts";
import type { KvError } from "../errors.ts";
import type { Limits } from "../limits.ts";
import type { Disk } from "./disk.ts";
import type { Timer } from "./expiry.ts";

export interface LogOptions {
  /** The data directory; made when it is not there. */
  readonly directory: string;
  /** Where the files are, in place of `directory`. */
  readonly disk?: Disk;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** Wakes the engine when keys fall due by that clock. */
  readonly timer?: Timer;
  /**
   * Ends the wait of a batch for writers that come back; the platform's when left out, also beside
   * another `timer`, for somebody waits for an answer.
   */
  readonly gatherTimer?: Timer;
  /** Fresh random bytes. */
  readonly random?: (bytes: number) => Uint8Array;
  readonly limits?: Partial<Limits>;
  /** What an answer to a write means; `sync` when left out. */
  readonly durability?: Durability;
  /** Revisions that are reserved at a time where answers come before the sync. */
  readonly reservedRevisions?: number;
  /** How much history is kept: no more than either; all that nobody compacts when left out. */
  readonly history?: { readonly milliseconds?: number; readonly bytes?: number };
  /** Bytes kept on the disk for what makes room when it is full; none when left out. */
  readonly reserveBytes?: number;
  /** Bytes after which a segment is sealed. */
  readonly segmentBytesMax?: number;
  /** Bytes of garbage below which nothing is merged. */
  readonly mergeBytesMin?: number;
  /** Bytes of log to read again at a start below which no checkpoint is made. */
  readonly checkpointBytesMin?: number;
  /** Bytes of values kept in memory. */
  readonly valueCacheBytesMax?: number;
  /** Bytes of the newest commits kept in memory. */
  readonly recentBytesMax?: number;
  /** Told in one line what an operator should know: what recovery mended, a disk that is full. */
  readonly onNotice?: (message: string) => void;
  /**
   * The log cannot be written any more, and what the disk holds is unknown: the process has to exit
   * non-zero. Writers have been answered `outcome_unknown`.
   */
  readonly onFatal?: (error: KvError) => void;
}
