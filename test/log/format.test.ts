/** Bytes of the log, there and back: records, segment headers and the slots of `DURABLE`. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  bodyIsSound,
  contentBytes,
  decodeRecordHeader,
  decodeSegmentHeader,
  encodeRecord,
  encodeSegmentHeader,
  KIND,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordContent,
  recordContentType,
  recordKey,
  recordValue,
  SEGMENT_HEADER_BYTES,
} from "../../src/log/format.ts";
import { decodeSlot, encodeSlot, SLOT_BYTES } from "../../src/log/slot-format.ts";
import { rounds } from "../support/rounds.ts";
import { bytes } from "../support/stores.ts";

const integer = fc.oneof(
  fc.maxSafeNat(),
  fc.constantFrom(0, 1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
);
const uint32 = fc.oneof(fc.nat({ max: 2 ** 32 - 1 }), fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1));

const content: fc.Arbitrary<RecordContent> = fc.record({
  kind: fc.constantFrom(...Object.values(KIND)),
  key: fc.uint8Array({ maxLength: 1024 }),
  contentType: fc.string({ unit: "grapheme-ascii", maxLength: 255 }),
  value: fc.uint8Array({ maxLength: 300 }),
  revision: integer,
  previousRevision: integer,
  createRevision: integer,
  version: integer,
  time: integer,
  deadline: integer,
});

const place = fc.record({
  segment: uint32,
  offset: uint32,
  previousCrc: uint32,
  flags: fc.nat({ max: 255 }),
});

describe("a record", () => {
  test("comes back with all of its fields, wherever it stands in memory", () => {
    fc.assert(
      fc.property(content, place, fc.nat({ max: 20 }), (content, place, at) => {
        const size = contentBytes(content);
        const buffer = new Uint8Array(at + size + 9);
        const crc = encodeRecord(buffer, at, content, place);
        const header = decodeRecordHeader(buffer, at, place.segment, place.offset);
        if (typeof header === "string") throw new Error(header);
        const { key, contentType, value, ...fields } = content;
        expect(header).toMatchObject({ ...fields, ...place, crc });
        expect(recordBytes(header)).toBe(size);
        expect(bodyIsSound(buffer, at, header)).toBe(true);
        expect(Buffer.compare(recordKey(buffer, at, header), key)).toBe(0);
        expect(recordContentType(buffer, at, header)).toBe(contentType);
        expect(Buffer.compare(recordValue(buffer, at, header), value)).toBe(0);
      }),
      { numRuns: rounds(300) },
    );
  });

  test("begins at a multiple of 8 when the one before it does", () => {
    for (let length = 0; length < 20; length++) {
      const size = contentBytes({ ...small, value: new Uint8Array(length) });
      expect(size % RECORD_ALIGNMENT_BYTES).toBe(0);
      expect(size).toBeGreaterThanOrEqual(RECORD_HEADER_BYTES + length + small.key.length);
    }
  });

  test("shows each flipped bit: none is without a checksum, padding included", () => {
    const buffer = new Uint8Array(contentBytes(small));
    encodeRecord(buffer, 0, small, here);
    for (let bit = 0; bit < buffer.length * 8; bit++) {
      flip(buffer, bit);
      const header = decodeRecordHeader(buffer, 0, here.segment, here.offset);
      expect(typeof header === "string" || !bodyIsSound(buffer, 0, header)).toBe(true);
      flip(buffer, bit);
    }
    expect(typeof decodeRecordHeader(buffer, 0, here.segment, here.offset)).toBe("object");
  });

  test("is none in another place: a stale or misdirected block is not taken for it", () => {
    const buffer = new Uint8Array(contentBytes(small));
    encodeRecord(buffer, 0, small, here);
    expect(decodeRecordHeader(buffer, 0, here.segment, here.offset + 8)).toBeString();
    expect(decodeRecordHeader(buffer, 0, here.segment + 1, here.offset)).toBeString();
  });

  test("cut short anywhere is not sound", () => {
    const buffer = new Uint8Array(contentBytes(small));
    encodeRecord(buffer, 0, small, here);
    for (let length = 0; length < buffer.length; length++) {
      const cut = buffer.slice(0, length);
      const header = decodeRecordHeader(cut, 0, here.segment, here.offset);
      expect(typeof header === "string" || !bodyIsSound(cut, 0, header)).toBe(true);
    }
  });
});

describe("a segment's header", () => {
  const header = {
    store: "00112233445566778899aabbccddeeff",
    number: 7,
    nextRevision: 2 ** 40 + 3,
    compactedRevision: 2 ** 33,
    previousEnd: 2 ** 31 + 8,
    previousCrc: 0xfedcba98,
    createdAt: 1_700_000_000_123,
    reservedRevision: Number.MAX_SAFE_INTEGER,
  };

  test("comes back with all of its fields", () => {
    const encoded = encodeSegmentHeader(header);
    expect(encoded).toHaveLength(SEGMENT_HEADER_BYTES);
    expect(decodeSegmentHeader(encoded)).toMatchObject(header);
  });

  test("shows each flipped bit and each cut", () => {
    const encoded = encodeSegmentHeader(header);
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      flip(encoded, bit);
      expect(decodeSegmentHeader(encoded)).toBeString();
      flip(encoded, bit);
    }
    for (let length = 0; length < encoded.length; length++) {
      expect(decodeSegmentHeader(encoded.subarray(0, length))).toBeString();
    }
  });
});

describe("a slot", () => {
  const slot = { sequence: 2 ** 33 + 1, segment: 3, end: 2 ** 31 + 16, lastCrc: 0xffffffff };

  test("comes back with all of its fields", () => {
    expect(encodeSlot(slot)).toHaveLength(SLOT_BYTES);
    expect(decodeSlot(encodeSlot(slot))).toEqual(slot);
  });

  test("is none when it was never written, is torn, or has a flipped bit", () => {
    expect(decodeSlot(new Uint8Array(SLOT_BYTES))).toBeUndefined();
    const encoded = encodeSlot(slot);
    for (let bit = 0; bit < encoded.length * 8; bit++) {
      flip(encoded, bit);
      expect(decodeSlot(encoded)).toBeUndefined();
      flip(encoded, bit);
    }
    for (let length = 0; length < encoded.length; length++) {
      expect(decodeSlot(encoded.subarray(0, length))).toBeUndefined();
    }
  });
});

// --- internal ---

const small: RecordContent = {
  kind: KIND.put,
  key: bytes("key"),
  contentType: "text/plain",
  value: bytes("value"),
  revision: 43,
  previousRevision: 42,
  createRevision: 41,
  version: 3,
  time: 1_700_000_000_000,
  deadline: 0,
};

const here = { segment: 2, offset: 4096, previousCrc: 0x12345678, flags: 1 };

function flip(buffer: Uint8Array, bit: number): void {
  buffer[bit >>> 3]! ^= 1 << (bit & 7);
}
