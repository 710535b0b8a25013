/**
 * Revisions that readers of long things (copies, listings as streams, initial states) go on to
 * need: history is not forgotten by itself above them, for a bounded time and a bounded size.
 */

import { PIN_BYTES_MAX, PIN_MS_MAX } from "../limits.ts";

interface Pin {
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Bytes of history above the revision when it was pinned. */
  readonly bytes: number;
}

export class Pins {
  readonly #pins = new Set<Pin>();
  readonly #clock: () => number;
  readonly #bytesAbove: (revision: number) => number;

  /** `bytesAbove` answers the bytes of log above a revision. */
  constructor(clock: () => number, bytesAbove: (revision: number) => number) {
    this.#clock = clock;
    this.#bytesAbove = bytesAbove;
  }

  /** Keeps a revision readable until the result is called, or the pin is over its bounds. */
  pin(revision: number): () => void {
    const pin = { revision, since: this.#clock(), bytes: this.#bytesAbove(revision) };
    this.#pins.add(pin);
    return () => void this.#pins.delete(pin);
  }

  /** The smallest revision that has to stay readable; infinite when there is none. */
  lowest(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const pin of this.#pins) {
      if (!this.#isOver(pin)) lowest = Math.min(lowest, pin.revision);
    }
    return lowest;
  }

  #isOver({ revision, since, bytes }: Pin): boolean {
    const age = this.#clock() - since;
    return age > PIN_MS_MAX || this.#bytesAbove(revision) - bytes > PIN_BYTES_MAX;
  }
}
