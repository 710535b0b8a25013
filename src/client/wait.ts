/**
 * Waiting for one key: blocking reads, one after the other, until what is waited for has happened
 * or the time is over.
 */

import { KvError } from "../errors.ts";
import { checkKey } from "../keys.ts";
import { CLIENT_WAIT_MS_MAX } from "../limits.ts";
import { quote } from "../text.ts";
import { readable, type KvEntry } from "./entries.ts";
import type { HttpTransport } from "./http-transport.ts";
import { awaitEntry, getEntry } from "./operations.ts";
import type { KvWaitOptions } from "./options.ts";

/** As `KvClient.wait`; one request of it is open for `stepMs` at most. */
export async function waitForKey(
  transport: HttpTransport,
  key: string,
  options: KvWaitOptions,
  stepMs: number = CLIENT_WAIT_MS_MAX,
): Promise<KvEntry | undefined> {
  checkKey(key);
  const { after, timeoutMs = Infinity, signal } = options;
  const end = performance.now() + checkTimeout(timeoutMs);
  const isMet = options.until ?? ((entry) => after !== undefined || entry !== undefined);
  /** What happened up to here has been looked at. Unknown: what there is now has not. */
  let position = after;
  for (;;) {
    const left = Math.max(1, Math.ceil(end - performance.now()));
    const seen =
      position === undefined
        ? await getEntry(transport, key, { ...(signal && { signal }) })
        : await awaitEntry(transport, key, position, Math.min(left, stepMs), { signal }).catch(
            // Whether it was deleted meanwhile is forgotten. What is there now can still be seen,
            // unless the caller must know.
            (error) => lookAgain(error, position !== after),
          );
    if (seen === "look again") {
      position = undefined;
    } else if (seen !== undefined) {
      const entry = seen.entry === undefined ? undefined : readable(seen.entry);
      if (isMet(entry)) return entry;
      position = seen.revision;
    }
    if (end <= performance.now()) throw waitedInVain(key, timeoutMs);
  }
}

// --- internal ---

function lookAgain(error: unknown, mayBe: boolean): "look again" {
  if (mayBe && error instanceof KvError && error.code === "compacted") return "look again";
  throw error;
}

function checkTimeout(timeoutMs: number): number {
  if (timeoutMs >= 0) return timeoutMs;
  throw new KvError("invalid_argument", `timeoutMs is ${timeoutMs}; it must be 0 or more`);
}

/** Named like the error of `AbortSignal.timeout`, so that both ways to wait no longer end alike. */
function waitedInVain(key: string, timeoutMs: number): KvError {
  const message = `what was waited for did not happen to ${quote(key)} within ${timeoutMs / 1000} s`;
  const error = new KvError("precondition_failed", message);
  error.name = "TimeoutError";
  return error;
}
