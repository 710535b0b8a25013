/** The streams of watches that are open now: how many there may be, and their end. */

import { KvError } from "../errors.ts";
import { SOCKET_CLOSE_MS, WATCH_STREAMS_MAX } from "../limits.ts";

/** What a stream holds from before it begins to its end. */
export interface StreamPlace {
  /** Breaks the stream off, once it has begun. */
  abort(): void;
}

export class WatchStreams {
  readonly #taken = new Set<StreamPlace>();
  readonly #countMax: number;
  #quiet: (() => void) | undefined;

  constructor(countMax: number = WATCH_STREAMS_MAX) {
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#taken.size;
  }

  /** A place for one more stream. @throws `too_many_requests` when all are taken. */
  take(): StreamPlace {
    if (this.#taken.size >= this.#countMax) throw tooManyError(this.#countMax);
    const place: StreamPlace = { abort: () => {} };
    this.#taken.add(place);
    return place;
  }

  free(place: StreamPlace): void {
    this.#taken.delete(place);
    if (this.#taken.size === 0) this.#quiet?.();
  }

  /**
   * Resolves when all streams have ended, as they do once their watches have and the clients have
   * taken what there is. Those that have not in `closeMs` are broken off, and counted.
   */
  async stop(closeMs: number = SOCKET_CLOSE_MS): Promise<number> {
    if (this.#taken.size === 0) return 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#quiet = resolve;
    let broken = 0;
    const timer = setTimeout(() => {
      broken = this.#taken.size;
      for (const place of this.#taken) place.abort();
      // Those that are left have not begun: the store has not answered.
      resolve();
    }, closeMs);
    await promise;
    clearTimeout(timer);
    return broken;
  }
}

// --- internal ---

function tooManyError(limit: number): KvError {
  const message = `there are ${limit} streams of watches, the most allowed; try again later`;
  return new KvError("too_many_requests", message, { limit });
}
