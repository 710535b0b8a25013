/** A clock that stands still until it is set, and timers that fire when they are told to. */

import type { Timer } from "../../src/log/expiry.ts";

export class FakeTime {
  /** Milliseconds since 1970. */
  now = 1_700_000_000_000;
  readonly #callbacks = new Set<() => void>();

  readonly clock = (): number => this.now;

  readonly timer: Timer = (callback) => {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  };

  /** How many timers are set. */
  get timers(): number {
    return this.#callbacks.size;
  }

  /** Lets every timer fire that is set: a timer may fire early, and a clock may jump. */
  fire(): void {
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) callback();
  }
}
