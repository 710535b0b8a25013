/** Reads the change stream out of the log: one bounded chunk of whole commits at a time. */

import { inRanges } from "../keys.ts";
import type { Changes, Commit, Event, Range } from "../kv.ts";
import { CHANGES_SCAN_BYTES } from "../limits.ts";
import { isChange, KIND, recordBytes } from "./format.ts";
import type { PendingEvent } from "./appender.ts";
import type { Log } from "./log.ts";
import { entryOf, keyOf } from "./records.ts";
import { endsCommit, type ScannedRecord } from "./segment.ts";

/**
 * The next chunk at `from` and above; `applied` is the store's revision, at or above `from`. Reads
 * about 1 MiB of log, and always to the end of a commit.
 * @throws `internal` when a record is damaged.
 */
export function readChanges(
  log: Log,
  from: number,
  applied: number,
  ranges: readonly Range[],
): Changes {
  const commits: Commit[] = [];
  let events: Event[] = [];
  let through = from - 1;
  let bytes = 0;
  log.scan(from, (record) => {
    const { header } = record;
    // After a failed write there may be records that no read shows.
    if (header.revision > applied) return false;
    bytes += recordBytes(header);
    // What is noted between commits is no change, but comes after all those before it.
    if (!isChange(header.kind)) {
      through = header.revision;
      return bytes < CHANGES_SCAN_BYTES;
    }
    const event = matchingEvent(record, ranges);
    if (event !== undefined) events.push(event);
    if (!endsCommit(header)) return true;
    if (events.length > 0) commits.push({ revision: header.revision, events });
    events = [];
    through = header.revision;
    return bytes < CHANGES_SCAN_BYTES;
  });
  // The end of the log was reached: revisions that were never used are covered too.
  if (bytes < CHANGES_SCAN_BYTES) through = applied;
  return { commits, through };
}

/** What watchers see of a commit that was written. */
export function commitOf(revision: number, pending: readonly PendingEvent[]): Commit {
  const events = pending.map((event): Event => {
    const { type, key, value, contentType, createRevision, version, deadline } = event;
    if (type !== "put") return { type, key, revision };
    const put = { type, key, value, contentType, revision, createRevision, version };
    return deadline === 0 ? put : { ...put, expiresAt: deadline };
  });
  return { revision, events };
}

// --- internal ---

function matchingEvent(record: ScannedRecord, ranges: readonly Range[]): Event | undefined {
  const key = keyOf(record);
  if (!inRanges(ranges, key)) return undefined;
  const { kind, revision } = record.header;
  if (kind === KIND.put) return { type: "put", ...entryOf(key, record) };
  return { type: kind === KIND.expire ? "expire" : "delete", key, revision };
}
