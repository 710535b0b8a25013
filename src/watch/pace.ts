/**
 * When to publish again. To publish takes a system call for each connection, be it one frame or
 * thirty. So where many connections are published to in quick succession, the next turn waits half
 * as long as such a turn takes, and has all that has come meanwhile. Nothing else ever waits.
 */

import { PUBLISH_CONNECTION_MS, PUBLISH_WAIT_MS_MAX } from "../limits.ts";

export class Pace {
  readonly #clock: () => number;
  /** What the last turn to many took, at least. */
  #turnMs = 0;
  #publishedAt = -Infinity;
  #isTurn = false;

  /** `clock` counts milliseconds from anywhere. */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock;
  }

  /** Milliseconds to wait before anything else is published; 0 in a turn that has begun. */
  waitMs(): number {
    if (this.#isTurn) return 0;
    const isQuick = this.#clock() - this.#publishedAt < QUICK_TURNS * this.#turnMs;
    return isQuick ? Math.min(Math.max(this.#turnMs / 2, WAIT_MS_MIN), PUBLISH_WAIT_MS_MAX) : 0;
  }

  /** A commit was published to so many connections. */
  publishedTo(connections: number): void {
    const milliseconds = connections * PUBLISH_CONNECTION_MS;
    if (milliseconds < TURN_MS_MIN) return;
    this.#turnMs = this.#isTurn ? Math.max(this.#turnMs, milliseconds) : milliseconds;
    if (this.#isTurn) return;
    this.#publishedAt = this.#clock();
    this.#isTurn = true;
    setImmediate(() => (this.#isTurn = false));
  }
}

// --- internal ---

/** A turn that takes less is not worth a wait. */
const TURN_MS_MIN = 1;
/** A timer is not more exact. */
const WAIT_MS_MIN = 1;
/** What follows a turn within so many times its length comes in quick succession. */
const QUICK_TURNS = 6;
