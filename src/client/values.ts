/** What the SDK takes for values, times to live and integers, and what the store takes instead. */

import { KvError } from "../errors.ts";
import type { IncrOperation, MaybePromise, PutOperation, TouchOperation } from "../kv.ts";
import { LIMITS } from "../limits.ts";
import { defaultContentType } from "../protocol.ts";
import { checkContentType, checkInteger, checkTtl } from "../rules.ts";
import { encodeUtf8, isWellFormed } from "../text.ts";
import { ttlFromText } from "../ttl.ts";

/** A time: milliseconds, or text such as `500ms`, `30s`, `10m`, `2h`, `7d`. */
export type KvDuration = number | string;

/** A value: text is stored as UTF-8; a `Blob` (or `File`) brings its type along. */
export type KvValue = string | Uint8Array | Blob;

/**
 * A put in a transaction. Without `contentType`: the blob's, else text when it is UTF-8, else
 * bytes.
 */
export interface KvPutOperation {
  readonly op: "put";
  readonly key: string;
  readonly value: KvValue;
  readonly contentType?: string | undefined;
  /**
   * The entry expires after this time, 1 ms to 3,650 days; `"keep"` leaves the deadline as it is.
   * Left out, the entry never expires.
   */
  readonly ttl?: KvDuration | undefined;
}

/** Adds to the integer that a value is; an absent key counts as 0. */
export interface KvIncrOperation {
  readonly op: "incr";
  readonly key: string;
  /** 1 when left out. A number must be an integer below 2^53; a bigint has 64 bits. */
  readonly by?: number | bigint | undefined;
  /** The entry expires after this time; it matters only when the operation creates the key. */
  readonly ttl?: KvDuration | undefined;
}

/** The same value with a new deadline. */
export interface KvTouchOperation {
  readonly op: "touch";
  readonly key: string;
  /** A time from 1 ms to 3,650 days, `"keep"`, or `"none"`: the entry never expires. */
  readonly ttl: KvDuration;
}

/**
 * @throws `invalid_argument` for text that is not well-formed, a content type and a time to live
 * that are none, `too_large`.
 */
export function toPut(put: KvPutOperation): MaybePromise<PutOperation> {
  const { value } = put;
  if (!(value instanceof Blob)) return putOf(put, toBytesNow(value));
  return toBytes(value).then((bytes) => putOf(put, bytes));
}

/** @throws `invalid_argument` for a `by` that is no integer, or a time to live that is none. */
export function toIncr({ key, by = 1n, ttl }: KvIncrOperation): IncrOperation {
  if (typeof by !== "bigint") checkInteger("by", by, Number.MIN_SAFE_INTEGER);
  const incr = { op: "incr", key, by: BigInt(by) } as const;
  return ttl === undefined ? incr : { ...incr, ttl: toTtl<never>(ttl) };
}

/** @throws `invalid_argument` for a time to live that is none. */
export function toTouch({ key, ttl }: KvTouchOperation): TouchOperation {
  return { op: "touch", key, ttl: toTtl(ttl, "keep", "none") };
}

/**
 * The bytes of a value.
 * @throws `invalid_argument` for text that is not well-formed, `too_large`.
 */
export async function toBytes(value: KvValue): Promise<Uint8Array> {
  if (!(value instanceof Blob)) return toBytesNow(value);
  // No commit takes more, so a file of gigabytes need not be read to learn it.
  if (value.size > LIMITS.commitBytesMax) {
    const limit = LIMITS.valueBytesMax;
    const message = `the value has ${value.size} bytes; at most ${limit} are allowed`;
    throw new KvError("too_large", message, { limit });
  }
  return new Uint8Array(await value.arrayBuffer());
}

/** As `toBytes`, of what is at hand. */
export function toBytesNow(value: string | Uint8Array): Uint8Array {
  if (typeof value === "string") {
    if (isWellFormed(value)) return encodeUtf8(value);
    throw new KvError("invalid_argument", "the value is not well-formed Unicode (lone surrogate)");
  }
  if (value instanceof Uint8Array) return value;
  throw new KvError("invalid_argument", "a value is a string, a Uint8Array or a Blob");
}

// --- internal ---

function putOf({ key, value, contentType, ttl }: KvPutOperation, bytes: Uint8Array): PutOperation {
  const type = contentType ?? (value instanceof Blob && value.type !== "" ? value.type : undefined);
  if (type !== undefined) checkContentType(type, LIMITS);
  const lives = ttl === undefined ? undefined : { ttl: toTtl(ttl, "keep") };
  return { op: "put", key, value: bytes, contentType: type ?? defaultContentType(bytes), ...lives };
}

function toTtl<const W extends string>(ttl: KvDuration, ...words: readonly W[]): number | W {
  if (typeof ttl === "string") return ttlFromText(ttl, "ttl", ...words);
  checkTtl(ttl);
  return ttl;
}
