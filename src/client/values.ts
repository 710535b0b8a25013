/** What the SDK takes for a value, and the friendly form of a transaction. */

import { KvError } from "../errors.ts";
import type {
  Check,
  CommitResult,
  DeleteOperation,
  DeleteResult,
  GetOperation,
  Operation,
  PutOperation,
  PutResult,
  Txn,
} from "../kv.ts";
import { LIMITS } from "../limits.ts";
import { defaultContentType } from "../protocol.ts";
import { checkContentType } from "../rules.ts";
import { encodeUtf8, isWellFormed } from "../text.ts";
import { readable, type KvListedEntry } from "./entries.ts";

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
}

export type KvOperation = KvPutOperation | DeleteOperation | GetOperation;

/**
 * If every check holds, `then` takes effect, else `else`: all of it or nothing, at one revision.
 */
export interface KvTxn {
  readonly checks?: readonly Check[];
  readonly then?: readonly KvOperation[];
  readonly else?: readonly KvOperation[];
}

/** What a get of a transaction found: nothing when the key is absent. */
export interface KvGetResult {
  readonly op: "get";
  readonly entry?: KvListedEntry;
}

export type KvOperationResult = PutResult | DeleteResult | KvGetResult;

export type KvTxnResult = {
  /** The commit's revision; where nothing changed, the store's. */
  readonly revision: number;
  /** One result for each operation of the list that ran, in its order. */
  readonly results: readonly KvOperationResult[];
} & (
  | { readonly succeeded: true }
  | {
      readonly succeeded: false;
      /** The checks that failed, counted from 0. */
      readonly failed: readonly number[];
    }
);

/**
 * @throws `invalid_argument` for text that is not well-formed and a content type that is none,
 * `too_large`.
 */
export async function toPut({ key, value, contentType }: KvPutOperation): Promise<PutOperation> {
  const type = contentType ?? (value instanceof Blob && value.type !== "" ? value.type : undefined);
  if (type !== undefined) checkContentType(type, LIMITS);
  const bytes = await toBytes(value);
  return { op: "put", key, value: bytes, contentType: type ?? defaultContentType(bytes) };
}

export async function toTxn(txn: KvTxn): Promise<Txn> {
  return {
    checks: txn.checks ?? [],
    then: await Promise.all((txn.then ?? []).map(toOperation)),
    ...(txn.else === undefined
      ? undefined
      : { else: await Promise.all(txn.else.map(toOperation)) }),
  };
}

export function toTxnResult({ succeeded, revision, results, failed }: CommitResult): KvTxnResult {
  const friendly = results.map((result): KvOperationResult => {
    if (result.op !== "get") return result;
    return result.entry === undefined
      ? { op: "get" }
      : { op: "get", entry: readable(result.entry) };
  });
  if (succeeded) return { succeeded, revision, results: friendly };
  return { succeeded, revision, results: friendly, failed };
}

// --- internal ---

async function toOperation(operation: KvOperation): Promise<Operation> {
  return operation.op === "put" ? toPut(operation) : operation;
}

async function toBytes(value: KvValue): Promise<Uint8Array> {
  if (typeof value === "string") {
    if (isWellFormed(value)) return encodeUtf8(value);
    throw new KvError("invalid_argument", "the value is not well-formed Unicode (lone surrogate)");
  }
  if (value instanceof Uint8Array) return value;
  if (!(value instanceof Blob)) {
    throw new KvError("invalid_argument", "a value is a string, a Uint8Array or a Blob");
  }
  // No commit takes more, so a file of gigabytes need not be read to learn it.
  if (value.size > LIMITS.commitBytesMax) {
    const limit = LIMITS.valueBytesMax;
    const message = `the value has ${value.size} bytes; at most ${limit} are allowed`;
    throw new KvError("too_large", message, { limit });
  }
  return new Uint8Array(await value.arrayBuffer());
}
