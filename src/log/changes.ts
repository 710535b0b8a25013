/** Reads the change stream out of the log: one bounded chunk of whole commits at a time. */

import { inRanges } from "../keys.ts";
import type { Changes, Commit, Event, Range } from "../kv.ts";
import { CHANGES_SCAN_BYTES } from "../limits.ts";
import { isChange, KIND, recordBytes } from "./format.ts";
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
  const chunk = new ChunkOfChanges(from, ranges);
  log.scan(from, (record) => record.header.revision <= applied && chunk.add(record));
  // The end of the log was reached: revisions that were never used are covered too.
  return chunk.isFull ? chunk.changes() : { ...chunk.changes(), through: applied };
}

/** Makes a chunk out of records that come one after the other. */
export class ChunkOfChanges {
  readonly #ranges: readonly Range[];
  readonly #commits: Commit[] = [];
  #events: Event[] = [];
  #through: number;
  #bytes = 0;

  constructor(from: number, ranges: readonly Range[]) {
    this.#ranges = ranges;
    this.#through = from - 1;
  }

  /** Has it so much that it ends at the end of a commit? */
  get isFull(): boolean {
    return this.#bytes >= CHANGES_SCAN_BYTES;
  }

  /** Takes the next record; answers whether there is room for another one. */
  add(record: ScannedRecord): boolean {
    const { header } = record;
    this.#bytes += recordBytes(header);
    // What is noted between commits is no change, but comes after all those before it.
    if (isChange(header.kind)) {
      const event = matchingEvent(record, this.#ranges);
      if (event !== undefined) this.#events.push(event);
      if (!endsCommit(header)) return true;
      if (this.#events.length > 0) {
        this.#commits.push({ revision: header.revision, events: this.#events });
        this.#events = [];
      }
    }
    this.#through = header.revision;
    return !this.isFull;
  }

  /** What was taken; whole up to the last record. */
  changes(): Changes {
    return { commits: this.#commits, through: this.#through };
  }
}

// --- internal ---

function matchingEvent(record: ScannedRecord, ranges: readonly Range[]): Event | undefined {
  const key = keyOf(record);
  if (!inRanges(ranges, key)) return undefined;
  const { kind, revision } = record.header;
  if (kind === KIND.put) return { type: "put", ...entryOf(key, record) };
  return { type: kind === KIND.expire ? "expire" : "delete", key, revision };
}
