/** What takes the entries of a long listing as they are read: nothing has to be made for each. */

import type { ListedEntry } from "./entry.ts";
import { encodeUtf8 } from "./text.ts";

export interface EntrySink {
  /** It wants no more entries for now. Those that come all the same are taken. */
  readonly isFull: boolean;
  /** Forgets what it was given: the entries begin anew. */
  clear(): void;
  /**
   * Takes an entry. The bytes of the key and the value may be the store's own: they are read before
   * the call returns, or copied. `value` is left out where only keys are wanted.
   */
  entry(
    key: Uint8Array,
    keyEnd: number,
    contentType: string,
    revision: number,
    createRevision: number,
    version: number,
    /** Milliseconds since 1970; 0 = never. */
    deadline: number,
    value?: Uint8Array,
    start?: number,
    end?: number,
  ): void;
}

/** Gives an entry that was made to a sink. */
export function giveEntry(sink: EntrySink, entry: ListedEntry): void {
  const { contentType, revision, createRevision, version, expiresAt = 0, value } = entry;
  const key = encodeUtf8(entry.key);
  sink.entry(
    key,
    key.length,
    contentType,
    revision,
    createRevision,
    version,
    expiresAt,
    value,
    0,
    value?.length,
  );
}
