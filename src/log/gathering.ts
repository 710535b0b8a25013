/**
 * How long a batch waits for others to come into it. Those who write and wait for the answer come
 * back soon after it: on a slow disk they had better share one sync than wait for that of the
 * others before each of their own, which takes twice as long. So the next batch waits until as many
 * are there as were before, for as long as the last sync took at most. Where that was in vain, or
 * took longer than the sync after it, some batches do not wait.
 */

import {
  BATCH_BYTES_MAX,
  GATHER_MS_MAX,
  GATHER_REST_BATCHES,
  GATHER_SYNC_MS_MIN,
  GATHER_WRITERS_MIN,
} from "../limits.ts";
import type { Timer } from "./expiry.ts";

export class Gathering {
  readonly #timer: Timer;
  /** How many took part in the last batch, or came while it was written. */
  #writers = 0;
  /** Until when the next batch may wait, in milliseconds since 1970. */
  #until = 0;
  /** When the batch that comes next, or is written, began to wait; in milliseconds since 1970. */
  #waitedFrom: number | undefined;
  /** Batches that do not wait, since it was not worth it for one. */
  #resting = 0;
  /** Ends the wait that is under way; tells whether it was in vain. */
  #end: ((isInVain: boolean) => void) | undefined;

  constructor(timer: Timer = keptTimer) {
    this.#timer = timer;
  }

  /**
   * A batch was written and synced from `began` to `ended`, in milliseconds since 1970. `writers`
   * were in it, or wait now.
   */
  note(writers: number, began: number, ended: number): void {
    const milliseconds = ended - began;
    const isSlow = milliseconds >= GATHER_SYNC_MS_MIN && writers >= GATHER_WRITERS_MIN;
    // It may be the event loop that is slow, and not the disk: then a sync costs nothing meanwhile.
    const waited = began - (this.#waitedFrom ?? Number.NaN);
    if (waited > milliseconds || (waited >= 0 && !isSlow)) this.#resting = GATHER_REST_BATCHES;
    this.#waitedFrom = undefined;
    this.#writers = writers;
    this.#until = isSlow && this.#resting === 0 ? ended + milliseconds : 0;
    if (this.#resting > 0) this.#resting--;
  }

  /**
   * What the next batch waits for, when `count` of so many bytes are there; `undefined` when it
   * need not wait.
   */
  wait(count: number, bytes: number, now: number): Promise<void> | undefined {
    // A clock that was set back must not make it longer.
    const left = Math.min(this.#until - now, GATHER_MS_MAX);
    if (left <= 0 || this.#isFull(count, bytes)) return undefined;
    this.#until = 0;
    this.#waitedFrom = now;
    return this.#wait(left);
  }

  /** Now `count` of so many bytes are there. */
  came(count: number, bytes: number): void {
    if (this.#isFull(count, bytes)) this.#end?.(false);
  }

  /** Ends the wait: something else has to be done. */
  hurry(): void {
    this.#end?.(false);
  }

  #isFull(count: number, bytes: number): boolean {
    return count >= this.#writers || bytes >= BATCH_BYTES_MAX;
  }

  async #wait(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const cancel = this.#timer(() => resolve(true), milliseconds);
    this.#end = resolve;
    if (await promise) this.#resting = GATHER_REST_BATCHES;
    this.#end = undefined;
    cancel();
  }
}

// --- internal ---

/** The platform's timer. It keeps the process alive, for somebody waits for an answer. */
function keptTimer(callback: () => void, milliseconds: number): () => void {
  const timer = setTimeout(callback, milliseconds);
  return () => clearTimeout(timer);
}
