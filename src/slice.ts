/** Long work in slices of a few milliseconds, between which others have their turn. */

import { READ_SLICE_MS, SHARED_SLICE_MS_MAX } from "./limits.ts";

export class Slice {
  /**
   * The part of the time that others took before it, which a slice may take where that is more than
   * it has by itself; up to `SHARED_SLICE_MS_MAX`. For work that must not fall behind.
   */
  share = 0;
  readonly #stepsALook: number;
  readonly #milliseconds: number;
  #endsAt: number;
  #steps = 0;

  /** `stepsALook`: steps between two looks at the time, which costs more than a short step. */
  constructor(stepsALook = 16, milliseconds = READ_SLICE_MS) {
    this.#stepsALook = stepsALook;
    this.#milliseconds = milliseconds;
    this.#endsAt = performance.now() + milliseconds;
  }

  /** Is the slice over? To be asked after each step; looks at the time now and then. */
  isOver(): boolean {
    this.#steps++;
    return this.#steps % this.#stepsALook === 0 && performance.now() > this.#endsAt;
  }

  /** Lets others have their turn, and begins the next slice. */
  async next(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const left = performance.now();
    setImmediate(resolve);
    await promise;
    const now = performance.now();
    const shared = Math.min((now - left) * this.share, SHARED_SLICE_MS_MAX);
    this.#endsAt = now + Math.max(this.#milliseconds, shared);
  }

  /** After a step: `next` when the slice is over. */
  async pause(): Promise<void> {
    if (this.isOver()) await this.next();
  }
}
