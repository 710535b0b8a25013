/**
 * Finds entries by the hash of their keys: many small tables, each of which grows by itself and by
 * a quarter, so that growing never takes long and never doubles the memory.
 */

import { assert } from "../errors.ts";

/** Is it the entry of the key that is looked for? */
export interface EntryCheck<K> {
  isKey(entry: number, key: K): boolean;
}

export class HashTables<K> {
  /** Slots of three halves of a word: a part of the hash that is never 0, and the entry. */
  readonly #tables: Uint16Array[] = Array.from({ length: TABLES }, () => EMPTY);
  readonly #counts = new Uint32Array(TABLES);
  readonly #check: EntryCheck<K>;
  readonly #waitingHashes = new Uint32Array(WAITING_MAX);
  readonly #waitingEntries = new Int32Array(WAITING_MAX);
  #waiting = 0;
  #slots = 0;
  #size = 0;

  constructor(check: EntryCheck<K>) {
    this.#check = check;
  }

  /** Bytes of memory that it takes. */
  get bytesHeld(): number {
    return this.#slots * 2 + TABLES * (8 + 4);
  }

  /** How many entries are in. */
  get size(): number {
    return this.#size;
  }

  /** The entry of a key, or -1. */
  find(hash: number, key: K): number {
    const table = this.#tables[hash >>> TABLE_SHIFT]!;
    if (table.length === 0) return -1;
    const tag = tagOf(hash);
    for (let slot = homeOf(tag, table.length); ;) {
      const there = table[slot]!;
      if (there === 0) return -1;
      if (there === tag) {
        const entry = table[slot + 1]! | (table[slot + 2]! << 16);
        if (this.#check.isKey(entry, key)) return entry;
      }
      slot += SLOT;
      if (slot === table.length) slot = 0;
    }
  }

  /** Adds an entry that is not in. */
  add(hash: number, entry: number): void {
    const number = hash >>> TABLE_SHIFT;
    this.#size++;
    const count = ++this.#counts[number]!;
    let table = this.#tables[number]!;
    if (count * SLOT > table.length * FILL_MAX) table = this.#resize(number, count);
    insert(table, tagOf(hash), entry & 0xffff, entry >>> 16);
  }

  /**
   * As `add`, together with others: in a row of them, the processor waits for the memory of each in
   * turn, else for that of many at once. `addWaiting` has to come before anything else.
   */
  addSoon(hash: number, entry: number): void {
    this.#waitingHashes[this.#waiting] = hash;
    this.#waitingEntries[this.#waiting++] = entry;
    if (this.#waiting === WAITING_MAX) this.addWaiting();
  }

  addWaiting(): void {
    const count = this.#waiting;
    const hashes = this.#waitingHashes;
    let read = 0;
    for (let at = 0; at < count; at++) {
      const hash = hashes[at]!;
      const table = this.#tables[hash >>> TABLE_SHIFT]!;
      if (table.length > 0) read ^= table[homeOf(tagOf(hash), table.length)]!;
    }
    // Without a use of it, nothing would be read.
    assert(read <= 0xffff, "a tag has 16 bits");
    this.#waiting = 0;
    for (let at = 0; at < count; at++) this.add(hashes[at]!, this.#waitingEntries[at]!);
  }

  /** Removes an entry that is in. */
  remove(hash: number, entry: number): void {
    const number = hash >>> TABLE_SHIFT;
    const table = this.#tables[number]!;
    const { length } = table;
    let slot = homeOf(tagOf(hash), length);
    while ((table[slot + 1]! | (table[slot + 2]! << 16)) !== entry || table[slot] === 0) {
      slot = slot + SLOT === length ? 0 : slot + SLOT;
    }
    // Those behind it move up, as far as each may go: a search ends at the first empty slot.
    for (let next = slot; ;) {
      next = next + SLOT === length ? 0 : next + SLOT;
      const tag = table[next]!;
      if (tag === 0) break;
      const home = homeOf(tag, length);
      const stays = slot <= next ? home > slot && home <= next : home > slot || home <= next;
      if (stays) continue;
      table.copyWithin(slot, next, next + SLOT);
      slot = next;
    }
    table[slot] = 0;
    this.#size--;
    const count = --this.#counts[number]!;
    if (count * SLOT < length * FILL_MIN && length > SLOTS_MIN * SLOT) this.#resize(number, count);
  }

  /** Makes room at once for about that many entries in all. */
  reserve(entries: number): void {
    const mean = entries / TABLES;
    const each = Math.ceil(mean + 3 * Math.sqrt(mean));
    for (let number = 0; number < TABLES; number++) {
      const slots = Math.ceil(each / FILL_MAX);
      if (slots * SLOT > this.#tables[number]!.length) this.#replace(number, slots);
    }
  }

  #resize(number: number, count: number): Uint16Array {
    return this.#replace(number, Math.max(SLOTS_MIN, Math.ceil((count * GROWTH) / FILL_MAX)));
  }

  #replace(number: number, slots: number): Uint16Array {
    const old = this.#tables[number]!;
    const table = new Uint16Array(slots * SLOT);
    for (let slot = 0; slot < old.length; slot += SLOT) {
      if (old[slot] !== 0) insert(table, old[slot]!, old[slot + 1]!, old[slot + 2]!);
    }
    this.#slots += table.length - old.length;
    this.#tables[number] = table;
    return table;
  }
}

// --- internal ---

const TABLE_BITS = 12;
const TABLES = 1 << TABLE_BITS;
const TABLE_SHIFT = 32 - TABLE_BITS;
const SLOT = 3;
const SLOTS_MIN = 4;
/** Shares of the slots that are taken, and by how much a table grows beyond what it needs. */
const FILL_MAX = 0.85;
const FILL_MIN = 0.4;
const GROWTH = 1.25;

/** Entries that are added together: what they need of the memory fits into the nearest cache. */
const WAITING_MAX = 256;

const EMPTY = new Uint16Array(0);

/** 16 of the bits that do not choose the table; 0 is for empty slots. */
function tagOf(hash: number): number {
  return (hash >>> (TABLE_SHIFT - 16)) & 0xffff || 1;
}

/** Where a search begins: in the order of tags, in a table of any size. */
function homeOf(tag: number, length: number): number {
  return (((tag * (length / SLOT)) / 65_536) | 0) * SLOT;
}

function insert(table: Uint16Array, tag: number, low: number, high: number): void {
  const { length } = table;
  let slot = homeOf(tag, length);
  while (table[slot] !== 0) slot = slot + SLOT === length ? 0 : slot + SLOT;
  table[slot] = tag;
  table[slot + 1] = low;
  table[slot + 2] = high;
}
