/**
 * Makes the log durable: before the answers, or behind them after an interval or a number of bytes.
 * No two syncs run at once: a write that comes while one runs is covered by the next. After each,
 * `DURABLE` follows. A sync that failed is never tried again, and nothing may be written after it.
 */

import type { Durability } from "../durability.ts";
import type { Lag } from "../kv.ts";
import { UNSYNCED_BYTES_MAX, UNSYNCED_BYTES_WAIT } from "../limits.ts";
import type { DurableFile } from "./durable.ts";
import type { Timer } from "./expiry.ts";
import type { Segment } from "./segment.ts";

/** Where the log ends. */
export interface LogEnd {
  /** The active segment. */
  readonly segment: Segment;
  readonly offset: number;
  /** The checksum of the record (or segment header) that ends there. */
  readonly chain: number;
  /** The newest revision. */
  readonly revision: number;
}

export interface SyncingOptions {
  readonly durability: Durability;
  readonly durable: DurableFile;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly timer: Timer;
  /** The end of the log, up to which it is synced. */
  readonly end: LogEnd;
  /** A sync has failed that no write waited for: the store has to end. */
  readonly failed: (error: Error) => void;
}

export class Syncing {
  readonly #options: SyncingOptions;
  #end: LogEnd;
  /** How many writes there were, and how many of them are synced. */
  #writes = 0;
  #syncedWrites = 0;
  #syncedRevision: number;
  #unsyncedBytes = 0;
  /** When the oldest write was made that no sync covers, and that the running one covers. */
  #oldest: number | undefined;
  #oldestSyncing: number | undefined;
  #running: Promise<void> | undefined;
  #failure: Error | undefined;
  #stopped = false;
  #cancel: (() => void) | undefined;

  constructor(options: SyncingOptions) {
    this.#options = options;
    this.#end = options.end;
    this.#syncedRevision = options.end.revision;
  }

  /** Is everything synced that was written? */
  get isClean(): boolean {
    return this.#syncedWrites === this.#writes;
  }

  /** What a power cut could take; `undefined` where nothing is answered before it is synced. */
  get lag(): Lag | undefined {
    const { durability, clock } = this.#options;
    if (durability.mode === "sync") return undefined;
    const oldest = this.#oldestSyncing ?? this.#oldest;
    return {
      revisions: this.#end.revision - this.#syncedRevision,
      bytes: this.#unsyncedBytes,
      ms: oldest === undefined ? 0 : Math.max(0, clock() - oldest),
    };
  }

  /**
   * Notes a write that made the log longer by `bytes`, or one that was cut off again, which has to
   * be synced just as well.
   */
  wrote(end: LogEnd, bytes: number): void {
    this.#end = end;
    this.#writes++;
    this.#unsyncedBytes += bytes;
    if (this.#options.durability.mode === "sync") return;
    this.#oldest ??= this.#options.clock();
    this.#plan();
  }

  /** Waits while more is unsynced than may be. @throws as `all`. */
  async room(): Promise<void> {
    this.check();
    while (this.#unsyncedBytes >= UNSYNCED_BYTES_WAIT) await this.#begin();
  }

  /**
   * What was written before the call is durable when this resolves.
   * @throws what a sync failed with: nobody knows what the disk holds.
   */
  async all(): Promise<void> {
    this.check();
    const writes = this.#writes;
    while (this.#syncedWrites < writes) await this.#begin();
  }

  /** @throws what a sync has failed with. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Begins no sync any more, and waits for the one that runs: its file is about to be closed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#clearTimer();
    await this.#running?.catch(() => undefined);
  }

  /** The sync that runs, or one that begins now. */
  #begin(): Promise<void> {
    return (this.#running ??= this.#sync());
  }

  async #sync(): Promise<void> {
    this.#clearTimer();
    const { segment, offset, chain, revision } = this.#end;
    const writes = this.#writes;
    const bytes = this.#unsyncedBytes;
    this.#oldestSyncing = this.#oldest;
    this.#oldest = undefined;
    try {
      await segment.file.sync();
      this.#syncedWrites = writes;
      this.#syncedRevision = revision;
      this.#unsyncedBytes -= bytes;
      this.#oldestSyncing = undefined;
      this.#options.durable.write({ segment: segment.number, end: offset, lastCrc: chain });
    } catch (error) {
      this.#failure = error as Error;
      throw error;
    } finally {
      this.#running = undefined;
    }
    this.#plan();
  }

  /** Sees to it that what is unsynced will be, as far as nobody waits for that. */
  #plan(): void {
    const { durability, clock, timer } = this.#options;
    if (this.isClean || this.#running !== undefined || this.#stopped) return;
    if (this.#failure !== undefined || durability.mode === "sync") return;
    if (this.#unsyncedBytes >= UNSYNCED_BYTES_MAX) return this.#syncBehind();
    if (durability.mode === "os" || this.#cancel !== undefined) return;
    // A clock that was set back must not make the interval longer.
    const waited = Math.max(0, clock() - (this.#oldest ?? 0));
    if (waited >= durability.ms) return this.#syncBehind();
    this.#cancel = timer(() => {
      this.#cancel = undefined;
      this.#syncBehind();
    }, durability.ms - waited);
  }

  #syncBehind(): void {
    if (this.isClean || this.#stopped || this.#failure !== undefined) return;
    this.#begin().catch((error: unknown) => this.#options.failed(error as Error));
  }

  #clearTimer(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
