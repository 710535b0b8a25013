/** Reads the change stream out of the log: one bounded chunk of whole commits at a time. */

import { inRanges } from "../keys.ts";
import type { Changes, Commit, Event, PutEvent, Range } from "../kv.ts";
import { CHANGES_SCAN_BYTES } from "../limits.ts";
import { decodeUtf8 } from "../text.ts";
import {
  isChange,
  KIND,
  recordBytes,
  recordContentType,
  recordKey,
  recordValue,
} from "./format.ts";
import type { Log } from "./log.ts";
import { damage, endsCommit, type ScannedRecord } from "./segment.ts";

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
    // What is noted between commits is no change.
    if (!isChange(header.kind)) return bytes < CHANGES_SCAN_BYTES;
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

/** The key of a record. */
export function keyOf({ header, bytes, at }: ScannedRecord): string {
  const key = decodeUtf8(recordKey(bytes, at, header));
  if (key === undefined) throw damage(`segment ${header.segment}`, header.offset, "a bad key");
  return key;
}

/** The entry that a put's record holds, its value copied. */
export function entryOf(key: string, { header, bytes, at }: ScannedRecord): Omit<PutEvent, "type"> {
  return {
    key,
    value: recordValue(bytes, at, header).slice(),
    contentType: recordContentType(bytes, at, header),
    revision: header.revision,
    createRevision: header.createRevision,
    version: header.version,
    ...(header.deadline === 0 ? undefined : { expiresAt: header.deadline }),
  };
}

// --- internal ---

function matchingEvent(record: ScannedRecord, ranges: readonly Range[]): Event | undefined {
  const key = keyOf(record);
  if (!inRanges(ranges, key)) return undefined;
  const { kind, revision } = record.header;
  if (kind === KIND.put) return { type: "put", ...entryOf(key, record) };
  return { type: kind === KIND.expire ? "expire" : "delete", key, revision };
}
