/** The streams of watches that are open now: how many there may be, and their end. */

import { KvError } from "../errors.ts";
import { SOCKET_CLOSE_MS, WATCH_STREAMS_MAX } from "../limits.ts";

/** A stream that can be broken off. */
export interface Abortable {
  abort(): void;
}

export class WatchStreams {
  readonly #open = new Set<Abortable>();
  readonly #countMax: number;
  #quiet: (() => void) | undefined;

  constructor(countMax: number = WATCH_STREAMS_MAX) {
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#open.size;
  }

  /** @throws `too_many_requests` when there may be no further one. */
  check(): void {
    if (this.#open.size < this.#countMax) return;
    throw new KvError(
      "too_many_requests",
      `there are ${this.#countMax} streams of watches, the most allowed; try again later`,
      { limit: this.#countMax },
    );
  }

  add(body: Abortable): void {
    this.#open.add(body);
  }

  delete(body: Abortable): void {
    this.#open.delete(body);
    if (this.#open.size === 0) this.#quiet?.();
  }

  /**
   * Resolves when all streams have ended, as they do once their watches have and the clients have
   * taken what there is. Those that have not in `closeMs` are broken off, and counted.
   */
  async stop(closeMs: number = SOCKET_CLOSE_MS): Promise<number> {
    if (this.#open.size === 0) return 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#quiet = resolve;
    let broken = 0;
    const timer = setTimeout(() => {
      broken = this.#open.size;
      for (const body of this.#open) body.abort();
    }, closeMs);
    await promise;
    clearTimeout(timer);
    return broken;
  }
}
