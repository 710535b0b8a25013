/**
 * The plainest store that is right: every change of every key in memory, nothing clever. The
 * property tests compare the engines with it, so clarity beats speed everywhere in here.
 */

import { KvError } from "../../src/errors.ts";
import {
  checkKey,
  checkRange,
  checkRanges,
  compareKeys,
  inRange,
  utf8Bytes,
} from "../../src/keys.ts";
import type {
  Changes,
  ChangesOptions,
  Commit,
  CommitResult,
  CompactResult,
  DeleteEvent,
  Entry,
  Event,
  GetResult,
  HistoryOptions,
  HistoryResult,
  ListOptions,
  ListResult,
  PutEvent,
  Range,
  ReadOptions,
  Status,
  Store,
  Txn,
} from "../../src/kv.ts";
import { EXPIRE_EVENTS_MAX, LIMITS, PAGE_ENTRIES_DEFAULT, type Limits } from "../../src/limits.ts";
import {
  checkCommitSize,
  checkHistory,
  checkList,
  checkTxn,
  checkWatchable,
  readableRevision,
} from "../../src/rules.ts";
import { pageOf, withoutValue } from "./model/page.ts";
import { holds, Run } from "./model/run.ts";

export interface ModelOptions {
  /** The revision that the empty store begins with; 0 when left out. */
  revision?: number;
  /** How much higher each commit's revision is than the one before; above 1 there are gaps. */
  step?: number;
  /** Commits that one chunk of `changes` looks at. */
  chunkCommitsMax?: number;
  limits?: Partial<Limits>;
  /**
   * Milliseconds since 1970. With one of its own, keys expire when a call looks at it; with the
   * real one also by themselves.
   */
  clock?: () => number;
}

export interface ModelStore extends Store {
  get(key: string, options?: ReadOptions): GetResult;
  list(range: Range, options?: ListOptions): ListResult;
  history(key: string, options?: HistoryOptions): HistoryResult;
  status(): Status;
}

export function openModel(options: ModelOptions = {}): ModelStore {
  return new Model(options);
}

// --- internal ---

class Model implements ModelStore {
  readonly limits: Limits;
  readonly capabilities = { history: true };
  readonly #id = crypto.randomUUID();
  readonly #step: number;
  readonly #chunkCommitsMax: number;
  readonly #clock: () => number;
  /** With the real clock: when the next key is due. */
  readonly #timer: Timer | undefined;
  /** Every change of each key, oldest first. */
  readonly #pasts = new Map<string, Event[]>();
  /** The entries of the newest revision. */
  readonly #live = new Map<string, Entry>();
  /** When those of them expire that do. */
  readonly #deadlines = new Map<string, number>();
  readonly #commits: Commit[] = [];
  #revision: number;
  #oldest: number;
  #closed = false;
  /** Resolves at the next commit, and at the close. */
  #moved = Promise.withResolvers<void>();

  constructor(options: ModelOptions) {
    this.limits = { ...LIMITS, ...options.limits };
    this.#step = options.step ?? 1;
    this.#chunkCommitsMax = options.chunkCommitsMax ?? 100;
    this.#clock = options.clock ?? Date.now;
    if (options.clock === undefined) this.#timer = new Timer(() => this.#onTime());
    this.#revision = options.revision ?? 0;
    this.#oldest = this.#revision;
  }

  get(key: string, { revision }: ReadOptions = {}): GetResult {
    this.#checkOpen();
    checkKey(key);
    const at = this.#readable(revision);
    const entry = this.#entryAt(key, at);
    return entry === undefined ? { revision: at } : { revision: at, entry };
  }

  list(range: Range, options: ListOptions = {}): ListResult {
    this.#checkOpen();
    checkRange(range);
    checkList(options, this.limits);
    const revision = this.#readable(options.revision);
    const entries = [...this.#pasts.keys()].flatMap((key) => this.#entryAt(key, revision) ?? []);
    return { revision, ...pageOf(entries, range, options, this.limits) };
  }

  history(key: string, options: HistoryOptions = {}): HistoryResult {
    this.#checkOpen();
    checkKey(key);
    this.#expire();
    checkHistory(options, this.#oldest, this.limits);
    const { before = Number.POSITIVE_INFINITY, limit = PAGE_ENTRIES_DEFAULT } = options;
    const pasts = this.#pasts.get(key) ?? [];
    // Everything since the oldest revision, and the entry that the key had at it.
    const atOldest = this.#entryAt(key, this.#oldest)?.revision;
    const shown = pasts
      .filter(({ revision }) => revision > this.#oldest || revision === atOldest)
      .filter(({ revision }) => revision < before)
      .toReversed();

    const entries: HistoryResult["entries"][number][] = [];
    let bytes = 0;
    for (const event of shown) {
      if (entries.length === limit || bytes > this.limits.pageBytesMax) break;
      if (event.type !== "put") entries.push(event);
      else entries.push({ type: "put", ...(options.keys ? withoutValue(entryOf(event)) : event) });
      if (event.type === "put" && !options.keys) bytes += event.value.length;
    }
    return { revision: this.#revision, entries, more: entries.length < shown.length };
  }

  async commit(txn: Txn): Promise<CommitResult> {
    this.#checkOpen();
    checkTxn(txn, this.limits);
    const now = this.#clock();
    this.#expire(now);
    const failed = [...txn.checks.keys()].filter((at) => !holds(txn.checks[at]!, this.#live));
    const succeeded = failed.length === 0;

    const revision = this.#revision + this.#step;
    const run = new Run(this.#live, { revision, now, limits: this.limits });
    run.perform(succeeded ? txn.then : (txn.else ?? []));
    const events = run.events();
    checkCommitSize(events.length, bytesOf(events), this.limits);
    if (events.length === 0) run.takeBackRevision();
    else this.#apply({ revision, events });
    return { succeeded, revision: this.#revision, results: run.results, failed };
  }

  async *changes(from: number, options: ChangesOptions = {}): AsyncGenerator<Changes> {
    const { range = {}, prev = false, signal } = options;
    checkRanges(range);
    let next = from;
    while (true) {
      if (signal?.aborted) return;
      this.#checkOpen();
      checkWatchable(next, this.#revision, this.#oldest);
      if (next > this.#revision) {
        await either(this.#moved.promise, signal);
        continue;
      }
      const chunk = this.#chunk(next, [range].flat(), prev);
      next = chunk.through + 1;
      yield chunk;
    }
  }

  async compact(revision: number): Promise<CompactResult> {
    this.#checkOpen();
    this.#oldest = this.#readable(revision);
    return { oldest: this.#oldest };
  }

  status(): Status {
    this.#checkOpen();
    this.#expire();
    return {
      store: this.#id,
      revision: this.#revision,
      oldest: this.#oldest,
      keys: this.#live.size,
      bytes: bytesOf(this.#commits.flatMap(({ events }) => events)),
      engine: "model",
      durability: "none",
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.stop();
    this.#moved.resolve();
  }

  #checkOpen(): void {
    if (this.#closed) throw new KvError("unavailable", "the store is closed");
  }

  /** The revision to read at. Only a read of now looks at the clock. */
  #readable(revision: number | undefined): number {
    if (revision === undefined) this.#expire();
    return readableRevision(revision, this.#revision, this.#oldest);
  }

  #entryAt(key: string, revision: number): Entry | undefined {
    const last = this.#pasts.get(key)?.findLast((event) => event.revision <= revision);
    return last?.type === "put" ? entryOf(last) : undefined;
  }

  /** Commits the end of every key that is due, those first whose time ran out first. */
  #expire(now: number = this.#clock()): void {
    const due = [...this.#deadlines]
      .filter(([, deadline]) => deadline <= now)
      .toSorted(([a, first], [b, second]) => first - second || compareKeys(a, b));
    while (due.length > 0) {
      const revision = this.#revision + this.#step;
      const events = due
        .splice(0, EXPIRE_EVENTS_MAX)
        .map(([key]): DeleteEvent => ({ type: "expire", key, revision }));
      this.#apply({ revision, events });
    }
  }

  #onTime(): void {
    this.#expire();
    // The platform calls up to a millisecond early.
    this.#setTimer();
  }

  #setTimer(): void {
    let first = Number.POSITIVE_INFINITY;
    for (const deadline of this.#deadlines.values()) first = Math.min(first, deadline);
    this.#timer?.set(first - this.#clock());
  }

  #apply(commit: Commit): void {
    for (const event of commit.events) {
      if (!this.#pasts.has(event.key)) this.#pasts.set(event.key, []);
      this.#pasts.get(event.key)!.push(event);
      this.#live.delete(event.key);
      this.#deadlines.delete(event.key);
      if (event.type !== "put") continue;
      this.#live.set(event.key, entryOf(event));
      if (event.expiresAt !== undefined) this.#deadlines.set(event.key, event.expiresAt);
    }
    this.#commits.push(commit);
    this.#revision = commit.revision;
    this.#setTimer();
    this.#moved.resolve();
    this.#moved = Promise.withResolvers<void>();
  }

  #withPrevious(event: Event): Event {
    const before = this.#entryAt(event.key, event.revision - 1);
    return before === undefined ? event : { ...event, prev: before };
  }

  /** The next chunk of changes; `next` is at most the store's revision. */
  #chunk(next: number, ranges: readonly Range[], prev: boolean): Changes {
    const later = this.#commits.filter((commit) => commit.revision >= next);
    const looked = later.slice(0, this.#chunkCommitsMax);
    const commits: Commit[] = [];
    for (const { revision, events } of looked) {
      const matching = events
        .filter((event) => ranges.some((range) => inRange(range, event.key)))
        .map((event) => (prev ? this.#withPrevious(event) : event));
      if (matching.length > 0) commits.push({ revision, events: matching });
    }
    const through = looked.length < later.length ? looked.at(-1)!.revision : this.#revision;
    return { commits, through };
  }
}

/** Calls once after a time, which may be set anew; keeps no process alive. */
class Timer {
  readonly #call: () => void;
  #timeout: ReturnType<typeof setTimeout> | undefined;

  constructor(call: () => void) {
    this.#call = call;
  }

  /** `ms` from now; never when it is infinite. */
  set(ms: number): void {
    this.stop();
    if (ms === Number.POSITIVE_INFINITY) return;
    // A longer time would overflow: the platform would call at once.
    this.#timeout = setTimeout(this.#call, Math.min(Math.max(ms, 0), 2 ** 31 - 1));
    this.#timeout.unref();
  }

  stop(): void {
    clearTimeout(this.#timeout);
  }
}

function entryOf(event: PutEvent): Entry {
  const { type: _, ...entry } = event;
  return entry;
}

function bytesOf(events: readonly Event[]): number {
  let bytes = 0;
  for (const event of events) {
    bytes += utf8Bytes(event.key) + (event.type === "put" ? event.value.length : 0);
  }
  return bytes;
}

/** Resolves with `promise` or when `signal` aborts. */
function either(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise;
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener("abort", stop, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", stop));
}
