/**
 * What a blocking read answers: the entry as soon as its revision is above a given one, that it
 * was deleted above that, or that nothing happened. Knows no HTTP.
 */

import type { GetResult, Store } from "../kv.ts";
import { beyondError, compactedError } from "../rules.ts";
import type { KeyWaits, WaitOptions } from "./key-waits.ts";

export interface WaitResult extends GetResult {
  /**
   * The key has changed above the revision: to `entry`, or it was deleted when there is none. If
   * not, the time is over, and `entry` is what was there all along, up to `revision`.
   */
  readonly changed: boolean;
}

/**
 * Waits until `key` has changed above the revision `above`, and answers at once where it has
 * already. 0 waits for a key that is there.
 * @throws `invalid_argument` when the store has no revision `above` yet; `compacted` when the key
 * is absent and a deletion above `above` would be forgotten; `too_many_requests`; `unavailable`,
 * also when the signal aborts.
 */
export async function waitFor(
  store: Store,
  waits: KeyWaits,
  key: string,
  above: number,
  options: WaitOptions,
): Promise<WaitResult> {
  const { signal } = options;
  const readOptions = signal === undefined ? {} : { signal };
  let seen = await look(store, key, above, readOptions);
  if (seen.changed) return seen;
  using wait = waits.begin(key, seen.revision, options);
  while (true) {
    const woken = await wait.next(seen.revision);
    if (woken === "timeout") return { ...seen, revision: wait.through };
    // What was noted counts, also when its history is forgotten before anybody can look.
    if (woken === "changed") return { ...(await store.get(key, readOptions)), changed: true };
    seen = await look(store, key, above, readOptions);
    if (seen.changed) return seen;
  }
}

// --- internal ---

/** Whether the key has changed above the revision, as far as can be known without waiting. */
async function look(
  store: Store,
  key: string,
  above: number,
  options: { readonly signal?: AbortSignal },
): Promise<WaitResult> {
  while (true) {
    const { revision, entry } = await store.get(key, options);
    if (above > revision) throw beyondError("wait", above, revision);
    if (entry !== undefined) return { changed: entry.revision > above, revision, entry };
    const past = await store.history(key, { ...options, limit: 1, keys: true });
    const [newest] = past.entries;
    // It has come to be since it was read.
    if (newest?.type === "put") continue;
    if (newest !== undefined && newest.revision > above) {
      return { changed: true, revision: past.revision };
    }
    // Asked last: what was compacted before the history was read is not in it.
    const { oldest } = await store.status();
    if (above > 0 && above < oldest) throw compactedError("wait", above, oldest);
    return { changed: false, revision };
  }
}
