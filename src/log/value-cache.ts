/**
 * Values in memory, by where their record stands, up to a number of bytes. They lie one behind the
 * other in a ring of bytes, so that there is nothing for the garbage collector to walk; a table of
 * hashes finds them. The oldest go first, but for those that were used since: they move to the
 * young end once more.
 *
 *   ring    … free │ oldest entry │ … │ youngest entry │ free …
 *   entry   position (f64) · bytes of the value (u32) · flags (u32) · value, padded to 8 bytes
 *
 * Offsets of entries are counted in words of 8 bytes; where an entry was removed its room stays
 * with it until it is the oldest.
 */

import { copyBytes } from "./bytes.ts";

export class ValueCache {
  /** The ring. What a value is in it may be overwritten by the next one that is added. */
  readonly ring: Uint8Array;
  readonly #positions: Float64Array;
  readonly #fields: Uint32Array;
  /** By hash: the word at which an entry begins, plus 1; 0 = none. */
  readonly #table: Uint32Array;
  readonly #mask: number;
  readonly #words: number;
  readonly #countMax: number;
  /** The word of the oldest entry, the one behind the youngest, and how many words are in use. */
  #oldest = 0;
  #next = 0;
  #usedWords = 0;
  /** Where the ring was left before its end, for an entry that did not fit there. */
  #turn: number;
  #count = 0;

  constructor(bytesMax: number) {
    const slots = 2 ** Math.max(4, Math.floor(Math.log2(Math.max(1, bytesMax / BYTES_A_SLOT))));
    this.#table = new Uint32Array(slots);
    this.#mask = slots - 1;
    this.#countMax = slots / 2;
    this.#words = Math.max(0, Math.floor((bytesMax - 4 * slots) / 8));
    const buffer = new ArrayBuffer(8 * this.#words);
    this.ring = new Uint8Array(buffer);
    this.#positions = new Float64Array(buffer);
    this.#fields = new Uint32Array(buffer);
    this.#turn = this.#words;
  }

  /** Values that it has. */
  get count(): number {
    return this.#count;
  }

  /** A copy of a value. */
  get(position: number): Uint8Array | undefined {
    const at = this.find(position);
    return at < 0 ? undefined : this.ring.slice(at, at + this.length(at));
  }

  /** Where a value begins in `ring`, or -1; it counts as used. */
  find(position: number): number {
    const slot = this.#slotOf(position);
    if (slot < 0) return -1;
    const word = this.#table[slot]! - 1;
    this.#fields[2 * word + FLAGS] = USED;
    return 8 * (word + HEAD_WORDS);
  }

  /** Bytes of the value that begins at a place that `find` gave. */
  length(at: number): number {
    return this.#fields[at / 4 - 2 * HEAD_WORDS + LENGTH]!;
  }

  /**
   * Keeps the value at `start` to `end` of `bytes`, unless it alone would take more than an eighth
   * of the cache. `before`: the position of the value that it replaces, or -1.
   */
  put(before: number, position: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const words = HEAD_WORDS + Math.ceil(length / 8);
    const slot = before < 0 ? -1 : this.#slotOf(before);
    if (slot >= 0) {
      const word = this.#table[slot]! - 1;
      this.#free(slot);
      // In its place, where it fits exactly: then nothing else has to go.
      const isSame = Math.ceil(this.#fields[2 * word + LENGTH]! / 8) === words - HEAD_WORDS;
      if (isSame) return this.#write(word, position, bytes, start, length);
      this.#fields[2 * word + FLAGS] = GONE;
    }
    if (words > this.#words / 8 || this.#slotOf(position) >= 0) return;
    this.#write(this.#room(words), position, bytes, start, length);
  }

  /** As `put`, of a whole array. */
  add(position: number, value: Uint8Array): void {
    this.put(-1, position, value, 0, value.length);
  }

  remove(position: number): void {
    const slot = this.#slotOf(position);
    if (slot < 0) return;
    this.#fields[2 * (this.#table[slot]! - 1) + FLAGS] = GONE;
    this.#free(slot);
  }

  /** The record of a value stands elsewhere now. */
  move(from: number, to: number): void {
    const slot = this.#slotOf(from);
    if (slot < 0) return;
    const word = this.#table[slot]! - 1;
    this.#free(slot);
    this.#positions[word] = to;
    this.#enter(to, word);
  }

  // The ring

  #write(word: number, position: number, bytes: Uint8Array, start: number, length: number): void {
    this.#positions[word] = position;
    this.#fields[2 * word + LENGTH] = length;
    this.#fields[2 * word + FLAGS] = 0;
    copyBytes(bytes, start, start + length, this.ring, 8 * (word + HEAD_WORDS));
    this.#enter(position, word);
  }

  /** Makes room for an entry at the young end; answers where. */
  #room(words: number): number {
    let saved = 0;
    while (this.#count >= this.#countMax) saved += this.#dropOldest(saved);
    for (;;) {
      // The young end is behind the old one, or both are where an empty ring begins.
      if (this.#usedWords === 0) this.#oldest = this.#next = 0;
      const isBehind = this.#next > this.#oldest || this.#usedWords === 0;
      const end = isBehind ? this.#words : this.#oldest;
      if (this.#next + words <= end) break;
      if (isBehind && this.#usedWords > 0) {
        // Entries are not cut in two: the rest of the ring stays empty this time.
        this.#turn = this.#next;
        this.#usedWords += this.#words - this.#next;
        this.#next = 0;
      } else saved += this.#dropOldest(saved);
    }
    const word = this.#next;
    this.#next += words;
    this.#usedWords += words;
    return word;
  }

  /**
   * Lets go of the oldest entry, or moves it to the young end where it was used. Answers how many
   * were moved.
   */
  #dropOldest(saved: number): number {
    if (this.#oldest === this.#turn) {
      this.#usedWords -= this.#words - this.#turn;
      this.#turn = this.#words;
      this.#oldest = 0;
      return 0;
    }
    const word = this.#oldest;
    const words = HEAD_WORDS + Math.ceil(this.#fields[2 * word + LENGTH]! / 8);
    const flags = this.#fields[2 * word + FLAGS]!;
    this.#oldest += words;
    this.#usedWords -= words;
    if (flags === GONE) return 0;
    const slot = this.#slotOf(this.#positions[word]!);
    // Its own room is free now, which may lie behind the young end.
    const end = this.#next >= this.#oldest ? this.#words : this.#oldest;
    if (flags !== USED || saved >= SAVED_MAX || this.#next + words > end) {
      this.#free(slot);
      return 0;
    }
    const to = this.#next;
    this.ring.copyWithin(8 * to, 8 * word, 8 * (word + words));
    this.#fields[2 * to + FLAGS] = 0;
    this.#table[slot] = to + 1;
    this.#next += words;
    this.#usedWords += words;
    return 1;
  }

  // The table

  /** The slot that has a position, or -1. */
  #slotOf(position: number): number {
    for (let slot = hash(position) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const held = this.#table[slot]!;
      if (held === 0) return -1;
      if (this.#positions[held - 1] === position) return slot;
    }
  }

  #enter(position: number, word: number): void {
    let slot = hash(position) & this.#mask;
    while (this.#table[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#table[slot] = word + 1;
    this.#count++;
  }

  /** Empties a slot; those behind it that would not be found any more move up. */
  #free(empty: number): void {
    this.#count--;
    for (let slot = (empty + 1) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const held = this.#table[slot]!;
      if (held === 0) break;
      const home = hash(this.#positions[held - 1]!) & this.#mask;
      if (((slot - home) & this.#mask) < ((slot - empty) & this.#mask)) continue;
      this.#table[empty] = held;
      empty = slot;
    }
    this.#table[empty] = 0;
  }
}

// --- internal ---

/** Bytes of the cache for each slot of its table, half of which are in use at most. */
const BYTES_A_SLOT = 64;
/** Words before a value. */
const HEAD_WORDS = 2;
/** Fields of 4 bytes in an entry. */
const LENGTH = 2;
const FLAGS = 3;
/** It was read since it is where it is. */
const USED = 1;
/** It was removed. */
const GONE = 2;
/** Entries that are moved to the young end for one that is added, at most. */
const SAVED_MAX = 16;

/** Positions are multiples of 8 behind each other: the high bits of a product tell them apart. */
function hash(position: number): number {
  const high = Math.floor(position / 2 ** 32);
  const low = (position - high * 2 ** 32) >>> 3;
  const mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
