/**
 * The terms of kv and the one interface behind which every engine stands. No technology in here: no
 * HTTP, no disk, no etcd.
 *
 * One counter, the revision, orders all commits of a store. A commit is the unit of atomicity,
 * durability and delivery; it has at most one event per key. The state is a function of the
 * revision.
 */

import type { Range } from "./keys.ts";
import type { Limits } from "./limits.ts";

export type { Range } from "./keys.ts";
export type { Limits } from "./limits.ts";

/** What is known of an entry without its value. */
export interface EntryInfo {
  readonly key: string;
  /** As it was put: up to 255 characters of visible ASCII, spaces between them included. */
  readonly contentType: string;
  /** The revision of the last change. */
  readonly revision: number;
  /** The revision that created the key (it was absent before). */
  readonly createRevision: number;
  /** Changes since creation; 1 = just created. */
  readonly version: number;
  /** When the entry expires, in milliseconds since 1970; absent when it never does. */
  readonly expiresAt?: number;
}

/** A key with its value. The bytes belong to the store: read them, never write to them. */
export interface Entry extends EntryInfo {
  readonly value: Uint8Array;
}

/** An entry of a list: without its value when only keys were asked for. */
export interface ListedEntry extends EntryInfo {
  readonly value?: Uint8Array;
}

/** A key was created or changed. */
export interface PutEvent extends Entry {
  readonly type: "put";
}

/** A key was removed: by a request, or because its time had run out. */
export interface DeleteEvent {
  readonly type: "delete" | "expire";
  readonly key: string;
  readonly revision: number;
}

export type Event = PutEvent | DeleteEvent;

/** All events of one revision, in the order of each key's last operation. */
export interface Commit {
  readonly revision: number;
  readonly events: readonly Event[];
}

/**
 * A condition on a key: its revision (0 when it is absent) is `revision`, or one of them; with
 * `not`, it is none of them. So `{revision: 0}` is "absent" and `{revision: 0, not: true}` is
 * "present".
 */
export interface Check {
  readonly key: string;
  readonly revision: number | readonly number[];
  readonly not?: boolean;
}

export interface PutOperation {
  readonly op: "put";
  readonly key: string;
  readonly value: Uint8Array;
  readonly contentType: string;
}

export interface DeleteOperation {
  readonly op: "delete";
  readonly key: string;
}

export interface GetOperation {
  readonly op: "get";
  readonly key: string;
  /** Leave the value out of the answer. */
  readonly keys?: boolean;
}

export type Operation = PutOperation | DeleteOperation | GetOperation;

/**
 * If every check holds, the operations of `then` take effect, else those of `else`; later
 * operations see earlier ones. What is committed is the net effect, at most one event per key:
 * deleted and put again is a put with version 1, created and deleted is nothing.
 */
export interface Txn {
  readonly checks: readonly Check[];
  readonly then: readonly Operation[];
  readonly else?: readonly Operation[];
}

/** `version` 1 = created. A put that a later delete of its transaction undid has 0 in all three. */
export interface PutResult {
  readonly op: "put";
  readonly key: string;
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
}

export interface DeleteResult {
  readonly op: "delete";
  /** Keys that were there and are gone: 0 or 1. */
  readonly deleted: number;
}

export interface GetTxnResult {
  readonly op: "get";
  /** Absent when the key is. */
  readonly entry?: ListedEntry;
}

export type OperationResult = PutResult | DeleteResult | GetTxnResult;

export interface CommitResult {
  /** Did every check hold? */
  readonly succeeded: boolean;
  /** The commit's revision; where nothing changed, the store's at the evaluation. */
  readonly revision: number;
  /** One result for each operation of the list that ran. */
  readonly results: readonly OperationResult[];
  /** The checks that failed, counted from 0. */
  readonly failed: readonly number[];
}

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

export interface ListOptions extends ReadOptions {
  /** Entries in the answer at most: 1 to `limits.pageEntriesMax`, 1,000 when left out. */
  readonly limit?: number;
  /** Leave the values out. */
  readonly keys?: boolean;
  /** Only keys above this one: the last key of the page before. */
  readonly after?: string;
}

export interface ListResult {
  /** The revision at which the page was read. Ask for the next page at this one. */
  readonly revision: number;
  /** In key order. */
  readonly entries: readonly ListedEntry[];
  /** There are further entries: ask again with `after` = the last key of this page. */
  readonly more: boolean;
}

export interface ChangesOptions {
  /** Only events of these keys; all when left out. */
  readonly range?: Range;
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
  /** Bytes that the store takes on disk. */
  readonly bytes: number;
  /** `log` or `etcd`: what keeps the data. */
  readonly engine: string;
  /** What a success answer to a write means: `sync` = it was covered by an fdatasync. */
  readonly durability: string;
}

/** What an engine can do beyond the interface; a caller asks before it relies on one. */
export interface Capabilities {
  /** The engine can read and watch revisions below the newest one. */
  readonly history: boolean;
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
   * One page of a range in key order. A page ends at `limit` entries or past `limits.pageBytesMax`
   * of values.
   * @throws `compacted` below `oldest`, `invalid_argument` above the store's revision.
   */
  list(range: Range, options?: ListOptions): MaybePromise<ListResult>;

  /**
   * Runs a transaction: the only way to write. Resolves when the commit has reached the durability
   * of the store.
   * @throws `outcome_unknown` when it may have been applied or not, `unavailable` and
   * `storage_full` when it was not, `too_large` past `limits.commitEventsMax` or `commitBytesMax`,
   * which also bounds the bytes of values that its gets read.
   */
  commit(txn: Txn): Promise<CommitResult>;

  /**
   * The stream of changes at `from` and later: history first, then new commits as they come, for
   * ever. Pulled: nothing is read ahead of the consumer by more than a chunk. `from` may be at most
   * one above the store's revision. Chunks follow each other without a hole. With nothing new a
   * pull waits. Ends without an error when `signal` aborts.
   * @throws at a pull: `compacted` when `from` or the position reached is at or below `oldest`,
   * `invalid_argument` further above the store's revision, `unavailable` when the store closes.
   */
  changes(from: number, options?: ChangesOptions): AsyncIterable<Changes>;

  status(): MaybePromise<Status>;

  /** Finishes what is in flight and lets go of everything. Later calls fail with `unavailable`. */
  close(): Promise<void>;
}
