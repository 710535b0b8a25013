/** Memory for records that are read one after the other, and the checks of what was read to it. */

import { assert } from "../errors.ts";
import { crc32, RECORD_HEADER_BYTES, recordBytes } from "./format.ts";
import type { KeyIndex } from "./key-index.ts";

export class RecordBuffer {
  readonly bytes: Uint8Array;
  /** Where the value begins and ends that was found last. */
  start = 0;
  end = 0;
  readonly #view: DataView;
  readonly #index: KeyIndex;
  /** Of the record before: most have the same sizes, and a view takes longer than a checksum. */
  #header: Uint8Array = NOTHING;
  #headerAt = -1;
  #body: Uint8Array = NOTHING;
  #bodyAt = -1;

  constructor(bytes: number, index: KeyIndex) {
    this.bytes = new Uint8Array(bytes);
    this.#view = new DataView(this.bytes.buffer);
    this.#index = index;
  }

  /**
   * Finds the value in an entry's newest record, which was read to `at` from a place in the log.
   * Answers false when anything is wrong with the record.
   */
  find(at: number, size: number, segment: number, offset: number, entry: number): boolean {
    const { bytes } = this;
    const view = this.#view;
    const isThere =
      view.getUint32(at + 24, true) === segment && view.getUint32(at + 28, true) === offset;
    const body = at + RECORD_HEADER_BYTES;
    if (!isThere || view.getUint32(at, true) !== this.#headerCrc(at)) return false;
    const contentTypeBytes = view.getUint16(at + 14, true);
    const keyBytes = view.getUint16(at + 16, true);
    const extensionBytes = view.getUint16(at + 18, true);
    const valueBytes = view.getUint32(at + 20, true);
    if (recordBytes({ contentTypeBytes, keyBytes, extensionBytes, valueBytes }) !== size) {
      return false;
    }
    const end = at + size;
    if (view.getUint32(at + 4, true) !== this.#bodyCrc(body, end)) return false;
    const isOwn = this.#index.isEntryOf(entry, bytes, body, body + keyBytes);
    assert(isOwn, "the index points at a record of its key");
    this.start = body + keyBytes + contentTypeBytes + extensionBytes;
    this.end = this.start + valueBytes;
    return true;
  }

  #headerCrc(at: number): number {
    if (this.#headerAt !== at) {
      this.#header = this.bytes.subarray(at + 4, at + RECORD_HEADER_BYTES);
      this.#headerAt = at;
    }
    return crc32(this.#header);
  }

  #bodyCrc(start: number, end: number): number {
    if (this.#bodyAt !== start || this.#body.length !== end - start) {
      this.#body = this.bytes.subarray(start, end);
      this.#bodyAt = start;
    }
    return crc32(this.#body);
  }
}

// --- internal ---

const NOTHING = new Uint8Array(0);
