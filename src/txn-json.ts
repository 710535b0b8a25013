/**
 * Transactions and their results as JSON, both ways. Times to live stand as text, integers of 64
 * bits too.
 */

import { KvError } from "./errors.ts";
import { int64FromText } from "./int64.ts";
import {
  deletedRangeFromJson,
  entryFromJson,
  entryToJson,
  pageFromJson,
  pageToJson,
  rangeFromJson,
  valueFromJson,
  valueToJson,
  type JsonChanged,
  type JsonCheck,
  type JsonCommitResult,
  type JsonListShape,
  type JsonOperation,
  type JsonResult,
  type JsonTxn,
} from "./json.ts";
import { checkKey, isEverything } from "./keys.ts";
import type {
  Check,
  CommitResult,
  ListShape,
  Operation,
  OperationResult,
  PutResult,
  Txn,
} from "./kv.ts";
import { defaultContentType } from "./protocol.ts";
import { quote } from "./text.ts";
import { ttlFromText, ttlToText } from "./ttl.ts";

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

/** An operation out of JSON that its schema has passed; `path` names its place in messages. */
export function operationFromJson(json: JsonOperation, path: string): Operation {
  if ("key" in json && json.key !== undefined) checkKey(json.key, `${path}.key`);
  switch (json.op) {
    case "put":
      return putFromJson(json, path);
    case "touch": {
      const { op, key } = json;
      return { op, key, ttl: ttlFromText(json.ttl, `${path}.ttl`, "keep", "none") };
    }
    case "incr": {
      const { op, key, by = "1", ttl } = json;
      const incr = { op, key, by: incrementFromText(by, `${path}.by`) };
      return ttl === undefined ? incr : { ...incr, ttl: ttlFromText<never>(ttl, `${path}.ttl`) };
    }
    case "deleteRange": {
      const { op, limit } = json;
      const range = at(path, () => deletedRangeFromJson(json));
      return limit === undefined ? { op, range } : { op, range, limit };
    }
    case "list":
      return { op: json.op, range: at(path, () => rangeFromJson(json)), ...listShapeOf(json) };
    default:
      return json;
  }
}

/**
 * What `by` says in an increment.
 * @throws `invalid_argument` unless it is an integer of 64 bits in its one spelling.
 */
export function incrementFromText(text: string, name: string): bigint {
  const value = int64FromText(text);
  if (value !== undefined) return value;
  throw new KvError(
    "invalid_argument",
    `${name} cannot be ${quote(text)}; it takes an integer of 64 bits such as 1 or -5`,
  );
}

/** The fields of a listing's shape that are given, and no others. */
export function listShapeOf(json: JsonListShape | ListShape): ListShape {
  const { limit, keys, reverse, count, delimiter } = json;
  return {
    ...(limit === undefined ? undefined : { limit }),
    ...(keys === undefined ? undefined : { keys }),
    ...(reverse === undefined ? undefined : { reverse }),
    ...(count === undefined ? undefined : { count }),
    ...(delimiter === undefined ? undefined : { delimiter }),
  };
}

/** What a change made of an entry, with its fields in their order. */
export function changedToJson(result: Omit<PutResult, "op">): JsonChanged {
  const { key, revision, createRevision, version, expiresAt } = result;
  const json: JsonChanged = { key, revision, createRevision, version };
  if (expiresAt !== undefined) json.expiresAt = new Date(expiresAt).toISOString();
  return json;
}

export function changedFromJson(json: JsonChanged): Omit<PutResult, "op"> {
  const { key, revision, createRevision, version, expiresAt } = json;
  const changed = { key, revision, createRevision, version };
  return expiresAt === undefined ? changed : { ...changed, expiresAt: Date.parse(expiresAt) };
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

// --- internal ---

function checkFromJson(json: JsonCheck, path: string): Check {
  const { key, revision, version, value, base64 } = json;
  checkKey(key, `${path}.key`);
  const given = [revision, version, value ?? base64].filter((part) => part !== undefined);
  if (given.length !== 1) {
    throw new KvError(
      "invalid_argument",
      `${path} needs exactly one of "revision", "version", and "value" or "base64"`,
    );
  }
  const not = json.not === true ? { not: true } : undefined;
  if (revision !== undefined) return { key, revision, ...not };
  if (version !== undefined) return { key, version, ...not };
  return { key, value: valueFromJson(json, path), ...not };
}

function checkToJson(check: Check): JsonCheck {
  const not = check.not === true ? { not: true } : undefined;
  const { key } = check;
  if (check.value !== undefined) return { key, ...valueToJson(check.value), ...not };
  if (check.version !== undefined) return { key, version: numbersToJson(check.version), ...not };
  return { key, revision: numbersToJson(check.revision), ...not };
}

function numbersToJson(numbers: number | readonly number[]): number | number[] {
  return typeof numbers === "number" ? numbers : [...numbers];
}

function putFromJson(json: JsonOperation & { op: "put" }, path: string): Operation {
  const { op, key, ttl } = json;
  const value = valueFromJson(json, path);
  const contentType = json.contentType ?? defaultContentType(value);
  if (ttl === undefined) return { op, key, value, contentType };
  return { op, key, value, contentType, ttl: ttlFromText(ttl, `${path}.ttl`, "keep") };
}

function operationToJson(operation: Operation): JsonOperation {
  switch (operation.op) {
    case "put": {
      const { op, key, value, contentType, ttl } = operation;
      const put = { op, key, ...valueToJson(value), contentType };
      return ttl === undefined ? put : { ...put, ttl: ttlToText(ttl) };
    }
    case "touch":
      return { ...operation, ttl: ttlToText(operation.ttl) };
    case "incr": {
      const { op, key, by, ttl } = operation;
      const incr = { op, key, by: String(by) };
      return ttl === undefined ? incr : { ...incr, ttl: ttlToText(ttl) };
    }
    case "deleteRange": {
      const { op, range, limit } = operation;
      const all = isEverything(range) ? { all: true } : undefined;
      return { op, ...range, ...all, ...(limit === undefined ? undefined : { limit }) };
    }
    case "list":
      return { op: operation.op, ...operation.range, ...listShapeOf(operation) };
    default:
      return operation;
  }
}

function resultToJson(result: OperationResult): JsonResult {
  switch (result.op) {
    case "put":
    case "touch":
      return { op: result.op, ...changedToJson(result) };
    case "incr": {
      const { key, ...changed } = changedToJson(result);
      return { op: result.op, key, value: String(result.value), ...changed };
    }
    case "get":
      return { op: "get", entry: result.entry === undefined ? null : entryToJson(result.entry) };
    case "list":
      return { op: "list", ...pageToJson(result), ...(result.more ? { more: true } : undefined) };
    case "deleteRange": {
      const { op, deleted, more } = result;
      return more ? { op, deleted, more } : { op, deleted };
    }
    default:
      return result;
  }
}

function resultFromJson(json: JsonResult): OperationResult {
  switch (json.op) {
    case "put":
    case "touch":
      return { op: json.op, ...changedFromJson(json) };
    case "incr":
      return { op: json.op, value: BigInt(json.value), ...changedFromJson(json) };
    case "get":
      return json.entry === null ? { op: "get" } : { op: "get", entry: entryFromJson(json.entry) };
    case "list":
      return { op: json.op, ...pageFromJson(json, json.more === true) };
    case "deleteRange":
      return { op: json.op, deleted: json.deleted, more: json.more === true };
    default:
      return json;
  }
}

/** Says in which operation a range is wrong. */
function at<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    throw new KvError(error.code, `${path}: ${error.message}`, error.details);
  }
}
