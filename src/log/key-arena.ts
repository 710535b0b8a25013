/**
 * The bytes of keys, one behind the other in chunks, each from a multiple of four bytes on, filled
 * up with zeros. The room of keys that go is taken by others.
 */

import { assert } from "../errors.ts";
import { decodeUtf8 } from "../text.ts";
import type { WantedKey } from "./wanted-key.ts";

/** Where a key begins, counted in words of four bytes: up to 16 GiB of keys. */
export type KeyPlace = number;

export class KeyArena {
  readonly #words: Uint32Array[] = [];
  readonly #bytes: Buffer[] = [];
  /** Where the next key goes in the last chunk, in words. */
  #end = CHUNK_WORDS;
  /** For each number of words, the first of the free places that have it; it says the next one. */
  #free = new Uint32Array(257).fill(NONE);

  /** Bytes of memory that it takes. */
  get bytesHeld(): number {
    return CHUNK_WORDS * 4 * this.#words.length + this.#free.byteLength;
  }

  add({ words, length }: WantedKey): KeyPlace {
    const count = wordsOf(length);
    const place = this.#takePlace(count);
    const chunk = this.#words[place >>> CHUNK_SHIFT]!;
    const start = place & CHUNK_MASK;
    for (let at = 0; at < count; at++) chunk[start + at] = words[at]!;
    return place;
  }

  /** Gives back the place of a key of `length` bytes. */
  remove(place: KeyPlace, length: number): void {
    this.#release(place, wordsOf(length));
  }

  isKey(place: KeyPlace, { words, length }: WantedKey): boolean {
    const chunk = this.#words[place >>> CHUNK_SHIFT]!;
    const start = place & CHUNK_MASK;
    for (let at = (length + 3) >>> 2; at-- > 0;) if (chunk[start + at] !== words[at]) return false;
    return true;
  }

  /** Order of the key at `place`, of `length` bytes, and another one: negative, 0 or positive. */
  compare(place: KeyPlace, length: number, key: WantedKey): number {
    const chunk = this.#words[place >>> CHUNK_SHIFT]!;
    return compareWords(chunk, place & CHUNK_MASK, length, key.words, 0, key.length);
  }

  /** The same of two keys that are here. */
  compareBoth(a: KeyPlace, aLength: number, b: KeyPlace, bLength: number): number {
    const first = this.#words[a >>> CHUNK_SHIFT]!;
    const second = this.#words[b >>> CHUNK_SHIFT]!;
    return compareWords(first, a & CHUNK_MASK, aLength, second, b & CHUNK_MASK, bLength);
  }

  /** Bytes up to `end` in which the key at `place` is like another one; those below `from` are. */
  commonBytes(place: KeyPlace, key: WantedKey, from: number, end: number): number {
    const bytes = this.#bytes[place >>> CHUNK_SHIFT]!;
    const start = 4 * (place & CHUNK_MASK);
    let at = from;
    while (at < end && bytes[start + at] === key.bytes[at]) at++;
    return at;
  }

  byte(place: KeyPlace, at: number): number {
    return this.#bytes[place >>> CHUNK_SHIFT]![4 * (place & CHUNK_MASK) + at]!;
  }

  take(place: KeyPlace, length: number, into: WantedKey): void {
    const start = 4 * (place & CHUNK_MASK);
    into.set(this.#bytes[place >>> CHUNK_SHIFT]!, start, start + length);
  }

  copy(place: KeyPlace, length: number, into: Uint8Array, to: number): void {
    const bytes = this.#bytes[place >>> CHUNK_SHIFT]!;
    const start = 4 * (place & CHUNK_MASK);
    for (let at = 0; at < length; at++) into[to + at] = bytes[start + at]!;
  }

  text(place: KeyPlace, length: number): string {
    const bytes = this.#bytes[place >>> CHUNK_SHIFT]!;
    const words = this.#words[place >>> CHUNK_SHIFT]!;
    const start = place & CHUNK_MASK;
    let all = 0;
    for (let at = (length + 3) >>> 2; at-- > 0;) all |= words[start + at]!;
    const end = 4 * start + length;
    // Most keys are ASCII, which needs no decoder.
    if ((all & 0x80808080) === 0) return bytes.toString("latin1", 4 * start, end);
    const text = decodeUtf8(bytes.subarray(4 * start, end));
    assert(text !== undefined, "a key of the index is UTF-8");
    return text;
  }

  #takePlace(count: number): KeyPlace {
    if (count < this.#free.length) {
      const place = this.#free[count]!;
      if (place !== NONE) {
        this.#free[count] = this.#words[place >>> CHUNK_SHIFT]![place & CHUNK_MASK]!;
        return place;
      }
    }
    if (count > CHUNK_WORDS - this.#end) {
      const larger = this.#splitLarger(count);
      if (larger !== NONE) return larger;
      this.#addChunk();
    }
    const place = (this.#words.length - 1) * CHUNK_WORDS + this.#end;
    this.#end += count;
    return place;
  }

  /** The first part of a free place that is larger than `count` words. */
  #splitLarger(count: number): KeyPlace {
    for (let size = count + 1; size < this.#free.length; size++) {
      const place = this.#free[size]!;
      if (place === NONE) continue;
      this.#free[size] = this.#words[place >>> CHUNK_SHIFT]![place & CHUNK_MASK]!;
      this.#release(place + count, size - count);
      return place;
    }
    return NONE;
  }

  #release(place: KeyPlace, count: number): void {
    if (count === 0) return;
    if (count >= this.#free.length) {
      const larger = new Uint32Array(count + 1).fill(NONE);
      larger.set(this.#free);
      this.#free = larger;
    }
    this.#words[place >>> CHUNK_SHIFT]![place & CHUNK_MASK] = this.#free[count]!;
    this.#free[count] = place;
  }

  #addChunk(): void {
    const last = this.#words.length - 1;
    assert(last + 1 < 2 ** 32 / CHUNK_WORDS, "the index has room for its keys");
    this.#release(last * CHUNK_WORDS + this.#end, CHUNK_WORDS - this.#end);
    const words = new Uint32Array(CHUNK_WORDS);
    this.#words.push(words);
    this.#bytes.push(Buffer.from(words.buffer));
    this.#end = 0;
  }
}

// --- internal ---

/** 256 KiB: a small index takes no more. */
const CHUNK_SHIFT = 16;
const CHUNK_WORDS = 1 << CHUNK_SHIFT;
const CHUNK_MASK = CHUNK_WORDS - 1;

const NONE = 0xffffffff;

/** Words that a key takes: at least one, which says the next free place when it is gone. */
function wordsOf(length: number): number {
  return Math.max(1, (length + 3) >>> 2);
}

/**
 * Words that are the same up to the end of the shorter key, filled up with zeros, mean that it is
 * the beginning of the longer one.
 */
function compareWords(
  a: Uint32Array,
  aStart: number,
  aLength: number,
  b: Uint32Array,
  bStart: number,
  bLength: number,
): number {
  const count = (Math.min(aLength, bLength) + 3) >>> 2;
  for (let at = 0; at < count; at++) {
    const x = a[aStart + at]!;
    const y = b[bStart + at]!;
    if (x !== y) return inOrder(x) < inOrder(y) ? -1 : 1;
  }
  return aLength - bLength;
}

/** The first byte of a word counts most. */
function inOrder(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
