/** What waits for the commit loop, and how much of it there may be at a time. */

import type { KvError } from "../errors.ts";
import { rangeStart } from "../keys.ts";
import type { Check, CommitResult, CompactResult, Operation, Txn } from "../kv.ts";
import { Batch, readsRange } from "./batch.ts";

/** Takes part in batches until it is answered. */
export interface Job {
  /** See `bytesOf`. */
  readonly bytes: number;
  /** Does it look at keys that it does not name? */
  readonly isRanged: boolean;
  /** Evaluates as much of it as a batch can have. Answers whether that is all. */
  evaluate(batch: Batch): boolean;
  /** The batch is durable and can be seen; its records are still there. */
  applied(batch: Batch): void;
  /** Gives the answer, unless a part of the job is still to be evaluated. */
  answer(): void;
  /** The batch was not written, and is evaluated anew. */
  takeBack(): void;
  /**
   * The batch was not written. What changes something fails with `cause`; what does not is answered
   * as it is `alone`, each in a batch of its own: what it rests on was not written, even where it
   * failed by itself.
   */
  refuse(cause: KvError, alone: () => Batch): void;
  /** It is answered by an error, whatever became of it. */
  reject(error: KvError): void;
}

/** A transaction that waits. */
export class TxnJob implements Job {
  readonly bytes: number;
  readonly promise: Promise<CommitResult>;
  readonly #txn: Txn;
  readonly #resolve: (result: CommitResult) => void;
  readonly #reject: (error: Error) => void;
  #outcome: CommitResult | Error | undefined;

  constructor(txn: Txn) {
    this.#txn = txn;
    this.bytes = bytesOf(txn);
    const { promise, resolve, reject } = Promise.withResolvers<CommitResult>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get isRanged(): boolean {
    return readsRange(this.#txn);
  }

  evaluate(batch: Batch): true {
    try {
      this.#outcome = batch.evaluate(this.#txn);
    } catch (error) {
      this.#outcome = error as Error;
    }
    return true;
  }

  applied(): void {}

  takeBack(): void {}

  answer(): void {
    const outcome = this.#outcome!;
    if (outcome instanceof Error) this.#reject(outcome);
    else this.#resolve(outcome);
  }

  refuse(cause: KvError, alone: () => Batch): void {
    const batch = alone();
    this.evaluate(batch);
    if (batch.isEmpty) this.answer();
    else this.#reject(cause);
  }

  reject(error: KvError): void {
    this.#reject(error);
  }
}

/** A compaction that waits: of no batch. */
export interface Compacting {
  readonly bytes: number;
  /** The revision that becomes the oldest readable one. */
  readonly compact: number;
  readonly resolve: (result: CompactResult) => void;
  readonly reject: (error: Error) => void;
}

export type Queued = Job | Compacting;

/** Waits until nothing is due as of a time; of no batch either. */
export interface Settling {
  /** Milliseconds since 1970. */
  readonly asOf: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What a check or an operation counts beyond its key and value: its memory, and its record. */
export const OVERHEAD_BYTES = 128;

// --- internal ---

/** Bytes of a transaction that waits, about: small keys in great number count too. */
function bytesOf({ checks, then, else: otherwise = NONE }: Txn): number {
  let bytes = (checks.length + then.length + otherwise.length) * OVERHEAD_BYTES;
  for (const check of checks) bytes += contentOf(check);
  for (const operation of then) bytes += contentOf(operation);
  for (const operation of otherwise) bytes += contentOf(operation);
  return bytes;
}

const NONE: readonly Operation[] = [];

function contentOf(part: Check | Operation): number {
  let bytes = 0;
  if ("key" in part) bytes += part.key.length;
  if ("value" in part) bytes += part.value?.length ?? 0;
  if ("revision" in part && typeof part.revision === "object") bytes += 8 * part.revision.length;
  if ("version" in part && typeof part.version === "object") bytes += 8 * part.version.length;
  if ("range" in part) bytes += rangeStart(part.range).length + (part.range.end?.length ?? 0);
  return bytes;
}
