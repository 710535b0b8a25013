/**
 * What every engine checks before it looks at its data: transactions and revisions against the
 * limits. The errors here are the ones that `Store` promises.
 */

import { KvError } from "./errors.ts";
import { isInt64 } from "./int64.ts";
import { checkBound, checkKey, checkRange } from "./keys.ts";
import type {
  Check,
  HistoryOptions,
  ListOptions,
  ListShape,
  Operation,
  ScanOptions,
  Txn,
} from "./kv.ts";
import { TTL_MS_MAX, type Limits } from "./limits.ts";
import { quote } from "./text.ts";

/** @throws `invalid_argument`, `too_large` unless the transaction is one that the limits allow. */
export function checkTxn(txn: Txn, limits: Limits): void {
  checkCount("checks", txn.checks.length, limits.txnChecksMax);
  checkCount("operations in then", txn.then.length, limits.txnOperationsMax);
  if (txn.else !== undefined) {
    checkCount("operations in else", txn.else.length, limits.txnOperationsMax);
  }
  for (const check of txn.checks) checkCheck(check, limits);
  checkOperations(txn.then, limits);
  if (txn.else !== undefined) checkOperations(txn.else, limits);
}

/**
 * @throws `too_large` when a commit has more events or more bytes of keys and values than allowed.
 */
export function checkCommitSize(events: number, bytes: number, limits: Limits): void {
  checkCount("events in one commit", events, limits.commitEventsMax);
  checkCount("bytes of keys and values in one commit", bytes, limits.commitBytesMax);
}

/**
 * @throws `invalid_argument`, `too_large` unless a listing can be asked for; `after` as well, in
 * `ListOptions`.
 */
export function checkList(options: ListOptions, limits: Limits): void {
  const { limit, after, delimiter, count, keys, reverse } = options;
  if (limit !== undefined) checkInteger("limit", limit, 1, limits.pageEntriesMax);
  if (after !== undefined) checkBound(after, "after");
  if (delimiter === "") throw new KvError("invalid_argument", "the delimiter is empty");
  if (delimiter !== undefined) checkBound(delimiter, "delimiter");
  const shape = { limit, after, delimiter, keys, reverse };
  const shaped = Object.entries(shape).find(([, value]) => value !== undefined && value !== false);
  if (count !== true || shaped === undefined) return;
  throw new KvError("invalid_argument", `count and ${shaped[0]} exclude each other`);
}

/** @throws `invalid_argument` unless a scan can be asked for. */
export function checkScan({ limit, after }: ScanOptions): void {
  if (limit !== undefined) checkInteger("limit", limit, 1);
  if (after !== undefined) checkBound(after, "after");
}

/**
 * @throws `invalid_argument` unless the history can be asked for, `compacted` when `before` is at
 * or below `oldest`.
 */
export function checkHistory(options: HistoryOptions, oldest: number, limits: Limits): void {
  const { limit, before } = options;
  if (limit !== undefined) checkInteger("limit", limit, 1, limits.pageEntriesMax);
  if (before === undefined) return;
  checkInteger("before", before, 0);
  if (before <= oldest) throw compactedError("before", before, oldest + 1);
}

/** @throws `invalid_argument` unless a time to live is one of the words, or 1 ms to 3,650 d. */
export function checkTtl(ttl: number | string | undefined): void {
  if (typeof ttl === "number") checkInteger("the time to live in milliseconds", ttl, 1, TTL_MS_MAX);
}

/**
 * @throws `too_large` when the operations of one transaction make far more bytes of values than a
 * commit may have, whatever becomes of them.
 */
export function checkMadeSize(bytes: number, limits: Limits): void {
  checkCount("bytes of values made in one transaction", bytes, 4 * limits.commitBytesMax);
}

/** @throws `too_large` when the reads of one transaction take more bytes of values than allowed. */
export function checkReadSize(bytes: number, limits: Limits): void {
  checkCount("bytes of values read in one transaction", bytes, limits.commitBytesMax);
}

/**
 * @throws `invalid_argument`, `too_large` unless a value of so many bytes can be put with the
 * content type and the time to live.
 */
export function checkPut(
  valueBytes: number,
  contentType: string,
  ttl: number | string | undefined,
  limits: Limits,
): void {
  checkCount("bytes in the value", valueBytes, limits.valueBytesMax);
  checkContentType(contentType, limits);
  checkTtl(ttl);
}

/** What a content type is made of: visible ASCII, with spaces only inside it. */
export const CONTENT_TYPE = /^[!-~]([ -~]*[!-~])?$/;

/** @throws `invalid_argument`, `too_large` unless a value can be stored with the content type. */
export function checkContentType(contentType: string, limits: Limits): void {
  if (contentType === "") throw new KvError("invalid_argument", "the content type is empty");
  checkCount("characters in the content type", contentType.length, limits.contentTypeCharsMax);
  if (contentType === lastType || CONTENT_TYPE.test(contentType)) {
    lastType = contentType;
    return;
  }
  const shown = quote(contentType);
  throw new KvError(
    "invalid_argument",
    `the content type must be visible ASCII, with spaces only inside it, not ${shown}`,
  );
}

/**
 * The revision to read at: `asked`, or the store's own.
 * @throws `compacted` below `oldest`, `invalid_argument` above `current`.
 */
export function readableRevision(
  asked: number | undefined,
  current: number,
  oldest: number,
): number {
  if (asked === undefined) return current;
  checkInteger("revision", asked, 0);
  if (asked > current) throw beyondError("revision", asked, current);
  if (asked < oldest) throw compactedError("revision", asked, oldest);
  return asked;
}

/**
 * Checks a position to watch from, which may be one above the newest revision.
 * @throws `compacted` at or below `oldest`, `invalid_argument` further above `current`.
 */
export function checkWatchable(from: number, current: number, oldest: number): void {
  checkInteger("from", from, 0);
  if (from > current + 1) throw beyondError("from", from, current);
  if (from <= oldest) throw compactedError("from", from, oldest + 1);
}

/** @throws `invalid_argument` unless `value` is an integer within the bounds. */
export function checkInteger(
  name: string,
  value: number,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  const bounds = max === Number.MAX_SAFE_INTEGER ? `of ${min} or more` : `from ${min} to ${max}`;
  throw new KvError("invalid_argument", `${name} is ${value}; it must be an integer ${bounds}`);
}

/** The error for a revision above the newest one, which `name` asked for. */
export function beyondError(name: string, asked: number, current: number): KvError {
  return new KvError(
    "invalid_argument",
    `${name} is ${asked}, but the store is at revision ${current}`,
    { revision: current },
  );
}

/** The error for a revision that is forgotten; `oldest` is the smallest that `name` may ask for. */
export function compactedError(name: string, asked: number, oldest: number): KvError {
  return new KvError(
    "compacted",
    `${name} is ${asked}, which has been compacted; the smallest possible is ${oldest}`,
    { oldest },
  );
}

// --- internal ---

/** The sound content type that was looked at last: most are that of the value before. */
let lastType = "";

function checkCheck(check: Check, limits: Limits): void {
  checkKey(check.key);
  if (check.revision !== undefined) checkNumbers("revision", check.revision);
  else if (check.version !== undefined) checkNumbers("version", check.version);
  else checkCount("bytes in the value of a check", check.value.length, limits.valueBytesMax);
}

function checkNumbers(name: string, numbers: number | readonly number[]): void {
  if (typeof numbers === "number") return checkInteger(name, numbers, 0);
  if (numbers.length === 0) throw new KvError("invalid_argument", `a check has no ${name}`);
  for (const number of numbers) checkInteger(name, number, 0);
}

function checkOperations(operations: Txn["then"], limits: Limits): void {
  for (const operation of operations) checkOperation(operation, limits);
}

function checkOperation(operation: Operation, limits: Limits): void {
  if (operation.op === "list" || operation.op === "deleteRange") checkRange(operation.range);
  else checkKey(operation.key);
  switch (operation.op) {
    case "put":
      return checkPut(operation.value.length, operation.contentType, operation.ttl, limits);
    case "touch":
      return checkTtl(operation.ttl);
    case "incr":
      if (!isInt64(operation.by)) {
        throw new KvError("invalid_argument", `by is ${operation.by}, which has more than 64 bits`);
      }
      return checkTtl(operation.ttl);
    case "deleteRange":
      if (operation.limit === undefined) return;
      return checkInteger("limit", operation.limit, 1, limits.commitEventsMax);
    case "list":
      return checkList(operation satisfies ListShape, limits);
  }
}

function checkCount(what: string, count: number, limit: number): void {
  if (count <= limit) return;
  throw new KvError("too_large", `${count} ${what}; at most ${limit} are allowed`, { limit });
}
