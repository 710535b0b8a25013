/**
 * Many operations that wait for the commit loop together. Each is evaluated for itself, in order,
 * in as few batches as their size allows, and answered once its batch can be seen.
 */

import { KvError } from "../errors.ts";
import { isPlainKey } from "../keys.ts";
import { BATCH_BYTES_MAX, MANY_OPERATIONS_A_BATCH, type Limits } from "../limits.ts";
import { MANY, manyKey, type Many, type ManyAnswers } from "../many.ts";
import { checkPut } from "../rules.ts";
import type { Batch, Found } from "./batch.ts";
import { FoundAhead } from "./found-ahead.ts";
import { OVERHEAD_BYTES, type Job } from "./queued.ts";

export class ManyJob implements Job {
  readonly bytes: number;
  readonly isRanged = false;
  readonly promise: Promise<void>;
  readonly #operations: Many;
  readonly #answers: ManyAnswers;
  readonly #limits: Limits;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  readonly #from: number;
  /** The first operation that is not answered, and the first that is not evaluated. */
  #at: number;
  #to: number;
  /** Of each: the number of its record, or one of the codes below. */
  readonly #outcomes: Int32Array;
  /** What those need that have no record. */
  readonly #absentAt = new Map<number, number>();
  readonly #read = new Map<number, Read>();
  readonly #errors = new Map<number, KvError>();
  #readBytes = 0;

  /** `from`: the first of the operations that is to be run. */
  constructor(operations: Many, from: number, answers: ManyAnswers, limits: Limits) {
    const { count, bytes } = operations;
    this.#operations = operations;
    this.#answers = answers;
    this.#limits = limits;
    this.#from = from;
    this.#at = from;
    this.#to = from;
    this.#outcomes = new Int32Array(count);
    this.bytes = bytes.length + (count - from) * OVERHEAD_BYTES;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  evaluate(batch: Batch): boolean {
    const { count } = this.#operations;
    const end = Math.min(count, this.#to + MANY_OPERATIONS_A_BATCH);
    for (let foundTo = this.#to; this.#to < end;) {
      const at = this.#to++;
      if (at === foundTo) foundTo = batch.findAhead(ahead, this.#operations, at, end);
      this.#evaluateOne(batch, at, ahead.of(at));
      if (batch.records.end + this.#readBytes > BATCH_BYTES_MAX) break;
    }
    return this.#to === count;
  }

  applied(batch: Batch): void {
    while (this.#at < this.#to) this.#give(batch, this.#at++);
    this.#forget();
  }

  takeBack(): void {
    this.#to = this.#at;
    this.#forget();
  }

  answer(): void {
    if (this.#at === this.#operations.count) this.#resolve();
  }

  refuse(cause: KvError, alone: () => Batch): void {
    this.#forget();
    while (this.#at < this.#to) {
      const batch = alone();
      const at = this.#at++;
      this.#evaluateOne(batch, at);
      if (batch.isEmpty) this.#give(batch, at);
      else this.#answers.failed(cause);
    }
    this.#forget();
    this.answer();
  }

  reject(error: KvError): void {
    // Some of them may be answered, or be in the write that failed: it is not so that none was run.
    const { message, details, cause } = error;
    const isBegun = error.code === "unavailable" && this.#to > this.#from;
    this.#reject(isBegun ? new KvError("outcome_unknown", message, details, cause) : error);
  }

  #forget(): void {
    this.#absentAt.clear();
    this.#read.clear();
    this.#errors.clear();
    this.#readBytes = 0;
  }

  /** `entry`: that of its key, where it was found ahead. */
  #evaluateOne(batch: Batch, at: number, entry?: number): void {
    try {
      this.#outcomes[at] = this.#run(batch, at, entry);
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      this.#errors.set(at, error);
      this.#outcomes[at] = FAILED;
    }
  }

  /** Runs one operation in a batch; answers its outcome. */
  #run(batch: Batch, at: number, entry: number | undefined): number {
    const { bytes, kinds, keyStarts, keyEnds } = this.#operations;
    const { valueStarts, valueEnds, contentTypes, ttls } = this.#operations;
    const kind = kinds[at]!;
    if (kind === MANY.get && this.#answers.isFull) return UNREAD;
    checkOne(this.#operations, at, this.#limits);
    batch.meetBytes(bytes, keyStarts[at]!, keyEnds[at]!, entry);
    if (kind === MANY.put) {
      const contentType = contentTypes[at]!;
      batch.put(contentType, bytes, valueStarts[at]!, valueEnds[at]!, ttls[at]!);
      return batch.records.count - 1;
    }
    if (kind === MANY.delete && batch.delete()) return batch.records.count - 1;
    if (batch.version === 0) {
      this.#absentAt.set(at, batch.revision);
      return ABSENT;
    }
    // A value of this batch stays where it is until the answers are given.
    if (batch.record >= 0) return batch.record;
    const found = batch.found()!;
    const value = batch.value(found);
    this.#readBytes += value.length;
    this.#read.set(at, { found, value });
    return READ;
  }

  #give({ records }: Batch, at: number): void {
    const answers = this.#answers;
    const outcome = this.#outcomes[at]!;
    const kind = this.#operations.kinds[at]!;
    if (kind === MANY.get && answers.isFull) return answers.unread();
    if (outcome === ABSENT) return answers.absent(this.#absentAt.get(at)!);
    if (outcome === FAILED) return answers.failed(this.#errors.get(at)!);
    if (outcome === READ) return this.#giveRead(this.#read.get(at)!);
    const revision = records.revision(outcome);
    if (kind === MANY.delete) return answers.deleted(revision);
    const createRevision = records.createRevision(outcome);
    const version = records.version(outcome);
    const deadline = records.deadline(outcome);
    if (kind === MANY.put) return answers.put(revision, createRevision, version, deadline);
    const contentType = records.contentType(outcome);
    const value = records.value(outcome);
    answers.found(contentType, revision, createRevision, version, deadline, value);
  }

  #giveRead({ found, value }: Read): void {
    const { contentType, revision, createRevision, version, deadline } = found;
    this.#answers.found(contentType, revision, createRevision, version, deadline, value);
  }
}

/** @throws what one of many operations fails with, whatever is in the store. */
export function checkOne(operations: Many, at: number, limits: Limits): void {
  const { bytes, kinds, keyStarts, keyEnds, valueStarts, valueEnds } = operations;
  if (!isPlainKey(bytes, keyStarts[at]!, keyEnds[at]!)) manyKey(operations, at);
  if (kinds[at] !== MANY.put) return;
  const ttl = operations.ttls[at]!;
  const contentType = operations.contentTypes[at]!;
  const valueBytes = valueEnds[at]! - valueStarts[at]!;
  checkPut(valueBytes, contentType, ttl === 0 ? undefined : ttl, limits);
}

// --- internal ---

/** Of the job that is evaluated: nothing else runs meanwhile. */
const ahead = new FoundAhead();

/** What a get found in the state below its batch. */
interface Read {
  readonly found: Found;
  readonly value: Uint8Array;
}

// Outcomes without a record.
const ABSENT = -1;
const FAILED = -2;
const READ = -3;
/** There was no room for the value; there is none later. */
const UNREAD = -4;
