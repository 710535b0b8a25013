/** Long work in slices of a few milliseconds, between which others have their turn. */

import { READ_SLICE_MS } from "./limits.ts";

export class Slice {
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
    setImmediate(resolve);
    await promise;
    this.#endsAt = performance.now() + this.#milliseconds;
  }

  /** After a step: `next` when the slice is over. */
  async pause(): Promise<void> {
    if (this.isOver()) await this.next();
  }
}
