/** Waiting for something to happen, without knowing what: whoever is woken looks again. */

export class Wakes {
  readonly #waiting = new Set<() => void>();

  /** Resolves at the next `all`, or when `signal` aborts. */
  async next(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#waiting.add(wake);
    signal?.addEventListener("abort", wake, { once: true });
    await promise;
    this.#waiting.delete(wake);
    signal?.removeEventListener("abort", wake);
  }

  /** Wakes everybody who waits. */
  all(): void {
    for (const wake of this.#waiting) wake();
  }
}
