/**
 * A put of a large value as `PUT` with its raw bytes: as JSON it would grow by a third or more.
 * Small ones go as `POST /v1/txn`, which no platform repeats by itself and which can share a
 * connection.
 */

import { KvError } from "../errors.ts";
import type { JsonChanged } from "../json.ts";
import { checkKey } from "../keys.ts";
import type {
  Check,
  CommitResult,
  Limits,
  Operation,
  OperationResult,
  PutOperation,
  Txn,
} from "../kv.ts";
import { CLIENT_LARGE_VALUE_BYTES } from "../limits.ts";
import { HEADERS, keyPath } from "../protocol.ts";
import { CONTENT_TYPE } from "../rules.ts";
import { ttlToText } from "../ttl.ts";
import { changedFromJson } from "../txn-json.ts";
import type { HttpTransport, RequestOptions } from "./http-transport.ts";
import { waiting } from "./operations.ts";

/** What a write of one key came to; `revision` is the commit's, or the store's. */
export type WriteOutcome =
  | { readonly succeeded: true; readonly result: OperationResult; readonly revision: number }
  | {
      readonly succeeded: false;
      /** The key's revision, 0 when it is absent. */
      readonly found: number;
      readonly revision: number;
    };

/**
 * The headers with which `put` can go as a request of its own: it is large, and the conditions of
 * HTTP can say `checks`. `undefined` when it must be a transaction.
 */
export function largePutHeaders(
  put: PutOperation,
  checks: readonly Check[],
): Record<string, string> | undefined {
  if (put.value.length < CLIENT_LARGE_VALUE_BYTES) return undefined;
  // The server takes the form type for one that nobody chose, and refuses parts.
  if (/^(application\/x-www-form-urlencoded|multipart\/)/i.test(put.contentType)) return undefined;
  // What is no valid type must be refused as such, and a header that is empty would count as none.
  if (!CONTENT_TYPE.test(put.contentType)) return undefined;
  const headers: Record<string, string> = { "Content-Type": put.contentType };
  if (put.ttl !== undefined) headers[HEADERS.ttl] = ttlToText(put.ttl);
  for (const check of checks) {
    const [name, value] = (check.key === put.key ? conditionOf(check) : undefined) ?? [];
    // There is one header of each name.
    if (name === undefined || headers[name] !== undefined) return undefined;
    headers[name] = value!;
  }
  return headers;
}

export async function putLarge(
  transport: HttpTransport,
  put: PutOperation,
  headers: Record<string, string>,
  options: RequestOptions = {},
): Promise<WriteOutcome> {
  checkKey(put.key);
  const path = keyPath(put.key);
  try {
    const changed = await transport.json<JsonChanged>(
      { method: "PUT", path, headers, body: put.value, ...waiting(options) },
      (json) => Number.isSafeInteger(json.revision) && Number.isSafeInteger(json.version),
    );
    const result = { op: "put", ...changedFromJson(changed) } as const;
    return { succeeded: true, result, revision: result.revision };
  } catch (error) {
    if (!(error instanceof KvError) || error.code !== "precondition_failed") throw error;
    const { revision: found = 0, storeRevision = 0 } = error.details;
    return { succeeded: false, found, revision: storeRevision };
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
  { checks, then, else: otherwise = [] }: Txn,
): Promise<CommitResult> | undefined {
  const [put] = then;
  if (then.length !== 1 || put?.op !== "put" || otherwise.length > 0) return undefined;
  const headers = largePutHeaders(put, checks);
  return headers === undefined ? undefined : commitPut(transport, put, checks, headers);
}

// --- internal ---

async function commitPut(
  transport: HttpTransport,
  put: PutOperation,
  checks: readonly Check[],
  headers: Record<string, string>,
): Promise<CommitResult> {
  const outcome = await putLarge(transport, put, headers);
  const { succeeded, revision } = outcome;
  if (succeeded) return { succeeded, revision, results: [outcome.result], failed: [] };
  const failed = [...checks.keys()].filter((index) => !holds(checks[index]!, outcome.found));
  return { succeeded, revision, results: [], failed };
}

function holds({ revision = [], not = false }: Check, found: number): boolean {
  return [revision].flat().includes(found) !== not;
}

/** A check as `If-Match` or `If-None-Match`; `undefined` when it is neither. */
function conditionOf({ revision, not = false }: Check): [string, string] | undefined {
  const revisions = revision === undefined ? [] : [revision].flat();
  if (revisions.length === 0) return undefined;
  if (revisions.every((one) => one === 0)) return [not ? "If-Match" : "If-None-Match", "*"];
  // "Absent or at 5" cannot be said in one header.
  if (revisions.includes(0)) return undefined;
  const tags = revisions.map((one) => `"${one}"`).join(", ");
  return [not ? "If-None-Match" : "If-Match", tags];
}
