/** What the index answers for a key, and how it tells places in the log. */

import type { Entries } from "./entries.ts";

/** What the index knows of a key's newest record. */
export interface Newest {
  readonly revision: number;
  readonly createRevision: number;
  /** 0 for a tombstone. */
  readonly version: number;
  readonly contentType: string;
  /** Milliseconds since 1970; 0 = never. */
  readonly deadline: number;
  /** Where the record stands: see `position`. */
  readonly position: number;
  /** Bytes of the record in the log. */
  readonly bytes: number;
}

/** What an entry says, as an object. */
export function newestOf(entries: Entries, entry: number): Newest {
  return {
    revision: entries.revision(entry),
    createRevision: entries.createRevision(entry),
    version: entries.version(entry),
    contentType: entries.contentType(entry),
    deadline: entries.deadline(entry),
    position: entries.position(entry),
    bytes: entries.bytes(entry),
  };
}

/** The id of a segment and an offset up to 4 GiB as one number, exact below 2^53. */
export function position(segment: number, offset: number): number {
  return segment * 2 ** 32 + offset;
}

export function segmentOf(position: number): number {
  return Math.floor(position / 2 ** 32);
}

export function offsetOf(position: number): number {
  return position % 2 ** 32;
}
