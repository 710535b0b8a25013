/**
 * The JSON shapes of the API, both ways: entries, events, transactions, results, errors. What
 * requests carry is described in `schemas.ts`.
 *
 * A value stands as `"value": "text"` when it is UTF-8, else as `"base64": "…"`; requests may use
 * either.
 */

import { fromBase64, toBase64 } from "./base64.ts";
import { KvError, isErrorCode, type ErrorDetails } from "./errors.ts";
import { checkRange, checkRanges, isEverything, type Range, type Ranges } from "./keys.ts";
import type {
  Capabilities,
  Commit,
  Entry,
  Event,
  HistoryResult,
  Lag,
  ListedEntry,
  ListedEvent,
  Page,
} from "./kv.ts";
import type { Limits } from "./limits.ts";
import { decodeUtf8, encodeUtf8 } from "./text.ts";

/** What `JSON.parse` of an entry gives, and what `JSON.stringify` takes. */
export interface JsonEntry {
  key: string;
  value?: string;
  base64?: string;
  contentType: string;
  revision: number;
  createRevision: number;
  version: number;
  /** RFC 3339, UTC, milliseconds. */
  expiresAt?: string;
}

export type JsonEvent = { prev?: JsonEntry } & (
  ({ type: "put" } & JsonEntry) | { type: "delete" | "expire"; key: string; revision: number }
);

export interface JsonCommit {
  revision: number;
  events: JsonEvent[];
}

/** A range: a key, a prefix, or from `start` up to but not including `end`. */
export interface JsonRange {
  key?: string;
  prefix?: string;
  start?: string;
  end?: string;
}

/** A value: exactly one of them. */
export interface JsonValue {
  value?: string;
  base64?: string;
}

/** What a listing shows of its range. */
export interface JsonListShape {
  limit?: number;
  keys?: boolean;
  reverse?: boolean;
  count?: boolean;
  delimiter?: string;
}

export type JsonOperation =
  | ({ op: "put"; key: string; contentType?: string; ttl?: string } & JsonValue)
  | { op: "delete"; key: string }
  | ({ op: "deleteRange"; limit?: number; all?: boolean } & JsonRange)
  | { op: "incr"; key: string; by?: string; ttl?: string }
  | { op: "touch"; key: string; ttl: string }
  | { op: "get"; key: string; keys?: boolean }
  | ({ op: "list" } & JsonRange & JsonListShape);

/** Exactly one of revision, version and value. */
export interface JsonCheck extends JsonValue {
  key: string;
  revision?: number | number[];
  version?: number | number[];
  not?: boolean;
}

export interface JsonTxn {
  checks?: JsonCheck[];
  then?: JsonOperation[];
  else?: JsonOperation[];
}

/** What a change made of an entry. */
export interface JsonChanged {
  key: string;
  revision: number;
  createRevision: number;
  version: number;
  /** RFC 3339, UTC, milliseconds. */
  expiresAt?: string;
}

/** What a listing found; `count` stands alone. */
export interface JsonPage {
  entries?: JsonEntry[];
  folders?: string[];
  count?: number;
}

export type JsonResult =
  | ({ op: "put" | "touch" } & JsonChanged)
  | ({ op: "incr"; value: string } & JsonChanged)
  | { op: "delete"; deleted: number }
  | { op: "deleteRange"; deleted: number; more?: true }
  | { op: "get"; entry: JsonEntry | null }
  | ({ op: "list"; more?: true } & JsonPage);

export interface JsonCommitResult {
  succeeded: boolean;
  revision: number;
  results: JsonResult[];
  failed?: number[];
}

export type JsonPastEvent =
  ({ type: "put" } & JsonEntry) | { type: "delete" | "expire"; key: string; revision: number };

export interface JsonHistory {
  revision: number;
  entries: JsonPastEvent[];
  more?: true;
}

export interface JsonError {
  error: { code: string; message: string } & ErrorDetails;
}

// Entries and events

export function entryToJson(entry: ListedEntry): JsonEntry {
  const json: JsonEntry = {
    key: entry.key,
    ...(entry.value === undefined ? undefined : valueToJson(entry.value)),
    contentType: entry.contentType,
    revision: entry.revision,
    createRevision: entry.createRevision,
    version: entry.version,
  };
  if (entry.expiresAt !== undefined) json.expiresAt = new Date(entry.expiresAt).toISOString();
  return json;
}

export function entryFromJson(json: JsonEntry): ListedEntry {
  const { key, contentType, revision, createRevision, version } = json;
  return {
    key,
    ...(json.value === undefined && json.base64 === undefined
      ? undefined
      : { value: valueFromJson(json, key) }),
    contentType,
    revision,
    createRevision,
    version,
    ...(json.expiresAt === undefined ? undefined : { expiresAt: Date.parse(json.expiresAt) }),
  };
}

export function eventToJson(event: ListedEvent): JsonEvent {
  const prev = event.prev === undefined ? undefined : { prev: entryToJson(event.prev) };
  if (event.type === "put") return { type: "put", ...entryToJson(event), ...prev };
  return { type: event.type, key: event.key, revision: event.revision, ...prev };
}

/** As `eventToJson`, without the values. */
export function eventKeysToJson({ prev, ...event }: Event): JsonEvent {
  const before = prev === undefined ? undefined : { prev: entryToJson(withoutValue(prev)) };
  if (event.type !== "put") return { ...event, ...before };
  return { type: "put", ...entryToJson(withoutValue(event)), ...before };
}

/** As `eventFromJson`; values that were left out stay absent. */
export function listedEventFromJson(json: JsonEvent): ListedEvent {
  const prev = json.prev === undefined ? undefined : { prev: entryFromJson(json.prev) };
  if (json.type !== "put")
    return { type: json.type, key: json.key, revision: json.revision, ...prev };
  return { type: "put", ...entryFromJson(json), ...prev };
}

/** An event whose values were left out has empty ones. */
export function eventFromJson(json: JsonEvent): Event {
  const prev = json.prev === undefined ? undefined : { prev: withValue(entryFromJson(json.prev)) };
  if (json.type !== "put")
    return { type: json.type, key: json.key, revision: json.revision, ...prev };
  return { type: "put", ...withValue(entryFromJson(json)), ...prev };
}

export function commitToJson(commit: Commit): JsonCommit {
  return { revision: commit.revision, events: commit.events.map(eventToJson) };
}

export function commitFromJson(json: JsonCommit): Commit {
  return { revision: json.revision, events: json.events.map(eventFromJson) };
}

/** `{value}` when the bytes are UTF-8, else `{base64}`. */
export function valueToJson(value: Uint8Array): { value: string } | { base64: string } {
  const text = decodeUtf8(value);
  return text === undefined ? { base64: toBase64(value) } : { value: text };
}

/**
 * The bytes of `{value}` or `{base64}`; `path` names the place in the message.
 * @throws `invalid_argument` unless there is exactly one of them, and base64 is standard and
 * padded.
 */
export function valueFromJson(json: JsonValue, path: string): Uint8Array {
  if ((json.value === undefined) === (json.base64 === undefined)) {
    throw new KvError(
      "invalid_argument",
      `${path} needs exactly one of "value" (text) and "base64" (bytes)`,
    );
  }
  if (json.value !== undefined) return encodeUtf8(json.value);
  const bytes = fromBase64(json.base64!);
  if (bytes === undefined) {
    throw new KvError("invalid_argument", `${path}.base64 is not padded standard base64`);
  }
  return bytes;
}

/** A page of a listing, without what leads to the next one. */
export function pageToJson({ entries, folders, count }: Page): JsonPage {
  if (count !== undefined) return { count };
  return {
    entries: entries.map(entryToJson),
    ...(folders === undefined ? undefined : { folders: [...folders] }),
  };
}

export function pageFromJson({ entries = [], folders, count }: JsonPage, more: boolean): Page {
  return {
    entries: entries.map(entryFromJson),
    ...(folders === undefined ? undefined : { folders }),
    ...(count === undefined ? undefined : { count }),
    more,
  };
}

export function historyToJson({ revision, entries, more }: HistoryResult): JsonHistory {
  return {
    revision,
    entries: entries.map((past) =>
      past.type === "put" ? { type: "put", ...entryToJson(past) } : { ...past },
    ),
    ...(more ? { more } : undefined),
  };
}

export function historyFromJson({ revision, entries, more }: JsonHistory): HistoryResult {
  return {
    revision,
    entries: entries.map((past) =>
      past.type === "put" ? { type: "put", ...entryFromJson(past) } : past,
    ),
    more: more === true,
  };
}

/**
 * The range of a request.
 * @throws `invalid_argument` when it names more than one kind of range, or a key that is none.
 */
export function rangeFromJson({ key, prefix, start, end }: JsonRange): Range {
  const kinds = Object.entries({ key, prefix, start: start ?? end })
    .filter(([, text]) => text !== undefined)
    .map(([kind]) => (kind === "start" ? '"start" with "end"' : `"${kind}"`));
  if (kinds.length > 1) {
    throw new KvError(
      "invalid_argument",
      `${kinds.join(" and ")} name different ranges; give one of them`,
    );
  }
  const range = rangeOf({ key, prefix, start, end });
  checkRange(range);
  return range;
}

/**
 * The keys and prefixes of a watch together, or its one range.
 * @throws `invalid_argument`, `too_large` as `rangeFromJson` and `checkRanges`.
 */
export function rangesFromJson(json: {
  key?: string | readonly string[];
  prefix?: string | readonly string[];
  start?: string;
  end?: string;
}): Ranges {
  const keys = listed(json.key).map((key): Range => ({ key }));
  const prefixes = listed(json.prefix).map((prefix): Range => ({ prefix }));
  const { start, end } = json;
  const isSeveral = keys.length + prefixes.length > 1;
  if (!isSeveral) return rangeFromJson({ ...keys[0], ...prefixes[0], start, end } as JsonRange);
  if (start !== undefined || end !== undefined) {
    throw new KvError("invalid_argument", '"start" and "end" do not go with keys and prefixes');
  }
  const ranges = [...keys, ...prefixes];
  checkRanges(ranges);
  return ranges;
}

/** As `rangeFromJson`, of keys to delete: all of them only with `all`. */
export function deletedRangeFromJson(json: JsonRange & { all?: boolean }): Range {
  const range = rangeFromJson(json);
  const everything = isEverything(range);
  if (everything && json.all !== true) {
    throw new KvError("invalid_argument", "the range is every key; say so with all=true");
  }
  if (!everything && json.all === true) {
    throw new KvError("invalid_argument", "all=true is for every key; this range is not every key");
  }
  return range;
}

// Errors and limits

export function errorToJson(error: KvError): JsonError {
  return { error: { code: error.code, message: error.message, ...error.details } };
}

/** The error of an answer, or `undefined` when the JSON is none of kv's. */
export function errorFromJson(json: unknown): KvError | undefined {
  const body = (json as JsonError | null | undefined)?.error;
  if (typeof body !== "object" || body === null) return undefined;
  const { code, message, ...details } = body;
  if (!isErrorCode(code) || typeof message !== "string") return undefined;
  return new KvError(code, message, details);
}

/** The answer of `GET /v1/status`. */
export interface JsonStatus {
  store: string;
  revision: number;
  oldest: number;
  keys: number;
  bytes: number;
  engine: string;
  durability: string;
  /** Only where a write is answered before it is synced. */
  lag?: Lag;
  /** Version of the server. */
  version: string;
  uptimeSeconds: number;
  watchers: number;
  limits: Limits;
  capabilities: Capabilities;
}

// --- internal ---

function listed(texts: string | readonly string[] | undefined): readonly string[] {
  if (texts === undefined) return [];
  return typeof texts === "string" ? [texts] : texts;
}

function withoutValue(entry: Entry): ListedEntry {
  const { value: _, ...info } = entry;
  return info;
}

function withValue(entry: ListedEntry): Entry {
  const { value = new Uint8Array(0), ...info } = entry;
  return { ...info, value };
}

function rangeOf({ key, prefix, start, end }: JsonRange): Range {
  if (key !== undefined) return { key };
  if (prefix !== undefined) return { prefix };
  return {
    ...(start === undefined ? undefined : { start }),
    ...(end === undefined ? undefined : { end }),
  };
}
