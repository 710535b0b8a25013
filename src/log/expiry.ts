/**
 * Which keys fall due, and when to look: a heap of deadlines and one timer. Decides nothing by
 * itself: a key is gone once the commit that expires it is durable.
 */

import { EXPIRE_LOOK_MS_MAX } from "../limits.ts";
import { compareKeys } from "../keys.ts";
import type { KeyIndex } from "./key-index.ts";

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
   * A binary heap by deadline, then by key. A deadline that was changed since stays in it until its
   * time: what the index says counts.
   */
  #heap: Deadline[] = [];
  /** When the timer fires, by the clock. */
  #firesAt = Infinity;
  #cancel: (() => void) | undefined;
  #stopped = false;

  /** Reads the deadlines of all keys. */
  constructor(options: ExpiryOptions) {
    this.#options = options;
    this.#rebuild();
  }

  /** A key got a deadline. */
  add(key: string, deadline: number): void {
    this.#push({ key, deadline });
    // A deadline that is often moved leaves its old ones behind; at most as many as there are keys.
    if (this.#heap.length > 2 * this.#options.index.timed + STALE_MIN) this.#rebuild();
  }

  /** Is a key due? It may be one whose deadline was changed since. */
  isDue(now: number): boolean {
    return this.#heap.length > 0 && this.#heap[0]!.deadline <= now;
  }

  /** Takes out keys that are due: the longest overdue first, then in key order; no key twice. */
  take(now: number, max: number): string[] {
    const keys: string[] = [];
    while (keys.length < max && this.isDue(now)) {
      const next = this.#pop();
      if (this.#counts(next) && next.key !== keys.at(-1)) keys.push(next.key);
    }
    return keys;
  }

  /** Gives back what was taken and could not be expired. */
  giveBack(keys: readonly string[]): void {
    for (const key of keys) {
      const deadline = this.#options.index.get(key)?.deadline ?? 0;
      if (deadline !== 0) this.#push({ key, deadline });
    }
  }

  /** Sets the timer for the first deadline; a clock that jumps is met by looking now and then. */
  schedule(notBefore = 0): void {
    if (this.#stopped || this.#heap.length === 0) return;
    const { clock, timer, wake } = this.#options;
    const now = clock();
    const at = Math.max(this.#heap[0]!.deadline, notBefore, now + 1);
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

  #counts({ key, deadline }: Deadline): boolean {
    return this.#options.index.get(key)?.deadline === deadline;
  }

  #rebuild(): void {
    this.#heap = [];
    for (const [key, { deadline }] of this.#options.index.all()) {
      if (deadline !== 0) this.#heap.push({ key, deadline });
    }
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  #push(deadline: Deadline): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(deadline);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(deadline, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = deadline;
  }

  #pop(): Deadline {
    const first = this.#heap[0]!;
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#sink(0);
    }
    return first;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const moved = heap[from]!;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, moved)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
  }
}

// --- internal ---

interface Deadline {
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly deadline: number;
}

/** Deadlines that were changed, which the heap keeps at any rate before it is made anew. */
const STALE_MIN = 1_024;

function isBefore(a: Deadline, b: Deadline): boolean {
  if (a.deadline !== b.deadline) return a.deadline < b.deadline;
  return compareKeys(a.key, b.key) < 0;
}
