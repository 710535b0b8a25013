/** Why a request is given up on: its time is over, or somebody has aborted it. */

/** Joins all reasons to give up on a request into one signal. */
export class Stop {
  timedOut = false;
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #sources: readonly (AbortSignal | undefined)[];
  readonly #abort = (): void => this.#controller.abort();

  constructor(timeoutMs: number, sources: readonly (AbortSignal | undefined)[]) {
    this.#sources = sources;
    for (const source of sources) source?.addEventListener("abort", this.#abort);
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
    for (const source of this.#sources) source?.removeEventListener("abort", this.#abort);
  }
}
