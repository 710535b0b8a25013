/**
 * The commit loop: transactions queue while the batch before them syncs, then all of them are
 * evaluated in order, written with one write and one fdatasync, applied, and answered. So nothing
 * that is not durable is ever shown, and conditions are exact. Keys that are due expire at the head
 * of each batch, a bounded number of them; without transactions too.
 *
 *   queued ──▶ evaluated ──▶ written ──▶ synced ──▶ applied ──▶ answered
 *                  │             ├─ disk full: cut off again; where room can be made evaluated
 *                  │             │  again, else storage_full
 *                  │             └─ too many open files for a new segment: unavailable
 *                  └─ nothing to write in the whole batch: answered at once
 */

import { KvError } from "../errors.ts";
import type { CommitResult, CompactResult, Txn } from "../kv.ts";
import {
  BATCH_BYTES_MAX,
  BATCH_RECORDS_MAX,
  EXPIRE_EVENTS_MAX,
  EXPIRE_LOOK_MS_MAX,
  QUEUE_BYTES_MAX,
  QUEUE_TXNS_MAX,
  type Limits,
} from "../limits.ts";
import type { Many, ManyAnswers } from "../many.ts";
import { Slice } from "../slice.ts";
import { NotWrittenError, SpaceError } from "./appender.ts";
import { Batch } from "./batch.ts";
import { PendingRecords } from "./encoding.ts";
import type { Expiry } from "./expiry.ts";
import { storageFull, type FullDisk } from "./full-disk.ts";
import type { Gathering } from "./gathering.ts";
import { ManyJob } from "./many-job.ts";
import {
  OVERHEAD_BYTES,
  TxnJob,
  type Compacting,
  type Job,
  type Queued,
  type Settling,
} from "./queued.ts";
import { stopped, tooManyFiles } from "./refusals.ts";
import type { State } from "./state.ts";

export interface CommitLoopOptions {
  readonly state: State;
  readonly expiry: Expiry;
  readonly limits: Limits;
  /** Writes and syncs. `NotWrittenError` = nothing was; any other error is the end. */
  readonly append: (records: PendingRecords) => Promise<void>;
  /** Shows what is durable now to readers and watchers. */
  readonly apply: (records: PendingRecords) => void;
  /** Makes a revision the oldest readable one, durably. Fails as `append`. */
  readonly compact: (revision: number) => Promise<CompactResult>;
  readonly gathering: Gathering;
  readonly fullDisk: Pick<FullDisk, "refusal" | "failure" | "makeRoom" | "tried" | "noteWritten">;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** The log cannot be written, nobody knows what the disk holds: the process has to end. */
  readonly fatal: (error: KvError) => void;
}

export class CommitLoop {
  readonly #options: CommitLoopOptions;
  /** Of the batch that is evaluated or written. */
  readonly #records = new PendingRecords();
  #queue: Queued[] = [];
  #queuedBytes = 0;
  /** What can be seen already, and is answered once the next batch is on its way to the disk. */
  #applied: readonly Job[] = [];
  /** Where that could not be written: when keys that are due are tried again, and why. */
  #expireAgainAt = 0;
  #expireFailure: NotWrittenError | undefined;
  /** Room was made for what was taken last: it comes again. */
  #comesAgain = false;
  #closing = false;
  #settling: Settling[] = [];
  #running: Promise<void> | undefined;
  #failed: KvError | undefined;

  constructor(options: CommitLoopOptions) {
    this.#options = options;
  }

  /**
   * Queues a transaction that has been checked against the limits. Order of calls is order of
   * effect.
   */
  commit(txn: Txn): Promise<CommitResult> {
    return this.#enqueue(new TxnJob(txn)).promise;
  }

  /** Queues many operations from `from` on. Resolves when all of them are answered. */
  many(operations: Many, from: number, answers: ManyAnswers): Promise<void> {
    return this.#enqueue(new ManyJob(operations, from, answers, this.#options.limits)).promise;
  }

  /** Queues a compaction; it comes after what was queued before. */
  compact(revision: number): Promise<CompactResult> {
    const { promise, resolve, reject } = Promise.withResolvers<CompactResult>();
    this.#enqueue({ bytes: OVERHEAD_BYTES, compact: revision, resolve, reject });
    return promise;
  }

  /**
   * Resolves when every key that was due at a time has expired.
   * @throws `storage_full` or `unavailable` when that cannot be written, `unavailable` when the
   * store stops.
   */
  settled(asOf: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#settling.push({ asOf, resolve, reject });
    this.#options.gathering.hurry();
    if (this.#failed === undefined) this.#running ??= this.#run();
    else this.#giveUpSettling(stopped(this.#failed));
    return promise;
  }

  /** Keys may be due: lets them expire. */
  wake(): void {
    if (this.#failed !== undefined || this.#closing) return;
    this.#running ??= this.#run();
  }

  /** Something has failed that no batch waited for, and that ends the store. */
  fail(cause: Error): void {
    if (this.#failed !== undefined) return;
    this.#fail([], cause, "nothing more is written");
  }

  /** Resolves when everything queued has been answered, and nothing is due. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** As `idle`, and lets no further keys expire. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#options.gathering.hurry();
    await this.idle();
  }

  /** Why nothing more can be queued now; `undefined` when it can. */
  #fullQueue(): KvError | undefined {
    if (this.#failed !== undefined) return stopped(this.#failed);
    if (this.#queuedBytes <= QUEUE_BYTES_MAX && this.#queue.length < QUEUE_TXNS_MAX) {
      return undefined;
    }
    const message = "too many writes are waiting for the disk; try again in a second";
    return new KvError("unavailable", message);
  }

  #enqueue<Q extends Queued>(queued: Q): Q {
    const refusal = this.#fullQueue();
    if (refusal === undefined) {
      this.#queue.push(queued);
      this.#queuedBytes += queued.bytes;
      this.#options.gathering.came(this.#queue.length, this.#queuedBytes);
      this.#running ??= this.#run();
    } else queued.reject(refusal);
    return queued;
  }

  async #run(): Promise<void> {
    // What arrives in the same turn shares the first batch too.
    await Promise.resolve();
    const slice = new Slice(1);
    while (this.#queue.length > 0 || (!this.#closing && this.#mayExpire(this.#options.clock()))) {
      await this.#gather();
      const taken = this.#take();
      this.#comesAgain = false;
      try {
        if ("compact" in taken) await this.#compact(taken);
        else await this.#process(taken);
        if (!this.#comesAgain) this.#options.fullDisk.tried();
      } catch (error) {
        this.#fail("compact" in taken ? [taken] : taken, error as Error);
      }
      this.#settle();
      // Where nothing was written nothing was waited for either.
      const isOver = slice.isOver();
      if (isOver || this.#queue.length === 0) this.#answer();
      if (isOver) await slice.next();
    }
    this.#running = undefined;
    this.#settle();
    if (this.#closing) this.#giveUpSettling(new KvError("unavailable", "the store is closed"));
    this.#options.expiry.schedule(this.#expireAgainAt);
  }

  /** Waits for others that may be in the next batch, where that is worth it. */
  async #gather(): Promise<void> {
    if (this.#closing || this.#settling.length > 0 || this.#queue.length === 0) return;
    const { gathering, clock } = this.#options;
    const waited = gathering.wait(this.#queue.length, this.#queuedBytes, clock());
    if (waited === undefined) return;
    // Who is to come back has to be answered first.
    this.#answer();
    await waited;
  }

  /** Answers those for whom nothing is due any more; a clock that was set back counts. */
  #settle(): void {
    if (this.#settling.length === 0) return;
    const now = this.#options.clock();
    const { expiry } = this.#options;
    const isSettled = ({ asOf }: Settling): boolean => !expiry.isDue(Math.min(asOf, now));
    for (const settling of this.#settling) if (isSettled(settling)) settling.resolve();
    this.#settling = this.#settling.filter((settling) => !isSettled(settling));
    const cannot = this.#settling.length > 0 && now < this.#expireAgainAt;
    if (cannot) this.#giveUpSettling(notExpired(this.#expireFailure));
  }

  #giveUpSettling(error: KvError): void {
    for (const { reject } of this.#settling) reject(error);
    this.#settling = [];
  }

  /** Are there keys to expire, and can that be tried? */
  #mayExpire(now: number): boolean {
    if (this.#failed !== undefined || !this.#options.expiry.isDue(now)) return false;
    // A clock that was set back must not make the pause of a full disk longer.
    return now >= this.#expireAgainAt || this.#expireAgainAt > now + EXPIRE_LOOK_MS_MAX;
  }

  /**
   * A compaction, or the next batch: what waits up to a compaction, up to a number of bytes, and at
   * least one.
   */
  #take(): Compacting | Job[] {
    const waiting: Job[] = [];
    let bytes = 0;
    for (const queued of this.#queue) {
      if ("compact" in queued) {
        if (waiting.length > 0) break;
        this.#queue.shift();
        this.#queuedBytes -= queued.bytes;
        return queued;
      }
      if (waiting.length > 0 && bytes + queued.bytes > BATCH_BYTES_MAX) break;
      bytes += queued.bytes;
      waiting.push(queued);
    }
    this.#queuedBytes -= bytes;
    if (waiting.length === this.#queue.length) this.#queue = [];
    else this.#queue.splice(0, waiting.length);
    return waiting;
  }

  async #process(taken: readonly Job[]): Promise<void> {
    const { expiry, append, apply, clock, fullDisk, gathering } = this.#options;
    const now = clock();
    const batch = this.#batch(now);
    const due = this.#mayExpire(now) ? expiry.take(now, EXPIRE_EVENTS_MAX) : [];
    batch.expire(due);
    const jobs = this.#evaluate(batch, taken);
    if (!batch.isEmpty) {
      try {
        const written = append(batch.records);
        this.#answer();
        const began = clock();
        await written;
        // What a batch had no room for waits for nobody.
        gathering.note(jobs === taken ? jobs.length + this.#queue.length : 0, began, clock());
        apply(batch.records);
        fullDisk.noteWritten();
      } catch (error) {
        if (!(error instanceof NotWrittenError)) throw error;
        expiry.giveBack(due);
        if (await this.#makeRoom(error)) return this.#takeBack(jobs);
        this.#expireAgainAt = now + EXPIRE_LOOK_MS_MAX;
        this.#expireFailure = error;
        const cause = this.#notWritten(error);
        for (const job of jobs) job.refuse(cause, () => this.#batch(clock()));
        return;
      }
    }
    for (const job of jobs) job.applied(batch);
    this.#answer();
    this.#applied = jobs;
  }

  #batch(now: number): Batch {
    const { state, limits, fullDisk } = this.#options;
    const refusal = fullDisk.refusal();
    return new Batch({ state, limits, now, refusal, records: this.#records });
  }

  /**
   * Evaluates as many jobs as this batch can have, and answers these; the others are the beginning
   * of the next one. One that looks at a range has to find in the state the keys that others before
   * it have made; and it may take long, so that others outside of this loop need their turn; as
   * they do after a great many small ones.
   */
  #evaluate(batch: Batch, taken: readonly Job[]): readonly Job[] {
    const slice = new Slice(1);
    for (const [at, job] of taken.entries()) {
      const { isRanged } = job;
      if (isRanged && batch.putsKeys) return this.#leave(taken, at, at);
      // One of many operations may be in several batches.
      if (!job.evaluate(batch)) return this.#leave(taken, at + 1, at);
      const isLong = isRanged && slice.isOver();
      const isFull = batch.records.count >= BATCH_RECORDS_MAX;
      if (isLong || isFull) return this.#leave(taken, at + 1, at + 1);
    }
    return taken;
  }

  /** Those that are in the batch are the ones before `end`; from `next` on they are put back. */
  #leave(taken: readonly Job[], end: number, next: number): readonly Job[] {
    this.#putBack(taken.slice(next));
    return taken.slice(0, end);
  }

  /** The batch of these was not written: they are evaluated again. */
  #takeBack(jobs: readonly Job[]): void {
    for (const job of jobs) job.takeBack();
    // The last one may have been put back for what was left of it.
    const isThere = jobs.length > 0 && jobs.at(-1) === this.#queue[0];
    this.#putBack(isThere ? jobs.slice(0, -1) : jobs);
  }

  /** Answers what can be seen already. */
  #answer(): void {
    const applied = this.#applied;
    this.#applied = NONE;
    for (const job of applied) job.answer();
  }

  #putBack(waiting: readonly Queued[]): void {
    if (waiting.length === 0) return;
    this.#queue = [...waiting, ...this.#queue];
    for (const { bytes } of waiting) this.#queuedBytes += bytes;
  }

  async #compact(compacting: Compacting): Promise<void> {
    const { compact, fullDisk } = this.#options;
    this.#answer();
    try {
      compacting.resolve(await compact(compacting.compact));
      fullDisk.noteWritten();
    } catch (error) {
      if (error instanceof NotWrittenError) {
        if (await this.#makeRoom(error)) return this.#putBack([compacting]);
        compacting.reject(this.#notWritten(error));
      } else if (error instanceof KvError) compacting.reject(error);
      else throw error;
    }
  }

  /** Answers whether what there was no room for is to be tried again. */
  async #makeRoom(error: NotWrittenError): Promise<boolean> {
    if (!(error instanceof SpaceError)) return false;
    return (this.#comesAgain = await this.#options.fullDisk.makeRoom(error));
  }

  /** The answer to a write that was not done, and that others can follow. */
  #notWritten(cause: NotWrittenError): KvError {
    if (cause instanceof SpaceError) return this.#options.fullDisk.failure(cause);
    return tooManyFiles(`nothing was changed (${cause.message})`, cause);
  }

  /** Nobody knows whether the batch is on the disk. It is never tried again. */
  #fail(
    waiting: readonly Queued[],
    cause: Error,
    outcome = "the write may have been applied",
  ): void {
    const failed = new KvError(
      "outcome_unknown",
      `writing the log failed (${cause.message}); ${outcome}`,
      {},
      cause,
    );
    this.#answer();
    const isFirst = this.#failed === undefined;
    this.#failed ??= failed;
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    // First those that were put back: they were in no write, but for one that was in part, and
    // that knows.
    for (const queued of queue) queued.reject(stopped(failed));
    this.#giveUpSettling(stopped(failed));
    for (const queued of waiting) queued.reject(failed);
    if (isFirst) this.#options.fatal(failed);
  }
}

// --- internal ---

const NONE: readonly Job[] = [];

/** Why a key is overdue, and nobody may see it so. */
function notExpired(cause: NotWrittenError | undefined): KvError {
  const what = "keys that are overdue cannot expire";
  if (cause === undefined || cause instanceof SpaceError) return storageFull(what, cause);
  return tooManyFiles(what, cause);
}
