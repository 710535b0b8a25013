/**
 * A write of one key as the one transaction that it is, and what its result means. Used by
 * everything that takes single writes, whichever way their conditions came.
 */

import { KvError } from "../errors.ts";
import type { JsonChanged } from "../json.ts";
import type {
  Check,
  CommitResult,
  IncrOperation,
  IncrResult,
  Operation,
  PutOperation,
  PutResult,
  TouchOperation,
  TouchResult,
  Txn,
} from "../kv.ts";
import { quote } from "../text.ts";
import { changedToJson } from "../txn-json.ts";

export interface IncrAnswer extends JsonChanged {
  /** The sum. */
  value: string;
}

export interface DeleteAnswer {
  deleted: number;
  revision: number;
}

export function putTxn(put: Omit<PutOperation, "op">, checks: readonly Check[]): Txn {
  const { key, value, contentType, ttl } = put;
  const operation: PutOperation = { op: "put", key, value, contentType };
  return single(ttl === undefined ? operation : { ...operation, ttl }, checks);
}

export function incrTxn(incr: Omit<IncrOperation, "op">, checks: readonly Check[]): Txn {
  return single({ op: "incr", ...incr }, checks);
}

export function touchTxn(touch: Omit<TouchOperation, "op">, checks: readonly Check[]): Txn {
  // With this check an absent key is an answer, with the store's revision, and not a failure.
  const present: Check = { key: touch.key, revision: 0, not: true };
  return single({ op: "touch", ...touch }, [present, ...checks]);
}

export function deleteTxn(key: string, checks: readonly Check[]): Txn {
  return single({ op: "delete", key }, checks);
}

/**
 * What a transaction of one operation comes to. Its failure is that of the request: there is
 * nothing to count, so no index is told.
 */
export async function singleResult(committing: Promise<CommitResult>): Promise<CommitResult> {
  try {
    return await committing;
  } catch (error) {
    throw singleFailure(error);
  }
}

/** What a transaction of one operation has failed with, without the index of that operation. */
export function singleFailure(error: unknown): unknown {
  if (!(error instanceof KvError) || error.details.index === undefined) return error;
  const { index: _, ...details } = error.details;
  return new KvError(error.code, error.message, details, error.cause);
}

/** @throws `precondition_failed` when a check failed. */
export function putAnswer(key: string, result: CommitResult): JsonChanged {
  if (!result.succeeded) throw failedPrecondition(key, result);
  const [put] = result.results as [PutResult];
  return changedToJson(put);
}

/** @throws `precondition_failed` when a check failed. */
export function incrAnswer(key: string, result: CommitResult): IncrAnswer {
  if (!result.succeeded) throw failedPrecondition(key, result);
  const [incr] = result.results as [IncrResult];
  const { key: _, ...changed } = changedToJson(incr);
  return { key, value: String(incr.value), ...changed };
}

/** @throws `not_found` when the key is absent, else `precondition_failed` when a check failed. */
export function touchAnswer(key: string, result: CommitResult): JsonChanged {
  if (!result.succeeded) throw absentOrFailed(key, result);
  const [touch] = result.results as [TouchResult];
  return changedToJson(touch);
}

/** @throws `not_found` when the key is absent, else `precondition_failed` when a check failed. */
export function deleteAnswer(key: string, result: CommitResult): DeleteAnswer {
  if (!result.succeeded) throw absentOrFailed(key, result);
  const [first] = result.results;
  if (first?.op !== "delete" || first.deleted === 0) throw absentKey(key, result.revision);
  return { deleted: first.deleted, revision: result.revision };
}

/** The error for a key that is not there; `storeRevision` is where it was seen. */
export function absentKey(key: string, storeRevision: number): KvError {
  return new KvError("not_found", `there is no key ${quote(key)}`, { storeRevision });
}

/** The error for a failed condition: the key was at `revision`, 0 = absent. */
export function preconditionFailed(key: string, revision: number, storeRevision: number): KvError {
  const state = revision === 0 ? "is absent" : `is at revision ${revision}`;
  return new KvError(
    "precondition_failed",
    `the key ${quote(key)} ${state}, which is not what the request asks for; read it and try again`,
    { revision, storeRevision },
  );
}

// --- internal ---

/** When a check fails, the same transaction says what the key is instead. */
function single(operation: Operation & { key: string }, checks: readonly Check[]): Txn {
  if (checks.length === 0) return { checks, then: [operation] };
  return { checks, then: [operation], else: [{ op: "get", key: operation.key, keys: true }] };
}

/** The revision at which a failed transaction found the key; 0 = absent. */
function foundRevision({ results: [found] }: CommitResult): number {
  return found?.op === "get" ? (found.entry?.revision ?? 0) : 0;
}

function failedPrecondition(key: string, result: CommitResult): KvError {
  return preconditionFailed(key, foundRevision(result), result.revision);
}

function absentOrFailed(key: string, result: CommitResult): KvError {
  if (foundRevision(result) === 0) return absentKey(key, result.revision);
  return failedPrecondition(key, result);
}
