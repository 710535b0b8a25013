/**
 * The plainest store that is right: every entry of every revision in memory, nothing clever. The property
 * tests compare the engines with it, so clarity beats speed everywhere in here.
 */

import { KvError } from "../../src/errors.ts";
import {
  checkBound,
  checkKey,
  checkRange,
  compareKeys,
  inRange,
  utf8Bytes,
} from "../../src/keys.ts";
import type {
  Changes,
  ChangesOptions,
  Check,
  Commit,
  CommitResult,
  Entry,
  Event,
  GetResult,
  ListedEntry,
  ListOptions,
  ListResult,
  Operation,
  OperationResult,
  Range,
  ReadOptions,
  Status,
  Store,
  Txn,
} from "../../src/kv.ts";
import { LIMITS, PAGE_ENTRIES_DEFAULT, type Limits } from "../../src/limits.ts";

export interface ModelOptions {
  /** The revision that the empty store begins with; 0 when left out. */
  revision?: number;
  /** How much higher each commit's revision is than the one before; above 1 there are gaps. */
  step?: number;
  /** Commits that one chunk of `changes` looks at. */
  chunkCommitsMax?: number;
  limits?: Partial<Limits>;
}

export interface ModelStore extends Store {
  get(key: string, options?: ReadOptions): GetResult;
  list(range: Range, options?: ListOptions): ListResult;
  status(): Status;
  /** Makes `revision` the oldest that can be read. */
  compact(revision: number): void;
}

export function openModel(options: ModelOptions = {}): ModelStore {
  return new Model(options);
}

// --- internal ---

/** What a key was from a revision on; without an entry it was absent. */
interface Past {
  readonly revision: number;
  readonly entry?: Entry;
}

class Model implements ModelStore {
  readonly limits: Limits;
  readonly capabilities = { history: true };
  readonly #id = crypto.randomUUID();
  readonly #step: number;
  readonly #chunkCommitsMax: number;
  /** Every change of each key, oldest first. */
  readonly #pasts = new Map<string, Past[]>();
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
    if (options.after !== undefined) checkBound(options.after, "after");
    const limit = options.limit ?? PAGE_ENTRIES_DEFAULT;
    checkInteger("limit", limit, 1, this.limits.pageEntriesMax);
    const at = this.#readable(options.revision);

    const found: Entry[] = [];
    for (const key of this.#pasts.keys()) {
      if (!inRange(range, key)) continue;
      if (options.after !== undefined && compareKeys(key, options.after) <= 0) continue;
      const entry = this.#entryAt(key, at);
      if (entry !== undefined) found.push(entry);
    }
    found.sort((a, b) => compareKeys(a.key, b.key));

    const entries: ListedEntry[] = [];
    let bytes = 0;
    for (const entry of found) {
      if (entries.length === limit || bytes > this.limits.pageBytesMax) break;
      entries.push(options.keys ? withoutValue(entry) : entry);
      if (!options.keys) bytes += entry.value.length;
    }
    return { revision: at, entries, more: entries.length < found.length };
  }

  async commit(txn: Txn): Promise<CommitResult> {
    this.#checkOpen();
    checkTxn(txn, this.limits);
    const failed: number[] = [];
    for (const [index, check] of txn.checks.entries()) {
      if (!this.#holds(check)) failed.push(index);
    }
    const succeeded = failed.length === 0;
    const operations = succeeded ? txn.then : (txn.else ?? []);

    const revision = this.#revision + this.#step;
    const { results, touched } = this.#run(operations, revision);
    const events = this.#netEffect(touched, revision);
    checkSize(events, this.limits);
    if (events.length === 0) return { succeeded, revision: this.#revision, results, failed };
    this.#apply({ revision, events });
    return { succeeded, revision, results, failed };
  }

  async *changes(from: number, options: ChangesOptions = {}): AsyncGenerator<Changes> {
    const { range = {}, signal } = options;
    checkRange(range);
    checkInteger("from", from, 0, Number.MAX_SAFE_INTEGER);
    let next = from;
    while (true) {
      if (signal?.aborted) return;
      this.#checkOpen();
      if (next <= this.#oldest) throw compacted(this.#oldest + 1);
      if (next > this.#revision + 1) throw beyond(this.#revision);
      if (next > this.#revision) {
        await either(this.#moved.promise, signal);
        continue;
      }
      const chunk = this.#chunk(next, range);
      next = chunk.through + 1;
      yield chunk;
    }
  }

  status(): Status {
    this.#checkOpen();
    let keys = 0;
    let bytes = 0;
    for (const [key, pasts] of this.#pasts) {
      if (this.#entryAt(key, this.#revision) !== undefined) keys++;
      for (const { entry } of pasts) bytes += utf8Bytes(key) + (entry?.value.length ?? 0);
    }
    return {
      store: this.#id,
      revision: this.#revision,
      oldest: this.#oldest,
      keys,
      bytes,
      engine: "model",
      durability: "none",
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#moved.resolve();
  }

  compact(revision: number): void {
    this.#readable(revision);
    this.#oldest = revision;
  }

  #checkOpen(): void {
    if (this.#closed) throw new KvError("unavailable", "the store is closed");
  }

  /** The revision to read at: `revision` when it can be read, else the newest. */
  #readable(revision: number | undefined): number {
    if (revision === undefined) return this.#revision;
    checkInteger("revision", revision, 0, Number.MAX_SAFE_INTEGER);
    if (revision > this.#revision) throw beyond(this.#revision);
    if (revision < this.#oldest) throw compacted(this.#oldest);
    return revision;
  }

  #entryAt(key: string, revision: number): Entry | undefined {
    return this.#pasts.get(key)?.findLast((past) => past.revision <= revision)?.entry;
  }

  #holds({ key, revision, not = false }: Check): boolean {
    const current = this.#entryAt(key, this.#revision)?.revision ?? 0;
    const wanted = typeof revision === "number" ? [revision] : revision;
    return wanted.includes(current) !== not;
  }

  /**
   * Runs operations without applying them. `touched` holds what each changed key has become (absent:
   * `undefined`), in the order of the last operation that changed it.
   */
  #run(operations: readonly Operation[], revision: number) {
    const touched = new Map<string, Entry | undefined>();
    const current = (key: string): Entry | undefined =>
      touched.has(key) ? touched.get(key) : this.#entryAt(key, this.#revision);
    const touch = (key: string, entry: Entry | undefined): void => {
      touched.delete(key);
      touched.set(key, entry);
    };

    const results: OperationResult[] = [];
    let readBytes = 0;
    for (const operation of operations) {
      const { op, key } = operation;
      const before = current(key);
      if (op === "put") {
        const entry = changed(before, operation.value, operation.contentType, key, revision);
        touch(key, entry);
        const { createRevision, version } = entry;
        results.push({ op, key, revision, createRevision, version });
      } else if (op === "delete") {
        if (before !== undefined) touch(key, undefined);
        undoPuts(results, key);
        results.push({ op, deleted: before === undefined ? 0 : 1 });
      } else {
        const entry = before !== undefined && operation.keys ? withoutValue(before) : before;
        if (before !== undefined && !operation.keys) readBytes += before.value.length;
        checkCount("bytes read", readBytes, this.limits.commitBytesMax);
        results.push(entry === undefined ? { op } : { op, entry });
      }
    }
    return { results, touched };
  }

  #netEffect(touched: ReadonlyMap<string, Entry | undefined>, revision: number): Event[] {
    const events: Event[] = [];
    for (const [key, entry] of touched) {
      if (entry !== undefined) events.push({ type: "put", ...entry });
      else if (this.#entryAt(key, this.#revision) !== undefined) {
        events.push({ type: "delete", key, revision });
      }
    }
    return events;
  }

  #apply(commit: Commit): void {
    const { revision, events } = commit;
    for (const event of events) {
      if (!this.#pasts.has(event.key)) this.#pasts.set(event.key, []);
      const pasts = this.#pasts.get(event.key)!;
      if (event.type !== "put") pasts.push({ revision });
      else {
        const { type: _, ...entry } = event;
        pasts.push({ revision, entry });
      }
    }
    this.#commits.push(commit);
    this.#revision = revision;
    this.#moved.resolve();
    this.#moved = Promise.withResolvers<void>();
  }

  /** The next chunk of changes; `next` is at most the store's revision. */
  #chunk(next: number, range: Range): Changes {
    const later = this.#commits.filter((commit) => commit.revision >= next);
    const looked = later.slice(0, this.#chunkCommitsMax);
    const commits: Commit[] = [];
    for (const { revision, events } of looked) {
      const matching = events.filter((event) => inRange(range, event.key));
      if (matching.length > 0) commits.push({ revision, events: matching });
    }
    const through = looked.length < later.length ? looked.at(-1)!.revision : this.#revision;
    return { commits, through };
  }
}

/** The entry that a put makes of `before`. A second put in one transaction is the same change. */
function changed(
  before: Entry | undefined,
  value: Uint8Array,
  contentType: string,
  key: string,
  revision: number,
): Entry {
  const createRevision = before?.createRevision ?? revision;
  let version = 1;
  if (before !== undefined) {
    version = before.revision === revision ? before.version : before.version + 1;
  }
  return { key, value: value.slice(), contentType, revision, createRevision, version };
}

/** A delete undoes the puts of its key before it in the same transaction. */
function undoPuts(results: OperationResult[], key: string): void {
  for (const [index, result] of results.entries()) {
    if (result.op === "put" && result.key === key) {
      results[index] = { op: "put", key, revision: 0, createRevision: 0, version: 0 };
    }
  }
}

function checkTxn(txn: Txn, limits: Limits): void {
  checkCount("checks", txn.checks.length, limits.txnChecksMax);
  checkCount("then", txn.then.length, limits.txnOperationsMax);
  checkCount("else", txn.else?.length ?? 0, limits.txnOperationsMax);
  for (const { key, revision } of txn.checks) {
    checkKey(key);
    const revisions = typeof revision === "number" ? [revision] : revision;
    if (revisions.length === 0) throw new KvError("invalid_argument", "a check has no revision");
    for (const one of revisions) checkInteger("revision", one, 0, Number.MAX_SAFE_INTEGER);
  }
  for (const operation of [...txn.then, ...(txn.else ?? [])]) {
    checkKey(operation.key);
    if (operation.op !== "put") continue;
    checkCount("bytes of a value", operation.value.length, limits.valueBytesMax);
    const { contentType } = operation;
    checkCount("characters of a content type", contentType.length, limits.contentTypeCharsMax);
    if (!/^[!-~]([ -~]*[!-~])?$/.test(contentType)) {
      throw new KvError("invalid_argument", "the content type is not visible ASCII");
    }
  }
}

function checkSize(events: readonly Event[], limits: Limits): void {
  checkCount("events of a commit", events.length, limits.commitEventsMax);
  let bytes = 0;
  for (const event of events) {
    bytes += utf8Bytes(event.key) + (event.type === "put" ? event.value.length : 0);
  }
  checkCount("bytes of a commit", bytes, limits.commitBytesMax);
}

function checkCount(what: string, count: number, limit: number): void {
  if (count <= limit) return;
  throw new KvError("too_large", `${what}: ${count} are more than ${limit}`, { limit });
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new KvError("invalid_argument", `${name} is ${value}; it is an integer ${min} to ${max}`);
}

function compacted(oldest: number): KvError {
  return new KvError("compacted", `compacted; the oldest possible is ${oldest}`, { oldest });
}

function beyond(revision: number): KvError {
  return new KvError("invalid_argument", `the store is at revision ${revision}`, { revision });
}

function withoutValue(entry: Entry): ListedEntry {
  const { value: _, ...info } = entry;
  return info;
}

/** Resolves with `promise` or when `signal` aborts. */
function either(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise;
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener("abort", stop, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", stop));
}
