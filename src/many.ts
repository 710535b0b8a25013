/**
 * Many gets, puts and deletes handed to a store at once, as they lie in a block of bytes: nothing
 * has to be made for each of them. Each stands for itself, as if it were sent after the one before.
 */

import { KvError } from "./errors.ts";
import { checkKey } from "./keys.ts";
import { decodeUtf8 } from "./text.ts";

/** What one of many operations does. */
export const MANY = { get: 0, put: 1, delete: 2 } as const;

/** Columns of operations: the row `at` of each is of operation `at`. */
export interface Many {
  /** How many operations there are; columns may be longer. */
  readonly count: number;
  /** Has the keys and values. It must not change until the answers are given. */
  readonly bytes: Uint8Array;
  /** Of `MANY`. */
  readonly kinds: Uint8Array;
  /** Where the key begins and ends in `bytes`, in UTF-8; not checked yet. */
  readonly keyStarts: Uint32Array;
  readonly keyEnds: Uint32Array;
  /** Where the value of a put begins and ends in `bytes`. */
  readonly valueStarts: Uint32Array;
  readonly valueEnds: Uint32Array;
  /** The content type of a put. */
  readonly contentTypes: readonly string[];
  /** How long the entry of a put lives, in milliseconds; 0 = for ever. Not checked yet. */
  readonly ttls: Float64Array;
}

/** Takes the answers, one for each operation, in their order. */
export interface ManyAnswers {
  /** There is no room for further values: a get is answered by `unread`, and nothing is read. */
  readonly isFull: boolean;
  /** To a get, where `isFull`. */
  unread(): void;
  /**
   * To a get. The value is `bytes` from `start` to `end`, all of it when left out. They may be the
   * store's own: they are read before the call returns, or copied.
   */
  found(
    contentType: string,
    revision: number,
    createRevision: number,
    version: number,
    /** Milliseconds since 1970; 0 = never. */
    deadline: number,
    bytes: Uint8Array,
    start?: number,
    end?: number,
  ): void;
  /** To a get or a delete of a key that is not there; `revision` is the store's. */
  absent(revision: number): void;
  /** To a put. */
  put(revision: number, createRevision: number, version: number, deadline: number): void;
  /** To a delete that took a revision. */
  deleted(revision: number): void;
  /** To any operation; the others go on. */
  failed(error: KvError): void;
}

/**
 * The key of an operation.
 * @throws `invalid_argument`, `too_large` unless it is one.
 */
export function manyKey({ bytes, keyStarts, keyEnds }: Many, at: number): string {
  const key = decodeUtf8(bytes.subarray(keyStarts[at]!, keyEnds[at]!));
  if (key === undefined) throw new KvError("invalid_argument", "the key is not UTF-8");
  checkKey(key);
  return key;
}
