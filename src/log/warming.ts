/**
 * Looks for the keys of the next records of a log all at once, before these are applied one by one:
 * so what the index has of them is near to the processor then. Changes nothing.
 */

import { readRecordHeader, RECORD_HEADER_BYTES, recordBytes } from "./format.ts";
import type { KeyIndex } from "./key-index.ts";

/** Keys that are looked for at once: few enough that all stay near to the processor. */
export const WARM_KEYS_MAX = 512;

export class Warming {
  readonly #starts = new Uint32Array(WARM_KEYS_MAX);
  readonly #ends = new Uint32Array(WARM_KEYS_MAX);
  readonly #found = new Int32Array(WARM_KEYS_MAX);
  /** What was looked at last, and up to where. */
  #bytes: Uint8Array | undefined;
  #to = 0;

  /** To be called before the record at `at` in `bytes` is applied. */
  before(index: KeyIndex, bytes: Uint8Array, at: number): void {
    if (bytes === this.#bytes && at < this.#to) return;
    this.#bytes = bytes;
    this.#to = at;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let count = 0;
    // Nothing of this is checked yet: it may be anything, but not what leads out of `bytes`.
    while (count < WARM_KEYS_MAX && this.#to + RECORD_HEADER_BYTES <= bytes.length) {
      const header = readRecordHeader(view, this.#to);
      const start = this.#to + RECORD_HEADER_BYTES;
      const end = start + header.keyBytes;
      this.#to += recordBytes(header);
      if (end > bytes.length) break;
      this.#starts[count] = start;
      this.#ends[count++] = end;
    }
    index.findMany(bytes, this.#starts, this.#ends, 0, count, this.#found);
  }
}
