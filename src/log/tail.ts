/**
 * The end of the log after an unclean stop: what was not finished is cut, what may not be on the
 * disk is written anew, and damage to what had been acknowledged refuses the start. Touches the
 * last segment only; doing it twice, or again after a crash in the middle, gives the same log.
 */

import type { KvError } from "../errors.ts";
import { createWhole, readFully, type Disk } from "./disk.ts";
import { DURABLE_FILE, type Mark } from "./durable.ts";
import {
  decodeRecordHeader,
  encodeSegmentHeader,
  FLAG_BATCH_START,
  isChange,
  KIND,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  recordBytes,
  relocateRecord,
  SEGMENT_HEADER_BYTES,
  segmentHeaderChain,
} from "./format.ts";
import { withReserve } from "./reserve.ts";
import { damage, endsCommit, openSegment, segmentName, type Segment } from "./segment.ts";

/** Tells the operator, in one line, what recovery did. */
export type Notice = (message: string) => void;

/** What the end of the last segment is, and what has to be done to it. */
export interface Tail {
  /** Up to here the segment was known to be synced. */
  readonly syncedEnd: number;
  /** The chain at `syncedEnd`. */
  readonly syncedChain: number;
  /** The oldest readable revision at `syncedEnd`. */
  readonly syncedOldest: number;
  /** The last reserved revision at `syncedEnd`. */
  readonly syncedReserved: number;
  /** No commit above `syncedEnd` has a smaller revision. */
  readonly suspectRevision: number;
  /** Up to here there are whole commits. */
  readonly wholeEnd: number;
  readonly faultOffset: number;
  readonly fault: string | undefined;
}

/**
 * Looks at the end of the last segment, and changes nothing. `mark` is how far the log was known to
 * be synced.
 *
 * Everything up to the mark was acknowledged, and everything before a record that began a later
 * batch had been synced when that one was written: a fault below either is damage. Above both, a
 * fault is a torn tail, and whole commits may be bytes that only look written (a failed fsync
 * leaves such pages), so they go into a new segment, which is synced before it is trusted.
 * @throws `internal` that names file and offset.
 */
export function examineTail(segment: Segment, mark: Mark | undefined): Tail {
  const size = segment.file.size();
  const tail = readTail(segment, size, mark);
  if (tail.fault !== undefined && hasBatchStart(segment, tail.faultOffset, size)) {
    throw damage(segment.file.name, tail.faultOffset, tail.fault);
  }
  return tail;
}

/**
 * Mends the last segment. Returns the segment that follows it when bytes were written anew, else
 * `undefined`.
 */
export async function mendTail(
  disk: Disk,
  segment: Segment,
  tail: Tail,
  notice: Notice,
): Promise<Segment | undefined> {
  if (tail.wholeEnd < segment.file.size()) await cutAside(disk, segment, tail.wholeEnd, notice);
  if (tail.wholeEnd === tail.syncedEnd) return undefined;
  return await rewriteSuspect(disk, segment, tail, notice);
}

/** Keeps the bytes of a segment from `offset` on in a file beside it, then cuts them off. */
export async function cutAside(
  disk: Disk,
  segment: Segment,
  offset: number,
  notice: Notice,
): Promise<void> {
  const { file } = segment;
  const cut = new Uint8Array(file.size() - offset);
  readFully(file, cut, offset);
  const name = `${file.name}.cut-${offset}`;
  (await withReserve(disk, () => createWhole(disk, name, cut))).close();
  await truncate(segment, offset);
  notice(
    `cut ${cut.length} bytes of an unfinished write from ${file.name} at offset ${offset}, kept as ${name}`,
  );
}

/** The mark is at a place where another record ends, or none. */
export function otherThanMarked({ file }: Segment, offset: number): KvError {
  return damage(file.name, offset, `the record that ${DURABLE_FILE} names does not end here`);
}

/** Is there a sound record header above `from` that began a batch? */
export function hasBatchStart(segment: Segment, from: number, size: number): boolean {
  const bytes = new Uint8Array(size - from);
  readFully(segment.file, bytes, from);
  const end = bytes.length - RECORD_HEADER_BYTES;
  for (let at = RECORD_ALIGNMENT_BYTES; at <= end; at += RECORD_ALIGNMENT_BYTES) {
    const header = decodeRecordHeader(bytes, at, segment.number, from + at);
    if (typeof header !== "string" && (header.flags & FLAG_BATCH_START) !== 0) return true;
  }
  return false;
}

// --- internal ---

function readTail(segment: Segment, size: number, mark: Mark | undefined): Tail {
  const syncedEnd = markedEnd(segment, size, mark);
  let syncedChain = syncedEnd === SEGMENT_HEADER_BYTES ? segment.header.crc : undefined;
  let syncedOldest = segment.header.compactedRevision;
  let syncedReserved = segment.header.reservedRevision;
  let suspectRevision = 0;
  let wholeEnd = SEGMENT_HEADER_BYTES;
  const { offset, fault } = segment.scan(
    SEGMENT_HEADER_BYTES,
    size,
    ({ header }) => {
      const end = header.offset + recordBytes(header);
      if (end === syncedEnd) syncedChain = header.crc;
      const { kind, revision, createRevision } = header;
      if (kind === KIND.compact && end <= syncedEnd) syncedOldest = createRevision;
      if (kind === KIND.reserve && end <= syncedEnd) syncedReserved = createRevision;
      // What is no commit carries the revision of the one before it.
      if (header.offset === syncedEnd) suspectRevision = revision + Number(!isChange(kind));
      if (endsCommit(header)) wholeEnd = end;
      return true;
    },
    segment.header.crc,
  );
  const { name } = segment.file;
  if (wholeEnd < syncedEnd) throw damage(name, offset, fault ?? "a commit has no end");
  if (
    syncedChain === undefined ||
    (mark?.end === syncedEnd && isOther(segment, mark, syncedChain))
  ) {
    throw otherThanMarked(segment, syncedEnd);
  }
  return {
    syncedEnd,
    syncedChain,
    syncedOldest,
    syncedReserved,
    suspectRevision,
    wholeEnd,
    faultOffset: offset,
    fault,
  };
}

function isOther(segment: Segment, mark: Mark, chain: number): boolean {
  return mark.segment === segment.number && mark.lastCrc !== chain;
}

/**
 * Where the mark says that this segment was synced to; its header when the mark is of an earlier
 * one.
 */
function markedEnd(segment: Segment, size: number, mark: Mark | undefined): number {
  if (mark === undefined || mark.segment < segment.number) return SEGMENT_HEADER_BYTES;
  if (mark.segment > segment.number) {
    throw damage(DURABLE_FILE, 0, `it names segment ${mark.segment}, and there is no such file`);
  }
  if (mark.end > size) {
    throw damage(segment.file.name, size, `the file ends here, but was synced up to ${mark.end}`);
  }
  return mark.end;
}

/**
 * Copies what is above `syncedEnd` into the next segment, then cuts it off here. A crash between
 * the two leaves both; the next segment's header tells where this one ends, so a start cuts it
 * then.
 */
async function rewriteSuspect(
  disk: Disk,
  segment: Segment,
  tail: Tail,
  notice: Notice,
): Promise<Segment> {
  const number = segment.number + 1;
  const header = encodeSegmentHeader({
    ...segment.header,
    number,
    nextRevision: tail.suspectRevision,
    compactedRevision: tail.syncedOldest,
    reservedRevision: tail.syncedReserved,
    previousEnd: tail.syncedEnd,
    previousCrc: tail.syncedChain,
  });
  const suspect = tail.wholeEnd - tail.syncedEnd;
  const content = new Uint8Array(header.length + suspect);
  content.set(header, 0);
  readFully(segment.file, content.subarray(header.length), tail.syncedEnd);

  let offset = header.length;
  let previousCrc = segmentHeaderChain(header);
  while (offset < content.length) {
    const old = decodeRecordHeader(
      content,
      offset,
      segment.number,
      offset - header.length + tail.syncedEnd,
    );
    if (typeof old === "string") throw damage(segment.file.name, tail.syncedEnd, old);
    const first = offset === header.length ? FLAG_BATCH_START : 0;
    const flags = (old.flags & ~FLAG_BATCH_START) | first;
    previousCrc = relocateRecord(content, offset, { segment: number, offset, previousCrc, flags });
    offset += recordBytes(old);
  }
  const file = await withReserve(disk, () => createWhole(disk, segmentName(number), content));
  let next: Segment;
  try {
    next = openSegment(file, segment.id + 1);
    await truncate(segment, tail.syncedEnd);
  } catch (error) {
    file.close();
    throw error;
  }
  notice(
    `the log ended without being synced: rewrote ${suspect} bytes of ${segment.file.name} ` +
      `from offset ${tail.syncedEnd} as ${segmentName(number)}`,
  );
  return next;
}

async function truncate(segment: Segment, size: number): Promise<void> {
  segment.file.truncate(size);
  await segment.file.sync();
}
