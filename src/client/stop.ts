/** Why a request is given up on: its time is over, or somebody has aborted it. */

/** Joins all reasons to give up on a request into one signal. */
export class Stop {
  timedOut = false;
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #sources: readonly AbortSignal[];
  readonly #abort = (): void => this.#controller.abort();

  constructor(timeoutMs: number, sources: readonly (AbortSignal | undefined)[]) {
    this.#sources = sources.filter((source) => source !== undefined);
    for (const source of this.#sources) listen(source, this.#abort);
    // A timer beyond 2^31 ms would fire at once.
    if (timeoutMs >= 2 ** 31) return;
    this.#timer = setTimeout(() => {
      this.timedOut = true;
      this.#abort();
    }, timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(): void {
    this.#abort();
  }

  endTimeout(): void {
    clearTimeout(this.#timer);
  }

  forget(): void {
    clearTimeout(this.#timer);
    for (const source of this.#sources) unlisten(source, this.#abort);
  }
}

// --- internal ---

/**
 * One listener of a signal for all that end with it: a client has one signal for any number of
 * requests, and Node.js warns of a leak where there are more than ten listeners.
 */
const LISTENERS = new WeakMap<AbortSignal, { aborts: Set<() => void>; listener: () => void }>();

function listen(source: AbortSignal, abort: () => void): void {
  const known = LISTENERS.get(source);
  if (known !== undefined) {
    known.aborts.add(abort);
    return;
  }
  const aborts = new Set([abort]);
  const listener = (): void => {
    for (const abort of aborts) abort();
  };
  LISTENERS.set(source, { aborts, listener });
  source.addEventListener("abort", listener);
}

function unlisten(source: AbortSignal, abort: () => void): void {
  const known = LISTENERS.get(source);
  if (known === undefined || !known.aborts.delete(abort) || known.aborts.size > 0) return;
  LISTENERS.delete(source);
  source.removeEventListener("abort", known.listener);
}
