/** What the index answers for a key, and how it tells places in the log. */

import type { EntryRows } from "./entry-rows.ts";

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

/** What a row tells, as an object. */
export function newestOf(rows: EntryRows, row: number): Newest {
  return {
    revision: rows.revision(row),
    createRevision: rows.createRevision(row),
    version: rows.version(row),
    contentType: rows.contentType(row),
    deadline: rows.deadline(row),
    position: rows.position(row),
    bytes: rows.bytes(row),
  };
}

/**
 * Segment and offset as one number, exact below 2^53: segments up to two million, offsets up to 4
 * GiB.
 */
export function position(segment: number, offset: number): number {
  return segment * 2 ** 32 + offset;
}

export function segmentOf(position: number): number {
  return Math.floor(position / 2 ** 32);
}

export function offsetOf(position: number): number {
  return position % 2 ** 32;
}
