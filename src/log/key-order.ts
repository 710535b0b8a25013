/**
 * The order of keys: leaves of entries, and a directory of the leaves. All keys of a leaf are below
 * those of the next one; no leaf is empty. Leaves know how many of their entries are no tombstones,
 * so that many of these in one place are passed over at once.
 */

import { Leaves, LEAF_ENTRIES_MAX } from "./leaves.ts";
import type { Entries } from "./entries.ts";
import type { WantedKey } from "./wanted-key.ts";

/** Entries one after the other; the index must not change meanwhile. */
export interface EntryScan {
  /** The next entry, or -1 behind the last one. */
  next(): number;
}

export class KeyOrder {
  readonly #entries: Entries;
  readonly #leaves = new Leaves();
  /** Leaves in order. Leaving out one of ten thousand moves few bytes, so there are no levels. */
  #directory = new Uint32Array(64);
  #size = 0;
  readonly #isLive = (entry: number): boolean => this.#entries.isLive(entry);

  constructor(entries: Entries) {
    this.#entries = entries;
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** Bytes of memory that it takes. */
  get bytesHeld(): number {
    return this.#leaves.bytesHeld + this.#directory.byteLength;
  }

  /** The entry of the last key, or -1. */
  get last(): number {
    if (this.#size === 0) return -1;
    const leaf = this.#directory[this.#size - 1]!;
    return this.#leaves.entry(leaf, this.#leaves.count(leaf) - 1);
  }

  /** Adds an entry, the key of which is not in. */
  insert(entry: number, key: WantedKey): void {
    const isLive = this.#isLive(entry);
    if (this.#size === 0) return this.append(entry, isLive);
    // Keys that come in order need no search.
    const last = this.last;
    if (this.#entries.compare(last, key) < 0) return this.append(entry, isLive);
    const place = this.#placeOf(key);
    this.#insertAt(place, this.#lowerBound(this.#directory[place]!, key), entry, isLive);
  }

  /** Adds an entry the key of which is above all others. */
  append(entry: number, isLive: boolean): void {
    let leaf = this.#size === 0 ? -1 : this.#directory[this.#size - 1]!;
    if (leaf < 0 || this.#leaves.count(leaf) === LEAF_ENTRIES_MAX) leaf = this.#addLeaf(this.#size);
    this.#leaves.insert(leaf, this.#leaves.count(leaf), entry, isLive);
  }

  /** Takes out the entry of a key, which is a tombstone. */
  remove(key: WantedKey): void {
    const place = this.#placeOf(key);
    const leaf = this.#directory[place]!;
    this.#leaves.take(leaf, this.#lowerBound(leaf, key));
    const count = this.#leaves.count(leaf);
    if (count === 0) this.#removeLeaf(place);
    else if (count < LEAF_ENTRIES_MAX / 4) this.#join(place);
  }

  /** The entry of a key has become live, or is a tombstone now. */
  changeLive(key: WantedKey, more: 1 | -1): void {
    this.#leaves.addLive(this.#directory[this.#placeOf(key)]!, more);
  }

  /** Entries with keys at or above `start`. */
  up(start: WantedKey, living: boolean): EntryScan {
    if (this.#size === 0) return NOTHING;
    let place = this.#placeOf(start);
    let leaf = this.#directory[place]!;
    let at = this.#lowerBound(leaf, start);
    const next = (): number => {
      for (;;) {
        if (at >= this.#leaves.count(leaf)) {
          if (++place >= this.#size) return -1;
          leaf = this.#directory[place]!;
          at = living && this.#leaves.live(leaf) === 0 ? this.#leaves.count(leaf) : 0;
          continue;
        }
        const entry = this.#leaves.entry(leaf, at++);
        if (!living || this.#isLive(entry)) return entry;
      }
    };
    return { next };
  }

  /** Entries with keys below `end`, or all, from the last one down. */
  down(end: WantedKey | undefined, living: boolean): EntryScan {
    if (this.#size === 0) return NOTHING;
    let place = end === undefined ? this.#size - 1 : this.#placeOf(end);
    let leaf = this.#directory[place]!;
    let at = end === undefined ? this.#leaves.count(leaf) : this.#lowerBound(leaf, end);
    const next = (): number => {
      for (;;) {
        if (at === 0) {
          if (--place < 0) return -1;
          leaf = this.#directory[place]!;
          at = living && this.#leaves.live(leaf) === 0 ? 0 : this.#leaves.count(leaf);
          continue;
        }
        const entry = this.#leaves.entry(leaf, --at);
        if (!living || this.#isLive(entry)) return entry;
      }
    };
    return { next };
  }

  /** The last leaf whose first key is at or below `key`; the first one when there is none. */
  #placeOf(key: WantedKey): number {
    let low = 0;
    let high = this.#size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const first = this.#leaves.entry(this.#directory[middle]!, 0);
      if (this.#entries.compare(first, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  /** The first place in a leaf whose key is at or above `key`. */
  #lowerBound(leaf: number, key: WantedKey): number {
    let low = 0;
    let high = this.#leaves.count(leaf);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries.compare(this.#leaves.entry(leaf, middle), key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #insertAt(place: number, at: number, entry: number, isLive: boolean): void {
    const leaves = this.#leaves;
    const leaf = this.#directory[place]!;
    const count = leaves.count(leaf);
    if (count < LEAF_ENTRIES_MAX) return leaves.insert(leaf, at, entry, isLive);
    // Keys that come in order, upwards or downwards, leave full leaves behind.
    if (at === 0) return leaves.insert(this.#addLeaf(place), 0, entry, isLive);
    if (at === count) {
      // There is a next one: behind the last key of all they are appended.
      const next = this.#directory[place + 1]!;
      const hasRoom = leaves.count(next) < LEAF_ENTRIES_MAX;
      return leaves.insert(hasRoom ? next : this.#addLeaf(place + 1), 0, entry, isLive);
    }
    const upper = this.#addLeaf(place + 1);
    const half = LEAF_ENTRIES_MAX / 2;
    leaves.move(leaf, half, upper, this.#isLive);
    if (at <= half) leaves.insert(leaf, at, entry, isLive);
    else leaves.insert(upper, at - half, entry, isLive);
  }

  /** Joins a leaf of few entries with a neighbour, where both have room in one. */
  #join(place: number): void {
    const leaves = this.#leaves;
    for (const lower of [place, place - 1]) {
      if (lower < 0 || lower + 1 >= this.#size) continue;
      const leaf = this.#directory[lower]!;
      const next = this.#directory[lower + 1]!;
      if (leaves.count(leaf) + leaves.count(next) > LEAF_ENTRIES_MAX / 2) continue;
      leaves.move(next, 0, leaf, this.#isLive);
      this.#removeLeaf(lower + 1);
      return;
    }
  }

  #addLeaf(place: number): number {
    if (this.#size === this.#directory.length) {
      const larger = new Uint32Array(Math.ceil(1.5 * this.#size));
      larger.set(this.#directory);
      this.#directory = larger;
    }
    this.#directory.copyWithin(place + 1, place, this.#size++);
    return (this.#directory[place] = this.#leaves.add());
  }

  #removeLeaf(place: number): void {
    this.#leaves.remove(this.#directory[place]!);
    this.#directory.copyWithin(place, place + 1, this.#size--);
  }
}

// --- internal ---

const NOTHING: EntryScan = { next: () => -1 };
