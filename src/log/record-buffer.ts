/** Memory for one record after the other, and the checks of what was read to its beginning. */

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
  /** What the checksum of a header is of. */
  readonly #header: Uint8Array;
  /** The last body: most have the same size, and a view takes longer than a checksum. */
  #body: Uint8Array = NOTHING;

  constructor(bytes: number, index: KeyIndex) {
    this.bytes = new Uint8Array(bytes);
    this.#view = new DataView(this.bytes.buffer);
    this.#header = this.bytes.subarray(4, RECORD_HEADER_BYTES);
    this.#index = index;
  }

  /**
   * Finds the value in an entry's newest record, which was read from a place in the log. Answers
   * false when anything is wrong with the record.
   */
  find(size: number, segment: number, offset: number, entry: number): boolean {
    const { bytes } = this;
    const view = this.#view;
    const isThere = view.getUint32(24, true) === segment && view.getUint32(28, true) === offset;
    if (!isThere || view.getUint32(0, true) !== crc32(this.#header)) return false;
    const contentTypeBytes = view.getUint16(14, true);
    const keyBytes = view.getUint16(16, true);
    const extensionBytes = view.getUint16(18, true);
    const valueBytes = view.getUint32(20, true);
    if (recordBytes({ contentTypeBytes, keyBytes, extensionBytes, valueBytes }) !== size) {
      return false;
    }
    if (view.getUint32(4, true) !== this.#bodyCrc(size)) return false;
    const keyEnd = RECORD_HEADER_BYTES + keyBytes;
    const isOwn = this.#index.isEntryOf(entry, bytes, RECORD_HEADER_BYTES, keyEnd);
    assert(isOwn, "the index points at a record of its key");
    this.start = keyEnd + contentTypeBytes + extensionBytes;
    this.end = this.start + valueBytes;
    return true;
  }

  #bodyCrc(size: number): number {
    if (this.#body.length !== size - RECORD_HEADER_BYTES) {
      this.#body = this.bytes.subarray(RECORD_HEADER_BYTES, size);
    }
    return crc32(this.#body);
  }
}

// --- internal ---

const NOTHING = new Uint8Array(0);
