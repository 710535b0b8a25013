/**
 * Room for entries of any size, in chunks, counted in units of eight bytes. The place of an entry
 * is its number. The room of those that go is taken by others.
 */

import { assert } from "../errors.ts";

/** Bit of the fourth word of an entry: it is one, and no free room. */
export const USED = 2 ** 31;

export class EntryArena {
  /** The words of each chunk, and the same as bytes. */
  readonly words: Uint32Array[] = [];
  readonly bytes: Buffer[] = [];
  /** Units of each chunk that were ever taken. */
  readonly #ends: number[] = [];
  /** By size, the first free place that has it. It says the next one, and its own size. */
  #free = new Uint32Array(FREE_SIZES).fill(NONE);
  readonly #unitsOf: (words: Uint32Array, at: number) => number;

  /** `unitsOf` tells the size of the entry that begins at a word. */
  constructor(unitsOf: (words: Uint32Array, at: number) => number) {
    this.#unitsOf = unitsOf;
  }

  /** Bytes of memory that it takes. */
  get bytesHeld(): number {
    const chunks = this.words.reduce((sum, { byteLength }) => sum + byteLength, 0);
    return chunks + this.#free.byteLength;
  }

  /** A place of `units`, at least two. */
  take(units: number): number {
    if (units < this.#free.length) {
      const place = this.#free[units]!;
      if (place !== NONE) return this.#takeFree(place, units);
    }
    const last = this.words.length - 1;
    if (last < 0 || units > this.words[last]!.length / 2 - this.#ends[last]!) {
      return this.#takeElsewhere(units);
    }
    const place = last * CHUNK_UNITS + this.#ends[last]!;
    this.#ends[last]! += units;
    return place;
  }

  /**
   * Reads the first word of many places and the one that is `further` behind it, as
   * `HashTables.touch` does; what is negative is no place.
   */
  touch(places: Int32Array, count: number, further: number): number {
    let sum = 0;
    for (let at = 0; at < count; at++) {
      const place = places[at]!;
      if (place < 0) continue;
      const words = this.words[place >>> CHUNK_SHIFT]!;
      const word = wordOf(place);
      sum ^= words[word]! ^ words[word + further]!;
    }
    return sum;
  }

  release(place: number, units: number): void {
    if (units >= this.#free.length) {
      const larger = new Uint32Array(units + 1).fill(NONE);
      larger.set(this.#free);
      this.#free = larger;
    }
    const words = this.words[place >>> CHUNK_SHIFT]!;
    const at = wordOf(place);
    words[at] = this.#free[units]!;
    words[at + 1] = units;
    words[at + 3] = 0;
    this.#free[units] = place;
  }

  /** Visits every entry, in the order of numbers. */
  each(visit: (entry: number) => void): void {
    for (const [chunk, words] of this.words.entries()) {
      for (let unit = 0; unit < this.#ends[chunk]!;) {
        const at = unit * 2;
        const isUsed = words[at + 3]! >= USED;
        if (isUsed) visit(chunk * CHUNK_UNITS + unit);
        unit += isUsed ? this.#unitsOf(words, at) : words[at + 1]!;
      }
    }
  }

  #takeFree(place: number, units: number): number {
    this.#free[units] = this.words[place >>> CHUNK_SHIFT]![wordOf(place)]!;
    return place;
  }

  /** The first part of a larger free place, or room in a new chunk. */
  #takeElsewhere(units: number): number {
    for (let size = units + UNITS_MIN; size < this.#free.length; size++) {
      const place = this.#free[size]!;
      if (place === NONE) continue;
      this.#takeFree(place, size);
      this.release(place + units, size - units);
      return place;
    }
    if (this.words.length <= 1) {
      const place = this.#takeInFirst(units);
      if (place !== NONE) return place;
    }
    this.#leaveChunk();
    const chunk = this.words.length;
    assert(chunk < CHUNKS_MAX, "the index has room for its entries");
    this.#setChunk(chunk, new Uint32Array(CHUNK_UNITS * 2));
    this.#ends.push(units);
    return chunk * CHUNK_UNITS;
  }

  /** Room at the end of the first chunk, which grows as it fills; none where it cannot. */
  #takeInFirst(units: number): number {
    const before = this.words[0] ?? NO_WORDS;
    const place = this.#ends[0] ?? 0;
    if (place + units > CHUNK_UNITS) return NONE;
    let room = FIRST_UNITS;
    while (room < place + units) room *= 4;
    const words = new Uint32Array(2 * room);
    words.set(before);
    this.#setChunk(0, words);
    this.#ends[0] = place + units;
    return place;
  }

  #setChunk(chunk: number, words: Uint32Array<ArrayBuffer>): void {
    this.words[chunk] = words;
    this.bytes[chunk] = Buffer.from(words.buffer);
  }

  /** What is left of the last chunk is for smaller ones. */
  #leaveChunk(): void {
    const last = this.words.length - 1;
    const left = CHUNK_UNITS - this.#ends[last]!;
    if (left < UNITS_MIN) return;
    this.release(last * CHUNK_UNITS + this.#ends[last]!, left);
    this.#ends[last] = CHUNK_UNITS;
  }
}

/** The chunk of a place, and the word in it. */
export function chunkOf(place: number): number {
  return place >>> CHUNK_SHIFT;
}

export function wordOf(place: number): number {
  return (place & (CHUNK_UNITS - 1)) * 2;
}

// --- internal ---

/** 1 MiB. */
const CHUNK_SHIFT = 17;
const CHUNK_UNITS = 1 << CHUNK_SHIFT;
/** Numbers are signed integers of 32 bits, which are the fast ones: 16 GiB. */
const CHUNKS_MAX = 2 ** 31 / CHUNK_UNITS;
/** What the first chunk has at first, 4 KiB: it grows fourfold until it is as large as others. */
const FIRST_UNITS = 512;
/** Less room than this is of no use to any entry. */
const UNITS_MIN = 4;

/** Sizes of free places that there are lists of at first. */
const FREE_SIZES = 64;

const NONE = 0xffffffff;
const NO_WORDS = new Uint32Array(0);
