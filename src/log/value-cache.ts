/**
 * Values in memory, by the number of their entry, up to a number of bytes. They lie one behind the
 * other in a ring of bytes, so that there is nothing for the garbage collector to walk; a table of
 * hashes finds them. The oldest go first, but for those that were used since: they move to the
 * young end once more.
 *
 *   ring    … free │ oldest │ … │ youngest │ free …
 *   each    entry (u32) · bytes of the value, and above them flags (u32) · value, padded to 8 bytes
 *
 * Offsets are counted in words of 8 bytes; where a value was removed its room stays empty until it
 * is the oldest.
 */

import { copyBytes } from "./bytes.ts";

export class ValueCache {
  /** Made of what was read ahead: a read whose result nobody has is left out. */
  touched = 0;
  /**
   * The ring, until the next value is added: that may take the place of another one, or a larger
   * ring the place of this one.
   */
  ring: Uint8Array;
  #fields: Uint32Array;
  /** By hash: an entry, and the word at which its value begins, plus 1; 0 = none. */
  #table: Uint32Array;
  #mask: number;
  readonly #slotsMax: number;
  /** Words of the ring, now and at most. */
  #words: number;
  readonly #wordsMax: number;
  readonly #countMax: number;
  /** The word of the oldest, the one behind the youngest, and how many words are in use. */
  #oldest = 0;
  #next = 0;
  #usedWords = 0;
  /** Where the ring was left before its end, for one that did not fit there. */
  #turn: number;
  #count = 0;
  /** Values that were offered while there was no room. */
  #offers = 0;

  constructor(bytesMax: number) {
    const slots = 2 ** Math.max(4, Math.floor(Math.log2(Math.max(1, bytesMax / BYTES_A_SLOT))));
    this.#slotsMax = slots;
    this.#table = new Uint32Array(2 * Math.min(slots, SLOTS_FIRST));
    this.#mask = this.#table.length / 2 - 1;
    this.#countMax = slots / 2;
    this.#wordsMax = Math.max(0, Math.floor((bytesMax - 8 * slots) / 8));
    this.#words = Math.min(this.#wordsMax, WORDS_FIRST);
    this.ring = new Uint8Array(8 * this.#words);
    this.#fields = new Uint32Array(this.ring.buffer);
    this.#turn = this.#words;
  }

  /** Values that it has. */
  get count(): number {
    return this.#count;
  }

  /** A copy of the value of an entry. */
  get(entry: number): Uint8Array | undefined {
    const at = this.find(entry);
    return at < 0 ? undefined : this.ring.slice(at, at + this.length(at));
  }

  /** Where the value of an entry begins in `ring`, or -1; it counts as used. */
  find(entry: number): number {
    const slot = this.#slotOf(entry);
    if (slot < 0) return -1;
    const word = this.#table[2 * slot + 1]! - 1;
    this.#fields[2 * word + 1]! |= USED;
    return 8 * (word + HEAD_WORDS);
  }

  /**
   * Reads where `find` will look for many entries, and the beginnings and ends of their values, so
   * that they are near the processor: reads that do not wait for each other take a fraction of the
   * time.
   */
  touch(entries: Int32Array, count: number): void {
    const table = this.#table;
    const fields = this.#fields;
    const last = fields.length - 1;
    let sum = 0;
    for (let at = 0; at < count; at++) sum ^= table[2 * (hash(entries[at]!) & this.#mask)]!;
    for (let at = 0; at < count; at++) {
      const slot = hash(entries[at]!) & this.#mask;
      // Most are at home; the others are not worth a search.
      if (table[2 * slot] !== entries[at]) continue;
      const word = 2 * Math.max(0, table[2 * slot + 1]! - 1);
      sum ^= fields[word]! ^ fields[Math.min(word + TOUCHED_FIELDS, last)]!;
    }
    this.touched = sum;
  }

  /** Bytes of the value that begins at a place that `find` gave. */
  length(at: number): number {
    return this.#fields[at / 4 - 1]! & LENGTH;
  }

  /**
   * Keeps the value at `start` to `end` of `bytes` as that of an entry, unless it alone would take
   * more than an eighth of the cache. What the entry had before is gone in any case.
   */
  put(entry: number, bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const words = wordsOf(length);
    const slot = this.#slotOf(entry);
    if (slot >= 0) {
      const word = this.#table[2 * slot + 1]! - 1;
      // In its place, where it fits exactly: then nothing else has to go.
      const isSame = wordsOf(this.#fields[2 * word + 1]! & LENGTH) === words;
      if (isSame) return this.#write(word, entry, bytes, start, length);
      this.#drop(slot);
    }
    if (words > this.#wordsMax / 8) return;
    const word = this.#room(words);
    this.#write(word, entry, bytes, start, length);
    this.#enter(entry, word);
  }

  /**
   * As `put`, of a value that was asked for: where others would have to go for it, one of
   * `OFFERS` is kept. So a value that is asked for again and again comes in soon, and what is asked
   * for once pushes little out.
   */
  offer(entry: number, bytes: Uint8Array, start: number, end: number): void {
    const isFull = this.#usedWords + wordsOf(end - start) > this.#wordsMax;
    if ((isFull || this.#count >= this.#countMax) && ++this.#offers % OFFERS !== 0) return;
    this.put(entry, bytes, start, end);
  }

  remove(entry: number): void {
    const slot = this.#slotOf(entry);
    if (slot >= 0) this.#drop(slot);
  }

  // The ring

  #write(word: number, entry: number, bytes: Uint8Array, start: number, length: number): void {
    this.#fields[2 * word] = entry;
    this.#fields[2 * word + 1] = length;
    copyBytes(bytes, start, start + length, this.ring, 8 * (word + HEAD_WORDS));
  }

  /** Takes one out, and leaves its room empty. */
  #drop(slot: number): void {
    this.#fields[2 * (this.#table[2 * slot + 1]! - 1) + 1]! |= GONE;
    this.#free(slot);
  }

  /** Makes room at the young end; answers where. */
  #room(words: number): number {
    let saved = 0;
    while (this.#count >= this.#countMax) saved += this.#dropOldest(saved);
    for (;;) {
      // The young end is behind the old one, or both are where an empty ring begins.
      if (this.#usedWords === 0) this.#oldest = this.#next = 0;
      const isBehind = this.#next > this.#oldest || this.#usedWords === 0;
      const end = isBehind ? this.#words : this.#oldest;
      if (this.#next + words <= end) break;
      if (isBehind && this.#words < this.#wordsMax) {
        this.#widen();
        continue;
      }
      if (isBehind && this.#usedWords > 0) {
        // None is cut in two: the rest of the ring stays empty this time.
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

  /** Takes all the memory that it may. Nothing of the ring has turned round yet. */
  #widen(): void {
    this.#words = this.#turn = this.#wordsMax;
    // Nothing of it is read before it is written, and zeros would take milliseconds.
    const { buffer } = Buffer.allocUnsafeSlow(8 * this.#words);
    const before = this.ring;
    this.ring = new Uint8Array(buffer);
    this.#fields = new Uint32Array(buffer);
    this.ring.set(before);
  }

  /**
   * Lets go of the oldest, or moves it to the young end where it was used. Answers how many were
   * moved.
   */
  #dropOldest(saved: number): number {
    if (this.#oldest === this.#turn) {
      this.#usedWords -= this.#words - this.#turn;
      this.#turn = this.#words;
      this.#oldest = 0;
      return 0;
    }
    const word = this.#oldest;
    const held = this.#fields[2 * word + 1]!;
    const words = wordsOf(held & LENGTH);
    this.#oldest += words;
    this.#usedWords -= words;
    if ((held & GONE) !== 0) return 0;
    const slot = this.#slotOf(this.#fields[2 * word]!);
    // Its own room is free now, which may lie behind the young end.
    const end = this.#next >= this.#oldest ? this.#words : this.#oldest;
    if ((held & USED) === 0 || saved >= SAVED_MAX || this.#next + words > end) {
      this.#free(slot);
      return 0;
    }
    const to = this.#next;
    this.ring.copyWithin(8 * to, 8 * word, 8 * (word + words));
    this.#fields[2 * to + 1]! &= LENGTH;
    this.#table[2 * slot + 1] = to + 1;
    this.#next += words;
    this.#usedWords += words;
    return 1;
  }

  // The table

  /** The slot that has an entry, or -1. */
  #slotOf(entry: number): number {
    const table = this.#table;
    for (let slot = hash(entry) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      if (table[2 * slot + 1] === 0) return -1;
      if (table[2 * slot] === entry) return slot;
    }
  }

  #enter(entry: number, word: number): void {
    this.#place(entry, word + 1);
    this.#count++;
    const slots = this.#mask + 1;
    if (2 * this.#count > slots && slots < this.#slotsMax) this.#grow();
  }

  #place(entry: number, held: number): void {
    const table = this.#table;
    let slot = hash(entry) & this.#mask;
    while (table[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask;
    table[2 * slot] = entry;
    table[2 * slot + 1] = held;
  }

  /** Makes the table anew with more slots: most stores have few values. */
  #grow(): void {
    const before = this.#table;
    const slots = Math.min(2 * before.length, this.#slotsMax);
    this.#table = new Uint32Array(2 * slots);
    this.#mask = slots - 1;
    for (let at = 0; at < before.length; at += 2) {
      if (before[at + 1] !== 0) this.#place(before[at]!, before[at + 1]!);
    }
  }

  /** Empties a slot; those behind it that would not be found any more move up. */
  #free(empty: number): void {
    const table = this.#table;
    this.#count--;
    for (let slot = (empty + 1) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const held = table[2 * slot + 1]!;
      if (held === 0) break;
      const entry = table[2 * slot]!;
      const home = hash(entry) & this.#mask;
      if (((slot - home) & this.#mask) < ((slot - empty) & this.#mask)) continue;
      table[2 * empty] = entry;
      table[2 * empty + 1] = held;
      empty = slot;
    }
    table[2 * empty + 1] = 0;
  }
}

// --- internal ---

/** Bytes of the cache for each slot of its table, half of which are in use at most. */
const BYTES_A_SLOT = 64;
/** Slots that the table has at first, and words of the ring. */
const SLOTS_FIRST = 256;
const WORDS_FIRST = 2_048;
/** Words before a value. */
const HEAD_WORDS = 1;
/** Of the field that has the bytes of a value: these. */
const LENGTH = 0x3fff_ffff;
/** It was read since it is where it is. */
const USED = 0x4000_0000;
/** It was taken out. */
const GONE = 0x8000_0000;
/** Of so many values that others would have to make room for, one is kept. */
const OFFERS = 4;
/** Fields of four bytes: how far the second look into a value is behind the first. */
const TOUCHED_FIELDS = 24;
/** How many are moved to the young end for one that is added, at most. */
const SAVED_MAX = 16;

/** Words that a value takes in all. */
function wordsOf(bytes: number): number {
  return HEAD_WORDS + ((bytes + 7) >>> 3);
}

/** Entries are numbered one by one: the high bits of a product tell them apart. */
function hash(entry: number): number {
  const mixed = Math.imul(entry, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
