/**
 * Writes a merged segment in the place of a row of others, without the records that a survey has
 * found to be garbage, and points the index to it. A crash at any step leaves the log whole: the
 * new segment is made under a temporary name and synced; its rename over the first of the others is
 * made durable before any of them is removed.
 */

import { assert } from "../errors.ts";
import { BACKGROUND_SYNC_BYTES } from "../limits.ts";
import type { Slice } from "../slice.ts";
import type { Turns } from "./background.ts";
import {
  createAnew,
  readFully,
  removeQuietly,
  TEMPORARY_SUFFIX,
  writeFully,
  type Disk,
  type DiskFile,
} from "./disk.ts";
import {
  crc32,
  decodeSegmentHeader,
  encodeRecord,
  encodeSegmentHeader,
  FLAG_COMMIT_END,
  isChange,
  KIND,
  RECORD_HEADER_BYTES,
  recordBytes,
  relocateRecord,
  SEGMENT_HEADER_BYTES,
  segmentHeaderChain,
  type RecordHeader,
} from "./format.ts";
import { NO_ENTRY, position, segmentOf, type KeyIndex } from "./key-index.ts";
import { Moves } from "./moves.ts";
import { piecesOf, scanInTurns, Segment, segmentName } from "./segment.ts";
import type { Segments } from "./segments.ts";
import type { Surveyed } from "./survey.ts";

export interface MergeOptions {
  readonly disk: Disk;
  readonly segments: Segments;
  readonly index: KeyIndex;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /**
   * Told when nobody knows whether the directory is on the disk as it seems: nothing may be written
   * any more.
   */
  readonly fatal: (error: Error) => void;
  /** Is the store being closed? What has to be done before that is then done without pauses. */
  readonly isStopped: () => boolean;
}

/**
 * Merges neighbours into one segment. `oldest` is the oldest readable revision of their survey.
 * @throws errors of the disk, `Stopped`: then the log is as it was.
 */
export async function mergeSegments(
  options: MergeOptions,
  run: readonly Surveyed[],
  oldest: number,
  turns: Turns,
): Promise<void> {
  const { disk, segments } = options;
  const replaced = run.map(({ segment }) => segment);
  const name = segmentName(replaced[0]!.number);
  const temporary = `${name}${TEMPORARY_SUFFIX}`;
  const file = createAnew(disk, temporary);
  const moves = new Moves();
  let merged: Segment;
  try {
    const header = headerOf(options, replaced, oldest);
    const writer = new MergedWriter(file, segments.nextId(), header);
    for (const surveyed of run) await copy(surveyed, writer, options.index, moves, turns);
    merged = await writer.finish(endOf(segments, replaced.at(-1)!, writer.time));
    await readBack(merged, turns);
    disk.rename(temporary, name);
  } catch (error) {
    file.close();
    removeQuietly(disk, temporary);
    throw error;
  }
  // From here on it is part of the log: it stays open, since to read on in those that it stands for
  // would be to go on in a log that is not the one on the disk.
  file.name = name;
  try {
    await syncNames(options);
  } catch (error) {
    file.close();
    throw error;
  }
  segments.replace(replaced, merged);
  await repoint(options, replaced, merged, moves, turns.slice);
  for (const segment of replaced) segments.drop(segment);
  // The first one's name is that of the merged segment.
  for (const { number } of replaced.slice(1)) disk.unlink(segmentName(number));
  await syncNames(options);
}

// --- internal ---

/** The bytes of a merged segment's header. */
function headerOf(
  { clock }: MergeOptions,
  replaced: readonly Segment[],
  oldest: number,
): Uint8Array {
  const first = replaced[0]!.header;
  const last = replaced.at(-1)!.header;
  return encodeSegmentHeader({
    store: first.store,
    number: first.number,
    nextRevision: first.nextRevision,
    compactedRevision: oldest,
    previousEnd: first.previousEnd,
    previousCrc: first.previousCrc,
    createdAt: clock(),
    reservedRevision: last.reservedRevision,
    merged: { first: first.number, last: last.merged?.last ?? last.number },
  });
}

/** What the segment behind the last one says of it. */
function endOf({ all }: Segments, last: Segment, time: number) {
  const { nextRevision, previousEnd, previousCrc } = all[all.indexOf(last) + 1]!.header;
  return {
    kind: KIND.end,
    key: new Uint8Array(0),
    contentType: "",
    value: new Uint8Array(0),
    revision: nextRevision - 1,
    previousRevision: 0,
    createRevision: previousEnd,
    version: previousCrc,
    time,
    deadline: 0,
  };
}

/** A sync of the directory that failed is not tried again: nobody knows what it left. */
async function syncNames({ disk, fatal }: MergeOptions): Promise<void> {
  try {
    await disk.syncDirectory();
  } catch (error) {
    fatal(error as Error);
    throw error;
  }
}

/** Copies what is kept of a segment; notes which entries of the index have their records there. */
async function copy(
  { segment, kept }: Surveyed,
  into: MergedWriter,
  index: KeyIndex,
  moves: Moves,
  turns: Turns,
): Promise<void> {
  let number = 0;
  await scanInTurns(
    segment,
    {
      isOver: () => turns.isOver() || into.isFull,
      next: async () => {
        await into.flush();
        await turns.next();
      },
    },
    ({ header, bytes, at }) => {
      into.note(header.time);
      if (!kept.get(number++)) return;
      const offset = into.add(header, bytes.subarray(at, at + recordBytes(header)));
      const start = at + RECORD_HEADER_BYTES;
      const entry = isChange(header.kind)
        ? index.find(bytes, start, start + header.keyBytes)
        : NO_ENTRY;
      if (entry === NO_ENTRY) return;
      if (index.position(entry) === position(segment.id, header.offset)) moves.add(entry, offset);
    },
  );
}

/** The id of no segment. */
const NO_SEGMENT = 0;

/** Bytes of a merged segment that are gathered before they are written. */
const GATHERED_BYTES = 256 * 1024;

/** Writes records one after the other, synced bit by bit, and knows the segment that they make. */
class MergedWriter {
  readonly #segment: Segment;
  #buffer = new Uint8Array(2 * GATHERED_BYTES);
  #used = 0;
  #unsynced = 0;
  #chain: number;
  /** The last record, whose flags depend on the next one. */
  #last: { readonly at: number; readonly commit: number | undefined } | undefined;
  /** Does the commit of the record before the next one go on? */
  #isOpen = false;
  /** The latest time of all records that were looked at. */
  time = 0;

  constructor(file: DiskFile, id: number, header: Uint8Array) {
    this.#segment = openWritten(file, id, header);
    this.#chain = this.#segment.chain;
  }

  get isFull(): boolean {
    return this.#used >= GATHERED_BYTES;
  }

  note(time: number): void {
    this.time = Math.max(this.time, time);
  }

  /** Adds a record; answers where it will stand. */
  add({ kind, revision, time }: RecordHeader, record: Uint8Array): number {
    const commit = isChange(kind) ? revision : undefined;
    this.#seal(commit);
    const offset = this.#segment.end + this.#used;
    if (commit !== undefined && !this.#isOpen) this.#segment.mark(revision, offset, time);
    this.#last = { at: this.#used, commit };
    this.#put(record);
    return offset;
  }

  /** Writes what is whole. */
  async flush(): Promise<void> {
    const ready = this.#last?.at ?? this.#used;
    if (ready === 0) return;
    const bytes = this.#buffer.subarray(0, ready);
    writeFully(this.#segment.file, bytes, this.#segment.end);
    this.#segment.grow(bytes, this.#chain);
    this.#buffer.copyWithin(0, ready, this.#used);
    this.#used -= ready;
    if (this.#last !== undefined) this.#last = { ...this.#last, at: 0 };
    this.#unsynced += ready;
    if (this.#unsynced < BACKGROUND_SYNC_BYTES) return;
    this.#unsynced = 0;
    await this.#segment.file.sync();
  }

  /** Writes the end record, and syncs all. Answers the segment. */
  async finish(content: Parameters<typeof encodeRecord>[2]): Promise<Segment> {
    this.#seal(undefined);
    const end = new Uint8Array(RECORD_HEADER_BYTES);
    this.#chain = encodeRecord(end, 0, content, this.#place(this.#used, FLAG_COMMIT_END));
    this.#put(end);
    await this.flush();
    await this.#segment.file.sync();
    return this.#segment;
  }

  /** Gives the last record its place, now that the commit of the next one is known. */
  #seal(next: number | undefined): void {
    const last = this.#last;
    if (last === undefined) return;
    const goesOn = last.commit !== undefined && last.commit === next;
    const flags = goesOn ? 0 : FLAG_COMMIT_END;
    this.#chain = relocateRecord(this.#buffer, last.at, this.#place(last.at, flags));
    this.#last = undefined;
    this.#isOpen = goesOn;
  }

  #place(at: number, flags: number) {
    const { number, end } = this.#segment;
    return { segment: number, offset: end + at, previousCrc: this.#chain, flags };
  }

  #put(bytes: Uint8Array): void {
    if (this.#used + bytes.length > this.#buffer.length) {
      const larger = new Uint8Array(2 * (this.#used + bytes.length));
      larger.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
  }
}

/** A segment of which nothing is written but its header. */
function openWritten(file: DiskFile, id: number, bytes: Uint8Array): Segment {
  const header = decodeSegmentHeader(bytes);
  assert(typeof header !== "string", "the header of a merged segment is sound");
  writeFully(file, bytes, 0);
  return new Segment(file, header, id);
}

/** Holds what the file has now against what was written. */
async function readBack({ file, header, end, crc }: Segment, turns: Turns): Promise<void> {
  let found = 0;
  for (const piece of piecesOf(file, SEGMENT_HEADER_BYTES, end)) {
    found = crc32(piece, found);
    if (turns.isOver()) await turns.next();
  }
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  readFully(file, bytes, 0);
  const isSame = found === crc && segmentHeaderChain(bytes) === header.crc && file.size() === end;
  if (!isSame) throw new Error("what was merged does not read back");
}

/**
 * Points the index to the records of a merged segment, in slices. Positions in the segments that it
 * stands for are good until the end, so readers never wait.
 */
async function repoint(
  { index, isStopped }: MergeOptions,
  replaced: readonly Segment[],
  merged: Segment,
  moves: Moves,
  slice: Slice,
): Promise<void> {
  const ids = new Set(replaced.map(({ id }) => id));
  for (let move = 0; move < moves.count; move++) {
    const entry = moves.entry(move);
    // What has changed since has its record behind the merged ones, or none.
    const from = index.isUsed(entry) ? index.position(entry) : position(NO_SEGMENT, 0);
    if (ids.has(segmentOf(from))) {
      index.moveEntry(entry, position(merged.id, moves.offset(move)));
    }
    if (slice.isOver() && !isStopped()) await slice.next();
  }
}
