/**
 * Finds entries by the hash of their keys: many small tables, each of which grows by itself and by
 * a quarter, so that growing never takes long and never doubles the memory.
 */

/** Is it the entry of the key that is looked for? */
export interface EntryCheck<K> {
  isKey(entry: number, key: K): boolean;
}

export class HashTables<K> {
  /** Slots of three halves of a word: a part of the hash that is never 0, and the entry. */
  readonly #tables: Uint16Array[] = Array.from({ length: TABLES }, () => EMPTY);
  readonly #counts = new Uint32Array(TABLES);
  readonly #check: EntryCheck<K>;
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
   * Adds the first `count` of `entries`, none of which is in, table by table: so the one that is
   * written to is near the processor.
   */
  addAll(hashes: Uint32Array, entries: Uint32Array, count: number): void {
    const ends = new Uint32Array(TABLES);
    for (let at = 0; at < count; at++) ends[hashes[at]! >>> TABLE_SHIFT]!++;
    let end = 0;
    for (let number = 0; number < TABLES; number++) {
      const more = ends[number]!;
      ends[number] = end;
      end += more;
    }
    const sorted = new Uint32Array(count);
    for (let at = 0; at < count; at++) sorted[ends[hashes[at]! >>> TABLE_SHIFT]!++] = at;
    this.#size += count;
    let at = 0;
    for (let number = 0; number < TABLES; number++) {
      const more = ends[number]! - at;
      if (more === 0) continue;
      let table = this.#tables[number]!;
      const size = (this.#counts[number]! += more);
      if (size * SLOT > table.length * FILL_MAX) table = this.#resize(number, size);
      for (; at < ends[number]!; at++) {
        const from = sorted[at]!;
        const entry = entries[from]!;
        insert(table, tagOf(hashes[from]!), entry & 0xffff, entry >>> 16);
      }
    }
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
