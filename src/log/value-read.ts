/** Reads values out of the log, one at a time, into memory that is used again. */

import { assert } from "../errors.ts";
import { crc32, RECORD_HEADER_BYTES, recordBytes, recordKey, recordValue } from "./format.ts";
import { offsetOf, type KeyIndex } from "./key-index.ts";
import type { Log } from "./log.ts";
import type { Segment } from "./segment.ts";

export class ValueRead {
  readonly #log: Log;
  readonly #index: KeyIndex;
  readonly #bytes = new Uint8Array(KEPT_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  /** What the header's checksum is of. */
  readonly #header = this.#bytes.subarray(4, RECORD_HEADER_BYTES);

  constructor(log: Log, index: KeyIndex) {
    this.#log = log;
    this.#index = index;
  }

  /**
   * The value of an entry's newest record, until the next one is read.
   * @throws `internal` when the record is damaged.
   */
  read(entry: number): Uint8Array {
    const position = this.#index.position(entry);
    const size = this.#index.bytes(entry);
    const segment = this.#log.segmentAt(position);
    const value = this.#readSmall(segment, offsetOf(position), size, entry);
    if (value !== undefined) return value;
    // It is large; or not sound, and this says what is wrong with it.
    const { bytes, at, header } = segment.read(offsetOf(position), size);
    const key = recordKey(bytes, at, header);
    this.#checkKey(key, 0, key.length, entry);
    return recordValue(bytes, at, header);
  }

  /** `undefined` when the record has no place in the memory kept, or anything is wrong with it. */
  #readSmall(
    segment: Segment,
    offset: number,
    size: number,
    entry: number,
  ): Uint8Array | undefined {
    if (size > KEPT_BYTES) return undefined;
    const bytes = this.#bytes;
    const view = this.#view;
    try {
      if (segment.file.read(bytes.subarray(0, size), offset) !== size) return undefined;
    } catch {
      return undefined;
    }
    const isThere =
      view.getUint32(24, true) === segment.number && view.getUint32(28, true) === offset;
    if (!isThere || view.getUint32(0, true) !== crc32(this.#header)) return undefined;
    const contentTypeBytes = view.getUint16(14, true);
    const keyBytes = view.getUint16(16, true);
    const extensionBytes = view.getUint16(18, true);
    const valueBytes = view.getUint32(20, true);
    if (recordBytes({ contentTypeBytes, keyBytes, extensionBytes, valueBytes }) !== size) {
      return undefined;
    }
    const body = bytes.subarray(RECORD_HEADER_BYTES, size);
    if (view.getUint32(4, true) !== crc32(body)) return undefined;
    this.#checkKey(bytes, RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + keyBytes, entry);
    const start = RECORD_HEADER_BYTES + keyBytes + contentTypeBytes + extensionBytes;
    return bytes.subarray(start, start + valueBytes);
  }

  #checkKey(bytes: Uint8Array, start: number, end: number, entry: number): void {
    const isOwn = this.#index.find(bytes, start, end) === entry;
    assert(isOwn, "the index points at a record of its key");
  }
}

// --- internal ---

/** Bytes of memory that is kept: larger records are rare, and take longer anyway. */
const KEPT_BYTES = 64 * 1024;
