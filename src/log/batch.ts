/**
 * Evaluates transactions one after the other against the state plus what the batch itself did so
 * far. Changes nothing: what comes out is commits to write, and answers to give once they are
 * durable. A key that is overdue goes by a commit of its own before a transaction meets it.
 */

import { KvError } from "../errors.ts";
import { utf8Bytes } from "../keys.ts";
import type { Check, CommitResult, Operation, OperationResult, Txn } from "../kv.ts";
import { EXPIRE_EVENTS_MAX, type Limits } from "../limits.ts";
import { checkCommitSize } from "../rules.ts";
import type { PendingCommit, PendingEvent } from "./appender.ts";
import { Run, type Pending } from "./run.ts";
import type { Known, State } from "./state.ts";

export class Batch<K extends Known> {
  readonly commits: PendingCommit[] = [];
  readonly #state: State<K>;
  readonly #limits: Limits;
  /** The time of the batch, in milliseconds since 1970. */
  readonly #now: number;
  /** What a commit with a put fails with, where there is no room for one. */
  readonly #refusal: KvError | undefined;
  /** What keys became by earlier commits of this batch. */
  readonly #changed = new Map<string, Pending | Gone>();
  #revision: number;
  #putsKeys = false;

  constructor(state: State<K>, limits: Limits, now: number, refusal?: KvError) {
    this.#state = state;
    this.#limits = limits;
    this.#now = now;
    this.#refusal = refusal;
    this.#revision = state.revision();
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
    const events = Array.from(overdue, (key): PendingEvent => {
      const previousRevision = this.#known(key)!.revision;
      return { type: "expire", key, previousRevision, ...NOTHING };
    });
    for (const key of overdue) this.#changed.set(key, { revision, ...NOTHING });
    this.commits.push({ revision, events });
  }

  /**
   * The answer to a transaction; its commit, if it changes anything, is added to `commits`.
   * @throws what an operation fails with, `too_large` when its commit or its reads pass the limits,
   * and `storage_full` for a commit with a put where those are refused: then it changes nothing.
   */
  evaluate(txn: Txn): CommitResult {
    this.#expireFirst(txn.checks.map(({ key }) => key));
    const failed: number[] = [];
    for (const [at, check] of txn.checks.entries()) if (!this.#holds(check)) failed.push(at);
    const succeeded = failed.length === 0;
    const operations = succeeded ? txn.then : (txn.else ?? []);
    this.#expireFirst(operations.map((operation) => ("key" in operation ? operation.key : "")));

    let run = this.#run(operations);
    // What a range had of them goes first, and the operations are run again without it.
    while (run.overdue.size > 0) {
      this.#expireFirst([...run.overdue]);
      run = this.#run(operations);
    }
    const events = this.#netEffect(run.touched);
    if (events.length === 0) {
      return { succeeded, revision: this.#revision, results: neverTaken(run), failed };
    }
    let bytes = 0;
    for (const { key, value } of events) bytes += utf8Bytes(key) + value.length;
    checkCommitSize(events.length, bytes, this.#limits);
    if (this.#refusal !== undefined && events.some(({ type }) => type === "put")) {
      throw this.#refusal;
    }
    this.#revision = run.revision;
    this.#remember(run);
    this.commits.push({ revision: run.revision, events });
    return { succeeded, revision: run.revision, results: run.results, failed };
  }

  #run(operations: readonly Operation[]): Run {
    const run = new Run({
      revision: this.#revision + 1,
      now: this.#now,
      limits: this.#limits,
      keys: this.#state.keys,
      before: (key) => this.#live(key),
      value: (key, known) => this.#value(key, known),
    });
    for (const [index, operation] of operations.entries()) perform(run, operation, index);
    return run;
  }

  #holds(check: Check): boolean {
    return this.#fits(check) !== (check.not ?? false);
  }

  #fits(check: Check): boolean {
    const known = this.#live(check.key);
    if (check.value !== undefined) {
      return known !== undefined && this.#hasValue(check.key, known, check.value);
    }
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
    const deadline = this.#known(key)?.deadline ?? 0;
    return deadline !== 0 && deadline <= this.#now;
  }

  #known(key: string): Known | undefined {
    return this.#changed.get(key) ?? this.#state.known(key);
  }

  /** As `#known`, `undefined` for a deleted key too. */
  #live(key: string): Known | undefined {
    const known = this.#known(key);
    return known !== undefined && known.version > 0 ? known : undefined;
  }

  #value(key: string, known: Known): Uint8Array {
    // What no transaction of this batch changed came out of the state as it is.
    return "value" in known ? (known as Pending).value : this.#state.value(key, known as K);
  }

  #hasValue(key: string, known: Known, value: Uint8Array): boolean {
    if (!("value" in known)) return this.#state.hasValue(key, known as K, value);
    return Buffer.compare((known as Pending).value, value) === 0;
  }

  #netEffect(touched: ReadonlyMap<string, Pending | undefined>): PendingEvent[] {
    const events: PendingEvent[] = [];
    for (const [key, pending] of touched) {
      const before = this.#known(key);
      const previousRevision = before?.revision ?? 0;
      if (pending !== undefined) {
        const { value, contentType, createRevision, version, deadline } = pending;
        const put = { value, contentType, previousRevision, createRevision, version, deadline };
        events.push({ type: "put", key, ...put });
      } else if (before !== undefined && before.version > 0) {
        events.push({ type: "delete", key, previousRevision, ...NOTHING });
      }
    }
    return events;
  }

  #remember({ touched, revision }: Run): void {
    for (const [key, pending] of touched) {
      if (pending !== undefined) {
        this.#changed.set(key, pending);
        this.#putsKeys = true;
      } else if (this.#live(key) !== undefined) this.#changed.set(key, { revision, ...NOTHING });
    }
  }
}

/** Does an operation look at keys that it does not name? */
export function readsRange({ then, else: otherwise = [] }: Txn): boolean {
  return then.some(isRanged) || otherwise.some(isRanged);
}

// --- internal ---

/** A key that a commit of this batch has removed. */
type Gone = Known & { readonly value: Uint8Array };

const NOTHING = {
  value: new Uint8Array(0),
  contentType: "",
  createRevision: 0,
  version: 0,
  deadline: 0,
};

function isRanged({ op }: Operation): boolean {
  return op === "list" || op === "deleteRange";
}

function perform(run: Run, operation: Operation, index: number): void {
  try {
    run.perform(operation);
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    throw new KvError(error.code, error.message, { ...error.details, index }, error.cause);
  }
}

/**
 * Results of a transaction that changed nothing in the end: a revision that is not taken must not
 * be shown, whatever its operations saw of each other.
 */
function neverTaken({ results, revision }: Run): OperationResult[] {
  const zero = <E extends { revision: number; createRevision: number }>(entry: E): E =>
    entry.revision === revision
      ? {
          ...entry,
          revision: 0,
          createRevision: entry.createRevision === revision ? 0 : entry.createRevision,
        }
      : entry;
  return results.map((result) => {
    if (result.op === "list") return { ...result, entries: result.entries.map(zero) };
    if (result.op !== "get" || result.entry === undefined) return result;
    return { op: "get", entry: zero(result.entry) };
  });
}

function isOneOf(number: number, wanted: number | readonly number[]): boolean {
  return typeof wanted === "number" ? number === wanted : wanted.includes(number);
}
