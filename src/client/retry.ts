/**
 * Writes whose answer was lost, and which of them may be sent again.
 *
 * Nobody knows whether such a write was applied, nor whether it is still on its way. It may be sent
 * again where a condition keeps a second one from taking effect: with `ifRevision`, whichever of
 * the attempts comes first gives the key another revision, and none ever comes back, so the others
 * fail. That holds for `ifAbsent` too, until somebody deletes the key or its time runs out: then a
 * second attempt creates it once more. So this is only done when the caller says that it may be.
 *
 * An attempt that succeeds settles it. One whose condition fails does not: the key may be another
 * one because of the first attempt, or because of somebody else. What became of the write stays
 * unknown.
 */

import type { Conditions } from "../conditions.ts";
import { KvError } from "../errors.ts";
import {
  CLIENT_BACKOFF_MS_MIN,
  CLIENT_RETRY_BACKOFF_MS_MAX,
  CLIENT_TIMEOUT_MS,
} from "../limits.ts";
import { backoffMs, pause } from "./backoff.ts";
import type { WriteOutcome } from "./large-put.ts";

/**
 * May a write with these conditions be sent again?
 * @throws `invalid_argument` where that was asked for and no condition makes it safe.
 */
export function mayRetry({ retry, ifRevision, ifAbsent = false }: Retryable): boolean {
  const revisions = ifRevision === undefined ? [] : [ifRevision].flat();
  const isExact = revisions.length > 0 && !revisions.includes(0);
  if (retry !== true || isExact || ifAbsent || revisions.length > 0) return retry ?? isExact;
  const message = "retry needs ifRevision or ifAbsent: else the write could take effect twice";
  throw new KvError("invalid_argument", message);
}

export interface Retryable extends Conditions {
  readonly retry?: boolean | undefined;
}

export interface RetryOptions {
  /** Milliseconds for all attempts together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Is it time to give up? Asked before each further attempt. */
  readonly isOver: () => boolean;
}

/**
 * Writes, and writes again as long as no answer comes: until the time is over, and for
 * `CLIENT_TIMEOUT_MS` at most.
 * @throws what `write` throws at first; `outcome_unknown` when that was lost and no later attempt
 * has succeeded.
 */
export async function writeUntilAnswered(
  write: (timeoutMs: number) => Promise<WriteOutcome>,
  { timeoutMs, signal, isOver }: RetryOptions,
): Promise<WriteOutcome> {
  const start = performance.now();
  let lost: KvError;
  try {
    return await write(timeoutMs);
  } catch (error) {
    if (!(error instanceof KvError) || error.code !== "outcome_unknown") throw error;
    lost = error;
  }
  const end = Math.min(start + timeoutMs, performance.now() + CLIENT_TIMEOUT_MS);
  for (let failures = 0; ; failures++) {
    const waitMs = backoffMs(failures, BACKOFF);
    if (isOver() || performance.now() + waitMs >= end) throw lost;
    await pause(waitMs, signal);
    try {
      const outcome = await write(Math.max(1, end - performance.now()));
      if (outcome.succeeded) return outcome;
      throw settledByNobody(lost, outcome);
    } catch (error) {
      if (!(error instanceof KvError) || error.cause === lost) throw error;
      if (!AGAIN.has(error.code)) throw lost;
    }
  }
}

// --- internal ---

const BACKOFF = {
  backoffMsMin: CLIENT_BACKOFF_MS_MIN,
  backoffMsMax: CLIENT_RETRY_BACKOFF_MS_MAX,
  random: Math.random,
};

/** What another attempt may not meet. */
const AGAIN: ReadonlySet<string> = new Set(["outcome_unknown", "unavailable", "too_many_requests"]);

function settledByNobody(
  lost: KvError,
  { found, revision: storeRevision }: Extract<WriteOutcome, { succeeded: false }>,
): KvError {
  const state = found === 0 ? "is absent" : `is at revision ${found}`;
  const message = `${lost.message}; when it was sent again, the key ${state}, perhaps because of it`;
  return new KvError("outcome_unknown", message, { revision: found, storeRevision }, lost);
}
