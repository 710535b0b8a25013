/**
 * Every operation of the API as one function over the transport: what is asked, and what an answer
 * means. Holds no state; the SDK and the store over the wire both stand on it.
 */

import { KvError } from "../errors.ts";
import {
  entryFromJson,
  type JsonCommitResult,
  type JsonEntry,
  type JsonStatus,
  type JsonTxn,
} from "../json.ts";
import { commitResultFromJson, txnToJson } from "../txn-json.ts";
import { checkKey, checkRange, compareKeys, inRange, rangeStart, utf8Bytes } from "../keys.ts";
import type {
  CommitResult,
  Entry,
  GetResult,
  ListedEntry,
  ListOptions,
  ListResult,
  Range,
  ReadOptions,
  Txn,
} from "../kv.ts";
import { JSON_BODY_BYTES_MAX } from "../limits.ts";
import { encodeCursor, HEADERS, keyPath, PATHS, queryValue } from "../protocol.ts";
import { toBase64 } from "../base64.ts";
import type { HttpAnswer, HttpTransport, RequestOptions } from "./http-transport.ts";

/** @throws `compacted`, `invalid_argument` as `Store.get`. */
export async function getEntry(
  transport: HttpTransport,
  key: string,
  options: ReadOptions & RequestOptions = {},
): Promise<GetResult> {
  checkKey(key);
  const revision = options.revision === undefined ? "" : `&revision=${options.revision}`;
  const request = {
    method: "GET",
    path: `${keyPath(key)}?meta=true${revision}`,
    ...waiting(options),
  } as const;
  try {
    const answer = await transport.request(request);
    const result = readEntry(key, answer, options.revision);
    if (result === undefined) throw transport.notKv(request, answer);
    return result;
  } catch (error) {
    const absent = absentAt(error);
    if (absent === undefined) throw error;
    return { revision: options.revision ?? absent };
  }
}

/** @throws `compacted`, `invalid_argument` as `Store.list`. */
export async function listPage(
  transport: HttpTransport,
  range: Range,
  options: ListOptions & RequestOptions = {},
): Promise<ListResult> {
  checkRange(range);
  // The list of the API has no single key; a get says the same.
  if (range.key !== undefined) return listOfOne(transport, range.key, options);
  if (options.after !== undefined && !inRange(range, options.after)) {
    return listFromOutside(transport, range, options);
  }
  const page = await transport.json<{ revision: number; entries: JsonEntry[]; cursor?: string }>(
    { method: "GET", path: `${PATHS.kv}${listQuery(range, options)}`, ...waiting(options) },
    (json) => Number.isSafeInteger(json.revision) && Array.isArray(json.entries),
  );
  return {
    revision: page.revision,
    entries: page.entries.map(entryFromJson),
    more: page.cursor !== undefined,
  };
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

// --- internal ---

function waiting({ signal, timeoutMs }: RequestOptions): RequestOptions {
  return { signal, timeoutMs };
}

/** The entry in an answer to a get; `undefined` when kv did not make it. */
function readEntry(
  key: string,
  { headers, bytes }: HttpAnswer,
  asked: number | undefined,
): GetResult | undefined {
  // A proxy that compresses makes the tag a weak one.
  const revision = Number(/^(?:W\/)?"(\d+)"$/.exec(headers.get("ETag") ?? "")?.[1] ?? "none");
  const createRevision = Number(headers.get(HEADERS.createRevision) ?? "none");
  const version = Number(headers.get(HEADERS.version) ?? "none");
  const storeRevision = Number(headers.get(HEADERS.storeRevision) ?? "none");
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
  return { revision: asked ?? storeRevision, entry };
}

/** The store's revision when `error` says that the key is absent. */
function absentAt(error: unknown): number | undefined {
  if (!(error instanceof KvError) || error.code !== "not_found") return undefined;
  return error.details.storeRevision;
}

async function listOfOne(
  transport: HttpTransport,
  key: string,
  options: ListOptions & RequestOptions,
): Promise<ListResult> {
  const { revision, entry } = await getEntry(transport, key, options);
  const passed = options.after !== undefined && compareKeys(key, options.after) <= 0;
  if (entry === undefined || passed) return { revision, entries: [], more: false };
  const { value, ...info } = entry;
  const listed: ListedEntry = options.keys === true ? info : { ...info, value };
  return { revision, entries: [listed], more: false };
}

/**
 * A cursor goes on inside its range. Outside, `after` leaves all of the range to list, or nothing.
 */
async function listFromOutside(
  transport: HttpTransport,
  range: Range,
  { after, ...options }: ListOptions & RequestOptions,
): Promise<ListResult> {
  if (compareKeys(after!, rangeStart(range)) < 0) return listPage(transport, range, options);
  const { revision } = await listPage(transport, range, { ...options, limit: 1, keys: true });
  return { revision, entries: [], more: false };
}

function listQuery(range: Range, options: ListOptions): string {
  const { limit, keys, after, revision } = options;
  const query: string[] = [];
  if (after === undefined) {
    for (const [name, text] of Object.entries(range)) {
      if (text !== undefined) query.push(`${name}=${queryValue(text)}`);
    }
    if (revision !== undefined) query.push(`revision=${revision}`);
  } else {
    query.push(`cursor=${encodeCursor({ range, after, revision })}`);
  }
  if (limit !== undefined) query.push(`limit=${limit}`);
  if (keys === true) query.push("keys=true");
  return query.length === 0 ? "" : `?${query.join("&")}`;
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

function withoutText(txn: Txn): JsonTxn {
  const json = txnToJson(txn);
  const lists = [json.then ?? [], json.else ?? []];
  for (const [which, list] of [txn.then, txn.else ?? []].entries()) {
    for (const [index, operation] of list.entries()) {
      if (operation.op !== "put") continue;
      const { op, key, value, contentType } = operation;
      lists[which]![index] = { op, key, base64: toBase64(value), contentType };
    }
  }
  return json;
}
