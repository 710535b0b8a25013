/** What a log holds, in the terms of `Store`. */

import type { Commit, Entry, Event } from "../../../src/entry.ts";
import type { ReadRecord } from "./bytes.ts";

export interface LogContent {
  readonly store: string;
  /** The store's revision: of the newest commit, or the end of a void. */
  readonly revision: number;
  /** The oldest readable revision. */
  readonly oldest: number;
  /** Revisions up to this one may have been handed out: above `revision` after an unclean end. */
  readonly reserved: number;
  /** Revisions that are lost, each from the first to the last. */
  readonly voids: readonly { readonly first: number; readonly last: number }[];
  /** Every record of the log, in order. */
  readonly records: readonly ReadRecord[];
  /** All commits that are left; below `oldest` there may be parts of them only. */
  readonly commits: readonly Commit[];
  /** The entry of each key that is there at `revision`. */
  readonly entries: ReadonlyMap<string, Entry>;
}

/** The commits of records, those of one revision together. */
export function commitsOf(records: readonly ReadRecord[]): Commit[] {
  const commits: { revision: number; events: Event[] }[] = [];
  for (const record of records) {
    const event = eventOf(record);
    if (event === undefined) continue;
    if (commits.at(-1)?.revision !== record.revision) {
      commits.push({ revision: record.revision, events: [] });
    }
    commits.at(-1)!.events.push(event);
  }
  return commits;
}

/** What a record does to its key; nothing when it is of no commit. */
export function eventOf(record: ReadRecord): Event | undefined {
  const { kind, key, revision } = record;
  if (kind === "put") return { type: "put", ...entryOf(record) };
  return kind === "delete" || kind === "expire" ? { type: kind, key, revision } : undefined;
}

/** The entry that the record of a put makes. */
export function entryOf(record: ReadRecord): Entry {
  const { key, value, contentType, revision, createRevision, version, deadline } = record;
  const entry = { key, value, contentType, revision, createRevision, version };
  return deadline === 0 ? entry : { ...entry, expiresAt: deadline };
}
