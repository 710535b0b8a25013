/**
 * Reads values of entries that come one after the other in a listing: where the records of the next
 * ones stand near to each other in the log, all of them with one read.
 */

import { copyBytes } from "../copy-bytes.ts";
import type { Ahead } from "./entries-ahead.ts";
import { offsetOf, segmentOf, type KeyIndex } from "./key-index.ts";
import type { Log } from "./log.ts";
import { RecordBuffer } from "./record-buffer.ts";

export class WindowRead {
  /** What `seek` has found last. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  readonly #log: Log;
  readonly #index: KeyIndex;
  #buffer: RecordBuffer | undefined;
  #window: Uint8Array = NOTHING;
  /** What is in memory: bytes of the log from a position on, all of which are applied. */
  #from = 0;
  #to = 0;
  /** The state of the log's segments in which it was read: their ids are given anew. */
  #generation = 0;

  constructor(log: Log, index: KeyIndex) {
    this.#log = log;
    this.#index = index;
  }

  /** Forgets what was read. */
  forget(): void {
    this.#to = this.#from;
  }

  /**
   * Finds the value of the newest record of the entry that a listing looks at: from `start` to
   * `end` of `bytes`, until the next one is looked for. Answers false when it is to be read alone:
   * it has no neighbours, or is not sound.
   */
  seek(ahead: Ahead): boolean {
    const entry = ahead.entries[ahead.at]!;
    const position = this.#index.position(entry);
    const size = this.#index.bytes(entry);
    if (this.#generation !== this.#log.generation) this.forget();
    if (!this.#holds(position, size) && !this.#load(ahead)) return false;
    const { number } = this.#log.segmentAt(position);
    const buffer = this.#buffer!;
    const at = position - this.#from;
    // Records of the same size are looked at in the same place, which needs no views of its own.
    copyBytes(this.#window, at, at + size, buffer.bytes, 0);
    if (!buffer.find(size, number, offsetOf(position), entry)) return false;
    this.bytes = buffer.bytes;
    this.start = buffer.start;
    this.end = buffer.end;
    return true;
  }

  #holds(position: number, size: number): boolean {
    return position >= this.#from && position + size <= this.#to;
  }

  /** Reads the record of an entry with those of the next ones, where they are near. */
  #load(ahead: Ahead): boolean {
    const { entries, at, end } = ahead;
    const index = this.#index;
    let from = index.position(entries[at]!);
    let used = index.bytes(entries[at]!);
    let to = from + used;
    const segment = segmentOf(from);
    let next = at + 1;
    for (; next < end; next++) {
      const position = index.position(entries[next]!);
      if (segmentOf(position) !== segment) break;
      const size = index.bytes(entries[next]!);
      const low = Math.min(from, position);
      const high = Math.max(to, position + size);
      if (high - low > WINDOW_BYTES || high - low > SPARSE_FACTOR * (used + size)) break;
      from = low;
      to = high;
      used += size;
    }
    return next > at + 1 && this.#read(from, to);
  }

  #read(from: number, to: number): boolean {
    this.forget();
    if (this.#buffer === undefined) {
      this.#buffer = new RecordBuffer(WINDOW_BYTES, this.#index);
      this.#window = new Uint8Array(WINDOW_BYTES);
    }
    const { file } = this.#log.segmentAt(from);
    const bytes = to - from;
    try {
      const count = file.read(this.#window.subarray(0, bytes), offsetOf(from));
      if (count !== bytes) return false;
    } catch {
      // Whoever reads the record alone says what is wrong.
      return false;
    }
    this.#from = from;
    this.#to = to;
    this.#generation = this.#log.generation;
    return true;
  }
}

// --- internal ---

const NOTHING = new Uint8Array(0);
const WINDOW_BYTES = 128 * 1024;
/** Bytes of a window for each byte of records that are wanted, at most: to read one costs more. */
const SPARSE_FACTOR = 8;
