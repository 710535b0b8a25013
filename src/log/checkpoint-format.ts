/**
 * The bytes of `CHECKPOINT`, to and from memory. The layout is in FORMAT.md, and only there; the
 * offsets below are its tables. Knows no file.
 */

import { crc32, getInteger, setInteger } from "./format.ts";
import type { Void } from "./horizon.ts";
import type { Marks } from "./segment.ts";

export const CHECKPOINT_FILE = "CHECKPOINT";
export const CHECKPOINT_VERSION = 2;
export const CHECKPOINT_HEADER_BYTES = 128;
export const BLOCK_HEADER_BYTES = 16;

export const BLOCK = { segment: 1, voids: 2, keys: 3, end: 4 } as const;

/** What a checkpoint says of the store at the place in the log that it was made at. */
export interface CheckpointHeader {
  /** 32 hexadecimal digits. */
  readonly store: string;
  /** The newest revision. */
  readonly revision: number;
  /** The oldest readable revision. */
  readonly oldest: number;
  /** No commit before that place has a later time, in milliseconds since 1970. */
  readonly time: number;
  /** See `reserve` in FORMAT.md. */
  readonly reserved: number;
  /** How many segments there were. */
  readonly segments: number;
  /** Keys that were there, without those whose newest record is a deletion. */
  readonly keys: number;
}

/** A segment as a checkpoint covers it. */
export interface CoveredSegment {
  readonly number: number;
  readonly headerCrc: number;
  /** Bytes that are covered: all, but of the last one. */
  readonly end: number;
  /** The checksum of the record (or segment header) that ends there. */
  readonly chain: number;
  /** The checksum of all bytes of the file up to the end. */
  readonly crc: number;
  readonly marks: Marks;
}

export function encodeCheckpointHeader(header: CheckpointHeader): Uint8Array {
  const bytes = new Uint8Array(CHECKPOINT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC, 0);
  view.setUint32(8, CHECKPOINT_VERSION, true);
  bytes.set(Buffer.from(header.store, "hex"), 16);
  setInteger(view, 32, header.revision);
  setInteger(view, 40, header.oldest);
  setInteger(view, 48, header.time);
  setInteger(view, 56, header.reserved);
  view.setUint32(64, header.segments, true);
  setInteger(view, 72, header.keys);
  view.setUint32(12, headerCrc(bytes), true);
  return bytes;
}

/** The header, or in words what is wrong with it. */
export function decodeCheckpointHeader(bytes: Uint8Array): CheckpointHeader | string {
  if (bytes.length < CHECKPOINT_HEADER_BYTES) return "its header is cut short";
  const view = viewOf(bytes);
  if (MAGIC.some((byte, at) => bytes[at] !== byte)) return "it is no checkpoint of kv";
  if (view.getUint32(12, true) !== headerCrc(bytes)) return "its header fails its checksum";
  const version = view.getUint32(8, true);
  if (version !== CHECKPOINT_VERSION) return `its format is version ${version}`;
  return {
    store: Buffer.from(bytes.subarray(16, 32)).toString("hex"),
    revision: getInteger(view, 32),
    oldest: getInteger(view, 40),
    time: getInteger(view, 48),
    reserved: getInteger(view, 56),
    segments: view.getUint32(64, true),
    keys: getInteger(view, 72),
  };
}

/** The checksum of a header that is sound: that of the first block goes on from it. */
export function checkpointHeaderCrc(header: Uint8Array): number {
  return viewOf(header).getUint32(12, true);
}

/** A block as its header tells it. */
export interface BlockHeader {
  readonly crc: number;
  readonly bytes: number;
  readonly kind: number;
  readonly items: number;
}

export function decodeBlockHeader(bytes: Uint8Array): BlockHeader {
  const view = viewOf(bytes);
  return {
    crc: view.getUint32(0, true),
    bytes: view.getUint32(4, true),
    kind: view.getUint32(8, true),
    items: view.getUint32(12, true),
  };
}

/** The checksum of a block, header and body, behind one with the checksum `previous`. */
export function blockCrc(block: Uint8Array, previous: number): number {
  return crc32(block.subarray(4), previous);
}

/** A block with its header, which a checksum is still to be put into: see `sealBlock`. */
export function makeBlock(kind: number, items: number, bytes: number): Uint8Array {
  const block = new Uint8Array(BLOCK_HEADER_BYTES + bytes);
  const view = viewOf(block);
  view.setUint32(4, bytes, true);
  view.setUint32(8, kind, true);
  view.setUint32(12, items, true);
  return block;
}

/** Puts the checksum into a block that is written behind one with the checksum `previous`. */
export function sealBlock(block: Uint8Array, previous: number): number {
  const crc = blockCrc(block, previous);
  viewOf(block).setUint32(0, crc, true);
  return crc;
}

export function segmentBlock({ marks, ...segment }: CoveredSegment): Uint8Array {
  const { revisions, times, offsets } = marks;
  const bytes = SEGMENT_BYTES + revisions.length * MARK_BYTES;
  const block = makeBlock(BLOCK.segment, revisions.length, bytes);
  const view = viewOf(block, BLOCK_HEADER_BYTES);
  setInteger(view, 0, segment.number);
  view.setUint32(8, segment.headerCrc, true);
  view.setUint32(12, segment.chain, true);
  setInteger(view, 16, segment.end);
  view.setUint32(24, segment.crc, true);
  for (const [index, revision] of revisions.entries()) {
    const at = SEGMENT_BYTES + index * MARK_BYTES;
    setInteger(view, at, revision);
    setInteger(view, at + 8, times[index]!);
    view.setUint32(at + 16, offsets[index]!, true);
  }
  return block;
}

/** The segment of a block, or `undefined` when its lengths cannot be. */
export function segmentOfBlock(body: Uint8Array, items: number): CoveredSegment | undefined {
  if (body.length !== SEGMENT_BYTES + items * MARK_BYTES) return undefined;
  const view = viewOf(body);
  const marks: Marks = { revisions: [], times: [], offsets: [] };
  for (let at = SEGMENT_BYTES; at < body.length; at += MARK_BYTES) {
    marks.revisions.push(getInteger(view, at));
    marks.times.push(getInteger(view, at + 8));
    marks.offsets.push(view.getUint32(at + 16, true));
  }
  return {
    number: getInteger(view, 0),
    headerCrc: view.getUint32(8, true),
    chain: view.getUint32(12, true),
    end: getInteger(view, 16),
    crc: view.getUint32(24, true),
    marks,
  };
}

export function voidsBlock(voids: readonly Void[]): Uint8Array {
  const block = makeBlock(BLOCK.voids, voids.length, voids.length * VOID_BYTES);
  const view = viewOf(block, BLOCK_HEADER_BYTES);
  for (const [index, { first, last }] of voids.entries()) {
    setInteger(view, index * VOID_BYTES, first);
    setInteger(view, index * VOID_BYTES + 8, last);
  }
  return block;
}

export function voidsOfBlock(body: Uint8Array, items: number): Void[] | undefined {
  if (body.length !== items * VOID_BYTES) return undefined;
  const view = viewOf(body);
  return Array.from({ length: items }, (_, index) => ({
    first: getInteger(view, index * VOID_BYTES),
    last: getInteger(view, index * VOID_BYTES + 8),
  }));
}

export function endBlock(keys: number): Uint8Array {
  const block = makeBlock(BLOCK.end, 0, 8);
  setInteger(viewOf(block, BLOCK_HEADER_BYTES), 0, keys);
  return block;
}

/** How many keys there are in the whole checkpoint, or `undefined` when the length cannot be. */
export function keysOfEndBlock(body: Uint8Array): number | undefined {
  return body.length === 8 ? getInteger(viewOf(body), 0) : undefined;
}

export function viewOf(bytes: Uint8Array, at = 0): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + at, bytes.byteLength - at);
}

// --- internal ---

const MAGIC = Uint8Array.of(0x8b, 0x6b, 0x76, 0x63, 0x68, 0x6b, 0x0d, 0x0a);
const SEGMENT_BYTES = 32;
const MARK_BYTES = 20;
const VOID_BYTES = 16;

function headerCrc(bytes: Uint8Array): number {
  return crc32(bytes.subarray(16, CHECKPOINT_HEADER_BYTES), crc32(bytes.subarray(0, 12)));
}
