/**
 * The index: for each key its newest record, in memory, ordered by key. Deleted keys stay as
 * tombstones, so that reads at an older revision find them. A hash finds one key; sorted chunks
 * give the order.
 */

import { compareKeys } from "../keys.ts";

/** What the index knows of a key's newest record. */
export interface Newest {
  readonly revision: number;
  readonly createRevision: number;
  /** 0 for a tombstone. */
  readonly version: number;
  readonly contentType: string;
  /** Milliseconds since 1970; 0 = never. */
  readonly deadline: number;
  /** Where the record stands: see `position`. */
  readonly position: number;
  /** Bytes of the record in the log. */
  readonly bytes: number;
}

/**
 * Segment and offset as one number, exact below 2^53: segments up to two million, offsets up to 4
 * GiB.
 */
export function position(segment: number, offset: number): number {
  return segment * 2 ** 32 + offset;
}

export function segmentOf(position: number): number {
  return Math.floor(position / 2 ** 32);
}

export function offsetOf(position: number): number {
  return position % 2 ** 32;
}

/** Keys of a chunk above which it is split in two. */
const CHUNK_KEYS_MAX = 1024;

export class KeyIndex {
  readonly #newest = new Map<string, Newest>();
  /**
   * Every key once, in order: all keys of a chunk are below those of the next. No chunk is empty.
   */
  readonly #chunks: string[][] = [];
  #live = 0;

  /** Keys that are no tombstones. */
  get live(): number {
    return this.#live;
  }

  /** The newest record of a key, a tombstone included. */
  get(key: string): Newest | undefined {
    return this.#newest.get(key);
  }

  set(key: string, newest: Newest): void {
    if (!this.#newest.has(key)) this.#insert(key);
    this.load(key, newest);
  }

  /** As `set`, while a log is read: the order is made once after it, by `sort`. */
  load(key: string, newest: Newest): void {
    const before = this.#newest.get(key);
    this.#live += Number(newest.version > 0) - Number(before !== undefined && before.version > 0);
    this.#newest.set(key, newest);
  }

  /** Makes the order of all keys, which `load` left out. */
  sort(): void {
    const keys = [...this.#newest.keys()];
    // UTF-16 units have the order of UTF-8 bytes but for surrogates, and they compare much faster.
    if (keys.some((key) => /[\ud800-\udfff]/.test(key))) keys.sort(compareKeys);
    else keys.sort();
    this.#chunks.length = 0;
    for (let at = 0; at < keys.length; at += CHUNK_KEYS_MAX) {
      this.#chunks.push(keys.slice(at, at + CHUNK_KEYS_MAX));
    }
  }

  /**
   * Keys at or above `start` in order, tombstones included. The index must not change meanwhile.
   */
  *from(start: string): Generator<[string, Newest]> {
    let chunk = this.#chunkOf(start);
    let at = chunk < this.#chunks.length ? lowerBound(this.#chunks[chunk]!, start) : 0;
    for (; chunk < this.#chunks.length; chunk++, at = 0) {
      const keys = this.#chunks[chunk]!;
      for (; at < keys.length; at++) {
        const key = keys[at]!;
        yield [key, this.#newest.get(key)!];
      }
    }
  }

  #insert(key: string): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push([key]);
      return;
    }
    const index = this.#chunkOf(key);
    const chunk = this.#chunks[index]!;
    // Loading in order appends: no search and no move.
    if (compareKeys(chunk.at(-1)!, key) < 0) chunk.push(key);
    else chunk.splice(lowerBound(chunk, key), 0, key);
    if (chunk.length <= CHUNK_KEYS_MAX) return;
    // A chunk that grew at its end is likely to grow there again: it stays nearly full.
    const appended = chunk.at(-1) === key && index === this.#chunks.length - 1;
    const kept = appended ? CHUNK_KEYS_MAX : CHUNK_KEYS_MAX / 2;
    this.#chunks.splice(index + 1, 0, chunk.splice(kept));
  }

  /** The last chunk whose first key is at or below `key`; the first one when there is none. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#chunks[middle]![0]!, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

// --- internal ---

/** The first place in sorted `keys` whose key is at or above `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
