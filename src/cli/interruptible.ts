/** Work that Ctrl-C and SIGTERM end in order, so that it leaves nothing half-made behind. */

import { Signals, signalExitCode } from "./signals.ts";

/**
 * Runs `work`, whose signal aborts at the first Ctrl-C or SIGTERM: it then has to end and to take
 * away what it made. A second one ends the process at once. Answers the exit code.
 */
export async function interruptible(
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const signals = new Signals();
  const stop = new AbortController();
  void signals.first.then(() => stop.abort());
  return Promise.race([settle(work, signals, stop.signal), signals.second.then(signalExitCode)]);
}

/** What `promise` resolves with, or a rejection as soon as `signal` aborts. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

// --- internal ---

async function settle(
  work: (signal: AbortSignal) => Promise<number>,
  signals: Signals,
  signal: AbortSignal,
): Promise<number> {
  try {
    return await work(signal);
  } catch (error) {
    // However the end shows in the work, it is no failure of it.
    if (signal.aborted) return signalExitCode(await signals.first);
    throw error;
  }
}
