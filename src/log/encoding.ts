/**
 * The records of a batch in memory, laid out as they will stand in the log: one after the other, in
 * one piece of bytes that is used again for each batch. What hangs on their place in the log is
 * filled in once that is known. A key can be looked up among them, so that what comes later in the
 * batch finds what came before. Writes nothing.
 */

import { assert } from "../errors.ts";
import { decodeUtf8, encodeUtf8Into } from "../text.ts";
import { copyBytes } from "./bytes.ts";
import {
  FLAG_BATCH_START,
  FLAG_COMMIT_END,
  getInteger,
  KIND,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  sealRecord,
  setLengths,
  setNumbers,
  type Kind,
} from "./format.ts";
import { secretHash } from "./key-hash.ts";
import { NO_ENTRY, position } from "./key-index.ts";
import type { Segment } from "./segment.ts";

/** What a note says: see FORMAT.md for the kinds that are no part of a commit. */
export interface Note {
  readonly kind: typeof KIND.compact | typeof KIND.reserve | typeof KIND.void;
  /** The store's revision. */
  readonly revision: number;
  /** The revision that it names. */
  readonly names: number;
}

export class PendingRecords {
  #bytes: Uint8Array;
  #view: DataView;
  #words: Uint32Array;
  /** Where each record begins; the next one does at `#end`. */
  #starts = new Uint32Array(RECORDS_FIRST);
  #flags = new Uint8Array(RECORDS_FIRST);
  #hashes = new Int32Array(RECORDS_FIRST);
  #entries = new Int32Array(RECORDS_FIRST);
  #types: string[] = [];
  #count = 0;
  #end = 0;
  #beginsCommit = true;
  /** By the hash of a key: its newest record, plus 1; 0 = none. */
  #table = new Int32Array(4 * RECORDS_FIRST);
  /** The end of the key that was laid last, and its slot in the table. */
  #keyEnd = 0;
  #slot = 0;
  #hash = 0;
  /** The entry in the index of the key that was laid last, where it was found there. */
  laidEntry = NO_ENTRY;
  /** What positions name the segment by, and where the first record stands in it. */
  #segmentId = 0;
  #offset = 0;
  /** The checksum of the last record, once they have their place. */
  chain = 0;

  constructor(bytes = BYTES_FIRST) {
    this.#bytes = new Uint8Array(bytes);
    this.#view = new DataView(this.#bytes.buffer);
    this.#words = new Uint32Array(this.#bytes.buffer);
  }

  /** Forgets all of them. What was read of them is not good any more. */
  reset(): void {
    if (this.#bytes.length > BYTES_KEPT) {
      this.#bytes = new Uint8Array(BYTES_KEPT);
      this.#view = new DataView(this.#bytes.buffer);
      this.#words = new Uint32Array(this.#bytes.buffer);
    }
    if (this.#starts.length > RECORDS_KEPT) {
      this.#starts = new Uint32Array(RECORDS_KEPT);
      this.#flags = new Uint8Array(RECORDS_KEPT);
      this.#hashes = new Int32Array(RECORDS_KEPT);
      this.#entries = new Int32Array(RECORDS_KEPT);
      this.#table = new Int32Array(4 * RECORDS_KEPT);
    } else if (this.#count > 0) this.#table.fill(0);
    this.#types.length = 0;
    this.#count = 0;
    this.#end = 0;
    this.#beginsCommit = true;
  }

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** All of them are in it from its beginning on. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Where the last one ends. */
  get end(): number {
    return this.#end;
  }

  // Adding records: a key is laid down, perhaps looked up, and the rest follows.

  /** Lays down a key at the end; the next call may lay another one over it. */
  layText(key: string): void {
    const start = this.#end + RECORD_HEADER_BYTES;
    this.#grow(start + 3 * key.length + WORD_BYTES);
    const bytes = this.#bytes;
    for (let at = 0; at < key.length; at++) {
      const unit = key.charCodeAt(at);
      if (unit > 0x7f) {
        this.#keyEnd = start + encodeUtf8Into(key, bytes, start);
        return;
      }
      bytes[start + at] = unit;
    }
    this.#keyEnd = start + key.length;
  }

  /** As `layText`, of the key at `start` to `end` of `from`. */
  layBytes(from: Uint8Array, start: number, end: number): void {
    const to = this.#end + RECORD_HEADER_BYTES;
    this.#grow(to + end - start + WORD_BYTES);
    copyBytes(from, start, end, this.#bytes, to);
    this.#keyEnd = to + end - start;
  }

  /** Where the key that was laid is in `bytes`. */
  get laidStart(): number {
    return this.#end + RECORD_HEADER_BYTES;
  }

  get laidEnd(): number {
    return this.#keyEnd;
  }

  /** The newest record of the key that was laid, or -1. */
  find(): number {
    const start = this.laidStart;
    const length = this.#keyEnd - start;
    const mask = this.#table.length - 1;
    this.laidEntry = NO_ENTRY;
    // The last word may not be full.
    for (let at = this.#keyEnd; at % 4 !== 0; at++) this.#bytes[at] = 0;
    this.#hash = hashWords(this.#words, start / 4, length) | 0;
    let slot = this.#hash & mask;
    for (;;) {
      const record = this.#table[slot]! - 1;
      this.#slot = slot;
      if (record < 0) return -1;
      if (this.#hasKey(record, start, length)) return record;
      slot = (slot + 1) & mask;
    }
  }

  /**
   * Completes the record of the key that was laid and looked up. `contentType` and the value at
   * `start` to `end` of `from` are empty but for a put, and so are the other numbers 0.
   */
  add(
    kind: Kind,
    contentType: string,
    from: Uint8Array,
    start: number,
    end: number,
    revision: number,
    previousRevision: number,
    createRevision: number,
    version: number,
    deadline: number,
  ): void {
    const at = this.#end;
    const keyBytes = this.#keyEnd - at - RECORD_HEADER_BYTES;
    let next = this.#keyEnd;
    this.#grow(next + contentType.length + end - start + RECORD_ALIGNMENT_BYTES);
    const bytes = this.#bytes;
    setLengths(this.#view, at, kind, contentType.length, keyBytes, end - start);
    setNumbers(this.#view, at, revision, previousRevision, createRevision, version, deadline);
    for (let index = 0; index < contentType.length; index++) {
      bytes[next++] = contentType.charCodeAt(index);
    }
    if (end > start) copyBytes(from, start, end, bytes, next);
    next += end - start;
    while (next % RECORD_ALIGNMENT_BYTES !== 0) bytes[next++] = 0;
    this.#note(at, next, contentType);
  }

  /** The last record ends its commit, or belongs to none. */
  endCommit(): void {
    this.#flags[this.#count - 1]! |= LAST;
    this.#beginsCommit = true;
  }

  /** Adds the record of a note. */
  addNote({ kind, revision, names }: Note): void {
    this.layText("");
    this.find();
    this.#beginsCommit = false;
    this.add(kind, "", NOTHING, 0, 0, revision, 0, names, 0, 0);
    this.endCommit();
  }

  // Looking at records

  kind(record: number): Kind {
    return this.#view.getUint8(this.#starts[record]! + 12) as Kind;
  }

  revision(record: number): number {
    return getInteger(this.#view, this.#starts[record]! + 32);
  }

  /** 0 for a deletion, as are version and deadline. */
  createRevision(record: number): number {
    return getInteger(this.#view, this.#starts[record]! + 48);
  }

  version(record: number): number {
    return getInteger(this.#view, this.#starts[record]! + 56);
  }

  deadline(record: number): number {
    return getInteger(this.#view, this.#starts[record]! + 72);
  }

  /** The entry that its key was found to have, or `NO_ENTRY`. */
  entry(record: number): number {
    return this.#entries[record]!;
  }

  contentType(record: number): string {
    return this.#types[record]!;
  }

  /** The place of its key in `bytes`. */
  keyStart(record: number): number {
    return this.#starts[record]! + RECORD_HEADER_BYTES;
  }

  keyEnd(record: number): number {
    const start = this.#starts[record]!;
    return start + RECORD_HEADER_BYTES + this.#view.getUint16(start + 16, true);
  }

  key(record: number): string {
    const key = decodeUtf8(this.#bytes.subarray(this.keyStart(record), this.keyEnd(record)));
    assert(key !== undefined, "a key that is written is UTF-8");
    return key;
  }

  /** The place of its value in `bytes`. */
  valueStart(record: number): number {
    return this.keyEnd(record) + this.#types[record]!.length;
  }

  valueEnd(record: number): number {
    return this.valueStart(record) + this.#view.getUint32(this.#starts[record]! + 20, true);
  }

  /** Its value, until `reset`. */
  value(record: number): Uint8Array {
    return this.#bytes.subarray(this.valueStart(record), this.valueEnd(record));
  }

  /** Bytes of it, padding included. */
  recordBytes(record: number): number {
    return this.recordEnd(record) - this.#starts[record]!;
  }

  /** Its place in `bytes`. */
  recordStart(record: number): number {
    return this.#starts[record]!;
  }

  recordEnd(record: number): number {
    return record + 1 < this.#count ? this.#starts[record + 1]! : this.#end;
  }

  isFirst(record: number): boolean {
    return (this.#flags[record]! & FIRST) !== 0;
  }

  isLast(record: number): boolean {
    return (this.#flags[record]! & LAST) !== 0;
  }

  // Their place in the log

  /**
   * Makes them those at the end of a segment. `time` is that of all of them, in milliseconds since
   * 1970. `startsBatch`: everything before them is synced, which the first one says from then on.
   */
  place(segment: Segment, time: number, startsBatch: boolean): void {
    this.#segmentId = segment.id;
    this.#offset = segment.end;
    let { chain } = segment;
    const bytes = this.#bytes;
    const view = this.#view;
    const { number, end } = segment;
    for (let record = 0; record < this.#count; record++) {
      const at = this.#starts[record]!;
      const size = this.recordEnd(record) - at;
      const starts = startsBatch && record === 0 ? FLAG_BATCH_START : 0;
      const flags = starts | (this.isLast(record) ? FLAG_COMMIT_END : 0);
      const place = { segment: number, offset: end + at, previousCrc: chain, flags };
      chain = sealRecord(bytes, view, at, size, time, place);
    }
    this.chain = chain;
  }

  /** Where a record came to stand: the position in memory, and the offset in its segment. */
  position(record: number): number {
    return position(this.#segmentId, this.offset(record));
  }

  offset(record: number): number {
    return this.#offset + this.#starts[record]!;
  }

  #note(at: number, end: number, contentType: string): void {
    const record = this.#count++;
    if (record === this.#starts.length) this.#growColumns();
    this.#starts[record] = at;
    this.#flags[record] = this.#beginsCommit ? FIRST : 0;
    this.#hashes[record] = this.#hash;
    this.#entries[record] = this.laidEntry;
    this.#beginsCommit = false;
    this.#types.push(contentType);
    this.#end = end;
    this.#table[this.#slot] = record + 1;
    if (4 * this.#count > 3 * this.#table.length) this.#growTable();
  }

  #hasKey(record: number, start: number, length: number): boolean {
    const bytes = this.#bytes;
    const other = this.keyStart(record);
    if (this.keyEnd(record) - other !== length) return false;
    for (let at = 0; at < length; at++) if (bytes[start + at] !== bytes[other + at]) return false;
    return true;
  }

  #grow(bytes: number): void {
    if (bytes <= this.#bytes.length) return;
    const { length } = this.#bytes;
    const more = new Uint8Array(8 * Math.ceil(Math.max(bytes, 2 * length) / 8));
    more.set(this.#bytes.subarray(0, Math.max(this.#end, this.#keyEnd)));
    this.#bytes = more;
    this.#view = new DataView(more.buffer);
    this.#words = new Uint32Array(more.buffer);
  }

  #growColumns(): void {
    const length = 2 * this.#starts.length;
    this.#starts = grown(this.#starts, new Uint32Array(length));
    this.#flags = grown(this.#flags, new Uint8Array(length));
    this.#hashes = grown(this.#hashes, new Int32Array(length));
    this.#entries = grown(this.#entries, new Int32Array(length));
  }

  /** Makes the table anew with more slots, for the newest record of each key. */
  #growTable(): void {
    const before = this.#table;
    this.#table = new Int32Array(4 * before.length);
    const mask = this.#table.length - 1;
    for (const held of before) {
      if (held === 0) continue;
      let slot = this.#hashes[held - 1]! & mask;
      while (this.#table[slot] !== 0) slot = (slot + 1) & mask;
      this.#table[slot] = held;
    }
  }
}

// --- internal ---

/** Memory that is kept from batch to batch: bytes of records, and their number. */
const BYTES_KEPT = 512 * 1024;
const RECORDS_KEPT = 1024;
/** What there is at first: most stores are small, and many are opened for a moment. */
const BYTES_FIRST = 8 * 1024;
const RECORDS_FIRST = 64;

const WORD_BYTES = 4;

/** Is it the first record of its commit, or the last? */
const FIRST = 1;
const LAST = 2;

const NOTHING = new Uint8Array(0);

/** Nobody can choose keys that collide. */
const hashWords = secretHash();

function grown<C extends Uint8Array | Uint32Array | Int32Array>(before: C, after: C): C {
  after.set(before);
  return after;
}
