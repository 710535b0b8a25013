/**
 * The log engine: a `Store` in one directory. The log is the database; in memory there are an index
 * of keys, a bounded cache of values and the newest commits. Only what is durable is ever shown.
 */

import { randomBytes } from "node:crypto";
import { formatDurability, SYNC, type Durability } from "../durability.ts";
import type { EntrySink } from "../entry-sink.ts";
import { KvError } from "../errors.ts";
import { checkKey, checkRanges, distinctRanges } from "../keys.ts";
import type { Many, ManyAnswers } from "../many.ts";
import type {
  Changes,
  ChangesOptions,
  CommitResult,
  CompactResult,
  GetResult,
  HistoryOptions,
  HistoryResult,
  ListOptions,
  ListResult,
  MaybePromise,
  Range,
  ReadOptions,
  ScanOptions,
  ScanResult,
  SnapshotOptions,
  Status,
  Store,
  Txn,
} from "../kv.ts";
import {
  LIMITS,
  MERGE_BYTES_MIN,
  RECENT_BYTES_MAX,
  RESERVED_REVISIONS,
  SEGMENT_BYTES_MAX,
  VALUE_CACHE_BYTES_MAX,
  type Limits,
} from "../limits.ts";
import { checkTxn } from "../rules.ts";
import { Appender } from "./appender.ts";
import { applyRecords } from "./applying.ts";
import { readChanges } from "./changes.ts";
import { CommitLoop } from "./commit-loop.ts";
import { openDirectory, type Disk } from "./disk.ts";
import type { PendingRecords } from "./encoding.ts";
import { Expiry, systemTimer } from "./expiry.ts";
import { SEGMENT_HEADER_BYTES } from "./format.ts";
import { Horizon } from "./horizon.ts";
import { Gathering } from "./gathering.ts";
import type { KeyIndex } from "./key-index.ts";
import type { Lock } from "./lock.ts";
import { Log } from "./log.ts";
import type { LogOptions } from "./options.ts";
import { Reader } from "./reader.ts";
import { Recent } from "./recent.ts";
import { orClosed, recover, type Recovered } from "./recovery.ts";
import { Segments } from "./segments.ts";
import { snapshotOf } from "./snapshot.ts";
import { StateReads } from "./state-reads.ts";
import { Upkeep } from "./upkeep.ts";
import { ValueCache } from "./value-cache.ts";
import { voidLost } from "./voiding.ts";
import { Wakes } from "./wakes.ts";

export type { LogOptions } from "./options.ts";

/**
 * Opens or makes the store of a directory.
 * @throws `conflict` when another process has it open, `internal` when it is damaged; errors of the
 * system as they are.
 */
export async function openLog(options: LogOptions): Promise<LogStore> {
  const disk = options.disk ?? openDirectory(options.directory);
  const lock = disk.lock();
  try {
    const { clock = Date.now, random = randomBytes, onNotice: notice = () => {} } = options;
    const found = await recover({ disk, clock, random, notice });
    const recovered = await voidLost(disk, found, clock, notice);
    const store = orClosed(recovered, () => new LogStore(options, disk, lock, recovered));
    // Nobody may see a key whose time ran out while nobody looked.
    await store.expireOverdue();
    store.beginUpkeep();
    return store;
  } catch (error) {
    lock.release();
    throw error;
  }
}

export class LogStore implements Store {
  readonly limits: Limits;
  readonly capabilities = { history: true, snapshot: true };
  readonly #disk: Disk;
  readonly #id: string;
  readonly #durability: Durability;
  readonly #lock: Lock;
  readonly #segments: Segments;
  readonly #log: Log;
  readonly #appender: Appender;
  readonly #index: KeyIndex;
  readonly #cache: ValueCache;
  readonly #recent: Recent;
  readonly #loop: CommitLoop;
  readonly #reader: Reader;
  readonly #reads: StateReads;
  readonly #horizon: Horizon;
  readonly #expiry: Expiry;
  readonly #upkeep: Upkeep;
  readonly #mergeBytesMin: number;
  readonly #clock: () => number;
  #closed = false;
  /** What has ended the store before its close, or in it. */
  #failed: KvError | undefined;
  #closing: Promise<void> | undefined;
  /** Wakes the streams that wait for a commit or the close. */
  readonly #wakes = new Wakes();

  /** Use `openLog`. */
  constructor(options: LogOptions, disk: Disk, lock: Lock, recovered: Recovered) {
    this.limits = { ...LIMITS, ...options.limits };
    this.#id = recovered.store;
    this.#durability = options.durability ?? SYNC;
    this.#disk = disk;
    this.#lock = lock;
    this.#index = recovered.index;
    this.#horizon = new Horizon(recovered);
    this.#clock = options.clock ?? Date.now;
    this.#cache = new ValueCache(options.valueCacheBytesMax ?? VALUE_CACHE_BYTES_MAX);
    this.#recent = new Recent(recovered.revision, options.recentBytesMax ?? RECENT_BYTES_MAX);
    this.#segments = new Segments(recovered.segments);
    this.#log = new Log(this.#segments);
    this.#appender = new Appender({
      disk,
      segments: this.#segments,
      recovered,
      durability: this.#durability,
      segmentBytesMax: options.segmentBytesMax ?? SEGMENT_BYTES_MAX,
      reservedRevisions: options.reservedRevisions ?? RESERVED_REVISIONS,
      clock: this.#clock,
      timer: options.timer ?? systemTimer,
      failed: (error) => this.#loop.fail(error),
    });
    this.#reader = new Reader({
      log: this.#log,
      index: this.#index,
      cache: this.#cache,
      limits: this.limits,
      checkOpen: () => this.#checkOpen(),
    });
    this.#expiry = new Expiry({
      index: this.#index,
      clock: this.#clock,
      timer: options.timer ?? systemTimer,
      wake: () => this.#loop.wake(),
    });
    this.#mergeBytesMin = options.mergeBytesMin ?? MERGE_BYTES_MIN;
    this.#upkeep = this.#makeUpkeep(options, disk, recovered);
    this.#loop = this.#makeLoop(options);
    this.#reads = new StateReads({
      index: this.#index,
      reader: this.#reader,
      horizon: this.#horizon,
      limits: this.limits,
      clock: this.#clock,
      checkOpen: () => this.#checkOpen(),
      commit: (txn) => this.#loop.commit(txn),
      many: (operations, from, answers) => this.#loop.many(operations, from, answers),
      settled: (asOf) => this.#loop.settled(asOf),
    });
  }

  /** Lets keys that are overdue expire; resolves when none is, or the disk is full. */
  async expireOverdue(): Promise<void> {
    this.#loop.wake();
    await this.#loop.idle();
  }

  /** Begins the work that the store does by itself. */
  beginUpkeep(): void {
    this.#upkeep.wake();
  }

  /** Resolves when nothing of that work is due, or can be done now. */
  maintained(): Promise<void> {
    return this.#upkeep.idle();
  }

  get(key: string, { revision }: ReadOptions = {}): MaybePromise<GetResult> {
    this.#checkOpen();
    return this.#reads.get(key, revision);
  }

  list(range: Range, options: ListOptions = {}): MaybePromise<ListResult> {
    this.#checkOpen();
    return this.#reads.list(range, options);
  }

  scan(range: Range, options: ScanOptions, sink: EntrySink): MaybePromise<ScanResult> {
    this.#checkOpen();
    return this.#reads.scan(range, options, sink);
  }

  async history(key: string, options: HistoryOptions = {}): Promise<HistoryResult> {
    this.#checkOpen();
    checkKey(key);
    if (this.#reads.isOverdue(this.#index.findKey(key))) await this.#reads.getOverdue(key);
    this.#horizon.checkHistory(options, this.limits);
    const revision = this.#horizon.revision;
    return { revision, ...(await this.#reader.history(key, options, this.#horizon.oldest)) };
  }

  commit(txn: Txn): Promise<CommitResult> {
    try {
      this.#checkOpen();
      checkTxn(txn, this.limits);
      return this.#loop.commit(txn);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  many(operations: Many, answers: ManyAnswers): MaybePromise<void> {
    this.#checkOpen();
    return this.#reads.many(operations, 0, answers);
  }

  async compact(revision: number): Promise<CompactResult> {
    this.#checkOpen();
    this.#horizon.readable(revision);
    const compacted = await this.#loop.compact(revision);
    this.#upkeep.hurry();
    return compacted;
  }

  async *changes(from: number, options: ChangesOptions = {}): AsyncGenerator<Changes> {
    const { range = {}, prev = false, signal } = options;
    checkRanges(range);
    const ranges = distinctRanges(range);
    let next = from;
    while (true) {
      if (signal?.aborted) return;
      this.#checkOpen();
      this.#horizon.checkWatchable(next);
      if (next > this.#horizon.revision) {
        await this.#wakes.next(signal);
        continue;
      }
      let chunk = this.#recent.changes(next, ranges) ?? (await this.#read(next, ranges));
      if (prev) {
        chunk = await this.#reader.withPrevious(chunk);
        // What was there before may have been forgotten on the way.
        this.#horizon.checkWatchable(next);
      }
      next = chunk.through + 1;
      yield chunk;
    }
  }

  pin(revision: number): () => void {
    this.#checkOpen();
    return this.#upkeep.pins.pin(revision);
  }

  snapshot(options?: SnapshotOptions): AsyncGenerator<Uint8Array> {
    const [disk, segments, horizon] = [this.#disk, this.#segments, this.#horizon];
    const [store, clock, { copies }] = [this.#id, this.#clock, this.#upkeep];
    const checkOpen = (): void => this.#checkOpen();
    return snapshotOf({ disk, segments, horizon, copies, store, clock, checkOpen }, options);
  }

  status(): Status {
    this.#checkOpen();
    const { lag } = this.#appender;
    return {
      store: this.#id,
      revision: this.#horizon.revision,
      oldest: this.#horizon.oldest,
      keys: this.#index.live,
      bytes: this.#segments.bytes,
      engine: "log",
      durability: formatDurability(this.#durability),
      ...(lag === undefined ? undefined : { lag }),
    };
  }

  close(): Promise<void> {
    this.#closed = true;
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const failedBefore = this.#failed;
    this.#expiry.stop();
    const stopped = this.#upkeep.stop();
    await this.#loop.close();
    await stopped;
    this.#wakes.all();
    try {
      if (this.#failed === undefined) await this.#upkeep.close();
      if (this.#failed === undefined) await this.#appender.close();
      else await this.#appender.abandon();
    } finally {
      this.#lock.release();
    }
    // A stop on the way of which the store has failed must not look like one in order.
    if (this.#failed !== failedBefore) throw this.#failed;
  }

  #makeUpkeep(options: LogOptions, disk: Disk, recovered: Recovered): Upkeep {
    return new Upkeep({
      options,
      disk,
      recovered,

      segments: this.#segments,
      log: this.#log,
      index: this.#index,
      horizon: this.#horizon,
      appender: this.#appender,
      clock: this.#clock,
      timer: options.timer ?? systemTimer,
      notice: (message) => options.onNotice?.(message),
      compact: (revision) => this.#loop.compact(revision),
      fatal: (error) => this.#loop.fail(error),
    });
  }

  #makeLoop(options: LogOptions): CommitLoop {
    return new CommitLoop({
      state: {
        index: this.#index,
        keys: this.#index.living,
        revision: () => this.#horizon.revision,
        value: (entry) => this.#reader.value(entry),
        hasValue: (entry, value) => this.#reader.hasValue(entry, value),
      },
      expiry: this.#expiry,
      limits: this.limits,
      append: (records) => this.#appender.append(records),
      apply: (records) => this.#apply(records),
      compact: (revision) => this.#compact(revision),
      fullDisk: this.#upkeep.fullDisk,
      gathering: new Gathering(options.gatherTimer),
      clock: this.#clock,
      fatal: (error) => {
        this.#failed = error;
        // What fails in the background from now on is no news of its own.
        void this.#upkeep.stop();
        this.#wakes.all();
        options.onFatal?.(error);
      },
    });
  }

  #checkOpen(): void {
    if (this.#closed) throw new KvError("unavailable", "the store is closed");
  }

  async #compact(revision: number): Promise<CompactResult> {
    // Another compaction may have come first.
    this.#horizon.readable(revision);
    if (revision > this.#horizon.oldest) {
      // What can be merged has to be in a segment that is sealed.
      const { active } = this.#segments;
      const isAll = revision === this.#horizon.revision;
      const below = isAll ? active.end : active.seek(revision + 1);
      if (below - SEGMENT_HEADER_BYTES >= this.#mergeBytesMin) this.#appender.sealNext();
      await this.#appender.compact(revision, this.#horizon.revision);
      this.#horizon.oldest = revision;
      void this.#upkeep.forgetDeletions();
    }
    return { oldest: revision };
  }

  #apply(records: PendingRecords): void {
    applyRecords(records, this.#index, this.#cache, this.#expiry);
    this.#recent.add(records);
    this.#horizon.revision = records.revision(records.count - 1);
    this.#wakes.all();
    this.#upkeep.wrote(records.end);
  }

  /**
   * A chunk out of the log, in a turn of its own: a long way through history leaves room for
   * others.
   */
  async #read(from: number, ranges: readonly Range[]): Promise<Changes> {
    const { promise, resolve } = Promise.withResolvers<void>();
    setImmediate(resolve);
    await promise;
    this.#checkOpen();
    return readChanges(this.#log, from, this.#horizon.revision, ranges);
  }
}
