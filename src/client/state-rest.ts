/**
 * The rest of a state that was broken off, by a lost connection or for want of room: read page by
 * page at the revision of the state, as fast as its consumer takes it, so that nothing of it comes
 * twice and all of it is of one moment.
 */

import { KvError } from "../errors.ts";
import { compareKeys, rangeEnd } from "../keys.ts";
import type { ListedEntry, ListResult, Range } from "../kv.ts";
import { backoffMs, pause, type BackoffOptions } from "./backoff.ts";
import { isLasting } from "./failures.ts";
import { listPage } from "./listing.ts";
import type { HttpTransport } from "./http-transport.ts";
import type { Watcher } from "./watcher.ts";

export interface RestOptions {
  readonly transport: HttpTransport;
  readonly timeoutMs: number;
  readonly backoff: BackoffOptions;
  readonly signal: AbortSignal;
}

/**
 * Reads until the watcher has all of the state, or is paused, or needs another state because this
 * one is forgotten. A server that is away is told to the watcher and waited for.
 * @throws what the server refuses for ever, and the reason of `signal`.
 */
export async function readRest(watcher: Watcher, options: RestOptions): Promise<void> {
  const { need, filter } = watcher;
  if (need.type !== "rest") return;
  for (const range of filter.ranges) {
    if (need.after !== undefined && isPassed(range, need.after)) continue;
    if (!(await readRange(watcher, range, options))) return;
  }
  watcher.endRest();
}

// --- internal ---

/** Has a state in key order that has come to `key` left the range behind? */
function isPassed(range: Range, key: string): boolean {
  if (range.key !== undefined) return compareKeys(range.key, key) <= 0;
  const end = rangeEnd(range);
  return end !== undefined && compareKeys(end, key) <= 0;
}

/** False when the watcher cannot take more now, or needs something else. */
async function readRange(watcher: Watcher, range: Range, options: RestOptions): Promise<boolean> {
  for (let failures = 0; ;) {
    if (watcher.need.type !== "rest" || watcher.pauseIfFull()) return false;
    try {
      const page = await readPage(watcher, range, options);
      if (!page.more) return true;
      failures = 0;
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof KvError)) throw error;
      // Forgotten, or another store, which has not come as far as the state.
      if (error.code === "compacted" || error.code === "invalid_argument") watcher.startOver();
      else if (isLasting(error)) throw error;
      else {
        watcher.lost(error);
        await pause(backoffMs(failures++, options.backoff), options.signal);
      }
    }
  }
}

async function readPage(
  watcher: Watcher,
  range: Range,
  { transport, timeoutMs, signal }: RestOptions,
): Promise<ListResult> {
  const { need, filter } = watcher;
  if (need.type !== "rest") throw new Error("there is no state to be read");
  const { revision, after } = need;
  const place = after === undefined ? { revision } : { revision, after };
  const options = { ...place, keys: filter.keys, timeoutMs, signal };
  const page = await listPage(transport, range, options);
  watcher.takeState(page.entries, sizeOf(page.entries));
  return page;
}

/** About what the entries take in memory. */
function sizeOf(entries: readonly ListedEntry[]): number {
  let bytes = 0;
  for (const { key, value } of entries) bytes += 100 + key.length + (value?.length ?? 0);
  return bytes;
}
