/**
 * Transactions: checks, operations, and what each answers. No technology in here. Every write of kv
 * is one, and reads inside them see what the operations before did.
 */

import type { ListedEntry } from "./entry.ts";
import type { Range } from "./keys.ts";

/** What every check has; with `not` it holds when the condition does not. */
interface CheckOf {
  readonly key: string;
  readonly not?: boolean;
}

/**
 * The key's revision (0 when it is absent) is `revision`, or one of them. So `{revision: 0}` is
 * "absent" and `{revision: 0, not: true}` is "present".
 */
export interface RevisionCheck extends CheckOf {
  readonly revision: number | readonly number[];
  readonly version?: never;
  readonly value?: never;
}

/** The key's version (0 when it is absent) is `version`, or one of them. */
export interface VersionCheck extends CheckOf {
  readonly version: number | readonly number[];
  readonly revision?: never;
  readonly value?: never;
}

/** The key's value has these bytes. An absent key has no value, so it has not. */
export interface ValueCheck extends CheckOf {
  readonly value: Uint8Array;
  readonly revision?: never;
  readonly version?: never;
}

/** A condition on a key. */
export type Check = RevisionCheck | VersionCheck | ValueCheck;

export interface PutOperation {
  readonly op: "put";
  readonly key: string;
  readonly value: Uint8Array;
  readonly contentType: string;
  /**
   * Milliseconds until the entry expires, counted from the evaluation: 1 to `TTL_MS_MAX`; `keep`
   * leaves the deadline as it is. Left out, the entry never expires.
   */
  readonly ttl?: number | "keep";
}

export interface DeleteOperation {
  readonly op: "delete";
  readonly key: string;
}

/** Deletes the keys of a range, in key order. */
export interface DeleteRangeOperation {
  readonly op: "deleteRange";
  readonly range: Range;
  /** Keys at most: 1 to `limits.commitEventsMax`. Left out, more than that many are `too_large`. */
  readonly limit?: number;
}

/**
 * Adds to the integer that a value is: decimal text within int64. An absent key counts as 0. Type
 * and deadline stay. Fails as `conflict` when the value is no integer, or the sum would not fit.
 */
export interface IncrOperation {
  readonly op: "incr";
  readonly key: string;
  /** Within int64. */
  readonly by: bigint;
  /** Milliseconds until the entry expires; counts only when the operation creates the key. */
  readonly ttl?: number;
}

/** A put of the same bytes with a new deadline. Fails as `not_found` when the key is absent. */
export interface TouchOperation {
  readonly op: "touch";
  readonly key: string;
  /** Milliseconds until the entry expires; `keep` the deadline as it is, or have `none`. */
  readonly ttl: number | "keep" | "none";
}

export interface GetOperation {
  readonly op: "get";
  readonly key: string;
  /** Leave the value out of the answer. */
  readonly keys?: boolean;
}

/** Lists a range as it is at this place of the transaction; options as in `ListOptions`. */
export interface ListOperation extends ListShape {
  readonly op: "list";
  readonly range: Range;
}

export type Operation =
  | PutOperation
  | DeleteOperation
  | DeleteRangeOperation
  | IncrOperation
  | TouchOperation
  | GetOperation
  | ListOperation;

/**
 * If every check holds, the operations of `then` take effect, else those of `else`; later
 * operations see earlier ones. What is committed is the net effect, at most one event per key:
 * deleted and put again is a put with version 1, created and deleted is nothing. An operation that
 * fails fails all of it: the error's `details.index` counts it within the list that ran.
 */
export interface Txn {
  readonly checks: readonly Check[];
  readonly then: readonly Operation[];
  readonly else?: readonly Operation[];
}

/** What became of an entry; 0 in all three when a later operation of its transaction undid it. */
interface Changed {
  readonly key: string;
  readonly revision: number;
  readonly createRevision: number;
  /** 1 = created. */
  readonly version: number;
  /** When the entry expires, in milliseconds since 1970; absent when it never does. */
  readonly expiresAt?: number;
}

export interface PutResult extends Changed {
  readonly op: "put";
}

export interface TouchResult extends Changed {
  readonly op: "touch";
}

export interface IncrResult extends Changed {
  readonly op: "incr";
  /** The sum. */
  readonly value: bigint;
}

export interface DeleteResult {
  readonly op: "delete";
  /** Keys that were there and are gone: 0 or 1. */
  readonly deleted: number;
}

export interface DeleteRangeResult {
  readonly op: "deleteRange";
  /** Keys that were there and are gone. */
  readonly deleted: number;
  /** The range has further keys, which `limit` left. */
  readonly more: boolean;
}

export interface GetTxnResult {
  readonly op: "get";
  /** Absent when the key is. */
  readonly entry?: ListedEntry;
}

export interface ListTxnResult extends Page {
  readonly op: "list";
}

export type OperationResult =
  | PutResult
  | DeleteResult
  | DeleteRangeResult
  | IncrResult
  | TouchResult
  | GetTxnResult
  | ListTxnResult;

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

/** What a listing shows of its range. */
export interface ListShape {
  /** Entries and folders at most: 1 to `limits.pageEntriesMax`, 1,000 when left out. */
  readonly limit?: number;
  /** Leave the values out. */
  readonly keys?: boolean;
  /** From the last key to the first. */
  readonly reverse?: boolean;
  /** Only count the entries; excludes the other fields. */
  readonly count?: boolean;
  /**
   * Not empty. Keys that have it behind the range's prefix are not listed one by one: they share a
   * folder, which is their beginning up to and with it.
   */
  readonly delimiter?: string;
}

/** What a listing found. */
export interface Page {
  /** In the order of the listing. */
  readonly entries: readonly ListedEntry[];
  /** With a delimiter: the folders, in the order of the listing. */
  readonly folders?: readonly string[];
  /** With `count`: the number of entries in the range. */
  readonly count?: number;
  /** There is more behind this page. */
  readonly more: boolean;
}
