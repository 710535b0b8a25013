/**
 * Evaluates transactions one after the other against the state plus what the batch itself did so
 * far. Changes nothing: what comes out is records to write, and answers to give once they are
 * durable. A key that is overdue goes by a commit of its own before a transaction meets it.
 */

import type { KvError } from "../errors.ts";
import { utf8Bytes } from "../keys.ts";
import type { Check, CommitResult, Operation, PutOperation, Txn } from "../kv.ts";
import { EXPIRE_EVENTS_MAX, type Limits } from "../limits.ts";
import type { Many } from "../many.ts";
import { checkCommitSize } from "../rules.ts";
import { sameBytes } from "./bytes.ts";
import type { PendingRecords } from "./encoding.ts";
import { KIND } from "./format.ts";
import type { FoundAhead } from "./found-ahead.ts";
import { NO_ENTRY } from "./key-index.ts";
import { neverTaken, Run, type Pending } from "./run.ts";
import type { Known, State } from "./state.ts";

/** What is known of a key, and where its value is: a record of the batch, or else its entry. */
export interface Found extends Known {
  readonly record: number;
  readonly entry: number;
}

export interface BatchOptions {
  readonly state: State;
  readonly limits: Limits;
  /** The time of the batch, in milliseconds since 1970. */
  readonly now: number;
  /** What a commit with a put fails with, where there is no room for one. */
  readonly refusal?: KvError | undefined;
  /** Takes what is to be written. What was in it before is forgotten. */
  readonly records: PendingRecords;
}

export class Batch {
  readonly records: PendingRecords;
  readonly #state: State;
  readonly #limits: Limits;
  readonly #now: number;
  readonly #refusal: KvError | undefined;
  #revision: number;
  #putsKeys = false;
  /** The newest change of the key that was looked up last: its record here, or its entry. */
  #record = -1;
  #entry = NO_ENTRY;
  #known = 0;
  #createRevision = 0;
  #version = 0;
  #deadline = 0;

  constructor({ state, limits, now, refusal, records }: BatchOptions) {
    this.#state = state;
    this.#limits = limits;
    this.#now = now;
    this.#refusal = refusal;
    this.#revision = state.revision();
    this.records = records;
    records.reset();
  }

  /** Is nothing to be written? */
  get isEmpty(): boolean {
    return this.records.count === 0;
  }

  /** The newest revision, that of the last commit of the batch if it has any. */
  get revision(): number {
    return this.#revision;
  }

  /** Has it a commit that may have made a key which the state does not have? */
  get putsKeys(): boolean {
    return this.#putsKeys;
  }

  /** Adds a commit in which keys expire, of those among `keys` that are overdue. */
  expire(keys: Iterable<string>): void {
    const overdue = new Set<string>();
    for (const key of keys) if (this.#isOverdue(key)) overdue.add(key);
    if (overdue.size === 0) return;
    const revision = ++this.#revision;
    for (const key of overdue) {
      this.records.layText(key);
      this.#look();
      this.#addRemoval(KIND.expire, revision);
    }
    this.records.endCommit();
  }

  /**
   * The answer to a transaction; its commit, if it changes anything, is added to the records.
   * @throws what an operation fails with, `too_large` when its commit or its reads pass the limits,
   * and `storage_full` for a commit with a put where those are refused: then it changes nothing.
   */
  evaluate(txn: Txn): CommitResult {
    const { checks, then } = txn;
    const only = checks.length === 0 && then.length === 1 ? then[0]! : undefined;
    // Most transactions are one of these.
    if (only?.op === "put" && this.#isPlain(only)) return this.#evaluatePut(only);
    if (only?.op === "delete") return this.#evaluateDelete(only.key);

    this.#expireFirst(checks.map(({ key }) => key));
    const failed: number[] = [];
    for (const [at, check] of checks.entries()) if (!this.#holds(check)) failed.push(at);
    const succeeded = failed.length === 0;
    const operations = succeeded ? then : (txn.else ?? []);
    this.#expireFirst(operations.flatMap((operation) => ("key" in operation ? operation.key : [])));

    let run = this.#run(operations);
    // What a range had of them goes first, and the operations are run again without it.
    while (run.overdue.size > 0) {
      this.#expireFirst([...run.overdue]);
      run = this.#run(operations);
    }
    const changes = this.#netEffect(run.touched);
    if (changes.length === 0) {
      return { succeeded, revision: this.#revision, results: neverTaken(run), failed };
    }
    let bytes = 0;
    for (const [key, pending] of changes) bytes += utf8Bytes(key) + (pending?.value.length ?? 0);
    checkCommitSize(changes.length, bytes, this.#limits);
    if (changes.some(([, pending]) => pending !== undefined)) this.#checkRoom();
    this.#revision = run.revision;
    for (const [key, pending] of changes) this.#addChange(key, pending);
    this.records.endCommit();
    return { succeeded, revision: run.revision, results: run.results, failed };
  }

  // One put or delete, a commit of its own

  /**
   * Puts the value at `start` to `end` of `from` to the key that was laid, which is overdue by no
   * means; the commit's record is the last one then. @throws as `evaluate`.
   */
  put(contentType: string, from: Uint8Array, start: number, end: number, ttl: number): void {
    const { records } = this;
    const bytes = records.laidEnd - records.laidStart + end - start;
    checkCommitSize(1, bytes, this.#limits);
    this.#checkRoom();
    const revision = ++this.#revision;
    const isNew = this.#version === 0;
    const createRevision = isNew ? revision : this.#createRevision;
    const version = isNew ? 1 : this.#version + 1;
    const deadline = ttl === 0 ? 0 : this.#now + ttl;
    records.add(
      KIND.put,
      contentType,
      from,
      start,
      end,
      revision,
      this.#known,
      createRevision,
      version,
      deadline,
    );
    records.endCommit();
    this.#putsKeys = true;
  }

  /** Deletes the key that was laid, as `put`; answers false when it is not there. */
  delete(): boolean {
    if (this.#version === 0) return false;
    this.#addRemoval(KIND.delete, ++this.#revision);
    this.records.endCommit();
    return true;
  }

  /** Lays and looks up a key. Where it is overdue it expires first. */
  meet(key: string): void {
    this.records.layText(key);
    if (!this.#look()) return;
    this.#expireLaid();
    this.records.layText(key);
    this.#look();
  }

  /** Finds the keys that are met next. */
  findAhead(ahead: FoundAhead, operations: Many, from: number, to: number): number {
    return ahead.find(this.#state.index, operations, from, to);
  }

  /** As `meet`, the key at `start` to `end` of `from`; `ahead` is its entry where it was found. */
  meetBytes(from: Uint8Array, start: number, end: number, ahead?: number): void {
    this.records.layBytes(from, start, end);
    if (!this.#look(ahead)) return;
    this.#expireLaid();
    this.records.layBytes(from, start, end);
    this.#look();
  }

  /** The record here that has the key which was looked up, or -1. */
  get record(): number {
    return this.#record;
  }

  /** The entry of the key that was looked up, where no record here has it, or `NO_ENTRY`. */
  get entry(): number {
    return this.#entry;
  }

  /** The version of the key that was looked up; 0 when it is not there. */
  get version(): number {
    return this.#version;
  }

  /** What is known of the key that was looked up; `undefined` for a deleted one too. */
  found(): Found | undefined {
    if (this.#version === 0) return undefined;
    const record = this.#record;
    const entry = this.#entry;
    return {
      revision: this.#known,
      createRevision: this.#createRevision,
      version: this.#version,
      contentType:
        record >= 0 ? this.records.contentType(record) : this.#state.index.contentType(entry),
      deadline: this.#deadline,
      record,
      entry,
    };
  }

  /** A copy of a value: the answer that it is in is read when the batch is over. */
  value({ record, entry }: Found): Uint8Array {
    return record >= 0 ? this.records.value(record).slice() : this.#state.value(entry);
  }

  /** Is it a put that needs nothing but the newest numbers of its key? */
  #isPlain({ ttl, value }: PutOperation): boolean {
    return ttl !== "keep" && value.length <= this.#limits.commitBytesMax;
  }

  #evaluatePut({ op, key, value, contentType, ttl }: PutOperation): CommitResult {
    this.meet(key);
    this.put(contentType, value, 0, value.length, typeof ttl === "number" ? ttl : 0);
    const { records } = this;
    const record = records.count - 1;
    const revision = this.#revision;
    const createRevision = records.createRevision(record);
    const version = records.version(record);
    const changed = { op, key, revision, createRevision, version };
    const result =
      ttl === undefined ? changed : { ...changed, expiresAt: records.deadline(record) };
    return { succeeded: true, revision, results: [result], failed: NONE };
  }

  #evaluateDelete(key: string): CommitResult {
    this.meet(key);
    const results = [{ op: "delete", deleted: this.delete() ? 1 : 0 } as const];
    return { succeeded: true, revision: this.#revision, results, failed: NONE };
  }

  /** Looks up the key that was laid, as `meetBytes`; answers whether it is overdue. */
  #look(ahead?: number): boolean {
    const { records } = this;
    const record = records.find();
    this.#record = record;
    this.#entry = NO_ENTRY;
    if (record >= 0) {
      this.#known = records.revision(record);
      this.#createRevision = records.createRevision(record);
      this.#version = records.version(record);
      this.#deadline = records.deadline(record);
      return this.#deadline !== 0 && this.#deadline <= this.#now;
    }
    const { index } = this.#state;
    const entry = ahead ?? index.find(records.bytes, records.laidStart, records.laidEnd);
    this.#entry = entry;
    records.laidEntry = entry;
    if (entry === NO_ENTRY) {
      this.#known = this.#createRevision = this.#version = this.#deadline = 0;
      return false;
    }
    this.#known = index.revision(entry);
    this.#createRevision = index.createRevision(entry);
    this.#version = index.version(entry);
    this.#deadline = index.deadline(entry);
    return this.#deadline !== 0 && this.#deadline <= this.#now;
  }

  #expireLaid(): void {
    this.#addRemoval(KIND.expire, ++this.#revision);
    this.records.endCommit();
  }

  /** Adds the record with which the key that was laid and looked up goes. */
  #addRemoval(kind: typeof KIND.delete | typeof KIND.expire, revision: number): void {
    this.records.add(kind, "", NO_VALUE, 0, 0, revision, this.#known, 0, 0, 0);
  }

  /** @throws the refusal of a put where there is no room for one. */
  #checkRoom(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  // Any transaction

  #run(operations: readonly Operation[]): Run {
    const run = new Run({
      revision: this.#revision + 1,
      now: this.#now,
      limits: this.#limits,
      keys: this.#state.keys,
      before: (key) => this.#live(key),
      value: (known) => this.value(known as Found),
    });
    for (const [index, operation] of operations.entries()) run.perform(operation, index);
    return run;
  }

  #holds(check: Check): boolean {
    return this.#fits(check) !== (check.not ?? false);
  }

  #fits(check: Check): boolean {
    const known = this.#live(check.key);
    if (check.value !== undefined) return known !== undefined && this.#hasValue(known, check.value);
    if (check.version !== undefined) return isOneOf(known?.version ?? 0, check.version);
    return isOneOf(known?.revision ?? 0, check.revision);
  }

  /** Lets those of `keys` that are overdue expire, in commits of their own. */
  #expireFirst(keys: readonly string[]): void {
    const overdue = keys.filter((key) => this.#isOverdue(key));
    for (let at = 0; at < overdue.length; at += EXPIRE_EVENTS_MAX) {
      this.expire(overdue.slice(at, at + EXPIRE_EVENTS_MAX));
    }
  }

  #isOverdue(key: string): boolean {
    this.records.layText(key);
    return this.#look();
  }

  /** What is known of a key; `undefined` for a deleted one too. */
  #live(key: string): Found | undefined {
    this.records.layText(key);
    this.#look();
    return this.found();
  }

  #hasValue({ record, entry }: Found, value: Uint8Array): boolean {
    if (record < 0) return this.#state.hasValue(entry, value);
    return sameBytes(this.records.value(record), value);
  }

  /** What becomes of the keys that a run touched, where that is something. */
  #netEffect(touched: ReadonlyMap<string, Pending | undefined>): [string, Pending | undefined][] {
    const wasThere = (key: string): boolean => this.#live(key) !== undefined;
    return [...touched].filter(([key, pending]) => pending !== undefined || wasThere(key));
  }

  #addChange(key: string, pending: Pending | undefined): void {
    this.records.layText(key);
    this.#look();
    if (pending === undefined) return this.#addRemoval(KIND.delete, this.#revision);
    this.#putsKeys = true;
    const { value, contentType, createRevision, version, deadline } = pending;
    this.records.add(
      KIND.put,
      contentType,
      value,
      0,
      value.length,
      this.#revision,
      this.#known,
      createRevision,
      version,
      deadline,
    );
  }
}

/** Does an operation look at keys that it does not name? */
export function readsRange({ then, else: otherwise = [] }: Txn): boolean {
  return then.some(isRanged) || otherwise.some(isRanged);
}

// --- internal ---

const NO_VALUE = new Uint8Array(0);
const NONE: readonly never[] = [];

function isRanged({ op }: Operation): boolean {
  return op === "list" || op === "deleteRange";
}

function isOneOf(number: number, wanted: number | readonly number[]): boolean {
  return typeof wanted === "number" ? number === wanted : wanted.includes(number);
}
