/**
 * `getMany`, `putMany` and `deleteMany`: what they take, and what becomes of what fails.
 */

import { KvError } from "../errors.ts";
import { checkKey } from "../keys.ts";
import type { PutOperation } from "../kv.ts";
import { LIMITS } from "../limits.ts";
import type { KvEntry } from "./entries.ts";
import type { RequestOptions } from "./http-transport.ts";
import { checkValueSize } from "./large-put.ts";
import { runSingles, type ManyTools, type Single } from "./many-run.ts";
import type { KvDelete, KvPut } from "./options.ts";
import { deleteSingle, getSingle, putSingle } from "./singles.ts";
import { toPut, type KvDuration, type KvValue } from "./values.ts";

/** One of many puts. */
export interface KvManyPut {
  readonly key: string;
  readonly value: KvValue;
  /**
   * Up to 255 characters. Without it: the blob's type, else text when the value is UTF-8, else
   * bytes.
   */
  readonly contentType?: string | undefined;
  /** The entry expires after this time, 1 ms to 3,650 days. Left out, it never expires. */
  readonly ttl?: KvDuration | undefined;
}

/**
 * Some of many writes have failed; the others took effect. Code, message and details are those of
 * the first one that failed, which `details.index` counts.
 */
export class KvManyError<T = KvPut | KvDelete> extends KvError {
  /** What became of each write, in their order: its result, or why it failed. */
  readonly results: readonly (T | KvError)[];

  constructor(results: readonly (T | KvError)[]) {
    const index = results.findIndex((result) => result instanceof KvError);
    const first = results[index] as KvError;
    const failed = results.filter((result) => result instanceof KvError).length;
    const what = `${failed} of ${results.length} writes failed; the first is ${index}`;
    super(first.code, `${what}: ${first.message}`, { ...first.details, index }, first);
    this.name = "KvManyError";
    this.results = results;
  }
}

/** @throws the first failure, with its index. */
export async function getMany(
  tools: ManyTools,
  keys: readonly string[],
  options: RequestOptions,
): Promise<(KvEntry | undefined)[]> {
  const singles = keys.map((key, index) => {
    checked(index, () => checkKey(key));
    return getSingle(tools.transport, key);
  });
  const entries = await runSingles(tools, singles, options);
  return entries.map((entry, index) => {
    if (entry instanceof KvError) throw withIndex(entry, index);
    return entry;
  });
}

/** @throws `KvManyError`; `invalid_argument`, `too_large` before anything is sent. */
export async function putMany(
  tools: ManyTools,
  entries: readonly KvManyPut[],
  options: RequestOptions,
): Promise<KvPut[]> {
  const singles: Single<KvPut>[] = [];
  for (const [index, entry] of entries.entries()) {
    try {
      singles.push(putSingle(tools.transport, await toManyPut(entry)));
    } catch (error) {
      throw withIndex(error, index);
    }
  }
  return written(await runSingles(tools, singles, options));
}

/** @throws `KvManyError`; `invalid_argument`, `too_large` before anything is sent. */
export async function deleteMany(
  tools: ManyTools,
  keys: readonly string[],
  options: RequestOptions,
): Promise<KvDelete[]> {
  const singles = keys.map((key, index) => {
    checked(index, () => checkKey(key));
    return deleteSingle(tools.transport, key);
  });
  return written(await runSingles(tools, singles, options));
}

// --- internal ---

async function toManyPut(entry: KvManyPut): Promise<PutOperation & { readonly ttl?: number }> {
  const { key, value, contentType, ttl, ...others } = entry;
  checkKey(key);
  checkNoOther(others);
  const put = await toPut({ op: "put", key, value, contentType, ttl });
  checkValueSize(put, LIMITS);
  const { ttl: lives, ...rest } = put;
  if (lives === undefined) return rest;
  if (lives !== "keep") return { ...rest, ttl: lives };
  const message = 'ttl cannot be "keep" where many are put; put that key by itself';
  throw new KvError("invalid_argument", message);
}

/** A condition, which the types do not let pass, must not be dropped: the put would overwrite. */
function checkNoOther(others: object): void {
  const other = Object.entries(others).find(([, value]) => value !== undefined);
  if (other === undefined) return;
  const message = `"${other[0]}" has no meaning where many are put; put that key by itself`;
  throw new KvError("invalid_argument", message);
}

function written<T>(results: readonly (T | KvError)[]): T[] {
  if (results.some((result) => result instanceof KvError)) throw new KvManyError(results);
  return results as T[];
}

function checked(index: number, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw withIndex(error, index);
  }
}

function withIndex(error: unknown, index: number): unknown {
  if (!(error instanceof KvError)) return error;
  return new KvError(error.code, error.message, { ...error.details, index }, error);
}
