/**
 * Makes the records of a batch out of commits, or of a note that stands between two commits, and
 * their bytes for the end of a segment. Writes nothing.
 */

import { encodeUtf8 } from "../text.ts";
import {
  contentBytes,
  encodeRecord,
  FLAG_BATCH_START,
  FLAG_COMMIT_END,
  KIND,
  type RecordContent,
} from "./format.ts";
import { position } from "./key-index.ts";
import type { Segment } from "./segment.ts";

/** One change of one key, evaluated and not yet written. */
export interface PendingEvent {
  readonly type: "put" | "delete" | "expire";
  readonly key: string;
  /** Empty for a delete; so are the other fields, 0 or without text. */
  readonly value: Uint8Array;
  readonly contentType: string;
  readonly previousRevision: number;
  readonly createRevision: number;
  readonly version: number;
  /** Milliseconds since 1970; 0 = never. */
  readonly deadline: number;
}

export interface PendingCommit {
  readonly revision: number;
  readonly events: readonly PendingEvent[];
}

/** Where each record of a batch came to stand, in the order of commits and events. */
export interface Placed {
  readonly position: number;
  readonly bytes: number;
}

export interface PendingRecord {
  readonly content: RecordContent;
  /** The first record of a commit; the last one of it, or a record that belongs to none. */
  readonly first: boolean;
  readonly last: boolean;
}

/** What a note says: see FORMAT.md for the kinds that are no part of a commit. */
export interface Note {
  readonly kind: typeof KIND.compact | typeof KIND.reserve | typeof KIND.void;
  /** The store's revision. */
  readonly revision: number;
  /** The revision that it names. */
  readonly names: number;
}

/** The records of commits. `time` is that of all of them, in milliseconds since 1970. */
export function commitRecords(commits: readonly PendingCommit[], time: number): PendingRecord[] {
  const records: PendingRecord[] = [];
  for (const { revision, events } of commits) {
    for (const [at, event] of events.entries()) {
      const content = {
        kind: KIND[event.type],
        key: encodeUtf8(event.key),
        contentType: event.contentType,
        value: event.value,
        revision,
        previousRevision: event.previousRevision,
        createRevision: event.createRevision,
        version: event.version,
        time,
        deadline: event.deadline,
      };
      records.push({ content, first: at === 0, last: at === events.length - 1 });
    }
  }
  return records;
}

/** The record of a note. */
export function noteRecord({ kind, revision, names }: Note, time: number): PendingRecord {
  const content = { ...NOTHING, kind, revision, createRevision: names, time };
  return { content, first: false, last: true };
}

export interface EncodedBatch {
  readonly bytes: Uint8Array;
  readonly placed: Placed[];
  /** Where each commit begins. */
  readonly commits: { readonly revision: number; readonly offset: number }[];
  /** The checksum of the last record. */
  readonly chain: number;
}

/**
 * The bytes of records for the end of a segment. `startsBatch`: everything before them is synced,
 * which the first one says from then on.
 */
export function encodeBatch(
  segment: Segment,
  records: readonly PendingRecord[],
  startsBatch: boolean,
): EncodedBatch {
  const into = new Uint8Array(recordsBytes(records));
  const placed: Placed[] = [];
  const commits: EncodedBatch["commits"] = [];
  let chain = segment.chain;
  let at = 0;
  for (const { content, first, last } of records) {
    const offset = segment.end + at;
    const starts = startsBatch && at === 0;
    const flags = (last ? FLAG_COMMIT_END : 0) | (starts ? FLAG_BATCH_START : 0);
    chain = encodeRecord(into, at, content, {
      segment: segment.number,
      offset,
      previousCrc: chain,
      flags,
    });
    if (first) commits.push({ revision: content.revision, offset });
    const bytes = contentBytes(content);
    placed.push({ position: position(segment.id, offset), bytes });
    at += bytes;
  }
  return { bytes: into, placed, commits, chain };
}

export function recordsBytes(records: readonly PendingRecord[]): number {
  return records.reduce((sum, { content }) => sum + contentBytes(content), 0);
}

// --- internal ---

const NOTHING = {
  key: new Uint8Array(0),
  contentType: "",
  value: new Uint8Array(0),
  previousRevision: 0,
  version: 0,
  deadline: 0,
};
