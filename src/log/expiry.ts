/**
 * Which keys fall due, and when to look: a heap of deadlines and one timer. Decides nothing by
 * itself: a key is gone once the commit that expires it is durable.
 */

import { EXPIRE_EVENTS_MAX, EXPIRE_LOOK_MS_MAX } from "../limits.ts";
import { Deadlines } from "./deadlines.ts";
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
   * Of each entry with a deadline they have this one or an earlier one. What was changed since may
   * stay among them until its time: what the index says of the entry counts, which may be that of
   * another key by then.
   */
  readonly #deadlines: Deadlines;
  /** When the timer fires, by the clock. */
  #firesAt = Infinity;
  #cancel: (() => void) | undefined;
  #stopped = false;

  /** Reads the deadlines of all keys. */
  constructor(options: ExpiryOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.index);
  }

  /** The deadline of an entry was `before` and is another one now; 0 = none. */
  change(entry: number, before: number, deadline: number): void {
    // One that was moved behind is found when the one before it is due: a key that is touched all
    // the time costs nothing until then.
    if (deadline === 0 || (before !== 0 && before <= deadline)) return;
    this.#deadlines.push(entry, deadline);
  }

  /** Is a key due? It may be one whose deadline was changed since. */
  isDue(now: number): boolean {
    return this.#deadlines.firstDeadline <= now;
  }

  /**
   * Takes out keys that are due: the longest overdue first, then in key order; no key twice. There
   * may be more where these are fewer than `max`, as `isDue` tells: of what was moved only so much
   * is passed at once.
   */
  take(now: number, max: number): string[] {
    const { index } = this.#options;
    const deadlines = this.#deadlines;
    const taken = new Set<number>();
    for (let looks = 0; taken.size < max && looks < EXPIRE_EVENTS_MAX && this.isDue(now); looks++) {
      const { firstEntry, firstDeadline } = deadlines;
      deadlines.pop();
      const deadline = index.isUsed(firstEntry) ? index.deadline(firstEntry) : 0;
      if (deadline === firstDeadline) taken.add(firstEntry);
      else if (deadline > firstDeadline) deadlines.push(firstEntry, deadline);
    }
    return Array.from(taken, (entry) => index.key(entry));
  }

  /** Gives back what was taken and could not be expired. */
  giveBack(keys: readonly string[]): void {
    const { index } = this.#options;
    for (const key of keys) {
      const entry = index.findKey(key);
      const deadline = entry === NO_ENTRY ? 0 : index.deadline(entry);
      if (deadline !== 0) this.#deadlines.push(entry, deadline);
    }
  }

  /** Sets the timer for the first deadline; a clock that jumps is met by looking now and then. */
  schedule(notBefore = 0): void {
    if (this.#stopped || this.#deadlines.size === 0) return;
    const { clock, timer, wake } = this.#options;
    const now = clock();
    const at = Math.max(this.#deadlines.firstDeadline, notBefore, now + 1);
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
