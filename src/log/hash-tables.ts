/**
 * Finds entries by the hash of their keys: many small tables, each of which grows by itself and by
 * a quarter, so that growing never takes long and never doubles the memory.
 */

export interface EntryCheck<K> {
  /** Is it the entry of the key that is looked for? */
  isKey(entry: number, key: K): boolean;
}

export class HashTables<K> {
  /** Slots of three halves of a word: a part of the hash that is never 0, and the entry. */
  #tables: Uint16Array[] = emptyTables(TABLES_FIRST);
  #counts = new Uint32Array(TABLES_FIRST);
  /** The bits of a hash above these choose the table. */
  #shift = shiftOf(TABLES_FIRST);
  readonly #check: EntryCheck<K>;
  readonly #hashOf: (entry: number) => number;
  #slots = 0;
  #size = 0;

  /** `hashOf` tells the hash of the key of an entry. */
  constructor(check: EntryCheck<K>, hashOf: (entry: number) => number) {
    this.#check = check;
    this.#hashOf = hashOf;
  }

  /** Bytes of memory that it takes. */
  get bytesHeld(): number {
    return this.#slots * 2 + this.#tables.length * (8 + 4);
  }

  /** How many entries are in. */
  get size(): number {
    return this.#size;
  }

  /** The entry of a key, or -1. */
  find(hash: number, key: K): number {
    const table = this.#tables[hash >>> this.#shift]!;
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

  /**
   * Reads where the searches for many hashes begin, so that they find it near the processor: reads
   * that do not wait for each other take a fraction of the time. Answers nothing of use.
   */
  touch(hashes: Uint32Array, count: number): number {
    let sum = 0;
    for (let at = 0; at < count; at++) {
      const hash = hashes[at]!;
      const table = this.#tables[hash >>> this.#shift]!;
      if (table.length > 0) sum ^= table[homeOf(tagOf(hash), table.length)]!;
    }
    return sum;
  }

  /** An entry that may be the one of a key with this hash, most likely it is; or -1. */
  guess(hash: number): number {
    const table = this.#tables[hash >>> this.#shift]!;
    if (table.length === 0) return -1;
    const tag = tagOf(hash);
    for (let slot = homeOf(tag, table.length); ;) {
      const there = table[slot]!;
      if (there === 0) return -1;
      if (there === tag) return table[slot + 1]! | (table[slot + 2]! << 16);
      slot += SLOT;
      if (slot === table.length) slot = 0;
    }
  }

  /** Adds an entry that is not in. */
  add(hash: number, entry: number): void {
    if (this.#size === SPREAD_ENTRIES) this.#spread();
    const number = hash >>> this.#shift;
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
    if (this.#size + count > SPREAD_ENTRIES) this.#spread();
    const tables = this.#tables.length;
    const ends = new Uint32Array(tables);
    for (let at = 0; at < count; at++) ends[hashes[at]! >>> this.#shift]!++;
    let end = 0;
    for (let number = 0; number < tables; number++) {
      const more = ends[number]!;
      ends[number] = end;
      end += more;
    }
    // With their hashes beside them: each is written once, and then read in a row.
    const sorted = new Uint32Array(2 * count);
    for (let at = 0; at < count; at++) {
      const hash = hashes[at]!;
      const to = 2 * ends[hash >>> this.#shift]!++;
      sorted[to] = hash;
      sorted[to + 1] = entries[at]!;
    }
    this.#size += count;
    let at = 0;
    for (let number = 0; number < tables; number++) {
      const more = ends[number]! - at;
      if (more === 0) continue;
      let table = this.#tables[number]!;
      const size = (this.#counts[number]! += more);
      if (size * SLOT > table.length * FILL_MAX) table = this.#resize(number, size);
      for (; at < ends[number]!; at++) {
        const entry = sorted[2 * at + 1]!;
        insert(table, tagOf(sorted[2 * at]!), entry & 0xffff, entry >>> 16);
      }
    }
  }

  /** Removes an entry that is in. */
  remove(hash: number, entry: number): void {
    const number = hash >>> this.#shift;
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
    if (entries <= SPREAD_ENTRIES) return;
    this.#spread();
    const mean = entries / TABLES;
    const each = Math.ceil(mean + 3 * Math.sqrt(mean));
    for (let number = 0; number < TABLES; number++) {
      const slots = Math.ceil(each / FILL_MAX);
      if (slots * SLOT > this.#tables[number]!.length) this.#replace(number, slots);
    }
  }

  /** Makes many tables of the few that are enough for a small index. */
  #spread(): void {
    if (this.#tables.length === TABLES) return;
    const before = this.#tables;
    this.#tables = emptyTables(TABLES);
    this.#counts = new Uint32Array(TABLES);
    this.#shift = shiftOf(TABLES);
    this.#slots = 0;
    this.#size = 0;
    for (const table of before) {
      for (let slot = 0; slot < table.length; slot += SLOT) {
        if (table[slot] === 0) continue;
        const entry = table[slot + 1]! | (table[slot + 2]! << 16);
        this.add(this.#hashOf(entry), entry);
      }
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

/** Powers of two: how many tables there are at first, and from some thousand entries on. */
const TABLES_FIRST = 2;
const TABLES = 4_096;
const SPREAD_ENTRIES = 4_096;
const SLOT = 3;
const SLOTS_MIN = 4;
/** Shares of the slots that are taken, and by how much a table grows beyond what it needs. */
const FILL_MAX = 0.85;
const FILL_MIN = 0.4;
const GROWTH = 1.25;

const EMPTY = new Uint16Array(0);

/** 16 of the bits that never choose a table; 0 is for empty slots. */
function tagOf(hash: number): number {
  return (hash >>> 4) & 0xffff || 1;
}

function shiftOf(tables: number): number {
  return 32 - Math.log2(tables);
}

function emptyTables(tables: number): Uint16Array[] {
  return Array.from({ length: tables }, () => EMPTY);
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
