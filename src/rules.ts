/**
 * What every engine checks before it looks at its data: transactions and revisions against the
 * limits. The errors here are the ones that `Store` promises.
 */

import { KvError } from "./errors.ts";
import { checkKey } from "./keys.ts";
import type { Txn } from "./kv.ts";
import type { Limits } from "./limits.ts";
import { quote } from "./text.ts";

/** @throws `invalid_argument`, `too_large` unless the transaction is one that the limits allow. */
export function checkTxn(txn: Txn, limits: Limits): void {
  checkCount("checks", txn.checks.length, limits.txnChecksMax);
  checkCount("operations in then", txn.then.length, limits.txnOperationsMax);
  if (txn.else !== undefined) {
    checkCount("operations in else", txn.else.length, limits.txnOperationsMax);
  }
  for (const { key, revision } of txn.checks) {
    checkKey(key);
    if (typeof revision === "number") checkInteger("revision", revision, 0);
    else checkRevisions(revision);
  }
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

/** @throws `too_large` when the gets of one transaction read more bytes of values than allowed. */
export function checkReadSize(bytes: number, limits: Limits): void {
  checkCount("bytes of values read in one transaction", bytes, limits.commitBytesMax);
}

/** What a content type is made of: visible ASCII, with spaces only inside it. */
export const CONTENT_TYPE = /^[!-~]([ -~]*[!-~])?$/;

/** @throws `invalid_argument`, `too_large` unless a value can be stored with the content type. */
export function checkContentType(contentType: string, limits: Limits): void {
  if (contentType === "") throw new KvError("invalid_argument", "the content type is empty");
  checkCount("characters in the content type", contentType.length, limits.contentTypeCharsMax);
  if (CONTENT_TYPE.test(contentType)) return;
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

// --- internal ---

function checkOperations(operations: Txn["then"], limits: Limits): void {
  for (const operation of operations) {
    checkKey(operation.key);
    if (operation.op !== "put") continue;
    checkCount("bytes in the value", operation.value.length, limits.valueBytesMax);
    checkContentType(operation.contentType, limits);
  }
}

function checkRevisions(revisions: readonly number[]): void {
  if (revisions.length === 0) throw new KvError("invalid_argument", "a check has no revision");
  for (const revision of revisions) checkInteger("revision", revision, 0);
}

function checkCount(what: string, count: number, limit: number): void {
  if (count <= limit) return;
  throw new KvError("too_large", `${count} ${what}; at most ${limit} are allowed`, { limit });
}

function beyondError(name: string, asked: number, current: number): KvError {
  return new KvError(
    "invalid_argument",
    `${name} is ${asked}, but the store is at revision ${current}`,
    { revision: current },
  );
}

function compactedError(name: string, asked: number, oldest: number): KvError {
  return new KvError(
    "compacted",
    `${name} is ${asked}, which has been compacted; the smallest possible is ${oldest}`,
    { oldest },
  );
}
