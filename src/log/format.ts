/**
 * The bytes of the log: segment header and record, to and from memory. The layout is in FORMAT.md,
 * and only there; the offsets below are its tables. Knows no file.
 */

import { encodeUtf8 } from "../text.ts";

export const FORMAT_VERSION = 1;

export const SEGMENT_HEADER_BYTES = 128;
export const RECORD_HEADER_BYTES = 80;
/** Records begin at multiples of this, so that a search for one need not look at every byte. */
export const RECORD_ALIGNMENT_BYTES = 8;

export const KIND = {
  put: 1,
  delete: 2,
  expire: 3,
  compact: 4,
  reserve: 5,
  void: 6,
  end: 7,
} as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** Is it a record of a commit, which changes a key? */
export function isChange(kind: Kind): boolean {
  return kind === KIND.put || kind === KIND.delete || kind === KIND.expire;
}

/** The last record of its commit. */
export const FLAG_COMMIT_END = 1;
/** The first record of a batch: all bytes before it had been synced when it was written. */
export const FLAG_BATCH_START = 2;

/** Numbers of segments, both included. */
export interface SegmentRange {
  readonly first: number;
  readonly last: number;
}

export interface SegmentHeader {
  /** 32 hexadecimal digits. */
  readonly store: string;
  /** Counts from 1. */
  readonly number: number;
  /** No record of this segment or a later one has a smaller revision. */
  readonly nextRevision: number;
  /** The oldest readable revision when the segment was begun. */
  readonly compactedRevision: number;
  /** Where the segment before this one ends: bytes of it beyond are not part of the log. */
  readonly previousEnd: number;
  /** The checksum that ends the chain of the segment before. */
  readonly previousCrc: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Revisions up to this one may have been handed out without being synced. */
  readonly reservedRevision: number;
  /** Of a merged segment: the segments that it stands for. */
  readonly merged?: SegmentRange | undefined;
  /** The checksum of this header: the chain of its records begins with it. */
  readonly crc: number;
}

/** A record as its header tells it; where the parts of the body lie follows from the lengths. */
export interface RecordHeader {
  crc: number;
  bodyCrc: number;
  previousCrc: number;
  kind: Kind;
  flags: number;
  contentTypeBytes: number;
  keyBytes: number;
  extensionBytes: number;
  valueBytes: number;
  segment: number;
  offset: number;
  revision: number;
  previousRevision: number;
  createRevision: number;
  version: number;
  time: number;
  deadline: number;
}

/** What is written as one record. */
export interface RecordContent {
  readonly kind: Kind;
  readonly key: Uint8Array;
  readonly contentType: string;
  readonly value: Uint8Array;
  readonly revision: number;
  readonly previousRevision: number;
  readonly createRevision: number;
  readonly version: number;
  readonly time: number;
  readonly deadline: number;
}

export function crc32(bytes: Uint8Array, seed = 0): number {
  return Bun.hash.crc32(bytes, seed);
}

/** Writes a `u64` field. */
export function setInteger(view: DataView, at: number, value: number): void {
  const high = value < TWO_TO_32 ? 0 : Math.floor(value / TWO_TO_32);
  view.setUint32(at, value - high * TWO_TO_32, true);
  view.setUint32(at + 4, high, true);
}

/** Reads a `u64` field; exact below 2^53. */
export function getInteger(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_TO_32;
}

// Segment header

export function encodeSegmentHeader(header: Omit<SegmentHeader, "crc">): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(SEGMENT_MAGIC, 0);
  view.setUint32(8, FORMAT_VERSION, true);
  bytes.set(Buffer.from(header.store, "hex"), 16);
  setInteger(view, 32, header.number);
  setInteger(view, 40, header.nextRevision);
  setInteger(view, 48, header.compactedRevision);
  setInteger(view, 56, header.previousEnd);
  view.setUint32(64, header.previousCrc, true);
  if (header.merged !== undefined) {
    view.setUint32(68, FLAG_MERGED, true);
    setInteger(view, 72, header.merged.first);
    setInteger(view, 80, header.merged.last);
  }
  setInteger(view, 88, header.createdAt);
  setInteger(view, 96, header.reservedRevision);
  view.setUint32(12, segmentHeaderCrc(bytes), true);
  return bytes;
}

/** The checksum in the bytes of a segment header: the chain of its records begins with it. */
export function segmentHeaderChain(header: Uint8Array): number {
  return new DataView(header.buffer, header.byteOffset).getUint32(12, true);
}

/** The header, or in words what is wrong with it. */
export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | string {
  if (bytes.length < SEGMENT_HEADER_BYTES) return "the segment's header is cut short";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (SEGMENT_MAGIC.some((byte, at) => bytes[at] !== byte)) return "it is not a segment of kv";
  const version = view.getUint32(8, true);
  const crc = view.getUint32(12, true);
  if (crc !== segmentHeaderCrc(bytes)) return "the segment's header fails its checksum";
  if (version !== FORMAT_VERSION) {
    return `its format is version ${version}; this kv reads version ${FORMAT_VERSION}`;
  }
  const flags = view.getUint32(68, true);
  if ((flags & ~FLAG_MERGED) !== 0) return `its flags are ${flags}, which this kv does not know`;
  const merged = { first: getInteger(view, 72), last: getInteger(view, 80) };
  return {
    store: Buffer.from(bytes.subarray(16, 32)).toString("hex"),
    number: getInteger(view, 32),
    nextRevision: getInteger(view, 40),
    compactedRevision: getInteger(view, 48),
    previousEnd: getInteger(view, 56),
    previousCrc: view.getUint32(64, true),
    createdAt: getInteger(view, 88),
    reservedRevision: getInteger(view, 96),
    merged: (flags & FLAG_MERGED) === 0 ? undefined : merged,
    crc,
  };
}

// Record

/** Bytes that a record takes in the log, padding included. */
export function recordBytes(
  parts: Pick<RecordHeader, "keyBytes" | "contentTypeBytes" | "extensionBytes" | "valueBytes">,
): number {
  const { keyBytes, contentTypeBytes, extensionBytes, valueBytes } = parts;
  const bytes = RECORD_HEADER_BYTES + keyBytes + contentTypeBytes + extensionBytes + valueBytes;
  return Math.ceil(bytes / RECORD_ALIGNMENT_BYTES) * RECORD_ALIGNMENT_BYTES;
}

/** As `recordBytes`, of what is to be written. */
export function contentBytes(content: RecordContent): number {
  return recordBytes({
    keyBytes: content.key.length,
    contentTypeBytes: content.contentType.length,
    extensionBytes: 0,
    valueBytes: content.value.length,
  });
}

/** Where a record stands, and what comes before it. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
  readonly previousCrc: number;
  readonly flags: number;
}

/** Writes a record into `into` at `at`, where there are zeros; returns its header's checksum. */
export function encodeRecord(
  into: Uint8Array,
  at: number,
  content: RecordContent,
  place: Place,
): number {
  const { kind, key, contentType, value, revision, previousRevision } = content;
  const { createRevision, version, time, deadline } = content;
  const bytes = contentBytes(content);
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  setLengths(view, at, kind, contentType.length, key.length, value.length);
  setNumbers(view, at, revision, previousRevision, createRevision, version, deadline);
  let end = at + RECORD_HEADER_BYTES;
  into.set(key, end);
  end += key.length;
  into.set(encodeUtf8(contentType), end);
  end += contentType.length;
  into.set(value, end);
  return sealRecord(into, view, at, bytes, time, place);
}

/** Writes what a record's header tells of its body. */
export function setLengths(
  view: DataView,
  at: number,
  kind: Kind,
  contentTypeBytes: number,
  keyBytes: number,
  valueBytes: number,
): void {
  view.setUint8(at + 12, kind);
  view.setUint16(at + 14, contentTypeBytes, true);
  view.setUint32(at + 16, keyBytes, true);
  view.setUint32(at + 20, valueBytes, true);
}

/** Writes what a record's header tells of its key. */
export function setNumbers(
  view: DataView,
  at: number,
  revision: number,
  previousRevision: number,
  createRevision: number,
  version: number,
  deadline: number,
): void {
  setInteger(view, at + 32, revision);
  setInteger(view, at + 40, previousRevision);
  setInteger(view, at + 48, createRevision);
  setInteger(view, at + 56, version);
  setInteger(view, at + 72, deadline);
}

/**
 * Completes the record of `size` bytes at `at`, all of which is there but for its time, its place
 * and its checksums; returns its header's checksum.
 */
export function sealRecord(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  size: number,
  time: number,
  place: Place,
): number {
  const bodyCrc = crc32(bytes.subarray(at + RECORD_HEADER_BYTES, at + size));
  view.setUint32(at + 4, bodyCrc, true);
  setInteger(view, at + 64, time);
  return setPlace(bytes, view, at, place);
}

/** Makes the record at `at` one of another place: its content stays, its checksum follows. */
export function relocateRecord(bytes: Uint8Array, at: number, place: Place): number {
  return setPlace(bytes, new DataView(bytes.buffer, bytes.byteOffset), at, place);
}

/** Gives the bytes of a record another previous revision; its checksum has to follow. */
export function setPreviousRevision(record: Uint8Array, revision: number): void {
  setInteger(new DataView(record.buffer, record.byteOffset), 40, revision);
}

/**
 * The header of a record that stands at `offset` of a segment, or in words what is wrong with it.
 * Its own checksum and place are checked here; the body is not looked at.
 */
export function decodeRecordHeader(
  bytes: Uint8Array,
  at: number,
  segment: number,
  offset: number,
): RecordHeader | string {
  if (at + RECORD_HEADER_BYTES > bytes.length) return "a record's header is cut short";
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_HEADER_BYTES);
  const crc = view.getUint32(0, true);
  // The place first: it is cheap, and rules out nearly everything in a search for a record.
  if (view.getUint32(28, true) !== offset || view.getUint32(24, true) !== segment) {
    return "there is no record of this place";
  }
  if (crc32(bytes.subarray(at + 4, at + RECORD_HEADER_BYTES)) !== crc) {
    return "a record's header fails its checksum";
  }
  return readRecordHeader(view, 0);
}

/** The header at `at` of bytes that are known to be sound. */
export function readRecordHeader(view: DataView, at: number): RecordHeader {
  return {
    crc: view.getUint32(at, true),
    bodyCrc: view.getUint32(at + 4, true),
    previousCrc: view.getUint32(at + 8, true),
    kind: view.getUint8(at + 12) as Kind,
    flags: view.getUint8(at + 13),
    contentTypeBytes: view.getUint16(at + 14, true),
    keyBytes: view.getUint16(at + 16, true),
    extensionBytes: view.getUint16(at + 18, true),
    valueBytes: view.getUint32(at + 20, true),
    segment: view.getUint32(at + 24, true),
    offset: view.getUint32(at + 28, true),
    revision: getInteger(view, at + 32),
    previousRevision: getInteger(view, at + 40),
    createRevision: getInteger(view, at + 48),
    version: getInteger(view, at + 56),
    time: getInteger(view, at + 64),
    deadline: getInteger(view, at + 72),
  };
}

/** Does the body, which follows the header at `at`, have the checksum that the header tells? */
export function bodyIsSound(bytes: Uint8Array, at: number, header: RecordHeader): boolean {
  const body = bytes.subarray(at + RECORD_HEADER_BYTES, at + recordBytes(header));
  return crc32(body) === header.bodyCrc;
}

export function recordKey(bytes: Uint8Array, at: number, header: RecordHeader): Uint8Array {
  const start = at + RECORD_HEADER_BYTES;
  return bytes.subarray(start, start + header.keyBytes);
}

export function recordContentType(bytes: Uint8Array, at: number, header: RecordHeader): string {
  const start = at + RECORD_HEADER_BYTES + header.keyBytes;
  return ascii.decode(bytes.subarray(start, start + header.contentTypeBytes));
}

/** The value as a part of `bytes`: copy it before `bytes` is used again. */
export function recordValue(bytes: Uint8Array, at: number, header: RecordHeader): Uint8Array {
  const { keyBytes, contentTypeBytes, extensionBytes, valueBytes } = header;
  const start = at + RECORD_HEADER_BYTES + keyBytes + contentTypeBytes + extensionBytes;
  return bytes.subarray(start, start + valueBytes);
}

/**
 * Is there an extension that its reader must understand? This version of the format defines none.
 */
export function hasUnknownExtension(bytes: Uint8Array, at: number, header: RecordHeader): boolean {
  const start = at + RECORD_HEADER_BYTES + header.keyBytes + header.contentTypeBytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, header.extensionBytes);
  for (let next = 0; next + 4 <= view.byteLength; next += 4 + view.getUint16(next + 2, true)) {
    if ((view.getUint16(next, true) & EXTENSION_REQUIRED) !== 0) return true;
  }
  return false;
}

// --- internal ---

/**
 * Not text on purpose: `\r\n` and the byte over 127 show a transfer that changed line ends or
 * dropped a bit.
 */
const SEGMENT_MAGIC = Uint8Array.of(0x8b, 0x6b, 0x76, 0x6c, 0x6f, 0x67, 0x0d, 0x0a);

/** The bit of a segment's flags that says that it stands for others. */
const FLAG_MERGED = 1;

const ascii = new TextDecoder("latin1");

/** The bit of a tag that says that a reader must understand it. */
const EXTENSION_REQUIRED = 0x8000;

const TWO_TO_32 = 2 ** 32;

function setPlace(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  { segment, offset, previousCrc, flags }: Place,
): number {
  view.setUint32(at + 8, previousCrc, true);
  view.setUint8(at + 13, flags);
  view.setUint32(at + 24, segment, true);
  view.setUint32(at + 28, offset, true);
  const crc = crc32(bytes.subarray(at + 4, at + RECORD_HEADER_BYTES));
  view.setUint32(at, crc, true);
  return crc;
}

function segmentHeaderCrc(bytes: Uint8Array): number {
  return crc32(bytes.subarray(16, SEGMENT_HEADER_BYTES), crc32(bytes.subarray(0, 12)));
}
