/**
 * What the index knows of the newest record of each key, as rows of 36 bytes in chunks, found by
 * the number of the entry. Numbers of entries that go are given anew.
 */

import { assert } from "../errors.ts";
import type { ContentTypes } from "./content-types.ts";

export class EntryRows {
  readonly #chunks: Uint32Array[] = [];
  /** Deadlines of the entries of a chunk, where one has some. */
  readonly #deadlines: (Float64Array | undefined)[] = [];
  /** Versions and numbers of content types that do not fit into a row. */
  readonly #largeVersions = new Map<number, number>();
  readonly #largeTypes = new Map<number, number>();
  readonly #types: ContentTypes;
  /** Numbers below this one were given. */
  #end = 0;
  /** The first of the free rows, each of which says the next one. */
  #free = NONE;
  #timedChunks = 0;

  constructor(types: ContentTypes) {
    this.#types = types;
  }

  /** All entries have numbers below this one. */
  get end(): number {
    return this.#end;
  }

  /** Bytes of memory that it takes. */
  get bytesHeld(): number {
    const large = this.#largeVersions.size + this.#largeTypes.size;
    return (
      this.#chunks.length * CHUNK_ROWS * ROW_WORDS * 4 +
      this.#timedChunks * CHUNK_ROWS * 8 +
      large * MAP_ENTRY_BYTES
    );
  }

  /** A number for an entry, all of which is to be written then: `set`, and `setKey`. */
  add(): number {
    let entry = this.#free;
    if (entry !== NONE) this.#free = this.#chunk(entry)[rowOf(entry)]!;
    else {
      entry = this.#end++;
      if ((entry & CHUNK_MASK) === 0) this.#addChunk();
    }
    const at = rowOf(entry);
    const chunk = this.#chunk(entry);
    chunk[at + CREATE_HIGH] = USED;
    chunk[at + VERSION] = 0;
    chunk[at + TYPE] = NO_TYPE;
    return entry;
  }

  /** Frees the number of an entry. */
  remove(entry: number): void {
    this.#clear(entry);
    const chunk = this.#chunk(entry);
    const at = rowOf(entry);
    chunk[at] = this.#free;
    chunk[at + CREATE_HIGH] = 0;
    chunk[at + VERSION] = 0;
    this.#free = entry;
  }

  isUsed(entry: number): boolean {
    return this.#chunk(entry)[rowOf(entry) + CREATE_HIGH]! >= USED;
  }

  revision(entry: number): number {
    const chunk = this.#chunk(entry);
    const at = rowOf(entry);
    return chunk[at]! + (chunk[at + REVISION_HIGH]! & HIGH_MASK) * TWO_TO_32;
  }

  createRevision(entry: number): number {
    const chunk = this.#chunk(entry);
    const at = rowOf(entry);
    return chunk[at + CREATE]! + (chunk[at + CREATE_HIGH]! & HIGH_MASK) * TWO_TO_32;
  }

  /** Is it no tombstone? */
  isLive(entry: number): boolean {
    return this.#chunk(entry)[rowOf(entry) + VERSION] !== 0;
  }

  version(entry: number): number {
    const version = this.#chunk(entry)[rowOf(entry) + VERSION]!;
    return version === LARGE_VERSION ? this.#largeVersions.get(entry)! : version;
  }

  contentType(entry: number): string {
    return this.#types.text(this.#type(entry));
  }

  deadline(entry: number): number {
    const deadlines = this.#deadlines[entry >>> CHUNK_SHIFT];
    return deadlines === undefined ? 0 : deadlines[entry & CHUNK_MASK]!;
  }

  position(entry: number): number {
    const chunk = this.#chunk(entry);
    const at = rowOf(entry);
    const low = chunk[at + REVISION_HIGH]! >>> HIGH_BITS;
    const high = (chunk[at + CREATE_HIGH]! & ~USED) >>> HIGH_BITS;
    return (low + (high << LOW_SEGMENT_BITS)) * TWO_TO_32 + chunk[at + OFFSET]!;
  }

  bytes(entry: number): number {
    return this.#chunk(entry)[rowOf(entry) + BYTES]!;
  }

  keyPlace(entry: number): number {
    return this.#chunk(entry)[rowOf(entry) + KEY_PLACE]!;
  }

  keyLength(entry: number): number {
    return this.#chunk(entry)[rowOf(entry) + TYPE]! >>> 16;
  }

  setKey(entry: number, place: number, length: number): void {
    assert(length <= KEY_LENGTH_MAX, "a key has a length that a record can tell");
    const chunk = this.#chunk(entry);
    const at = rowOf(entry);
    chunk[at + KEY_PLACE] = place;
    chunk[at + TYPE] = (chunk[at + TYPE]! & 0xffff) | (length << 16);
  }

  /** Writes all but the key. */
  set(
    entry: number,
    revision: number,
    createRevision: number,
    version: number,
    contentType: string,
    deadline: number,
    position: number,
    bytes: number,
  ): void {
    // Before what was there is released: it may be the last one that has the content type.
    const type = this.#types.use(contentType);
    this.#clear(entry);
    const chunk = this.#chunk(entry);
    const at = rowOf(entry);
    chunk[at] = revision;
    chunk[at + REVISION_HIGH] = revision / TWO_TO_32;
    chunk[at + CREATE] = createRevision;
    chunk[at + CREATE_HIGH] = createRevision / TWO_TO_32;
    chunk[at + BYTES] = bytes;
    chunk[at + TYPE] = (chunk[at + TYPE]! & ~0xffff) | Math.min(type, LARGE_TYPE);
    if (type >= LARGE_TYPE) this.#largeTypes.set(entry, type);
    chunk[at + VERSION] = Math.min(version, LARGE_VERSION);
    if (version >= LARGE_VERSION) this.#largeVersions.set(entry, version);
    if (deadline !== 0) this.#setDeadline(entry, deadline);
    this.move(entry, position);
  }

  /** Writes another position. */
  move(entry: number, position: number): void {
    const segment = Math.floor(position / TWO_TO_32);
    assert(segment < 1 << SEGMENT_BITS, "the id of a segment fits into the index");
    const chunk = this.#chunk(entry);
    const at = rowOf(entry);
    const revisionHigh = chunk[at + REVISION_HIGH]! & HIGH_MASK;
    const createHigh = chunk[at + CREATE_HIGH]! & HIGH_MASK;
    chunk[at + REVISION_HIGH] = revisionHigh | (segment << HIGH_BITS);
    chunk[at + CREATE_HIGH] = createHigh | ((segment >>> LOW_SEGMENT_BITS) << HIGH_BITS) | USED;
    chunk[at + OFFSET] = position;
  }

  /** A copy of the row of an entry of other rows that have the same content types. */
  addCopy(from: EntryRows, entry: number): number {
    const copy = this.add();
    const row = from.#chunk(entry).subarray(rowOf(entry), rowOf(entry) + ROW_WORDS);
    this.#chunk(copy).set(row, rowOf(copy));
    const type = from.#type(entry);
    this.#types.useAgain(type);
    if (type >= LARGE_TYPE) this.#largeTypes.set(copy, type);
    const version = from.version(entry);
    if (version >= LARGE_VERSION) this.#largeVersions.set(copy, version);
    const deadline = from.deadline(entry);
    if (deadline !== 0) this.#setDeadline(copy, deadline);
    return copy;
  }

  #type(entry: number): number {
    const type = this.#chunk(entry)[rowOf(entry) + TYPE]! & 0xffff;
    return type === LARGE_TYPE ? this.#largeTypes.get(entry)! : type;
  }

  /** Lets go of what stands outside of the row. */
  #clear(entry: number): void {
    const chunk = this.#chunk(entry);
    const at = rowOf(entry);
    if ((chunk[at + TYPE]! & 0xffff) !== NO_TYPE) this.#types.release(this.#type(entry));
    if ((chunk[at + TYPE]! & 0xffff) === LARGE_TYPE) this.#largeTypes.delete(entry);
    if (chunk[at + VERSION] === LARGE_VERSION) this.#largeVersions.delete(entry);
    const deadlines = this.#deadlines[entry >>> CHUNK_SHIFT];
    if (deadlines !== undefined) deadlines[entry & CHUNK_MASK] = 0;
    chunk[at + TYPE]! |= NO_TYPE;
  }

  #setDeadline(entry: number, deadline: number): void {
    let deadlines = this.#deadlines[entry >>> CHUNK_SHIFT];
    if (deadlines === undefined) {
      deadlines = new Float64Array(CHUNK_ROWS);
      this.#deadlines[entry >>> CHUNK_SHIFT] = deadlines;
      this.#timedChunks++;
    }
    deadlines[entry & CHUNK_MASK] = deadline;
  }

  #chunk(entry: number): Uint32Array {
    return this.#chunks[entry >>> CHUNK_SHIFT]!;
  }

  #addChunk(): void {
    assert(this.#end < ENTRIES_MAX, "the index has numbers for its entries");
    this.#chunks.push(new Uint32Array(CHUNK_ROWS * ROW_WORDS));
    this.#deadlines.push(undefined);
  }
}

// --- internal ---

/**
 * The words of a row: a revision and a create revision of 53 bits each, the rest of which are
 * segment and a mark that the row is used; the lower 16 bits of `TYPE` are the content type, the
 * upper ones the bytes of the key.
 */
const REVISION_HIGH = 1;
const CREATE = 2;
const CREATE_HIGH = 3;
const VERSION = 4;
const OFFSET = 5;
const BYTES = 6;
const TYPE = 7;
const KEY_PLACE = 8;
const ROW_WORDS = 9;

const TWO_TO_32 = 2 ** 32;
const HIGH_BITS = 21;
const HIGH_MASK = 2 ** HIGH_BITS - 1;
const LOW_SEGMENT_BITS = 32 - HIGH_BITS;
const SEGMENT_BITS = 21;
const USED = 2 ** 31;
const KEY_LENGTH_MAX = 0xffff;

/** Those from this one on stand in a map. */
const LARGE_VERSION = 0xffffffff;
const LARGE_TYPE = 0xfffe;
const NO_TYPE = 0xffff;

const CHUNK_SHIFT = 13;
const CHUNK_ROWS = 1 << CHUNK_SHIFT;
const CHUNK_MASK = CHUNK_ROWS - 1;
/** Entries are signed integers of 32 bits: those are the fast ones. */
const ENTRIES_MAX = 2 ** 31 - CHUNK_ROWS;
const NONE = 0xffffffff;
/** What an entry of a map takes, about. */
const MAP_ENTRY_BYTES = 40;

function rowOf(entry: number): number {
  return (entry & CHUNK_MASK) * ROW_WORDS;
}
