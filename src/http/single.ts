/**
 * A put or a delete of one key as the one transaction that it is, and what its result means. Used
 * by everything that takes single writes, whichever way their conditions came.
 */

import { KvError } from "../errors.ts";
import type { Check, CommitResult, Operation, PutOperation, PutResult, Txn } from "../kv.ts";
import { quote } from "../text.ts";

/** The answer to a put, without what the transport adds. */
export type PutAnswer = Omit<PutResult, "op">;

export interface DeleteAnswer {
  deleted: number;
  revision: number;
}

export function putTxn(put: Omit<PutOperation, "op">, checks: readonly Check[]): Txn {
  return single({ op: "put", ...put }, checks);
}

export function deleteTxn(key: string, checks: readonly Check[]): Txn {
  return single({ op: "delete", key }, checks);
}

/** @throws `precondition_failed` when a check failed. */
export function putAnswer(key: string, result: CommitResult): PutAnswer {
  if (!result.succeeded) throw failedPrecondition(key, result);
  const [put] = result.results as [PutResult];
  const { revision, createRevision, version } = put;
  return { key, revision, createRevision, version };
}

/** @throws `not_found` when the key is absent, else `precondition_failed` when a check failed. */
export function deleteAnswer(key: string, result: CommitResult): DeleteAnswer {
  const [first] = result.results;
  if (first?.op === "get") {
    if (first.entry === undefined) throw absentKey(key, result.revision);
    throw failedPrecondition(key, result);
  }
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
function single(operation: Operation, checks: readonly Check[]): Txn {
  if (checks.length === 0) return { checks, then: [operation] };
  return { checks, then: [operation], else: [{ op: "get", key: operation.key, keys: true }] };
}

function failedPrecondition(key: string, result: CommitResult): KvError {
  const [found] = result.results;
  const revision = found?.op === "get" ? (found.entry?.revision ?? 0) : 0;
  return preconditionFailed(key, revision, result.revision);
}
