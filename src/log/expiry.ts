/**
 * Which keys fall due, and when to look: a heap of deadlines and one timer. Decides nothing by
 * itself: a key is gone once the commit that expires it is durable.
 */

import { EXPIRE_LOOK_MS_MAX } from "../limits.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import { NO_ENTRY, type KeyIndex } from "./key-index.ts";

/** Calls back after some milliseconds; what it returns takes that back. */
export type Timer = (callback: () => void, milliseconds: number) => () => void;

/** The platform's timer. It keeps no process alive. */
export function systemTimer(callback: () => void, milliseconds: number): () => void {
  const timer = setTimeout(callback, milliseconds);
  timer.unref();
  return () => clearTimeout(timer);
}

export interface ExpiryOptions {
  readonly index: KeyIndex;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly timer: Timer;
  /** Called when a key may be due. */
  readonly wake: () => void;
}

export class Expiry {
  readonly #options: ExpiryOptions;
  /**
   * By deadline, then by key. A deadline that was changed since stays in it until its time: what
   * the index says of the entry counts, which may be that of another key by then.
   */
  readonly #heap: DeadlineHeap;
  /** When the timer fires, by the clock. */
  #firesAt = Infinity;
  #cancel: (() => void) | undefined;
  #stopped = false;

  /** Reads the deadlines of all keys. */
  constructor(options: ExpiryOptions) {
    const { index } = options;
    this.#options = options;
    this.#heap = new DeadlineHeap((a, b) => index.compareEntries(a, b));
    this.#heap.rebuild(index.deadlines());
  }

  /** A key of the index got a deadline. */
  add(key: string, deadline: number): void {
    this.addEntry(this.#options.index.findKey(key), deadline);
  }

  /** The same, by the number of its entry. */
  addEntry(entry: number, deadline: number): void {
    const { index } = this.#options;
    this.#heap.push(entry, deadline);
    // A deadline that is often moved leaves its old ones behind; at most as many as there are keys.
    if (this.#heap.size > 2 * index.timed + STALE_MIN) this.#heap.rebuild(index.deadlines());
  }

  /** Is a key due? It may be one whose deadline was changed since. */
  isDue(now: number): boolean {
    return this.#heap.firstDeadline <= now;
  }

  /** Takes out keys that are due: the longest overdue first, then in key order; no key twice. */
  take(now: number, max: number): string[] {
    const { index } = this.#options;
    const taken = new Set<number>();
    while (taken.size < max && this.isDue(now)) {
      const { firstEntry, firstDeadline } = this.#heap;
      this.#heap.pop();
      if (index.isUsed(firstEntry) && index.deadline(firstEntry) === firstDeadline) {
        taken.add(firstEntry);
      }
    }
    return Array.from(taken, (entry) => index.key(entry));
  }

  /** Gives back what was taken and could not be expired. */
  giveBack(keys: readonly string[]): void {
    const { index } = this.#options;
    for (const key of keys) {
      const entry = index.findKey(key);
      const deadline = entry === NO_ENTRY ? 0 : index.deadline(entry);
      if (deadline !== 0) this.#heap.push(entry, deadline);
    }
  }

  /** Sets the timer for the first deadline; a clock that jumps is met by looking now and then. */
  schedule(notBefore = 0): void {
    if (this.#stopped || this.#heap.size === 0) return;
    const { clock, timer, wake } = this.#options;
    const now = clock();
    const at = Math.max(this.#heap.firstDeadline, notBefore, now + 1);
    const delay = Math.min(at - now, EXPIRE_LOOK_MS_MAX);
    // Still to come, and soon enough.
    if (this.#cancel !== undefined && this.#firesAt <= now + delay) return;
    this.#cancel?.();
    this.#firesAt = now + delay;
    this.#cancel = timer(() => {
      this.#cancel = undefined;
      wake();
    }, delay);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }
}

// --- internal ---

/** Deadlines that were changed, which the heap keeps at any rate before it is made anew. */
const STALE_MIN = 1_024;
