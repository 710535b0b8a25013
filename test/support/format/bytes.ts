/**
 * Segment headers, records and slots as FORMAT.md has them, read a second time: made from that page
 * alone, so that the page and the engine's own code are held against each other. Imports nothing of
 * the engine, its checksum included.
 */

/** Why a directory is not read: the file, and an offset in it. */
export class Refusal extends Error {
  readonly file: string;
  readonly offset: number;

  constructor(file: string, offset: number, what: string) {
    super(`${file} at ${offset}: ${what}`);
    this.file = file;
    this.offset = offset;
  }
}

export const SEGMENT_HEADER_BYTES = 128;
export const RECORD_HEADER_BYTES = 80;

export const KINDS = ["put", "delete", "expire", "compact", "reserve", "void", "end"] as const;
export type KindName = (typeof KINDS)[number];

export interface SegmentHead {
  readonly store: string;
  readonly number: number;
  readonly nextRevision: number;
  readonly compacted: number;
  readonly previousEnd: number;
  readonly previousCrc: number;
  readonly merged: { readonly first: number; readonly last: number } | undefined;
  readonly createdAt: number;
  readonly reserved: number;
  readonly crc: number;
}

export interface ReadRecord {
  readonly segment: number;
  readonly offset: number;
  /** Bytes that it takes, padding included. */
  readonly bytes: number;
  readonly crc: number;
  readonly chain: number;
  readonly kind: KindName;
  readonly endsCommit: boolean;
  readonly beginsBatch: boolean;
  readonly key: string;
  readonly contentType: string;
  readonly value: Uint8Array;
  readonly revision: number;
  readonly previousRevision: number;
  readonly createRevision: number;
  readonly version: number;
  readonly time: number;
  readonly deadline: number;
}

export interface Mark {
  readonly sequence: number;
  readonly segment: number;
  readonly end: number;
  readonly lastCrc: number;
}

/** CRC-32 of IEEE 802.3, byte by byte; with a checksum first, as if the bytes stood behind its own. */
export function checksum(...parts: readonly (Uint8Array | { readonly from: number })[]): number {
  let crc = 0xffff_ffff;
  for (const part of parts) {
    if ("from" in part) crc = part.from ^ 0xffff_ffff;
    else for (const byte of part) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

export function readSegmentHead(file: string, bytes: Uint8Array): SegmentHead {
  const refuse = (what: string): never => {
    throw new Refusal(file, 0, what);
  };
  if (bytes.length < SEGMENT_HEADER_BYTES) refuse("no whole header");
  const view = viewOf(bytes, 0);
  if (Buffer.from(bytes.subarray(0, 8)).toString("hex") !== "8b6b766c6f670d0a") refuse("magic");
  const crc = view.getUint32(12, true);
  if (crc !== checksum(bytes.subarray(0, 12), bytes.subarray(16, 128))) refuse("header checksum");
  if (view.getUint32(8, true) !== 1) refuse("version");
  const flags = view.getUint32(68, true);
  if (flags > 1) refuse("flags");
  const [first, last] = [integer(view, 72), integer(view, 80)];
  const number = integer(view, 32);
  if (number !== Number(file.slice(0, 10))) refuse("number");
  if (flags === 0 && (first !== 0 || last !== 0)) refuse("a range without the flag");
  if (flags === 1 && (first !== number || last < first)) refuse("the range of a merged segment");
  if (!isZero(bytes.subarray(104, 128))) refuse("reserved bytes");
  return {
    store: Buffer.from(bytes.subarray(16, 32)).toString("hex"),
    number,
    nextRevision: integer(view, 40),
    compacted: integer(view, 48),
    previousEnd: integer(view, 56),
    previousCrc: view.getUint32(64, true),
    merged: flags === 1 ? { first, last } : undefined,
    createdAt: integer(view, 88),
    reserved: integer(view, 96),
    crc,
  };
}

/** Is there the header of a record at this place, sound in itself? */
export function isRecordHead(bytes: Uint8Array, at: number, segment: number, offset = at): boolean {
  if (at + RECORD_HEADER_BYTES > bytes.length) return false;
  const view = viewOf(bytes, at);
  if (view.getUint32(24, true) !== segment || view.getUint32(28, true) !== offset) return false;
  return view.getUint32(0, true) === checksum(bytes.subarray(at + 4, at + RECORD_HEADER_BYTES));
}

/** Bit 1 of the flags of the record header at `at`. */
export function beginsBatch(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + 13]! & 2) !== 0;
}

/**
 * The record at `at`, before `to`, or in words why there is none: of checksums, place and length.
 * `offset` is what the record says of its own place.
 * @throws `Refusal` where these are right, and the content cannot be.
 */
export function readRecord(
  file: string,
  bytes: Uint8Array,
  at: number,
  segment: number,
  { to = bytes.length, offset = at }: { to?: number; offset?: number } = {},
): ReadRecord | string {
  if (at + RECORD_HEADER_BYTES > to) return "no whole record header";
  if (!isRecordHead(bytes, at, segment, offset)) return "no record header of this place";
  const view = viewOf(bytes, at);
  const [typeBytes, keyBytes] = [view.getUint16(14, true), view.getUint16(16, true)];
  const [extensionBytes, valueBytes] = [view.getUint16(18, true), view.getUint32(20, true)];
  const used = RECORD_HEADER_BYTES + keyBytes + typeBytes + extensionBytes + valueBytes;
  const length = used + ((8 - (used % 8)) % 8);
  if (at + length > to) return "no whole body";
  const body = bytes.subarray(at + RECORD_HEADER_BYTES, at + length);
  if (view.getUint32(4, true) !== checksum(body)) return "body checksum";

  const refuse = (what: string): never => {
    throw new Refusal(file, at, what);
  };
  const kind = KINDS[view.getUint8(12) - 1] ?? refuse(`kind ${view.getUint8(12)}`);
  if (!isZero(bytes.subarray(at + used, at + length))) refuse("padding that is not zero");
  const parts = cut(body, [keyBytes, typeBytes, extensionBytes, valueBytes]);
  if (mustUnderstand(parts[2]!)) refuse("an extension that must be understood");
  const flags = view.getUint8(13);
  return {
    segment,
    offset: at,
    bytes: length,
    crc: view.getUint32(0, true),
    chain: view.getUint32(8, true),
    kind,
    endsCommit: (flags & 1) !== 0,
    beginsBatch: (flags & 2) !== 0,
    key: utf8(parts[0]!) ?? refuse("a key that is no UTF-8"),
    contentType: Buffer.from(parts[1]!).toString("latin1"),
    value: parts[3]!,
    revision: integer(view, 32),
    previousRevision: integer(view, 40),
    createRevision: integer(view, 48),
    version: integer(view, 56),
    time: integer(view, 64),
    deadline: integer(view, 72),
  };
}

/** What the file `DURABLE` says, when it says anything. */
export function readMark(bytes: Uint8Array | undefined): Mark | undefined {
  const marks = [0, 4096].flatMap((at) => {
    // Bytes that a shorter file lacks count as zeros.
    const slot = new Uint8Array(64);
    slot.set(bytes?.subarray(at, at + 64) ?? []);
    const view = viewOf(slot, 0);
    if (view.getUint32(0, true) !== 0x6b76_4455) return [];
    if (view.getUint32(4, true) !== checksum(slot.subarray(8))) return [];
    return [
      {
        sequence: integer(view, 8),
        segment: integer(view, 16),
        end: integer(view, 24),
        lastCrc: view.getUint32(32, true),
      },
    ];
  });
  return marks.toSorted((a, b) => b.sequence - a.sequence)[0];
}

export function viewOf(bytes: Uint8Array, at: number): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
}

/** A u64 below 2^53. */
export function integer(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

// --- internal ---

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb8_8320;
  return crc >>> 0;
});

function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0;
  return lengths.map((length) => bytes.subarray(at, (at += length)));
}

/** A sequence of tags, lengths and contents: is there one with bit 15 set in its tag? */
function mustUnderstand(extensions: Uint8Array): boolean {
  const view = viewOf(extensions, 0);
  for (let at = 0; at + 4 <= extensions.length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) >= 0x8000) return true;
  }
  return false;
}
