/** How long to wait between attempts: longer each time, and never the same for two clients. */

export interface BackoffOptions {
  /**
   * Milliseconds before the first new attempt, and at most before later ones; less by up to half.
   */
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** From 0 up to, but not including, 1. */
  readonly random: () => number;
}

/** Milliseconds to wait after `failures` attempts in a row, which is 0 after the first one. */
export function backoffMs(
  failures: number,
  { backoffMsMin, backoffMsMax, random }: BackoffOptions,
): number {
  const wait = Math.min(backoffMsMin * 2 ** failures, backoffMsMax);
  // Clients that lost the same server must not all come back at the same moment.
  return wait * (0.5 + random() / 2);
}

/** Waits, but not longer than until an abort. @throws the reason of `signal`. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
  signal?.throwIfAborted();
}
