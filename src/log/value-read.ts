/** Reads values out of the log, one at a time, into memory that is used again. */

import { assert } from "../errors.ts";
import { recordKey, recordValue } from "./format.ts";
import { offsetOf, type KeyIndex } from "./key-index.ts";
import type { Log } from "./log.ts";
import { RecordBuffer } from "./record-buffer.ts";
import type { Segment } from "./segment.ts";

export class ValueRead {
  /** What was read last. */
  bytes: Uint8Array;
  start = 0;
  end = 0;
  readonly #log: Log;
  readonly #index: KeyIndex;
  readonly #buffer: RecordBuffer;
  /** The memory of the record before: most have the same size. */
  #record: Uint8Array;

  constructor(log: Log, index: KeyIndex) {
    this.#log = log;
    this.#index = index;
    this.#buffer = new RecordBuffer(KEPT_BYTES, index);
    this.bytes = this.#buffer.bytes;
    this.#record = this.bytes;
  }

  /**
   * Finds the value of an entry's newest record: from `start` to `end` of `bytes`, until the next
   * one is read.
   * @throws `internal` when the record is damaged.
   */
  read(entry: number): void {
    const position = this.#index.position(entry);
    const size = this.#index.bytes(entry);
    const segment = this.#log.segmentAt(position);
    const offset = offsetOf(position);
    const buffer = this.#buffer;
    this.bytes = buffer.bytes;
    if (this.#fill(segment, offset, size) && buffer.find(size, segment.number, offset, entry)) {
      this.start = buffer.start;
      this.end = buffer.end;
      return;
    }
    // It is large; or not sound, and this says what is wrong with it.
    const { bytes, at, header } = segment.read(offset, size);
    const key = recordKey(bytes, at, header);
    const isOwn = this.#index.isEntryOf(entry, key, 0, key.length);
    assert(isOwn, "the index points at a record of its key");
    this.bytes = recordValue(bytes, at, header);
    this.start = 0;
    this.end = this.bytes.length;
  }

  /** Answers false when the record has no place in the memory kept, or cannot be read. */
  #fill(segment: Segment, offset: number, size: number): boolean {
    if (size > KEPT_BYTES) return false;
    if (this.#record.length !== size) this.#record = this.#buffer.bytes.subarray(0, size);
    try {
      return segment.file.read(this.#record, offset) === size;
    } catch {
      return false;
    }
  }
}

// --- internal ---

/** Bytes of memory that is kept: larger records are rare, and take longer anyway. */
const KEPT_BYTES = 64 * 1024;
