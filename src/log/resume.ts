/**
 * Where a damaged segment is sound again, and what the damaged bytes still tell. A header of which
 * one bit was turned is known by the checksum that the record behind it has of it.
 */

import { decodeUtf8 } from "../text.ts";
import { readFully } from "./disk.ts";
import {
  crc32,
  decodeRecordHeader,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  recordBytes,
  recordKey,
  type RecordHeader,
} from "./format.ts";
import type { Segment } from "./segment.ts";

export interface Resumption {
  /** Where the next record with a sound header stands; where the scan ends if there is none. */
  readonly offset: number;
  /** What that record must carry as the checksum of the one before, where this is known. */
  readonly chain: number | undefined;
  /** The header of what is damaged, when that is one record and no more. */
  readonly damaged?: RecordHeader | undefined;
  /** Its key, as far as the bytes tell. */
  readonly key?: string | undefined;
}

/** `offset` is where a scan up to `to` found a fault; `chain` what it held the record there to. */
export function resume(
  segment: Segment,
  offset: number,
  to: number,
  chain: number | undefined,
): Resumption {
  const bytes = read(segment, offset, Math.min(to, offset + SEARCH_BYTES));
  const header = decodeRecordHeader(bytes, 0, segment.number, offset);
  if (typeof header !== "string") {
    // Sound in itself: what is missing was before it.
    if (chain !== undefined && header.previousCrc !== chain) return { offset, chain: undefined };
    const end = Math.min(to, offset + recordBytes(header));
    return { offset: end, chain: header.crc, damaged: header, key: keyIn(bytes, header) };
  }
  const next = nextHeader(segment, offset + RECORD_ALIGNMENT_BYTES, to);
  const nextOffset = next?.offset ?? to;
  const damaged = mend(bytes, segment.number, offset, next?.previousCrc);
  if (damaged === undefined || offset + recordBytes(damaged) !== nextOffset) {
    return { offset: nextOffset, chain: undefined };
  }
  return { offset: nextOffset, chain: damaged.crc, damaged, key: keyIn(bytes, damaged) };
}

// --- internal ---

/** Bytes that are looked through at a time: more than a record has before its value. */
const SEARCH_BYTES = 1024 * 1024;

/** The first sound header of a record at `from` or later. */
function nextHeader(segment: Segment, from: number, to: number): RecordHeader | undefined {
  for (let start = from; start + RECORD_HEADER_BYTES <= to; start += SEARCH_BYTES) {
    // The last headers of a piece go on in the next one.
    const bytes = read(segment, start, Math.min(to, start + SEARCH_BYTES + RECORD_HEADER_BYTES));
    const end = Math.min(SEARCH_BYTES - 1, bytes.length - RECORD_HEADER_BYTES);
    for (let at = 0; at <= end; at += RECORD_ALIGNMENT_BYTES) {
      const header = decodeRecordHeader(bytes, at, segment.number, start + at);
      if (typeof header !== "string") return header;
    }
  }
  return undefined;
}

function read({ file }: Segment, from: number, to: number): Uint8Array {
  const bytes = new Uint8Array(to - from);
  return bytes.subarray(0, readFully(file, bytes, from));
}

/** The key of the record at the beginning of `bytes`, as far as they go and are text. */
function keyIn(bytes: Uint8Array, header: RecordHeader): string | undefined {
  const key = recordKey(bytes, 0, header);
  return key.length === header.keyBytes ? decodeUtf8(key) : undefined;
}

/**
 * The header at the beginning of `bytes` with the one bit turned back that makes it sound;
 * `undefined` when more is wrong. `crc` is what the record behind it says of it: without one, the
 * header's own checksum is believed.
 */
function mend(
  bytes: Uint8Array,
  segment: number,
  offset: number,
  crc: number | undefined,
): RecordHeader | undefined {
  if (bytes.length < RECORD_HEADER_BYTES) return undefined;
  const header = bytes.slice(0, RECORD_HEADER_BYTES);
  const view = new DataView(header.buffer);
  if (crc !== undefined) view.setUint32(0, crc, true);
  const wanted = view.getUint32(0, true);
  const content = header.subarray(4);
  if (crc32(content) === wanted) return sound(decodeRecordHeader(header, 0, segment, offset));
  for (let bit = 0; bit < 8 * content.length; bit++) {
    content[bit >>> 3]! ^= 1 << (bit & 7);
    if (crc32(content) === wanted) return sound(decodeRecordHeader(header, 0, segment, offset));
    content[bit >>> 3]! ^= 1 << (bit & 7);
  }
  return undefined;
}

function sound(header: RecordHeader | string): RecordHeader | undefined {
  return typeof header === "string" ? undefined : header;
}
