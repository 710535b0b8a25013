/**
 * The terms of kv and the one interface behind which every engine stands. No technology in here: no
 * HTTP, no disk, no etcd.
 *
 * One counter, the revision, orders all commits of a store. A commit is the unit of atomicity,
 * durability and delivery; it has at most one event per key. The state is a function of the
 * revision: an entry whose time runs out goes by a commit of its own, and whatever could meet it
 * before that waits for this commit. Reads at an older revision never look at the clock.
 */

import type { Commit, DeleteEvent, Entry, ListedEntry } from "./entry.ts";
import type { EntrySink } from "./entry-sink.ts";
import type { Range, Ranges } from "./keys.ts";
import type { Limits } from "./limits.ts";
import type { Many, ManyAnswers } from "./many.ts";
import type { CommitResult, ListShape, Page, Txn } from "./txn.ts";

export type * from "./entry.ts";
export type { Range, Ranges } from "./keys.ts";
export type { Limits } from "./limits.ts";
export type * from "./txn.ts";

export interface GetResult {
  /** The store's revision at the read, or the one that was asked for. */
  readonly revision: number;
  /** Absent when the key is. */
  readonly entry?: Entry;
}

export interface ReadOptions {
  /** Read the state as it was at this revision; now when left out. */
  readonly revision?: number;
  readonly signal?: AbortSignal;
}

export interface ListOptions extends ListShape, ReadOptions {
  /** Only what lies behind this, in the order of the listing: `next` of the page before. */
  readonly after?: string;
}

export interface ListResult extends Page {
  /** The revision at which the page was read. Ask for the next page at this one. */
  readonly revision: number;
  /** The last key or folder of the page, when there is more: `after` of the next page. */
  readonly next?: string;
}

/** No limit when it is left out. */
export type ScanOptions = Pick<ListOptions, "limit" | "keys" | "reverse" | "after" | "revision">;

export interface ScanResult {
  /** The revision at which the entries were read. Ask for the next ones at this one. */
  readonly revision: number;
  /** Where there may be more: `after` of the next scan. */
  readonly next?: string;
}

export interface HistoryOptions {
  /** Changes in the answer at most: 1 to `limits.pageEntriesMax`, 1,000 when left out. */
  readonly limit?: number;
  /** Only changes below this revision: the last one of the page before. */
  readonly before?: number;
  /** Leave the values out. */
  readonly keys?: boolean;
  readonly signal?: AbortSignal;
}

/** A change of a key as its history shows it. */
export type PastEvent = ({ readonly type: "put" } & ListedEntry) | DeleteEvent;

export interface HistoryResult {
  /** The store's revision at the read. */
  readonly revision: number;
  /**
   * The newest first, down to the entry that the key had at the oldest readable revision. Empty for
   * a key that has no such change.
   */
  readonly entries: readonly PastEvent[];
  /** There are older ones: ask again with `before` = the last one's revision. */
  readonly more: boolean;
}

export interface CompactResult {
  /** The smallest revision that can be read from now on. */
  readonly oldest: number;
}

export interface ChangesOptions {
  /** Only events of these keys; all when left out. */
  readonly range?: Ranges;
  /** Each event with what was there before. */
  readonly prev?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * A chunk of the change stream: every matching commit above the chunk before, up to and including
 * `through`. Commits without a matching event are left out; `through` covers them.
 */
export interface Changes {
  readonly commits: readonly Commit[];
  readonly through: number;
}

export interface Status {
  /** The store id: made when the store is created and anew by a restore. */
  readonly store: string;
  /** The newest revision that reads show; 0 in a new store of the log engine. */
  readonly revision: number;
  /** The smallest revision that can be read; watches may start at `oldest + 1`. */
  readonly oldest: number;
  /** Live keys. */
  readonly keys: number;
  /** Bytes of the log on disk; what an engine keeps beside it is not counted. */
  readonly bytes: number;
  /** `log` or `etcd`: what keeps the data. */
  readonly engine: string;
  /** What a success answer to a write means: `sync`, `interval:<ms>` or `os`. */
  readonly durability: string;
  /** What was answered and is not synced yet; left out where an answer means that it is. */
  readonly lag?: Lag;
}

/** Writes that a power cut could lose. */
export interface Lag {
  /** How far the newest revision is above the newest synced one. */
  readonly revisions: number;
  /** Bytes of the log that are not synced. */
  readonly bytes: number;
  /** Milliseconds since the oldest of them was written; 0 when there is none. */
  readonly ms: number;
}

export interface SnapshotOptions {
  /**
   * Only the commits above this revision, for a store that has everything up to it. At or above
   * `oldest`, and in no void.
   */
  readonly since?: number;
  readonly signal?: AbortSignal;
}

/** What an engine can do beyond the interface; a caller asks before it relies on one. */
export interface Capabilities {
  /** The engine can read and watch revisions below the newest one. */
  readonly history: boolean;
  /** There is a `snapshot`; not when left out. */
  readonly snapshot?: boolean;
}

export type MaybePromise<T> = T | Promise<T>;

/**
 * A store. Every method may fail with `unavailable` (also after `close`), `internal`, and
 * `invalid_argument` or `too_large` for arguments beyond `limits`; further errors stand at each
 * method. All are `KvError`s, thrown or rejected.
 *
 * Strictly serialisable: there is one order, that of revisions, and no answer shows anything older
 * than what had been answered before the call.
 */
export interface Store {
  readonly limits: Limits;
  readonly capabilities: Capabilities;

  /**
   * The entry of a key. Answers in the same turn where the value is at hand.
   * @throws `compacted` below `oldest`, `invalid_argument` above the store's revision.
   */
  get(key: string, options?: ReadOptions): MaybePromise<GetResult>;

  /**
   * One page of a range in key order, or what else `options` ask for. A page ends at `limit`
   * entries or past `limits.pageBytesMax` of values.
   * @throws `compacted` below `oldest`, `invalid_argument` above the store's revision.
   */
  list(range: Range, options?: ListOptions): MaybePromise<ListResult>;

  /**
   * Hands the entries of a range to `sink` in key order, until it is full or has `limit`. An
   * engine without it is asked by `list`.
   * @throws as `list`.
   */
  scan?(range: Range, options: ScanOptions, sink: EntrySink): MaybePromise<ScanResult>;

  /**
   * The changes of a key, newest first. A page ends as that of `list`.
   * @throws `compacted` when `before` is at or below `oldest`.
   */
  history(key: string, options?: HistoryOptions): MaybePromise<HistoryResult>;

  /**
   * Runs a transaction: the only way to write. Resolves when the commit has reached the durability
   * of the store.
   * @throws `outcome_unknown` when it may have been applied or not, `unavailable` and
   * `storage_full` when it was not, `too_large` past `limits.commitEventsMax` or `commitBytesMax`,
   * which also bounds the bytes of values that its gets and lists read; `conflict` and `not_found`
   * of an operation, with its index.
   */
  commit(txn: Txn): Promise<CommitResult>;

  /**
   * Runs many operations on single keys, each for itself: a write is a commit of its own, and a get
   * sees the writes before it. Answers all of them, in order, before it returns or resolves. An
   * engine without it is asked for each one by `get` and `commit`.
   * @throws when none was run: `unavailable`; `outcome_unknown` when nobody knows which were.
   */
  many?(operations: Many, answers: ManyAnswers): MaybePromise<void>;

  /**
   * The stream of changes at `from` and later: history first, then new commits as they come, for
   * ever. Pulled: nothing is read ahead of the consumer by more than a chunk. `from` may be at most
   * one above the store's revision. Chunks follow each other without a hole. With nothing new a
   * pull waits. Ends without an error when `signal` aborts.
   * @throws at a pull: `compacted` when `from` or the position reached is at or below `oldest`,
   * `invalid_argument` further above the store's revision, `unavailable` when the store closes.
   */
  changes(from: number, options?: ChangesOptions): AsyncIterable<Changes>;

  /**
   * Forgets history: `revision` becomes the oldest readable one, and changes at or below it cannot
   * be watched any more. Live entries stay. Takes no revision itself.
   * @throws `compacted` below `oldest`, `invalid_argument` above the store's revision;
   * `outcome_unknown`, `unavailable` and `storage_full` as `commit`.
   */
  compact(revision: number): Promise<CompactResult>;

  status(): MaybePromise<Status>;

  /**
   * Keeps history from being forgotten by itself at and above a revision, for 10 minutes and 1 GiB
   * of further history at most. Call the result when it is not needed any more. An engine whose
   * history nothing but `compact` ends has no such method.
   */
  pin?(revision: number): () => void;

  /**
   * A consistent copy of the store at its present revision, in pieces, while writes go on: what a
   * restore makes a store of. A copy without its end is broken, and can be told from a whole one.
   * Only where `capabilities.snapshot`.
   * @throws at a pull: `compacted` when `since` is below `oldest`, `invalid_argument` above the
   * store's revision, `unavailable` when the store closes.
   */
  snapshot?(options?: SnapshotOptions): AsyncIterable<Uint8Array>;

  /** Finishes what is in flight and lets go of everything. Later calls fail with `unavailable`. */
  close(): Promise<void>;
}
