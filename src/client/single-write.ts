/**
 * A write of one operation as the transaction that it is, and what its result means to the caller
 * of the SDK.
 */

import { checksOfConditions } from "../conditions.ts";
import { KvError } from "../errors.ts";
import { checkKey } from "../keys.ts";
import type {
  Check,
  DeleteOperation,
  DeleteRangeOperation,
  DeleteRangeResult,
  IncrOperation,
  OperationResult,
  PutOperation,
  TouchOperation,
  Txn,
} from "../kv.ts";
import { LIMITS } from "../limits.ts";
import { quote } from "../text.ts";
import type { HttpTransport, RequestOptions } from "./http-transport.ts";
import { checkValueSize, largePutHeaders, putLarge, type WriteOutcome } from "./large-put.ts";
import { getStatus, postTxn } from "./operations.ts";
import type { KvDeleteRange } from "./options.ts";
import { mayRetry, writeUntilAnswered, type Retryable } from "./retry.ts";

export type SingleOperation = PutOperation | DeleteOperation | IncrOperation | TouchOperation;

type ResultOf<O extends SingleOperation> = Extract<OperationResult, { op: O["op"] }>;

/**
 * Runs an operation if all conditions hold; answers its result and the revision of the store.
 * @throws `precondition_failed` when one did not, `not_found` for a touch of an absent key;
 * `outcome_unknown` when the answer was lost and no further attempt, if any, has succeeded.
 */
export async function writeOne<O extends SingleOperation>(
  transport: HttpTransport,
  operation: O,
  options: Retryable & RequestOptions,
): Promise<{ readonly result: ResultOf<O>; readonly revision: number }> {
  const { key } = operation;
  checkKey(key);
  const checks = checksOfConditions(key, options);
  // With this check an absent key is an answer, with the store's revision, and no failure.
  if (operation.op === "touch") checks.push({ key, revision: 0, not: true });
  const isRetried = mayRetry(options);
  if (operation.op === "put") await checkPutSize(transport, operation, options);
  const { timeoutMs = transport.timeoutMs, signal } = options;
  const write = (timeoutMs: number): Promise<WriteOutcome> =>
    attempt(transport, operation, checks, { timeoutMs, signal });
  const isOver = (): boolean => transport.isClosed;
  const outcome = isRetried
    ? await writeUntilAnswered(write, { timeoutMs, signal, isOver })
    : await write(timeoutMs);
  const { succeeded, revision } = outcome;
  if (succeeded) return { result: outcome.result as ResultOf<O>, revision };
  const { found } = outcome;
  if (operation.op === "touch" && found === 0) throw absentKey(key, revision);
  throw conditionFailed(key, found, revision);
}

/** Deletes the keys of a range, or its first ones. @throws `too_large` as `Store.commit`. */
export async function deleteKeys(
  transport: HttpTransport,
  operation: DeleteRangeOperation,
  options: RequestOptions,
): Promise<KvDeleteRange> {
  const committing = postTxn(transport, { checks: [], then: [operation] }, options);
  const { revision, results } = await withoutIndex(committing);
  const [{ deleted, more }] = results as readonly [DeleteRangeResult];
  return { deleted, revision, more };
}

// --- internal ---

/** A large put goes its own way, everything else as a transaction. */
async function attempt(
  transport: HttpTransport,
  operation: SingleOperation,
  checks: readonly Check[],
  options: RequestOptions,
): Promise<WriteOutcome> {
  const headers = operation.op === "put" ? largePutHeaders(operation, checks) : undefined;
  if (operation.op === "put" && headers !== undefined) {
    return putLarge(transport, operation, headers, options);
  }
  const txn = singleTxn(operation, checks);
  const { succeeded, revision, results } = await withoutIndex(postTxn(transport, txn, options));
  const [first] = results;
  if (succeeded) return { succeeded, result: first!, revision };
  return { succeeded, found: first?.op === "get" ? (first.entry?.revision ?? 0) : 0, revision };
}

/** When a check fails, the same transaction says what the key is instead. */
function singleTxn(operation: SingleOperation, checks: readonly Check[]): Txn {
  if (checks.length === 0) return { checks, then: [operation] };
  return { checks, then: [operation], else: [{ op: "get", key: operation.key, keys: true }] };
}

/** There is one operation, so its failure has nothing to count. */
async function withoutIndex<T>(committing: Promise<T>): Promise<T> {
  try {
    return await committing;
  } catch (error) {
    if (!(error instanceof KvError) || error.details.index === undefined) throw error;
    const { index: _, ...details } = error.details;
    throw new KvError(error.code, error.message, details, error.cause);
  }
}

/** The server may allow more than is usual, so it is asked when that matters. */
async function checkPutSize(
  transport: HttpTransport,
  put: PutOperation,
  options: RequestOptions,
): Promise<void> {
  if (put.value.length <= LIMITS.valueBytesMax) return;
  checkValueSize(put, (await getStatus(transport, options)).limits);
}

function absentKey(key: string, storeRevision: number): KvError {
  return new KvError("not_found", `there is no key ${quote(key)}`, { storeRevision });
}

function conditionFailed(key: string, revision: number, storeRevision: number): KvError {
  const state = revision === 0 ? "is absent" : `is at revision ${revision}`;
  return new KvError(
    "precondition_failed",
    `the key ${quote(key)} ${state}, which is not what the condition asks for`,
    { revision, storeRevision },
  );
}
