/**
 * Appends many keys to an index, in order and a block at a time, as a start from a checkpoint does:
 * nothing is made for each key. They are found by their hash once `end` was called.
 */

import type { Entries } from "./entries.ts";
import type { HashTables } from "./hash-tables.ts";
import type { KeyColumns } from "./key-columns.ts";
import type { HashWords } from "./key-hash.ts";
import type { KeyOrder } from "./key-order.ts";
import type { WantedKey } from "./wanted-key.ts";

export interface Appended {
  readonly entries: Entries;
  readonly tables: HashTables<WantedKey>;
  readonly order: KeyOrder;
  readonly hash: HashWords;
}

export class IndexAppend {
  readonly #to: Appended;
  /** Entries that are not in the tables yet, and the hashes of their keys. */
  #numbers = new Uint32Array(0);
  #hashes = new Uint32Array(0);
  #pending = 0;

  constructor(to: Appended) {
    this.#to = to;
  }

  /**
   * Adds keys, and calls `added` with each entry. Answers false when one is not above the one
   * before it, and all others that are in.
   */
  add(columns: KeyColumns, added: (entry: number, index: number) => void): boolean {
    const { entries, order, hash } = this.#to;
    const { count, versions } = columns;
    if (this.#pending + count > PENDING_MAX) this.end();
    const first = this.#pending;
    this.#reserve(first + count);
    const numbers = this.#numbers;
    if (!entries.addRun(columns, order.last, hash, numbers, this.#hashes, first)) return false;
    this.#pending += count;
    for (let index = 0; index < count; index++) {
      const entry = numbers[first + index]!;
      order.append(entry, versions[index] !== 0);
      added(entry, index);
    }
    return true;
  }

  /** Puts what was added into the tables. */
  end(): void {
    this.#to.tables.addAll(this.#hashes, this.#numbers, this.#pending);
    this.#pending = 0;
  }

  #reserve(pending: number): void {
    if (pending <= this.#numbers.length) return;
    this.#numbers = larger(this.#numbers, 2 * pending);
    this.#hashes = larger(this.#hashes, 2 * pending);
  }
}

// --- internal ---

/** Enough that each table gets many at a time, and little beside the index that they make. */
const PENDING_MAX = 2 ** 20;

function larger(numbers: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(length);
  more.set(numbers);
  return more;
}
