/**
 * A put of a large value as `PUT` with its raw bytes: as JSON it would grow by a third or more.
 * Small ones go as `POST /v1/txn`, which no platform repeats by itself and which can share a
 * connection.
 */

import { KvError } from "../errors.ts";
import { schemas } from "../schemas.ts";
import { checkKey } from "../keys.ts";
import type {
  Check,
  CommitResult,
  Limits,
  Operation,
  PutOperation,
  PutResult,
  Txn,
} from "../kv.ts";
import { CLIENT_LARGE_VALUE_BYTES } from "../limits.ts";
import { keyPath } from "../protocol.ts";
import type { HttpTransport, RequestOptions } from "./http-transport.ts";

export type PutOutcome =
  | { readonly succeeded: true; readonly result: PutResult }
  | {
      readonly succeeded: false;
      /** The key's revision, 0 when it is absent. */
      readonly revision: number;
      readonly storeRevision: number;
    };

/**
 * The headers with which `put` can go as a request of its own: it is large, and the conditions of
 * HTTP can say `check`. `undefined` when it must be a transaction.
 */
export function largePutHeaders(
  put: PutOperation,
  checks: readonly Check[],
): Record<string, string> | undefined {
  if (put.value.length < CLIENT_LARGE_VALUE_BYTES || checks.length > 1) return undefined;
  // The server takes the form type for one that nobody chose, and refuses parts.
  if (/^(application\/x-www-form-urlencoded|multipart\/)/i.test(put.contentType)) return undefined;
  // What is no valid type must be refused as such, and a header that is empty would count as none.
  if (!CONTENT_TYPE.test(put.contentType)) return undefined;
  const [check] = checks;
  const headers = { "Content-Type": put.contentType };
  if (check === undefined) return headers;
  const condition = check.key === put.key ? conditionOf(check) : undefined;
  return condition === undefined ? undefined : { ...headers, ...condition };
}

export async function putLarge(
  transport: HttpTransport,
  put: PutOperation,
  headers: Record<string, string>,
  options: RequestOptions = {},
): Promise<PutOutcome> {
  checkKey(put.key);
  const request = {
    method: "PUT",
    path: keyPath(put.key),
    headers,
    body: put.value,
    signal: options.signal,
    timeoutMs: options.timeoutMs,
  } as const;
  try {
    const { key, revision, createRevision, version } = await transport.json<PutResult>(
      request,
      (json) => Number.isSafeInteger(json.revision) && Number.isSafeInteger(json.version),
    );
    return { succeeded: true, result: { op: "put", key, revision, createRevision, version } };
  } catch (error) {
    if (!(error instanceof KvError) || error.code !== "precondition_failed") throw error;
    const { revision = 0, storeRevision = 0 } = error.details;
    return { succeeded: false, revision, storeRevision };
  }
}

/**
 * The server would refuse it too, but perhaps while it is still being sent, which looks like a
 * loss.
 * @throws `too_large`
 */
export function checkValueSize(operation: Operation, limits: Limits): void {
  if (operation.op !== "put" || operation.value.length <= limits.valueBytesMax) return;
  const limit = limits.valueBytesMax;
  const size = `the value has ${operation.value.length} bytes`;
  throw new KvError("too_large", `${size}; at most ${limit} are allowed`, { limit });
}

/** `txn` as one `PUT`, when it is one; `undefined` when it must be a transaction. */
export function commitLargePut(
  transport: HttpTransport,
  txn: Txn,
): Promise<CommitResult> | undefined {
  const [put] = txn.then;
  if (txn.then.length !== 1 || put?.op !== "put" || (txn.else?.length ?? 0) > 0) return undefined;
  const headers = largePutHeaders(put, txn.checks);
  return headers === undefined ? undefined : commitPut(transport, put, headers);
}

// --- internal ---

const CONTENT_TYPE = new RegExp(schemas.contentType.pattern!);

async function commitPut(
  transport: HttpTransport,
  put: PutOperation,
  headers: Record<string, string>,
): Promise<CommitResult> {
  const outcome = await putLarge(transport, put, headers);
  if (!outcome.succeeded) {
    return { succeeded: false, revision: outcome.storeRevision, results: [], failed: [0] };
  }
  const { result } = outcome;
  return { succeeded: true, revision: result.revision, results: [result], failed: [] };
}

/** A check as `If-Match` or `If-None-Match`; `undefined` when it is neither. */
function conditionOf({ revision, not = false }: Check): Record<string, string> | undefined {
  const revisions = typeof revision === "number" ? [revision] : revision;
  if (revisions.length === 0) return undefined;
  if (revisions.every((one) => one === 0)) return { [not ? "If-Match" : "If-None-Match"]: "*" };
  // "Absent or at 5" cannot be said in one header.
  if (revisions.includes(0)) return undefined;
  const tags = revisions.map((one) => `"${one}"`).join(", ");
  return { [not ? "If-None-Match" : "If-Match"]: tags };
}
