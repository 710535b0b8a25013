/**
 * Entries by their deadlines, for whoever takes the first one: a heap in which what was changed
 * since stays until its time. Where too much of it does not count any more, the rest moves to
 * another heap, a few at each change: so no call takes long, however many there are.
 */

import { Bits } from "./bits.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import type { KeyIndex } from "./key-index.ts";

export class Deadlines {
  readonly #index: KeyIndex;
  #heap: DeadlineHeap;
  /** The heap from which entries move, while it has any. */
  #before: DeadlineHeap;
  /** Entries that came to the other one since, with their deadline or an earlier one. */
  #moved = new Bits();

  /** Begins with the deadlines of all keys. */
  constructor(index: KeyIndex) {
    this.#index = index;
    this.#heap = this.#newHeap();
    this.#before = this.#newHeap();
    this.#heap.rebuild(index.deadlines());
  }

  /** How many there are, with those that do not count any more. */
  get size(): number {
    return this.#heap.size + this.#before.size;
  }

  /** The entry with the first deadline, where there is one; of equal ones that of the first key. */
  get firstEntry(): number {
    return this.#first.firstEntry;
  }

  /** Milliseconds since 1970; never, where there is none. */
  get firstDeadline(): number {
    return this.#first.firstDeadline;
  }

  /** Takes out the first one. */
  pop(): void {
    this.#first.pop();
  }

  push(entry: number, deadline: number): void {
    this.#heap.push(entry, deadline);
    if (this.#before.size > 0) {
      this.#moved.set(entry, true);
      this.#move();
    } else if (this.#heap.size > 2 * this.#index.timed + STALE_MIN) {
      this.#before = this.#heap;
      this.#heap = this.#newHeap();
      this.#moved = new Bits();
    }
  }

  get #first(): DeadlineHeap {
    const [a, b] = [this.#heap, this.#before];
    if (b.size === 0 || a.firstDeadline < b.firstDeadline) return a;
    if (a.size === 0 || b.firstDeadline < a.firstDeadline) return b;
    return this.#index.compareEntries(a.firstEntry, b.firstEntry) <= 0 ? a : b;
  }

  /** Moves some entries that count, each once. */
  #move(): void {
    const index = this.#index;
    for (let looks = MOVES; looks > 0 && this.#before.size > 0; looks--) {
      const entry = this.#before.takeLast();
      const deadline = index.isUsed(entry) ? index.deadline(entry) : 0;
      if (deadline === 0 || this.#moved.get(entry)) continue;
      this.#moved.set(entry, true);
      this.#heap.push(entry, deadline);
    }
  }

  #newHeap(): DeadlineHeap {
    return new DeadlineHeap((a, b) => this.#index.compareEntries(a, b));
  }
}

// --- internal ---

/** Deadlines that do not count any more, of which there may be as many at any rate. */
const STALE_MIN = 1_024;

/** Enough that the heap before is empty long before the other one has too much in it. */
const MOVES = 4;
