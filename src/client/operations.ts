/**
 * Every operation of the API as one function over the transport: what is asked, and what an answer
 * means. Holds no state; the SDK and the store over the wire both stand on it.
 */

import { toBase64 } from "../base64.ts";
import { KvError } from "../errors.ts";
import {
  historyFromJson,
  type JsonCommitResult,
  type JsonHistory,
  type JsonStatus,
  type JsonTxn,
} from "../json.ts";
import { checkKey, utf8Bytes } from "../keys.ts";
import type {
  CommitResult,
  CompactResult,
  Entry,
  GetResult,
  HistoryOptions,
  HistoryResult,
  ReadOptions,
  Txn,
} from "../kv.ts";
import { JSON_BODY_BYTES_MAX } from "../limits.ts";
import { HEADERS, keyPath, PATHS } from "../protocol.ts";
import { encodeUtf8 } from "../text.ts";
import { durationToText } from "../ttl.ts";
import { commitResultFromJson, txnToJson } from "../txn-json.ts";
import type { HttpAnswer, HttpTransport, RequestOptions } from "./http-transport.ts";

/** @throws `compacted`, `invalid_argument` as `Store.get`. */
export async function getEntry(
  transport: HttpTransport,
  key: string,
  options: ReadOptions & RequestOptions = {},
): Promise<GetResult> {
  const query = options.revision === undefined ? "" : `&revision=${options.revision}`;
  const { changed: _, ...result } = await askEntry(transport, key, query, options, 0);
  return result;
}

/** What a blocking read has seen. */
export interface AwaitedEntry extends GetResult {
  /** Has the key changed above the revision? Then to `entry`, or it was deleted. */
  readonly changed: boolean;
}

/**
 * A blocking read: waits until the key's revision is above `above`, or it was deleted above it, and
 * for `waitMs` at most.
 * @throws `compacted` when the key is absent and it is forgotten whether it was deleted above
 * `above`; `invalid_argument` above the store's revision.
 */
export function awaitEntry(
  transport: HttpTransport,
  key: string,
  above: number,
  waitMs: number,
  options: RequestOptions = {},
): Promise<AwaitedEntry> {
  const query = `&wait=${above}&timeout=${durationToText(waitMs)}`;
  return askEntry(transport, key, query, options, waitMs);
}

/** @throws `compacted`, `invalid_argument` as `Store.history`. */
export async function getHistory(
  transport: HttpTransport,
  key: string,
  options: HistoryOptions & RequestOptions = {},
): Promise<HistoryResult> {
  checkKey(key);
  const { limit, before, keys } = options;
  const query = Object.entries({ limit, before, keys: keys === true ? keys : undefined })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`);
  const path = `${keyPath(key, PATHS.history)}${query.length === 0 ? "" : `?${query.join("&")}`}`;
  const json = await transport.json<JsonHistory>(
    { method: "GET", path, ...waiting(options) },
    ({ revision, entries }) => Number.isSafeInteger(revision) && Array.isArray(entries),
  );
  return historyFromJson(json);
}

/** @throws `outcome_unknown`, `compacted`, `invalid_argument` as `Store.compact`. */
export async function postCompact(
  transport: HttpTransport,
  revision: number,
  options: RequestOptions = {},
): Promise<CompactResult> {
  const { oldest } = await transport.json<CompactResult>(
    { method: "POST", path: `${PATHS.compact}?revision=${revision}`, ...waiting(options) },
    ({ oldest }) => Number.isSafeInteger(oldest),
  );
  return { oldest };
}

/** @throws `outcome_unknown`, `too_large` and the rest as `Store.commit`. */
export async function postTxn(
  transport: HttpTransport,
  txn: Txn,
  options: RequestOptions = {},
): Promise<CommitResult> {
  const json = await transport.json<JsonCommitResult>(
    {
      method: "POST",
      path: PATHS.txn,
      headers: { "Content-Type": "application/json" },
      body: txnBody(txn),
      ...waiting(options),
    },
    ({ succeeded, revision, results }) =>
      typeof succeeded === "boolean" && Number.isSafeInteger(revision) && Array.isArray(results),
  );
  return commitResultFromJson(json);
}

export function getStatus(
  transport: HttpTransport,
  options: RequestOptions = {},
): Promise<JsonStatus> {
  return transport.json<JsonStatus>(
    { method: "GET", path: PATHS.status, ...waiting(options) },
    ({ store, revision, limits }) =>
      typeof store === "string" && Number.isSafeInteger(revision) && typeof limits === "object",
  );
}

/** What every request passes on of its caller's options. */
export function waiting({ signal, timeoutMs }: RequestOptions): RequestOptions {
  return { signal, timeoutMs };
}

// --- internal ---

async function askEntry(
  transport: HttpTransport,
  key: string,
  query: string,
  options: ReadOptions & RequestOptions,
  waitMs: number,
): Promise<AwaitedEntry> {
  checkKey(key);
  const path = `${keyPath(key)}?meta=true${query}`;
  const request = { method: "GET", path, waitMs, ...waiting(options) } as const;
  try {
    const answer = await transport.request(request);
    const result = readEntry(key, answer, options.revision);
    if (result === undefined) throw transport.notKv(request, answer);
    return result;
  } catch (error) {
    const absent = absentAt(error);
    if (absent === undefined) throw error;
    return { revision: options.revision ?? absent, changed: true };
  }
}

/** The entry in an answer to a get; `undefined` when kv did not make it. */
function readEntry(
  key: string,
  { status, headers, bytes }: HttpAnswer,
  asked: number | undefined,
): AwaitedEntry | undefined {
  const storeRevision = Number(headers.get(HEADERS.storeRevision) ?? "none");
  if (status === 304 && Number.isSafeInteger(storeRevision)) {
    return { revision: storeRevision, changed: false };
  }
  // A proxy that compresses makes the tag a weak one.
  const revision = Number(/^(?:W\/)?"(\d+)"$/.exec(headers.get("ETag") ?? "")?.[1] ?? "none");
  const createRevision = Number(headers.get(HEADERS.createRevision) ?? "none");
  const version = Number(headers.get(HEADERS.version) ?? "none");
  const contentType = headers.get("Content-Type");
  const numbers = [revision, createRevision, version, storeRevision];
  if (!numbers.every(Number.isSafeInteger) || contentType === null) return undefined;
  const expires = headers.get(HEADERS.expiresAt);
  const entry: Entry = {
    key,
    value: bytes,
    contentType,
    revision,
    createRevision,
    version,
    ...(expires === null ? undefined : { expiresAt: Date.parse(expires) }),
  };
  return { revision: asked ?? storeRevision, entry, changed: true };
}

/** The store's revision when `error` says that the key is absent. */
function absentAt(error: unknown): number | undefined {
  if (!(error instanceof KvError) || error.code !== "not_found") return undefined;
  return error.details.storeRevision;
}

/** @throws `too_large` for what no server takes, before it is sent. */
function txnBody(txn: Txn): string {
  const body = JSON.stringify(txnToJson(txn));
  if (fits(body)) return body;
  // Text of many control characters grows sixfold as JSON, base64 by a third only.
  const smaller = JSON.stringify(withoutText(txn));
  if (fits(smaller)) return smaller;
  const message = `the transaction is larger than ${JSON_BODY_BYTES_MAX} bytes of JSON`;
  throw new KvError("too_large", message, { limit: JSON_BODY_BYTES_MAX });
}

function fits(body: string): boolean {
  // A UTF-16 unit is at most 3 bytes of UTF-8: most bodies need no counting.
  return body.length * 3 <= JSON_BODY_BYTES_MAX || utf8Bytes(body) <= JSON_BODY_BYTES_MAX;
}

/** The transaction with all its values as base64. */
function withoutText(txn: Txn): JsonTxn {
  const json = txnToJson(txn);
  const items = [...(json.checks ?? []), ...(json.then ?? []), ...(json.else ?? [])];
  for (const item of items) {
    if (!("value" in item) || item.value === undefined) continue;
    item.base64 = toBase64(encodeUtf8(item.value));
    delete item.value;
  }
  return json;
}
