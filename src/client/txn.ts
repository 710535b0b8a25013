/** Transactions as the SDK takes them, and their results as it hands them out. */

import { KvError } from "../errors.ts";
import { deletedRangeFromJson } from "../json.ts";
import type {
  Check,
  CommitResult,
  DeleteOperation,
  DeleteRangeResult,
  DeleteResult,
  GetOperation,
  IncrResult,
  ListOperation,
  Operation,
  OperationResult,
  Page,
  PutResult,
  Range,
  RevisionCheck,
  TouchResult,
  Txn,
  ValueCheck,
  VersionCheck,
} from "../kv.ts";
import { definedOnly } from "./defined-only.ts";
import { readable, type KvListedEntry } from "./entries.ts";
import {
  toBytesNow,
  toIncr,
  toPut,
  toTouch,
  type KvIncrOperation,
  type KvPutOperation,
  type KvTouchOperation,
} from "./values.ts";

/** The key's value is this one. An absent key has no value, so it is not. */
export interface KvValueCheck extends Omit<ValueCheck, "value"> {
  readonly value: string | Uint8Array;
}

/** A condition on a key: on its revision, its version or its value; `not` turns it around. */
export type KvCheck = RevisionCheck | VersionCheck | KvValueCheck;

/** Deletes the keys of a range, in key order. */
export interface KvDeleteRangeOperation {
  readonly op: "deleteRange";
  readonly range: Range;
  /** Keys at most: 1 to 10,000. Left out, more than that many are `too_large`. */
  readonly limit?: number | undefined;
  /** Yes, every key of the store: needed when the range is everything, refused when it is not. */
  readonly all?: boolean | undefined;
}

export type KvOperation =
  | KvPutOperation
  | DeleteOperation
  | KvDeleteRangeOperation
  | KvIncrOperation
  | KvTouchOperation
  | GetOperation
  | ListOperation;

/**
 * If every check holds, `then` takes effect, else `else`: all of it or nothing, at one revision.
 */
export interface KvTxn {
  readonly checks?: readonly KvCheck[];
  readonly then?: readonly KvOperation[];
  readonly else?: readonly KvOperation[];
}

/** What a get of a transaction found: nothing when the key is absent. */
export interface KvGetResult {
  readonly op: "get";
  readonly entry?: KvListedEntry;
}

/** What a list of a transaction found. */
export interface KvListResult extends Page {
  readonly op: "list";
  readonly entries: readonly KvListedEntry[];
}

/** What an operation came to: tell them apart by `op`. */
export type KvOperationResult =
  | PutResult
  | DeleteResult
  | DeleteRangeResult
  | IncrResult
  | TouchResult
  | KvGetResult
  | KvListResult;

export type KvTxnResult = {
  /** The commit's revision; where nothing changed, the store's. */
  readonly revision: number;
  /** One result for each operation of the list that ran, in its order. */
  readonly results: readonly KvOperationResult[];
} & (
  | { readonly succeeded: true }
  | {
      readonly succeeded: false;
      /** The checks that failed, counted from 0. */
      readonly failed: readonly number[];
    }
);

/** @throws `invalid_argument`, `too_large` for values, times and ranges that are none. */
export async function toTxn(txn: KvTxn): Promise<Txn> {
  return {
    checks: (txn.checks ?? []).map(toCheck),
    then: await Promise.all((txn.then ?? []).map(toOperation)),
    ...(txn.else === undefined
      ? undefined
      : { else: await Promise.all(txn.else.map(toOperation)) }),
  };
}

/** @throws `invalid_argument` for a range that is none, and for every key without `all`. */
export function toDeleteRange({ range, limit, all }: Omit<KvDeleteRangeOperation, "op">) {
  const deleted = deletedRangeFromJson(definedOnly({ ...range, all }));
  return { op: "deleteRange", range: deleted, ...definedOnly({ limit }) } as const;
}

export function toTxnResult({ succeeded, revision, results, failed }: CommitResult): KvTxnResult {
  const friendly = results.map(toResult);
  if (succeeded) return { succeeded, revision, results: friendly };
  return { succeeded, revision, results: friendly, failed };
}

// --- internal ---

function toCheck(check: KvCheck, index: number): Check {
  // Of two conditions one would be lost on the way, and the check would hold too often.
  const given = [check.revision, check.version, check.value].filter((part) => part !== undefined);
  if (given.length !== 1) {
    const message = `checks[${index}] needs exactly one of "revision", "version" and "value"`;
    throw new KvError("invalid_argument", message);
  }
  if (check.value === undefined) return check;
  return { ...check, value: toBytesNow(check.value) };
}

async function toOperation(operation: KvOperation): Promise<Operation> {
  switch (operation.op) {
    case "put":
      return toPut(operation);
    case "incr":
      return toIncr(operation);
    case "touch":
      return toTouch(operation);
    case "deleteRange":
      return toDeleteRange(operation);
    default:
      return operation;
  }
}

function toResult(result: OperationResult): KvOperationResult {
  if (result.op === "list") return { ...result, entries: result.entries.map(readable) };
  if (result.op !== "get" || result.entry === undefined) return result as KvOperationResult;
  return { op: "get", entry: readable(result.entry) };
}
