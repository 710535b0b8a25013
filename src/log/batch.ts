/**
 * Evaluates transactions one after the other against the state plus what the batch itself did so
 * far. Changes nothing: what comes out is commits to write, and answers to give once they are
 * durable.
 */

import { utf8Bytes } from "../keys.ts";
import type { Check, CommitResult, ListedEntry, Operation, OperationResult, Txn } from "../kv.ts";
import type { Limits } from "../limits.ts";
import { checkCommitSize, checkReadSize } from "../rules.ts";
import type { PendingCommit, PendingEvent } from "./log.ts";

/** What is known of a key's newest change; a deleted key has version 0. */
export interface Known {
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
  readonly contentType: string;
}

/** The durable state below a batch. */
export interface State<K extends Known> {
  revision(): number;
  /** The key's newest change, `undefined` when it never had one. */
  known(key: string): K | undefined;
  value(key: string, known: K): Uint8Array;
}

/** A put of this batch. */
interface Pending extends Known {
  readonly value: Uint8Array;
}

export class Batch<K extends Known> {
  readonly commits: PendingCommit[] = [];
  readonly #state: State<K>;
  readonly #limits: Limits;
  /** What keys became by earlier transactions of this batch. */
  readonly #changed = new Map<string, Pending>();
  #revision: number;

  constructor(state: State<K>, limits: Limits) {
    this.#state = state;
    this.#limits = limits;
    this.#revision = state.revision();
  }

  /**
   * The answer to a transaction; its commit, if it changes anything, is added to `commits`.
   * @throws `too_large` when its commit or its reads pass the limits: then it changes nothing.
   */
  evaluate(txn: Txn): CommitResult {
    const failed: number[] = [];
    for (const [at, check] of txn.checks.entries()) if (!this.#holds(check)) failed.push(at);
    const succeeded = failed.length === 0;
    const run = new Run(this.#revision + 1, (key) => this.#live(key));
    for (const operation of succeeded ? txn.then : (txn.else ?? [])) this.#perform(run, operation);

    const events = this.#netEffect(run.touched);
    const results = run.results;
    if (events.length === 0) return { succeeded, revision: this.#revision, results, failed };
    let bytes = 0;
    for (const { key, value } of events) bytes += utf8Bytes(key) + value.length;
    checkCommitSize(events.length, bytes, this.#limits);
    this.#revision = run.revision;
    this.#remember(run);
    this.commits.push({ revision: run.revision, events });
    return { succeeded, revision: run.revision, results, failed };
  }

  #perform(run: Run, operation: Operation): void {
    if (operation.op === "put") run.put(operation.key, operation.value, operation.contentType);
    else if (operation.op === "delete") run.delete(operation.key);
    else {
      const entry = this.#entry(operation.key, run.current(operation.key), operation.keys ?? false);
      // At once: what is too large in all must not be read to its end.
      run.readBytes += entry?.value?.length ?? 0;
      checkReadSize(run.readBytes, this.#limits);
      run.results.push(entry === undefined ? { op: "get" } : { op: "get", entry });
    }
  }

  #holds({ key, revision, not = false }: Check): boolean {
    const current = this.#live(key)?.revision ?? 0;
    const holds = typeof revision === "number" ? revision === current : revision.includes(current);
    return holds !== not;
  }

  #known(key: string): Known | undefined {
    return this.#changed.get(key) ?? this.#state.known(key);
  }

  /** As `#known`, `undefined` for a deleted key too. */
  #live(key: string): Known | undefined {
    const known = this.#known(key);
    return known !== undefined && known.version > 0 ? known : undefined;
  }

  #entry(key: string, known: Known | undefined, keys: boolean): ListedEntry | undefined {
    if (known === undefined) return undefined;
    const { contentType, revision, createRevision, version } = known;
    const info = { key, contentType, revision, createRevision, version };
    if (keys) return info;
    // What no transaction of this batch changed came out of the state as it is.
    const value = "value" in known ? (known as Pending).value : this.#state.value(key, known as K);
    return { ...info, value };
  }

  #netEffect(touched: ReadonlyMap<string, Pending | undefined>): PendingEvent[] {
    const events: PendingEvent[] = [];
    for (const [key, pending] of touched) {
      const before = this.#known(key);
      const previousRevision = before?.revision ?? 0;
      if (pending !== undefined) {
        const { value, contentType, createRevision, version } = pending;
        const put = { value, contentType, previousRevision, createRevision, version };
        events.push({ type: "put", key, ...put });
      } else if (before !== undefined && before.version > 0) {
        events.push({ type: "delete", key, previousRevision, ...NOTHING });
      }
    }
    return events;
  }

  #remember({ touched, revision }: Run): void {
    for (const [key, pending] of touched) {
      if (pending !== undefined) this.#changed.set(key, pending);
      else if (this.#live(key) !== undefined) this.#changed.set(key, { revision, ...NOTHING });
    }
  }
}

// --- internal ---

const NOTHING = { value: new Uint8Array(0), contentType: "", createRevision: 0, version: 0 };

/** One run of a list of operations. */
class Run {
  readonly revision: number;
  readonly results: OperationResult[] = [];
  /** Bytes of values in the results of gets. */
  readBytes = 0;
  /**
   * What keys become (`undefined`: absent), in the order of the last operation that changed each.
   */
  readonly touched = new Map<string, Pending | undefined>();
  /** Where the results are of each key's puts that no delete has undone. */
  readonly #puts = new Map<string, number[]>();
  readonly #before: (key: string) => Known | undefined;

  constructor(revision: number, before: (key: string) => Known | undefined) {
    this.revision = revision;
    this.#before = before;
  }

  /** What the operations so far made of a key; `undefined` when it is absent. */
  current(key: string): Known | undefined {
    return this.touched.has(key) ? this.touched.get(key) : this.#before(key);
  }

  put(key: string, value: Uint8Array, contentType: string): void {
    const { revision } = this;
    const before = this.current(key);
    const createRevision = before?.createRevision ?? revision;
    let version = 1;
    // A second put in the same transaction is the same change.
    if (before !== undefined) version = before.version + Number(before.revision !== revision);
    // A copy stays in memory: the caller may use its bytes again once it was answered.
    const copy = value.slice();
    this.#touch(key, { value: copy, contentType, revision, createRevision, version });
    const puts = this.#puts.get(key);
    if (puts === undefined) this.#puts.set(key, [this.results.length]);
    else puts.push(this.results.length);
    this.results.push({ op: "put", key, revision, createRevision, version });
  }

  delete(key: string): void {
    const deleted = this.current(key) === undefined ? 0 : 1;
    if (deleted === 1) {
      if (this.touched.get(key) !== undefined) this.#undoPuts(key);
      this.#touch(key, undefined);
    }
    this.results.push({ op: "delete", deleted });
  }

  #touch(key: string, pending: Pending | undefined): void {
    this.touched.delete(key);
    this.touched.set(key, pending);
  }

  /** The puts of a key that is now deleted left no trace: their results say so. */
  #undoPuts(key: string): void {
    for (const at of this.#puts.get(key) ?? []) {
      this.results[at] = { op: "put", key, revision: 0, createRevision: 0, version: 0 };
    }
    this.#puts.delete(key);
  }
}
