/**
 * The JSON shapes of the API, both ways: entries, events, transactions, results, errors. `schemas`
 * describes them once, for the strict check of requests and for the API description.
 *
 * A value stands as `"value": "text"` when it is UTF-8, else as `"base64": "…"`; requests may use
 * either.
 */

import { fromBase64, toBase64 } from "./base64.ts";
import { KvError, isErrorCode, type ErrorDetails } from "./errors.ts";
import { checkKey } from "./keys.ts";
import type {
  Check,
  Commit,
  CommitResult,
  Event,
  ListedEntry,
  Operation,
  OperationResult,
  Txn,
} from "./kv.ts";
import { LIMITS, type Limits } from "./limits.ts";
import { defaultContentType } from "./protocol.ts";
import { CONTENT_TYPE } from "./rules.ts";
import type { ObjectSchema, Schema, StringSchema, UnionSchema } from "./schema.ts";
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

export type JsonEvent =
  ({ type: "put" } & JsonEntry) | { type: "delete" | "expire"; key: string; revision: number };

export interface JsonCommit {
  revision: number;
  events: JsonEvent[];
}

export type JsonOperation =
  | { op: "put"; key: string; value?: string; base64?: string; contentType?: string }
  | { op: "delete"; key: string }
  | { op: "get"; key: string; keys?: boolean };

export interface JsonTxn {
  checks?: { key: string; revision: number | number[]; not?: boolean }[];
  then?: JsonOperation[];
  else?: JsonOperation[];
}

export type JsonResult =
  | { op: "put"; key: string; revision: number; createRevision: number; version: number }
  | { op: "delete"; deleted: number }
  | { op: "get"; entry: JsonEntry | null };

export interface JsonCommitResult {
  succeeded: boolean;
  revision: number;
  results: JsonResult[];
  failed?: number[];
}

export interface JsonError {
  error: { code: string; message: string } & ErrorDetails;
}

// Schemas

const revision = { type: "integer", minimum: 0 } as const;

const key: StringSchema = {
  type: "string",
  minLength: 1,
  maxLength: LIMITS.keyBytesMax,
  description: "1 to 1,024 bytes of UTF-8; no segment between slashes is . or ..",
};

const valueProperties = {
  value: { type: "string", description: "The value, when it is UTF-8 text." },
  base64: {
    type: "string",
    contentEncoding: "base64",
    description: "The value in padded standard base64, when it is not text.",
  },
} as const satisfies Record<string, Schema>;

const contentType: StringSchema = {
  type: "string",
  minLength: 1,
  maxLength: LIMITS.contentTypeCharsMax,
  pattern: CONTENT_TYPE.source,
  description: "The content type that the value was put with: visible ASCII and spaces.",
};

const entry: ObjectSchema = {
  type: "object",
  description:
    "A key with its value and revisions; without the value where only keys were asked for.",
  properties: {
    key,
    ...valueProperties,
    contentType,
    revision: { ...revision, description: "Of the last change." },
    createRevision: { ...revision, description: "Of the change that created the key." },
    version: {
      type: "integer",
      minimum: 1,
      description: "Changes since creation; 1 = just created.",
    },
    expiresAt: { type: "string", format: "date-time" },
  },
  required: ["key", "contentType", "revision", "createRevision", "version"],
  additionalProperties: false,
};

const check: ObjectSchema = {
  type: "object",
  description:
    "Holds when the key's revision is the given one, or one of them; with not, none of them.",
  properties: {
    key,
    revision: {
      anyOf: [revision, { type: "array", items: revision, minItems: 1, maxItems: 1_000 }],
      description: "0 = the key is absent.",
    },
    not: { type: "boolean" },
  },
  required: ["key", "revision"],
  additionalProperties: false,
};

function tag(name: string): StringSchema {
  return { type: "string", enum: [name] };
}

const operation: UnionSchema = {
  discriminator: { propertyName: "op" },
  oneOf: [
    {
      type: "object",
      properties: { op: tag("put"), key, ...valueProperties, contentType },
      required: ["op", "key"],
      additionalProperties: false,
    },
    {
      type: "object",
      properties: { op: tag("delete"), key },
      required: ["op", "key"],
      additionalProperties: false,
    },
    {
      type: "object",
      properties: { op: tag("get"), key, keys: { type: "boolean" } },
      required: ["op", "key"],
      additionalProperties: false,
    },
  ],
};

const operations = { type: "array", items: operation, maxItems: LIMITS.txnOperationsMax } as const;

const txn: ObjectSchema = {
  type: "object",
  description:
    "If every check holds, `then` takes effect, else `else`: all or nothing, at one revision.",
  properties: {
    checks: { type: "array", items: check, maxItems: LIMITS.txnChecksMax },
    then: operations,
    else: operations,
  },
  additionalProperties: false,
};

/** Descriptions of what requests carry; answers are described where the API description is made. */
export const schemas = {
  key,
  contentType,
  entry,
  check,
  operation,
  txn,
  revision,
  valueProperties,
};

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

export function eventToJson(event: Event): JsonEvent {
  if (event.type === "put") return { type: "put", ...entryToJson(event) };
  return { type: event.type, key: event.key, revision: event.revision };
}

export function eventFromJson(json: JsonEvent): Event {
  if (json.type !== "put") return { type: json.type, key: json.key, revision: json.revision };
  const { value, ...info } = entryFromJson(json);
  return { type: "put", ...info, value: value ?? new Uint8Array(0) };
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
export function valueFromJson(json: { value?: string; base64?: string }, path: string): Uint8Array {
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

// Transactions

/** A transaction out of JSON that `validate(schemas.txn, …)` has passed. */
export function txnFromJson(json: JsonTxn): Txn {
  return {
    checks: (json.checks ?? []).map((check, index) => checkFromJson(check, `checks[${index}]`)),
    then: (json.then ?? []).map((item, index) => operationFromJson(item, `then[${index}]`)),
    ...(json.else === undefined
      ? undefined
      : { else: json.else.map((item, index) => operationFromJson(item, `else[${index}]`)) }),
  };
}

export function txnToJson(txn: Txn): JsonTxn {
  return {
    checks: txn.checks.map(checkToJson),
    then: txn.then.map(operationToJson),
    ...(txn.else === undefined ? undefined : { else: txn.else.map(operationToJson) }),
  };
}

export function commitResultToJson(result: CommitResult): JsonCommitResult {
  return {
    succeeded: result.succeeded,
    revision: result.revision,
    results: result.results.map(resultToJson),
    ...(result.succeeded ? undefined : { failed: [...result.failed] }),
  };
}

export function commitResultFromJson(json: JsonCommitResult): CommitResult {
  return {
    succeeded: json.succeeded,
    revision: json.revision,
    results: json.results.map(resultFromJson),
    failed: json.failed ?? [],
  };
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
  /** Version of the server. */
  version: string;
  uptimeSeconds: number;
  watchers: number;
  limits: Limits;
  capabilities: { history: boolean };
}

// --- internal ---

function checkFromJson(json: NonNullable<JsonTxn["checks"]>[number], path: string): Check {
  checkKey(json.key, `${path}.key`);
  return { key: json.key, revision: json.revision, ...(json.not ? { not: true } : undefined) };
}

function checkToJson(check: Check): NonNullable<JsonTxn["checks"]>[number] {
  const revision = typeof check.revision === "number" ? check.revision : [...check.revision];
  return { key: check.key, revision, ...(check.not ? { not: true } : undefined) };
}

function operationFromJson(json: JsonOperation, path: string): Operation {
  checkKey(json.key, `${path}.key`);
  if (json.op !== "put") return json;
  const value = valueFromJson(json, path);
  return {
    op: "put",
    key: json.key,
    value,
    contentType: json.contentType ?? defaultContentType(value),
  };
}

function operationToJson(operation: Operation): JsonOperation {
  if (operation.op !== "put") return operation;
  const { op, key, value, contentType } = operation;
  return { op, key, ...valueToJson(value), contentType };
}

function resultToJson(result: OperationResult): JsonResult {
  if (result.op !== "get") return result;
  return { op: "get", entry: result.entry === undefined ? null : entryToJson(result.entry) };
}

function resultFromJson(json: JsonResult): OperationResult {
  if (json.op !== "get") return json;
  return json.entry === null ? { op: "get" } : { op: "get", entry: entryFromJson(json.entry) };
}
