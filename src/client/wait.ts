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
import { awaitEntry, getEntry, type AwaitedEntry } from "./operations.ts";
import type { KvWaitOptions } from "./options.ts";

/** As `KvClient.wait`; one request of it is open for `stepMs` at most. */
export async function waitForKey(
  transport: HttpTransport,
  key: string,
  options: KvWaitOptions,
  stepMs: number = CLIENT_WAIT_MS_MAX,
): Promise<KvEntry | undefined> {
  checkKey(key);
  const { after, until, timeoutMs = Infinity, signal } = options;
  const end = performance.now() + checkTimeout(timeoutMs);
  const isMet = until ?? ((entry) => after !== undefined || entry !== undefined);
  /** What happened up to here has been looked at; what there is now has not where it is unknown. */
  let position = after;
  for (;;) {
    const left = Math.max(1, Math.ceil(end - performance.now()));
    const seen = await look(transport, key, position, Math.min(left, stepMs), signal).catch(
      (error: unknown) => {
        // Whether it was deleted meanwhile is forgotten; what there is now can still be seen.
        const mayLook = after === undefined || (until !== undefined && position !== after);
        if (mayLook && error instanceof KvError && error.code === "compacted") return undefined;
        throw error;
      },
    );
    if (seen?.changed === true) {
      const entry = seen.entry === undefined ? undefined : readable(seen.entry);
      if (isMet(entry)) return entry;
    }
    if (end <= performance.now()) throw waitedInVain(key, timeoutMs);
    position = seen?.revision;
  }
}

// --- internal ---

/** What the key has become above `position`, after `waitMs` at most; at once what it is. */
async function look(
  transport: HttpTransport,
  key: string,
  position: number | undefined,
  waitMs: number,
  signal: AbortSignal | undefined,
): Promise<AwaitedEntry> {
  if (position !== undefined) return awaitEntry(transport, key, position, waitMs, { signal });
  const found = await getEntry(transport, key, { ...(signal && { signal }) });
  return { ...found, changed: true };
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
