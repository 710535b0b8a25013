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
import { rangeStart, utf8Bytes } from "../keys.ts";
import type { Check, CommitResult, CompactResult, Operation, Txn } from "../kv.ts";
import {
  BATCH_BYTES_MAX,
  EXPIRE_EVENTS_MAX,
  EXPIRE_LOOK_MS_MAX,
  QUEUE_BYTES_MAX,
  QUEUE_TXNS_MAX,
  type Limits,
} from "../limits.ts";
import { Batch, readsRange } from "./batch.ts";
import type { Expiry } from "./expiry.ts";
import { storageFull, type FullDisk } from "./full-disk.ts";
import { NotWrittenError, SpaceError, type PendingCommit, type Placed } from "./appender.ts";
import { Slice } from "./slice.ts";
import type { Known, State } from "./state.ts";

export interface CommitLoopOptions<K extends Known> {
  readonly state: State<K>;
  readonly expiry: Expiry;
  readonly limits: Limits;
  /** Writes and syncs. `NotWrittenError` = nothing was; any other error is the end. */
  readonly append: (commits: readonly PendingCommit[]) => Promise<readonly Placed[]>;
  /** Shows what is durable now to readers and watchers. */
  readonly apply: (commits: readonly PendingCommit[], placed: readonly Placed[]) => void;
  /** Makes a revision the oldest readable one, durably. Fails as `append`. */
  readonly compact: (revision: number) => Promise<CompactResult>;
  readonly fullDisk: Pick<FullDisk, "refusal" | "failure" | "makeRoom" | "noteWritten">;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /**
   * The log cannot be written any more, and nobody knows what the disk holds: the process has to
   * end.
   */
  readonly fatal: (error: KvError) => void;
}

export class CommitLoop<K extends Known> {
  readonly #options: CommitLoopOptions<K>;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  /** Where that could not be written: when keys that are due are tried again, and why. */
  #expireAgainAt = 0;
  #expireFailure: NotWrittenError | undefined;
  #closing = false;
  #settling: Settling[] = [];
  #running: Promise<void> | undefined;
  #failed: KvError | undefined;

  constructor(options: CommitLoopOptions<K>) {
    this.#options = options;
  }

  /**
   * Queues a transaction that has been checked against the limits. Order of calls is order of
   * effect.
   */
  commit(txn: Txn): Promise<CommitResult> {
    return this.#enqueue(bytesOf(txn), (answer) => ({ txn, ...answer }));
  }

  /** Queues a compaction; it comes after what was queued before. */
  compact(revision: number): Promise<CompactResult> {
    return this.#enqueue(OVERHEAD_BYTES, (answer) => ({ compact: revision, ...answer }));
  }

  /**
   * Resolves when every key that was due at a time has expired.
   * @throws `storage_full` or `unavailable` when that cannot be written, `unavailable` when the
   * store stops.
   */
  settled(asOf: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#settling.push({ asOf, resolve, reject });
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
    await this.idle();
  }

  #enqueue<T>(bytes: number, make: (answer: Answer<T>) => Queued): Promise<T> {
    if (this.#failed !== undefined) return Promise.reject(stopped(this.#failed));
    if (this.#queuedBytes > QUEUE_BYTES_MAX || this.#queue.length >= QUEUE_TXNS_MAX) {
      const message = "too many writes are waiting for the disk; try again in a second";
      return Promise.reject(new KvError("unavailable", message));
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#queue.push(make({ bytes, resolve, reject }));
    this.#queuedBytes += bytes;
    this.#running ??= this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    // What arrives in the same turn shares the first batch too.
    await Promise.resolve();
    const slice = new Slice(1);
    while (this.#queue.length > 0 || (!this.#closing && this.#mayExpire(this.#options.clock()))) {
      const taken = this.#take();
      try {
        if ("compact" in taken) await this.#compact(taken);
        else await this.#process(taken);
      } catch (error) {
        this.#fail("compact" in taken ? [taken] : taken, error as Error);
      }
      this.#settle();
      // Where nothing was written nothing was waited for either.
      await slice.pause();
    }
    this.#running = undefined;
    this.#settle();
    if (this.#closing) this.#giveUpSettling(new KvError("unavailable", "the store is closed"));
    this.#options.expiry.schedule(this.#expireAgainAt);
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
  #take(): Compacting | Waiting[] {
    const waiting: Waiting[] = [];
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

  async #process(taken: readonly Waiting[]): Promise<void> {
    const { state, expiry, limits, append, apply, clock, fullDisk } = this.#options;
    const now = clock();
    const batch = new Batch(state, limits, now, fullDisk.refusal());
    const due = this.#mayExpire(now) ? expiry.take(now, EXPIRE_EVENTS_MAX) : [];
    batch.expire(due);
    const answers = this.#evaluate(batch, taken);
    // What could not be evaluated in this batch is the beginning of the next one.
    const waiting = taken.slice(0, answers.length);
    this.#putBack(taken.slice(answers.length));
    if (batch.commits.length > 0) {
      try {
        apply(batch.commits, await append(batch.commits));
        fullDisk.noteWritten();
      } catch (error) {
        if (!(error instanceof NotWrittenError)) throw error;
        expiry.giveBack(due);
        if (await this.#makeRoom(error)) return this.#putBack(waiting);
        this.#expireAgainAt = now + EXPIRE_LOOK_MS_MAX;
        this.#expireFailure = error;
        return this.#refuse(waiting, error);
      }
    }
    for (const [at, { resolve, reject }] of waiting.entries()) {
      const answer = answers[at]!;
      if (answer instanceof Error) reject(answer);
      else resolve(answer);
    }
  }

  /**
   * Answers to as many transactions as this batch can have. One that looks at a range has to find
   * in the state the keys that others before it have made; and it may take long, so that others
   * outside of this loop need their turn.
   */
  #evaluate(batch: Batch<K>, waiting: readonly Waiting[]): (CommitResult | Error)[] {
    const answers: (CommitResult | Error)[] = [];
    const slice = new Slice(1);
    for (const { txn } of waiting) {
      const isRanged = readsRange(txn);
      if (isRanged && batch.putsKeys) break;
      answers.push(outcome(batch, txn));
      if (isRanged && slice.isOver()) break;
    }
    return answers;
  }

  #putBack(waiting: readonly Queued[]): void {
    if (waiting.length === 0) return;
    this.#queue = [...waiting, ...this.#queue];
    for (const { bytes } of waiting) this.#queuedBytes += bytes;
  }

  async #compact(compacting: Compacting): Promise<void> {
    const { compact, fullDisk } = this.#options;
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
    return error instanceof SpaceError && (await this.#options.fullDisk.makeRoom(error));
  }

  /** The answer to a write that was not done, and that others can follow. */
  #notWritten(cause: NotWrittenError): KvError {
    if (cause instanceof SpaceError) return this.#options.fullDisk.failure(cause);
    return tooManyFiles(`nothing was changed (${cause.message})`, cause);
  }

  /**
   * The batch was not written. Each transaction is evaluated again, alone: one that changes nothing
   * is answered, so that reads and refusals do not depend on writes that never happened.
   */
  #refuse(waiting: readonly Waiting[], cause: NotWrittenError): void {
    const { state, limits, clock, fullDisk } = this.#options;
    for (const { txn, resolve, reject } of waiting) {
      const batch = new Batch(state, limits, clock(), fullDisk.refusal());
      const answer = outcome(batch, txn);
      // What it rests on was not written, even where it fails by itself.
      if (batch.commits.length > 0) reject(this.#notWritten(cause));
      else if (answer instanceof Error) reject(answer);
      else resolve(answer);
    }
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
    const isFirst = this.#failed === undefined;
    this.#failed ??= failed;
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    // First those that were put back: they were in no write.
    for (const { reject } of queue) reject(stopped(failed));
    this.#giveUpSettling(stopped(failed));
    for (const { reject } of waiting) reject(failed);
    if (isFirst) this.#options.fatal(failed);
  }
}

// --- internal ---

interface Answer<T> {
  /** See `bytesOf`. */
  readonly bytes: number;
  readonly resolve: (result: T) => void;
  readonly reject: (error: Error) => void;
}

interface Waiting extends Answer<CommitResult> {
  readonly txn: Txn;
}

/** Waits until nothing is due as of a time. */
interface Settling {
  /** Milliseconds since 1970. */
  readonly asOf: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface Compacting extends Answer<CompactResult> {
  /** The revision that becomes the oldest readable one. */
  readonly compact: number;
}

type Queued = Waiting | Compacting;

/** The answer to a transaction, or the error that it fails with while the others go on. */
function outcome<K extends Known>(batch: Batch<K>, txn: Txn): CommitResult | Error {
  try {
    return batch.evaluate(txn);
  } catch (error) {
    return error as Error;
  }
}

/** What a check or an operation counts beyond its key and value: its memory, and its record. */
const OVERHEAD_BYTES = 128;

/** Bytes of a transaction that waits: small keys in great number count too. */
function bytesOf({ checks, then, else: otherwise = [] }: Txn): number {
  let bytes = (checks.length + then.length + otherwise.length) * OVERHEAD_BYTES;
  for (const check of checks) bytes += contentOf(check);
  for (const operation of then) bytes += contentOf(operation);
  for (const operation of otherwise) bytes += contentOf(operation);
  return bytes;
}

function contentOf(part: Check | Operation): number {
  let bytes = 0;
  if ("key" in part) bytes += utf8Bytes(part.key);
  if ("value" in part) bytes += part.value?.length ?? 0;
  if ("revision" in part && typeof part.revision === "object") bytes += 8 * part.revision.length;
  if ("version" in part && typeof part.version === "object") bytes += 8 * part.version.length;
  if ("range" in part) bytes += rangeStart(part.range).length + (part.range.end?.length ?? 0);
  return bytes;
}

/** Why a key is overdue, and nobody may see it so. */
function notExpired(cause: NotWrittenError | undefined): KvError {
  const what = "keys that are overdue cannot expire";
  if (cause === undefined || cause instanceof SpaceError) return storageFull(what, cause);
  return tooManyFiles(what, cause);
}

function tooManyFiles(what: string, cause: Error): KvError {
  const message = `too many open files, ${what}: raise the limit (ulimit -n)`;
  return new KvError("unavailable", message, {}, cause);
}

function stopped(cause: KvError): KvError {
  return new KvError("unavailable", `the store has stopped: ${cause.message}`, {}, cause);
}
