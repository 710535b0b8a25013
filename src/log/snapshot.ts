/**
 * A copy of a store, read out of its log while writes, compactions and merges go on. It has file
 * handles of its own, all opened in one turn: what they show does not change, whatever becomes of
 * the names. So nothing has to be pinned; `Copies` bounds what room the handles keep.
 */

import { KvError } from "../errors.ts";
import type { SnapshotOptions } from "../kv.ts";
import { SNAPSHOT_PIECE_BYTES } from "../limits.ts";
import { beyondError, checkInteger, compactedError } from "../rules.ts";
import { Slice } from "../slice.ts";
import type { Copies } from "./copies.ts";
import type { Disk } from "./disk.ts";
import {
  contentBytes,
  encodeRecord,
  FLAG_COMMIT_END,
  isChange,
  KIND,
  recordBytes,
  relocateRecord,
  SEGMENT_HEADER_BYTES,
  type Place,
  type RecordContent,
  type RecordHeader,
} from "./format.ts";
import type { Horizon } from "./horizon.ts";
import { damage, endsCommit, openSegment, type ScannedRecord, type Segment } from "./segment.ts";
import type { Segments } from "./segments.ts";
import {
  encodeSnapshotHeader,
  SNAPSHOT_HEADER_BYTES,
  SNAPSHOT_SEGMENT,
  snapshotOffset,
} from "./snapshot-format.ts";

/** The store that is copied. */
export interface SnapshotSource {
  readonly disk: Disk;
  readonly segments: Segments;
  readonly horizon: Horizon;
  /** Those that are being read. */
  readonly copies: Copies;
  /** The store id. */
  readonly store: string;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Throws once the store is closed; asked after each pause. */
  readonly checkOpen: () => void;
}

/**
 * The bytes of a copy of the store at its revision at the first pull; FORMAT.md has the layout.
 * @throws `compacted`, `invalid_argument` for `since`; `internal` that names file and offset when a
 * record is damaged; `unavailable` when the store closes, `signal` aborts, or the copy
 * keeps replaced segments for too long or on a full disk. Then it has no end, which shows.
 */
export async function* snapshotOf(
  source: SnapshotSource,
  { since, signal }: SnapshotOptions = {},
): AsyncGenerator<Uint8Array> {
  const { horizon, store, checkOpen } = source;
  checkOpen();
  checkSince(horizon, since);
  const { revision, oldest } = horizon;
  const parts = openParts(source, since ?? 0);
  const reading = source.copies.begin(parts.map(({ segment }) => segment));
  try {
    const header = { store, since, revision, oldest, createdAt: source.clock() };
    const encoder = new Encoder(encodeSnapshotHeader(header));
    const copy = new Copy(encoder, parts, since ?? 0, revision);
    const slice = new Slice();
    for (let more = true; more;) {
      more = copy.step();
      if (!more) encoder.end(revision, header.createdAt);
      yield* encoder.take();
      // Whoever pulls may do so without a pause.
      await slice.next();
      checkOpen();
      reading.check();
      if (signal?.aborted) throw new KvError("unavailable", "the backup was ended by its reader");
    }
  } finally {
    reading.close();
  }
}

// --- internal ---

function checkSince(horizon: Horizon, since: number | undefined): void {
  if (since === undefined) return;
  checkInteger("since", since, 0);
  if (since > horizon.revision) throw beyondError("since", since, horizon.revision);
  if (since < horizon.oldest) throw compactedError("since", since, horizon.oldest);
  const within = horizon.voidAt(since);
  if (within === undefined || within.last === since) return;
  throw compactedError("since", since, within.last);
}

/** What of a segment's file is read. */
interface Part {
  readonly segment: Segment;
  readonly from: number;
  readonly to: number;
}

/**
 * Opens the files that hold what is above a revision. A merge may have put its result there already
 * while the segments in memory are still those from before: then the result is taken.
 */
function openParts({ disk, segments }: SnapshotSource, since: number): Part[] {
  const parts: Part[] = [];
  let covered = 0;
  try {
    for (const known of segments.all.slice(segments.indexAt(since))) {
      if (known.number <= covered) continue;
      const file = disk.openReadOnly(known.file.name);
      let segment: Segment;
      try {
        segment = openSegment(file);
      } catch (error) {
        file.close();
        throw error;
      }
      const same = segment.header.crc === known.header.crc;
      const from = same && since > 0 ? known.seek(since) : SEGMENT_HEADER_BYTES;
      parts.push({ segment, from, to: same ? known.end : file.size() });
      covered = segment.header.merged?.last ?? known.number;
    }
  } catch (error) {
    for (const { segment } of parts) segment.file.close();
    throw error;
  }
  return parts;
}

/** The way through the log, a piece at a time. */
class Copy {
  readonly #encoder: Encoder;
  readonly #parts: readonly Part[];
  readonly #since: number;
  readonly #revision: number;
  #part = 0;
  #offset = 0;
  /** What the next record must carry as the checksum of the one before; not known at the first. */
  #chain: number | undefined;

  constructor(encoder: Encoder, parts: readonly Part[], since: number, revision: number) {
    this.#encoder = encoder;
    this.#parts = parts;
    this.#since = since;
    this.#revision = revision;
    this.#begin();
  }

  /** Copies about one piece; answers whether there is more. @throws `internal`. */
  step(): boolean {
    const { segment, to } = this.#parts[this.#part]!;
    let read = 0;
    let isPast = false;
    const visit = (record: ScannedRecord): boolean => {
      if (read >= SNAPSHOT_PIECE_BYTES) return false;
      read += recordBytes(record.header);
      // What is written and not applied yet is shown to nobody.
      isPast = isChange(record.header.kind) && record.header.revision > this.#revision;
      if (isPast) return false;
      if (this.#isWanted(record.header)) this.#encoder.add(record);
      return true;
    };
    const { offset, chain, fault } = segment.scan(this.#offset, to, visit, this.#chain);
    if (fault !== undefined) throw damage(segment.file.name, offset, fault);
    this.#offset = offset;
    this.#chain = chain;
    if (isPast) return false;
    if (offset < to) return true;
    this.#part++;
    if (this.#part === this.#parts.length) return false;
    this.#begin();
    return true;
  }

  #begin(): void {
    const { segment, from } = this.#parts[this.#part]!;
    this.#offset = from;
    this.#chain = from === SEGMENT_HEADER_BYTES ? segment.header.crc : undefined;
  }

  /** Compactions are told by the header, and what was reserved does not matter to a copy. */
  #isWanted({ kind, revision, createRevision }: RecordHeader): boolean {
    if (isChange(kind)) return revision > this.#since;
    return kind === KIND.void && createRevision > this.#since;
  }
}

/** Writes records one after the other, as those of one long segment. */
class Encoder {
  #into = new Uint8Array(SNAPSHOT_PIECE_BYTES + SPARE_BYTES);
  #length = 0;
  /** Which byte of the copy comes next. */
  #position: number;
  #chain: number;
  #records = 0;
  #commits = 0;

  constructor(header: Uint8Array) {
    this.#append(header);
    this.#position = SNAPSHOT_HEADER_BYTES;
    this.#chain = new DataView(header.buffer).getUint32(12, true);
  }

  add({ header, bytes, at }: ScannedRecord): void {
    const length = recordBytes(header);
    const start = this.#append(bytes.subarray(at, at + length));
    this.#chain = relocateRecord(this.#into, start, this.#place(header.flags & FLAG_COMMIT_END));
    this.#position += length;
    this.#records++;
    if (isChange(header.kind) && endsCommit(header)) this.#commits++;
  }

  /** The record that tells a whole copy from one that was cut short. */
  end(revision: number, time: number): void {
    const numbers = { revision, createRevision: this.#records, version: this.#commits, time };
    const content: RecordContent = { ...END, ...numbers };
    const start = this.#append(new Uint8Array(contentBytes(content)));
    encodeRecord(this.#into, start, content, this.#place(FLAG_COMMIT_END));
  }

  /** What was written since the last time, in pieces. */
  *take(): Generator<Uint8Array> {
    const made = this.#into.subarray(0, this.#length);
    this.#into = new Uint8Array(SNAPSHOT_PIECE_BYTES + SPARE_BYTES);
    this.#length = 0;
    for (let at = 0; at < made.length; at += SNAPSHOT_PIECE_BYTES) {
      yield made.subarray(at, at + SNAPSHOT_PIECE_BYTES);
    }
  }

  #place(flags: number): Place {
    const offset = snapshotOffset(this.#position);
    return { segment: SNAPSHOT_SEGMENT, offset, previousCrc: this.#chain, flags };
  }

  #append(bytes: Uint8Array): number {
    const start = this.#length;
    if (start + bytes.length > this.#into.length) {
      const larger = new Uint8Array(2 * (start + bytes.length));
      larger.set(this.#into.subarray(0, start));
      this.#into = larger;
    }
    this.#into.set(bytes, start);
    this.#length += bytes.length;
    return start;
  }
}

/** Room behind a piece for the record that passes its size, most times. */
const SPARE_BYTES = 8 * 1024;

const END = {
  kind: KIND.end,
  key: new Uint8Array(0),
  contentType: "",
  value: new Uint8Array(0),
  previousRevision: 0,
  deadline: 0,
};
