/**
 * One segment of the log: its file, its header, how far it reaches, and a sparse table from
 * revision to offset. Reads records one by one or in order, and checks all their checksums and the
 * chain.
 */

import { KvError } from "../errors.ts";
import { MARK_BYTES, SEGMENT_READ_BYTES } from "../limits.ts";
import type { Turns } from "./background.ts";
import { readFully, type DiskFile } from "./disk.ts";
import {
  bodyIsSound,
  decodeRecordHeader,
  decodeSegmentHeader,
  FLAG_COMMIT_END,
  RECORD_HEADER_BYTES,
  recordBytes,
  crc32,
  SEGMENT_HEADER_BYTES,
  type RecordHeader,
  type SegmentHeader,
} from "./format.ts";

/** `0000000042.log`: ten digits, so that names sort as numbers. */
export function segmentName(number: number): string {
  return `${String(number).padStart(10, "0")}.log`;
}

/** The number in a segment's name, or `undefined` for other files. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{10}\.log$/.test(name) ? Number(name.slice(0, 10)) : undefined;
}

/** Says where a file is damaged. */
export class DamageError extends KvError {
  readonly file: string;
  readonly offset: number;
  /** In words, without the place. */
  readonly what: string;

  constructor(file: string, offset: number, what: string, changed = "nothing was changed") {
    super(
      "internal",
      `${file} is damaged at offset ${offset}: ${what}; ${changed}; ` +
        "restore the data directory from a copy, or keep this one for inspection",
    );
    this.file = file;
    this.offset = offset;
    this.what = what;
  }

  /** The same, found once the end of the log had been mended. */
  behindMending(): DamageError {
    const changed = "nothing but the unfinished end of the log was changed";
    return new DamageError(this.file, this.offset, this.what, changed);
  }
}

/** What stops the start, and what a read of bad bytes answers. */
export function damage(file: string, offset: number, what: string): DamageError {
  return new DamageError(file, offset, what);
}

/** A record in a buffer: valid until the buffer is used again. */
export interface ScannedRecord {
  readonly header: RecordHeader;
  readonly bytes: Uint8Array;
  /** Where the record begins in `bytes`. */
  readonly at: number;
}

/** Where a scan ended: before `offset` everything was sound. */
export interface ScanEnd {
  readonly offset: number;
  /** The checksum that the next record must carry as the one before it. */
  readonly chain: number;
  /** In words, when there were bytes and they were no sound record. */
  readonly fault?: string;
}

/** Places in a segment at which commits begin, in order. */
export interface Marks {
  readonly revisions: number[];
  readonly offsets: number[];
  /** Times of the commits, in milliseconds since 1970. */
  readonly times: number[];
}

/** What is known of a segment's content. */
export type Known = Pick<Segment, "end" | "chain" | "crc" | "marks">;

export class Segment {
  readonly file: DiskFile;
  readonly header: SegmentHeader;
  /** What positions in memory name it by: numbers are used again when segments are merged. */
  readonly id: number;
  /** Bytes that are part of the log and applied: readers stop here. */
  end = SEGMENT_HEADER_BYTES;
  /** The checksum that the record at `end` will carry as the one before it. */
  chain: number;
  /** The checksum of all bytes behind the header up to the end: a start knows it again by that. */
  crc = 0;
  #marks: Marks = { revisions: [], offsets: [], times: [] };

  constructor(file: DiskFile, header: SegmentHeader, id: number) {
    this.file = file;
    this.header = header;
    this.id = id;
    this.chain = header.crc;
  }

  get number(): number {
    return this.header.number;
  }

  /** Places at which commits begin, one for every 16 KiB: to look at, or to fill at a start. */
  get marks(): Marks {
    return this.#marks;
  }

  /** Takes over what is known of the same bytes in another file. */
  takeOver({ end, chain, crc, marks }: Known): void {
    this.end = end;
    this.chain = chain;
    this.crc = crc;
    this.#marks = marks;
  }

  /** Forgets all that is known of it beyond its header: it is read again. */
  reset(): void {
    this.takeOver({
      end: SEGMENT_HEADER_BYTES,
      chain: this.header.crc,
      crc: 0,
      marks: { revisions: [], offsets: [], times: [] },
    });
  }

  /** What `bytes` at the end bring was written; `chain` is the checksum of the last record. */
  grow(bytes: Uint8Array, chain: number): void {
    this.end += bytes.length;
    this.chain = chain;
    this.crc = crc32(bytes, this.crc);
  }

  /** Notes that a commit of a time begins at an offset; keeps one mark for every 16 KiB. */
  mark(revision: number, offset: number, time: number): void {
    const { revisions, offsets, times } = this.#marks;
    const last = offsets.at(-1);
    if (last !== undefined && offset - last < MARK_BYTES) return;
    revisions.push(revision);
    offsets.push(offset);
    times.push(time);
  }

  /**
   * An offset at which a commit begins, none of whose predecessors has `revision` or a higher one.
   */
  seek(revision: number): number {
    let low = 0;
    const { revisions, offsets } = this.#marks;
    let high = revisions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (revisions[middle]! <= revision) low = middle + 1;
      else high = middle;
    }
    return offsets[low - 1] ?? SEGMENT_HEADER_BYTES;
  }

  /** The last mark before an offset; the first record when there is none, nothing before that. */
  markBefore(offset: number): number | undefined {
    let low = 0;
    const { offsets } = this.#marks;
    let high = offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (offsets[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    const before = offsets[low - 1] ?? SEGMENT_HEADER_BYTES;
    return before < offset ? before : undefined;
  }

  /**
   * Reads the record at an offset, all checksums compared.
   * @throws `internal` that names file and offset when the bytes are not sound or cannot be read.
   */
  read(offset: number, bytes: number): ScannedRecord {
    const into = new Uint8Array(bytes);
    const count = this.#fill(into, offset);
    const header = decodeRecordHeader(into.subarray(0, count), 0, this.number, offset);
    if (typeof header === "string") throw damage(this.file.name, offset, header);
    if (recordBytes(header) !== bytes || count < bytes || !bodyIsSound(into, 0, header)) {
      throw damage(this.file.name, offset, "a record's body fails its checksum");
    }
    return { header, bytes: into, at: 0 };
  }

  /**
   * Visits the records from `from` up to `to` in order, while `visit` answers true. Stops before
   * the first that is not sound. `chain` is the checksum the first one must carry; left out, the
   * first is not held to one. `passed` is called with all bytes that were visited, in order.
   */
  scan(
    from: number,
    to: number,
    visit: (record: ScannedRecord) => boolean,
    chain?: number,
    passed?: (bytes: Uint8Array) => void,
  ): ScanEnd {
    const window = new Window(this, from, to, passed);
    let offset = from;
    let previous = chain;
    while (offset < to) {
      const record = window.record(offset);
      if (typeof record === "string") return { offset, chain: previous ?? 0, fault: record };
      const { header } = record;
      if (previous !== undefined && header.previousCrc !== previous) {
        const fault = "a record does not follow the one before it";
        return { offset, chain: previous, fault };
      }
      if (!visit(record)) break;
      previous = header.crc;
      offset += recordBytes(header);
    }
    window.pass(offset);
    return { offset, chain: previous ?? 0 };
  }

  /** As `scan`, for bytes that are known to be part of the log: a fault is an error. */
  scanSound(
    from: number,
    visit: (record: ScannedRecord) => boolean,
    to: number = this.end,
  ): number {
    const { offset, fault } = this.scan(from, to, visit);
    if (fault !== undefined) throw damage(this.file.name, offset, fault);
    return offset;
  }

  /** Fills `into` from the file; returns the bytes that were there. */
  #fill(into: Uint8Array, offset: number): number {
    return fill(this.file, into, offset);
  }
}

/** Opens a segment and checks its header. @throws `internal` when that is damaged. */
export function openSegment(file: DiskFile, id = 1): Segment {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const header = decodeSegmentHeader(bytes.subarray(0, fill(file, bytes, 0)));
  if (typeof header === "string") throw damage(file.name, 0, header);
  if (header.number !== segmentNumber(file.name)) {
    throw damage(file.name, 0, `its header says that it is segment ${header.number}`);
  }
  return new Segment(file, header, id);
}

/**
 * Visits all records of a segment, in slices. @throws `internal` when one is not sound, `Stopped`.
 */
export async function scanInTurns(
  segment: Segment,
  turns: Pick<Turns, "isOver" | "next">,
  visit: (record: ScannedRecord) => void,
): Promise<void> {
  let offset = SEGMENT_HEADER_BYTES;
  while (offset < segment.end) {
    let isOver = false;
    offset = segment.scanSound(offset, (record) => {
      if (isOver) return false;
      visit(record);
      isOver = turns.isOver();
      return true;
    });
    await turns.next();
  }
}

/** The bytes of a file from `from` to `to`, in pieces of the same buffer; none behind its end. */
export function* piecesOf(file: DiskFile, from: number, to: number): Generator<Uint8Array> {
  const buffer = new Uint8Array(Math.max(0, Math.min(SEGMENT_READ_BYTES, to - from)));
  for (let at = from; at < to;) {
    const piece = buffer.subarray(0, Math.min(buffer.length, to - at));
    const count = readFully(file, piece, at);
    if (count === 0) return;
    yield piece.subarray(0, count);
    at += count;
  }
}

/** Is the record the last one of its commit? */
export function endsCommit(header: RecordHeader): boolean {
  return (header.flags & FLAG_COMMIT_END) !== 0;
}

// --- internal ---

/** Bytes of the first read: most searches end within a mark's distance. */
const WINDOW_BYTES_MIN = 2 * MARK_BYTES;
/** Bytes of a read after some others: each takes twice as many as the one before. */
const WINDOW_BYTES_MAX = 256 * 1024;

/** A part of the file in memory that moves along with a scan. */
class Window {
  readonly #segment: Segment;
  readonly #to: number;
  #bytes = new Uint8Array(0);
  #start = 0;
  #next = WINDOW_BYTES_MIN;
  /** Up to here bytes were told to be passed. */
  #passedTo: number;
  readonly #passed: ((bytes: Uint8Array) => void) | undefined;

  constructor(
    segment: Segment,
    from: number,
    to: number,
    passed: ((bytes: Uint8Array) => void) | undefined,
  ) {
    this.#segment = segment;
    this.#to = to;
    this.#passedTo = from;
    this.#passed = passed;
  }

  /** What is before `offset` was visited: those bytes, and no others that are read later. */
  pass(offset: number): void {
    if (offset === this.#passedTo) return;
    this.#passed?.(this.#bytes.subarray(this.#passedTo - this.#start, offset - this.#start));
    this.#passedTo = offset;
  }

  record(offset: number): ScannedRecord | string {
    if (!this.#holds(offset, RECORD_HEADER_BYTES)) this.#load(offset, RECORD_HEADER_BYTES);
    const { number } = this.#segment;
    const header = decodeRecordHeader(this.#bytes, offset - this.#start, number, offset);
    if (typeof header === "string") return header;
    const bytes = recordBytes(header);
    if (offset + bytes > this.#to) return "a record's body is cut short";
    if (!this.#holds(offset, bytes)) this.#load(offset, bytes);
    const at = offset - this.#start;
    if (!this.#holds(offset, bytes) || !bodyIsSound(this.#bytes, at, header)) {
      return "a record's body fails its checksum";
    }
    return { header, bytes: this.#bytes, at };
  }

  #holds(offset: number, bytes: number): boolean {
    return offset >= this.#start && offset + bytes <= this.#start + this.#bytes.length;
  }

  #load(offset: number, bytes: number): void {
    this.pass(offset);
    const wanted = Math.min(Math.max(bytes, this.#next), this.#to - offset);
    this.#next = Math.min(2 * this.#next, WINDOW_BYTES_MAX);
    const into = new Uint8Array(wanted);
    const count = fill(this.#segment.file, into, offset);
    this.#bytes = into.subarray(0, count);
    this.#start = offset;
  }
}

function fill(file: DiskFile, into: Uint8Array, offset: number): number {
  try {
    return readFully(file, into, offset);
  } catch (error) {
    const { message } = error as Error;
    throw new KvError("internal", `reading ${file.name} at offset ${offset} failed: ${message}`);
  }
}
