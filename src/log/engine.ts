/**
 * The log engine: a `Store` in one directory. The log is the database; in memory there are an index
 * of keys, a bounded cache of values and the newest commits. Only what is durable is ever shown.
 */

import { randomBytes } from "node:crypto";
import { assert, KvError } from "../errors.ts";
import { checkBound, checkKey, checkRange, inRange, rangeStart } from "../keys.ts";
import type {
  Changes,
  ChangesOptions,
  Commit,
  CommitResult,
  Entry,
  Event,
  GetResult,
  ListedEntry,
  ListOptions,
  ListResult,
  Range,
  ReadOptions,
  Status,
  Store,
  Txn,
} from "../kv.ts";
import {
  LIMITS,
  PAGE_ENTRIES_DEFAULT,
  RECENT_BYTES_MAX,
  SEGMENT_BYTES_MAX,
  VALUE_CACHE_BYTES_MAX,
  type Limits,
} from "../limits.ts";
import { checkInteger, checkTxn, checkWatchable, readableRevision } from "../rules.ts";
import { entryOf, keyOf, readChanges } from "./changes.ts";
import { CommitLoop } from "./commit-loop.ts";
import { openDirectory, type Disk } from "./disk.ts";
import { KIND, recordValue } from "./format.ts";
import type { KeyIndex, Newest } from "./key-index.ts";
import type { Lock } from "./lock.ts";
import { Log, type PendingCommit, type PendingEvent, type Placed } from "./log.ts";
import { Recent } from "./recent.ts";
import { recover, type Recovered } from "./recovery.ts";
import { ValueCache } from "./value-cache.ts";

export interface LogOptions {
  /** The data directory; made when it is not there. */
  readonly directory: string;
  /** Where the files are, in place of `directory`. */
  readonly disk?: Disk;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** Fresh random bytes. */
  readonly random?: (bytes: number) => Uint8Array;
  readonly limits?: Partial<Limits>;
  /** Bytes after which a segment is sealed. */
  readonly segmentBytesMax?: number;
  /** Bytes of values kept in memory. */
  readonly valueCacheBytesMax?: number;
  /** Bytes of the newest commits kept in memory. */
  readonly recentBytesMax?: number;
  /** Told in one line what an operator should know: what recovery mended, a disk that is full. */
  readonly onNotice?: (message: string) => void;
  /**
   * The log cannot be written any more, and what the disk holds is unknown: the process has to exit
   * non-zero. Writers have been answered `outcome_unknown`.
   */
  readonly onFatal?: (error: KvError) => void;
}

/**
 * Opens or makes the store of a directory.
 * @throws `conflict` when another process has it open, `internal` when it is damaged; errors of the
 * system as they are.
 */
export async function openLog(options: LogOptions): Promise<LogStore> {
  const disk = options.disk ?? openDirectory(options.directory);
  const lock = disk.lock();
  try {
    const { clock = Date.now, random = randomBytes, onNotice: notice = () => {} } = options;
    const recovered = await recover({ disk, clock, random, notice });
    return new LogStore(options, disk, lock, recovered);
  } catch (error) {
    lock.release();
    throw error;
  }
}

export class LogStore implements Store {
  readonly limits: Limits;
  readonly capabilities = { history: true };
  readonly #id: string;
  readonly #lock: Lock;
  readonly #log: Log;
  readonly #index: KeyIndex;
  readonly #cache: ValueCache;
  readonly #recent: Recent;
  readonly #loop: CommitLoop<Newest>;
  #revision: number;
  readonly #oldest: number;
  #closed = false;
  #failed = false;
  #closing: Promise<void> | undefined;
  /** What wakes each stream that waits for a commit or the close. */
  readonly #waiting = new Set<() => void>();

  /** Use `openLog`. */
  constructor(options: LogOptions, disk: Disk, lock: Lock, recovered: Recovered) {
    this.limits = { ...LIMITS, ...options.limits };
    this.#id = recovered.store;
    this.#lock = lock;
    this.#index = recovered.index;
    this.#revision = recovered.revision;
    this.#oldest = recovered.segments[0]!.header.compactedRevision;
    this.#cache = new ValueCache(options.valueCacheBytesMax ?? VALUE_CACHE_BYTES_MAX);
    this.#recent = new Recent(recovered.revision, options.recentBytesMax ?? RECENT_BYTES_MAX);
    this.#log = new Log({
      disk,
      recovered,
      segmentBytesMax: options.segmentBytesMax ?? SEGMENT_BYTES_MAX,
      clock: options.clock ?? Date.now,
    });
    this.#loop = new CommitLoop({
      state: {
        revision: () => this.#revision,
        known: (key) => this.#index.get(key),
        value: (key, newest) => this.#value(key, newest),
      },
      limits: this.limits,
      append: (commits) => this.#log.append(commits),
      apply: (commits, placed) => this.#apply(commits, placed),
      notice: (message) => options.onNotice?.(message),
      clock: options.clock ?? Date.now,
      fatal: (error) => {
        this.#failed = true;
        this.#wake();
        options.onFatal?.(error);
      },
    });
  }

  get(key: string, { revision }: ReadOptions = {}): GetResult {
    this.#checkOpen();
    checkKey(key);
    const at = readableRevision(revision, this.#revision, this.#oldest);
    // With its value, which nothing but a wish for keys alone leaves out.
    const entry = this.#entryAt(key, this.#index.get(key), at, false) as Entry | undefined;
    return entry === undefined ? { revision: at } : { revision: at, entry };
  }

  list(range: Range, options: ListOptions = {}): ListResult {
    this.#checkOpen();
    checkRange(range);
    const { after, limit = PAGE_ENTRIES_DEFAULT, keys = false } = options;
    if (after !== undefined) checkBound(after, "after");
    checkInteger("limit", limit, 1, this.limits.pageEntriesMax);
    const at = readableRevision(options.revision, this.#revision, this.#oldest);

    const entries: ListedEntry[] = [];
    let bytes = 0;
    const start = rangeStart(range);
    // U+0000 is the smallest character: nothing lies between a key and the key followed by it.
    const from = after === undefined || below(after, start) ? start : `${after}\u0000`;
    for (const [key, newest] of this.#index.from(from)) {
      if (!inRange(range, key)) break;
      const full = entries.length === limit || bytes > this.limits.pageBytesMax;
      const entry = this.#entryAt(key, newest, at, keys || full);
      if (entry === undefined) continue;
      if (full) return { revision: at, entries, more: true };
      entries.push(entry);
      bytes += entry.value?.length ?? 0;
    }
    return { revision: at, entries, more: false };
  }

  async commit(txn: Txn): Promise<CommitResult> {
    this.#checkOpen();
    checkTxn(txn, this.limits);
    return await this.#loop.commit(txn);
  }

  async *changes(from: number, options: ChangesOptions = {}): AsyncGenerator<Changes> {
    const { range = {}, signal } = options;
    checkRange(range);
    let next = from;
    while (true) {
      if (signal?.aborted) return;
      this.#checkOpen();
      checkWatchable(next, this.#revision, this.#oldest);
      if (next > this.#revision) {
        await this.#next(signal);
        continue;
      }
      const chunk = this.#recent.changes(next, range) ?? (await this.#read(next, range));
      next = chunk.through + 1;
      yield chunk;
    }
  }

  status(): Status {
    this.#checkOpen();
    return {
      store: this.#id,
      revision: this.#revision,
      oldest: this.#oldest,
      keys: this.#index.live,
      bytes: this.#log.bytes,
      engine: "log",
      durability: "sync",
    };
  }

  close(): Promise<void> {
    this.#closed = true;
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#loop.idle();
    this.#wake();
    try {
      if (this.#failed) this.#log.abandon();
      else await this.#log.close();
    } finally {
      this.#lock.release();
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new KvError("unavailable", "the store is closed");
  }

  /**
   * A key's entry at a revision that can be read; without the value when only `keys` are wanted.
   */
  #entryAt(
    key: string,
    newest: Newest | undefined,
    revision: number,
    keys: boolean,
  ): ListedEntry | undefined {
    if (newest === undefined) return undefined;
    if (newest.revision > revision) return this.#pastEntry(key, newest, revision, keys);
    if (newest.version === 0) return undefined;
    const { contentType, createRevision, version, deadline } = newest;
    const entry: { -readonly [Field in keyof ListedEntry]: ListedEntry[Field] } = {
      key,
      contentType,
      revision: newest.revision,
      createRevision,
      version,
    };
    if (!keys) entry.value = this.#value(key, newest);
    if (deadline !== 0) entry.expiresAt = deadline;
    return entry;
  }

  /** Follows a key's records back to the newest one at or below a revision. */
  #pastEntry(
    key: string,
    newest: Newest,
    revision: number,
    keys: boolean,
  ): ListedEntry | undefined {
    let record = this.#log.read(newest.position, newest.bytes);
    while (record.header.revision > revision) {
      const { createRevision, previousRevision } = record.header;
      // All versions since the creation are later than it: none of them need be looked at.
      const skips = createRevision > revision && createRevision < record.header.revision;
      const before = skips ? createRevision : previousRevision;
      if (before === 0) return undefined;
      record = this.#log.find(before, key);
    }
    if (record.header.kind !== KIND.put) return undefined;
    const { value, ...info } = entryOf(key, record);
    return keys ? info : { ...info, value };
  }

  #value(key: string, { position, bytes }: Newest): Uint8Array {
    const cached = this.#cache.get(position);
    if (cached !== undefined) return cached;
    const record = this.#log.read(position, bytes);
    assert(keyOf(record) === key, "the index points at a record of its key");
    // A copy: a part of the record would keep all of it alive, its key of up to 1 KiB too.
    const value = recordValue(record.bytes, record.at, record.header).slice();
    this.#cache.add(position, value);
    return value;
  }

  #apply(commits: readonly PendingCommit[], placed: readonly Placed[]): void {
    let at = 0;
    for (const { revision, events } of commits) {
      for (const event of events) this.#applyEvent(event, revision, placed[at++]!);
      this.#recent.add(toCommit(revision, events));
      this.#revision = revision;
    }
    this.#wake();
  }

  #applyEvent(event: PendingEvent, revision: number, { position, bytes }: Placed): void {
    const { key, contentType, createRevision, version, value } = event;
    const before = this.#index.get(key);
    if (before !== undefined) this.#cache.remove(before.position);
    const newest = { revision, createRevision, version, contentType, deadline: 0, position, bytes };
    this.#index.set(key, newest);
    if (event.type === "put") this.#cache.add(position, value);
  }

  /**
   * A chunk out of the log, in a turn of its own: a long way through history leaves room for
   * others.
   */
  async #read(from: number, range: Range): Promise<Changes> {
    const { promise, resolve } = Promise.withResolvers<void>();
    setImmediate(resolve);
    await promise;
    this.#checkOpen();
    return readChanges(this.#log, from, this.#revision, range);
  }

  /** Resolves at the next commit, at the close, or when `signal` aborts. */
  async #next(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#waiting.add(wake);
    signal?.addEventListener("abort", wake, { once: true });
    await promise;
    this.#waiting.delete(wake);
    signal?.removeEventListener("abort", wake);
  }

  /** Lets those who wait for a commit look again. */
  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

// --- internal ---

function below(after: string, start: string): boolean {
  return start !== "" && inRange({ end: start }, after);
}

function toCommit(revision: number, pending: readonly PendingEvent[]): Commit {
  const events = pending.map((event): Event => {
    const { type, key, value, contentType, createRevision, version } = event;
    if (type === "delete") return { type, key, revision };
    return { type, key, value, contentType, revision, createRevision, version };
  });
  return { revision, events };
}
