/**
 * The commit loop: transactions queue while the batch before them syncs, then all of them are
 * evaluated in order, written with one write and one fdatasync, applied, and answered. So nothing
 * that is not durable is ever shown, and conditions are exact.
 *
 *   queued ──▶ evaluated ──▶ written ──▶ synced ──▶ applied ──▶ answered
 *                  │             └─ disk full: cut off again, storage_full
 *                  └─ nothing to write in the whole batch: answered at once
 */

import { KvError } from "../errors.ts";
import { utf8Bytes } from "../keys.ts";
import type { CommitResult, Operation, Txn } from "../kv.ts";
import type { Limits } from "../limits.ts";
import { BATCH_BYTES_MAX, QUEUE_BYTES_MAX, QUEUE_TXNS_MAX } from "../limits.ts";
import { Batch, type Known, type State } from "./batch.ts";
import { SpaceError, type PendingCommit, type Placed } from "./log.ts";

export interface CommitLoopOptions<K extends Known> {
  readonly state: State<K>;
  readonly limits: Limits;
  /** Writes and syncs. `SpaceError` = nothing was written; any other error is the end. */
  readonly append: (commits: readonly PendingCommit[]) => Promise<readonly Placed[]>;
  /** Shows what is durable now to readers and watchers. */
  readonly apply: (commits: readonly PendingCommit[], placed: readonly Placed[]) => void;
  /** Told in one line when the disk becomes full, and when there is room again. */
  readonly notice: (message: string) => void;
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
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | undefined;
  #failed: KvError | undefined;
  /** While the disk is full: when a write was last refused. */
  #refusedAt: number | undefined;

  constructor(options: CommitLoopOptions<K>) {
    this.#options = options;
  }

  /**
   * Queues a transaction that has been checked against the limits. Order of calls is order of
   * effect.
   */
  commit(txn: Txn): Promise<CommitResult> {
    if (this.#failed !== undefined) return Promise.reject(stopped(this.#failed));
    if (this.#queuedBytes > QUEUE_BYTES_MAX || this.#queue.length >= QUEUE_TXNS_MAX) {
      const message = "too many writes are waiting for the disk; try again in a second";
      return Promise.reject(new KvError("unavailable", message));
    }
    const bytes = bytesOf(txn);
    const { promise, resolve, reject } = Promise.withResolvers<CommitResult>();
    this.#queue.push({ txn, bytes, resolve, reject });
    this.#queuedBytes += bytes;
    this.#running ??= this.#run();
    return promise;
  }

  /** Resolves when everything queued has been answered. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // What arrives in the same turn shares the first batch too.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const waiting = this.#take();
      try {
        await this.#process(waiting);
      } catch (error) {
        this.#fail(waiting, error as Error);
      }
    }
    this.#running = undefined;
  }

  /** The next batch: everything that waits, up to a number of bytes and at least one. */
  #take(): Waiting[] {
    let count = 0;
    let bytes = 0;
    for (const waiting of this.#queue) {
      if (count > 0 && bytes + waiting.bytes > BATCH_BYTES_MAX) break;
      bytes += waiting.bytes;
      count++;
    }
    this.#queuedBytes -= bytes;
    if (count === this.#queue.length) {
      const all = this.#queue;
      this.#queue = [];
      return all;
    }
    return this.#queue.splice(0, count);
  }

  async #process(waiting: readonly Waiting[]): Promise<void> {
    const { state, limits, append, apply } = this.#options;
    const batch = new Batch(state, limits);
    const answers = waiting.map(({ txn }) => outcome(batch, txn));
    if (batch.commits.length > 0) {
      try {
        apply(batch.commits, await append(batch.commits));
        this.#noteRoom();
      } catch (error) {
        if (error instanceof SpaceError) return this.#refuseForSpace(waiting, error);
        throw error;
      }
    }
    for (const [at, { resolve, reject }] of waiting.entries()) {
      const answer = answers[at]!;
      if (answer instanceof Error) reject(answer);
      else resolve(answer);
    }
  }

  /**
   * The batch was not written. Each transaction is evaluated again, alone: one that changes nothing
   * is answered, so that reads and refusals do not depend on writes that never happened.
   */
  #refuseForSpace(waiting: readonly Waiting[], cause: SpaceError): void {
    this.#noteFull(cause);
    for (const { txn, resolve, reject } of waiting) {
      const batch = new Batch(this.#options.state, this.#options.limits);
      const answer = outcome(batch, txn);
      if (answer instanceof Error) reject(answer);
      else if (batch.commits.length === 0) resolve(answer);
      else {
        const message = `the disk is full (${cause.message}); nothing was changed`;
        reject(new KvError("storage_full", message, {}, cause));
      }
    }
  }

  #noteFull(cause: SpaceError): void {
    const isNew = this.#refusedAt === undefined;
    this.#refusedAt = this.#options.clock();
    if (!isNew) return;
    this.#options.notice(
      `the disk is full (${cause.message}): writes are refused until there is room, reads go on`,
    );
  }

  /** A small write can find room between two large ones that do not: that is not told each time. */
  #noteRoom(): void {
    if (this.#refusedAt === undefined) return;
    if (this.#options.clock() - this.#refusedAt < ROOM_AGAIN_MS) return;
    this.#refusedAt = undefined;
    this.#options.notice("the disk has room again: writes go on");
  }

  /** Nobody knows whether the batch is on the disk. It is never tried again. */
  #fail(waiting: readonly Waiting[], cause: Error): void {
    const failed = new KvError(
      "outcome_unknown",
      `writing the log failed (${cause.message}); the write may have been applied`,
      {},
      cause,
    );
    this.#failed = failed;
    for (const { reject } of waiting) reject(failed);
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const { reject } of queue) reject(stopped(failed));
    this.#options.fatal(failed);
  }
}

// --- internal ---

/** Without a refusal for so long, a write that goes through means that there is room again. */
const ROOM_AGAIN_MS = 1_000;

interface Waiting {
  readonly txn: Txn;
  /** See `bytesOf`. */
  readonly bytes: number;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: Error) => void;
}

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
  for (const { key } of checks) bytes += utf8Bytes(key);
  for (const operation of then) bytes += contentOf(operation);
  for (const operation of otherwise) bytes += contentOf(operation);
  return bytes;
}

function contentOf(operation: Operation): number {
  return utf8Bytes(operation.key) + (operation.op === "put" ? operation.value.length : 0);
}

function stopped(cause: KvError): KvError {
  return new KvError("unavailable", `the store has stopped: ${cause.message}`, {}, cause);
}
