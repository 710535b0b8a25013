/**
 * The entries of the index: what is known of the newest record of each key, in 32 bytes, and behind
 * them the key. The number of an entry is its place.
 */

import { assert } from "../errors.ts";
import { SEGMENT_ID_MAX } from "../limits.ts";
import { decodeUtf8 } from "../text.ts";
import { ContentTypes } from "./content-types.ts";
import { chunkOf, EntryArena, USED, wordOf } from "./entry-arena.ts";
import { compareKeyWords, copyKeyWords, keyWords } from "./key-words.ts";
import { NumberMap } from "./number-map.ts";
import type { KeyColumns } from "./key-columns.ts";
import type { HashWords } from "./key-hash.ts";
import type { WantedKey } from "./wanted-key.ts";

export class Entries {
  readonly #arena = new EntryArena(unitsAt);
  /** What does not fit into an entry, or few of them have. */
  readonly #deadlines = new NumberMap<number>();
  readonly #largeVersions = new NumberMap<number>();
  readonly #largeTypes = new NumberMap<number>();
  readonly #types: ContentTypes;

  constructor(types = new ContentTypes()) {
    this.#types = types;
  }

  /** No entries yet, of the same content types. */
  like(): Entries {
    return new Entries(this.#types);
  }

  /** Bytes of memory that they take, but for few content types. */
  get bytesHeld(): number {
    const aside = [this.#deadlines, this.#largeVersions, this.#largeTypes];
    return aside.reduce((sum, { size }) => sum + size * MAP_ENTRY_BYTES, this.#arena.bytesHeld);
  }

  // What an entry says

  isUsed(entry: number): boolean {
    return this.#words(entry)[wordOf(entry) + CREATE_HIGH]! >= USED;
  }

  revision(entry: number): number {
    const words = this.#words(entry);
    const at = wordOf(entry);
    return words[at]! + (words[at + REVISION_HIGH]! & HIGH_MASK) * TWO_TO_32;
  }

  createRevision(entry: number): number {
    const words = this.#words(entry);
    const at = wordOf(entry);
    return words[at + CREATE]! + (words[at + CREATE_HIGH]! & HIGH_MASK) * TWO_TO_32;
  }

  /** Is it no tombstone? */
  isLive(entry: number): boolean {
    return this.#words(entry)[wordOf(entry) + VERSION] !== 0;
  }

  version(entry: number): number {
    const version = this.#words(entry)[wordOf(entry) + VERSION]!;
    return version === LARGE_VERSION ? this.#largeVersions.get(entry)! : version;
  }

  contentType(entry: number): string {
    return this.#types.text(this.#type(entry));
  }

  deadline(entry: number): number {
    if (this.#words(entry)[wordOf(entry) + BYTES]! < TIMED) return 0;
    return this.#deadlines.get(entry)!;
  }

  position(entry: number): number {
    const words = this.#words(entry);
    const at = wordOf(entry);
    const low = words[at + REVISION_HIGH]! >>> HIGH_BITS;
    const high = (words[at + CREATE_HIGH]! & ~USED) >>> HIGH_BITS;
    return (low + (high << LOW_SEGMENT_BITS)) * TWO_TO_32 + words[at + OFFSET]!;
  }

  bytes(entry: number): number {
    return this.#words(entry)[wordOf(entry) + BYTES]! & ~TIMED;
  }

  // Keys

  /** Bytes of the key. */
  keyBytes(entry: number): number {
    return this.#words(entry)[wordOf(entry) + TYPE]! >>> 16;
  }

  key(entry: number): string {
    const words = this.#words(entry);
    const start = wordOf(entry) + KEY;
    const length = this.keyBytes(entry);
    let all = 0;
    for (let at = keyWords(length); at-- > 0;) all |= words[start + at]!;
    const bytes = this.#arena.bytes[chunkOf(entry)]!;
    // Most keys are ASCII, which needs no decoder.
    if ((all & 0x80808080) === 0) return bytes.toString("latin1", 4 * start, 4 * start + length);
    const text = decodeUtf8(bytes.subarray(4 * start, 4 * start + length));
    assert(text !== undefined, "a key of the index is UTF-8");
    return text;
  }

  /** Copies the bytes of a key to `at`; answers where they end there. */
  copyKey(entry: number, into: Uint8Array, at: number): number {
    const bytes = this.#arena.bytes[chunkOf(entry)]!;
    const start = 4 * (wordOf(entry) + KEY);
    const length = this.keyBytes(entry);
    for (let byte = 0; byte < length; byte++) into[at + byte] = bytes[start + byte]!;
    return at + length;
  }

  /** The hash of a key. */
  hash(entry: number, hash: HashWords): number {
    return hash(this.#words(entry), wordOf(entry) + KEY, this.keyBytes(entry));
  }

  takeKey(entry: number, into: WantedKey): void {
    const start = 4 * (wordOf(entry) + KEY);
    into.set(this.#arena.bytes[chunkOf(entry)]!, start, start + this.keyBytes(entry));
  }

  /** Reads ahead where many entries and their keys begin; -1 stands for none. */
  touch(entries: Int32Array, count: number): number {
    return this.#arena.touch(entries, count, KEY);
  }

  isKey(entry: number, { words, length }: WantedKey): boolean {
    const own = this.#words(entry);
    const start = wordOf(entry);
    if (own[start + TYPE]! >>> 16 !== length) return false;
    for (let at = keyWords(length); at-- > 0;) {
      if (own[start + KEY + at] !== words[at]) return false;
    }
    return true;
  }

  /** Order of the key of an entry and another one: negative, 0 or positive. */
  compare(entry: number, key: WantedKey): number {
    const words = this.#words(entry);
    const at = wordOf(entry);
    return compareKeyWords(words, at + KEY, words[at + TYPE]! >>> 16, key.words, 0, key.length);
  }

  /** The same of the keys of two entries. */
  compareBoth(a: number, b: number): number {
    const first = this.#words(a);
    const second = this.#words(b);
    return compareKeyWords(
      first,
      wordOf(a) + KEY,
      this.keyBytes(a),
      second,
      wordOf(b) + KEY,
      this.keyBytes(b),
    );
  }

  /** Bytes that the key of an entry and another one begin with both, of which `from` are known. */
  commonBytes(entry: number, key: WantedKey, from: number): number {
    const bytes = this.#arena.bytes[chunkOf(entry)]!;
    const start = 4 * (wordOf(entry) + KEY);
    const end = Math.min(this.keyBytes(entry), key.length);
    let at = from;
    while (at < end && bytes[start + at] === key.bytes[at]) at++;
    return at;
  }

  /** The byte of a key at `at`, plus 1; 0 behind its end. */
  symbol(entry: number, at: number): number {
    if (at >= this.keyBytes(entry)) return 0;
    return this.#arena.bytes[chunkOf(entry)]![4 * (wordOf(entry) + KEY) + at]! + 1;
  }

  /** Visits every entry, in no order of keys. */
  each(visit: (entry: number) => void): void {
    this.#arena.each(visit);
  }

  /** Entries with their deadlines, of those that have one, in no order. */
  deadlines(): Iterable<[number, number]> {
    return this.#deadlines.entries();
  }

  // Changes

  /** Adds an entry with a key; the rest of it is to be set. */
  add({ words, length }: WantedKey): number {
    assert(length <= KEY_BYTES_MAX, "a key has a length that a record can tell");
    const entry = this.#arena.take(unitsOf(length));
    const own = this.#words(entry);
    const start = wordOf(entry);
    own[start + CREATE_HIGH] = USED;
    own[start + VERSION] = 0;
    own[start + BYTES] = 0;
    own[start + TYPE] = NO_TYPE | (length << 16);
    for (let at = keyWords(length); at-- > 0;) own[start + KEY + at] = words[at]!;
    return entry;
  }

  /**
   * Adds an entry for each key of `columns`, all of it; the numbers of the entries and the hashes
   * of their keys go to `numbers` and `hashes`, from `at` on. Answers false where a key is not
   * above the one before it; the first is held against that of the entry `before`, if there is one.
   */
  addRun(
    columns: KeyColumns,
    before: number,
    hash: HashWords,
    numbers: Uint32Array,
    hashes: Uint32Array,
    at: number,
  ): boolean {
    const { keys, keyEnds, count } = columns;
    let start = 0;
    for (let index = 0; index < count; index++) {
      const end = keyEnds[index]!;
      const length = end - start;
      const entry = this.#arena.take(unitsOf(length));
      const words = this.#words(entry);
      const first = wordOf(entry);
      words[first + TYPE] = NO_TYPE | (length << 16);
      copyKeyWords(keys, start, end, words, first + KEY);
      if (before >= 0 && this.compareBoth(before, entry) >= 0) return false;
      this.#setRow(words, first, entry, columns, index);
      numbers[at + index] = entry;
      hashes[at + index] = hash(words, first + KEY, length);
      before = entry;
      start = end;
    }
    return true;
  }

  /** As `set`, of an entry that is new. */
  #setRow(
    words: Uint32Array,
    first: number,
    entry: number,
    columns: KeyColumns,
    index: number,
  ): void {
    const revision = columns.revisions[index]!;
    const createRevision = columns.createRevisions[index]!;
    const position = columns.positions[index]!;
    const version = columns.versions[index]!;
    const bytes = columns.recordBytes[index]!;
    const deadline = columns.deadlines[index]!;
    const segment = Math.floor(position / TWO_TO_32);
    assert(segment <= SEGMENT_ID_MAX, "the id of a segment fits into the index");
    assert(bytes < TIMED, "the size of a record fits into the index");
    const createHigh = ((segment >>> LOW_SEGMENT_BITS) << HIGH_BITS) | USED;
    words[first] = revision;
    words[first + REVISION_HIGH] = Math.floor(revision / TWO_TO_32) | (segment << HIGH_BITS);
    words[first + CREATE] = createRevision;
    words[first + CREATE_HIGH] = Math.floor(createRevision / TWO_TO_32) | createHigh;
    words[first + VERSION] = Math.min(version, LARGE_VERSION);
    words[first + OFFSET] = position;
    words[first + BYTES] = deadline === 0 ? bytes : bytes + TIMED;
    const type = this.#types.use(columns.contentTypes[index]!);
    words[first + TYPE] = (words[first + TYPE]! & ~0xffff) | Math.min(type, LARGE_TYPE);
    if (type >= LARGE_TYPE) this.#largeTypes.set(entry, type);
    if (version >= LARGE_VERSION) this.#largeVersions.set(entry, version);
    if (deadline !== 0) this.#deadlines.set(entry, deadline);
  }

  /** Adds a copy of an entry of others that have the same content types. */
  addCopy(from: Entries, entry: number): number {
    const units = unitsOf(from.keyBytes(entry));
    const copy = this.#arena.take(units);
    const own = from.#words(entry).subarray(wordOf(entry), wordOf(entry) + 2 * units);
    this.#words(copy).set(own, wordOf(copy));
    const type = from.#type(entry);
    this.#types.useAgain(type);
    if (type >= LARGE_TYPE) this.#largeTypes.set(copy, type);
    const version = from.version(entry);
    if (version >= LARGE_VERSION) this.#largeVersions.set(copy, version);
    const deadline = from.deadline(entry);
    if (deadline !== 0) this.#deadlines.set(copy, deadline);
    return copy;
  }

  remove(entry: number): void {
    this.#clear(entry);
    this.#arena.release(entry, unitsOf(this.keyBytes(entry)));
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
    const words = this.#words(entry);
    const at = wordOf(entry);
    words[at] = revision;
    words[at + REVISION_HIGH] = revision / TWO_TO_32;
    words[at + CREATE] = createRevision;
    words[at + CREATE_HIGH] = createRevision / TWO_TO_32;
    words[at + TYPE] = (words[at + TYPE]! & ~0xffff) | Math.min(type, LARGE_TYPE);
    if (type >= LARGE_TYPE) this.#largeTypes.set(entry, type);
    words[at + VERSION] = Math.min(version, LARGE_VERSION);
    if (version >= LARGE_VERSION) this.#largeVersions.set(entry, version);
    assert(bytes < TIMED, "the size of a record fits into the index");
    words[at + BYTES] = deadline === 0 ? bytes : bytes + TIMED;
    if (deadline !== 0) this.#deadlines.set(entry, deadline);
    this.move(entry, position);
  }

  /** Writes another position. */
  move(entry: number, position: number): void {
    const segment = Math.floor(position / TWO_TO_32);
    assert(segment <= SEGMENT_ID_MAX, "the id of a segment fits into the index");
    const words = this.#words(entry);
    const at = wordOf(entry);
    const revisionHigh = words[at + REVISION_HIGH]! & HIGH_MASK;
    const createHigh = words[at + CREATE_HIGH]! & HIGH_MASK;
    words[at + REVISION_HIGH] = revisionHigh | (segment << HIGH_BITS);
    words[at + CREATE_HIGH] = createHigh | ((segment >>> LOW_SEGMENT_BITS) << HIGH_BITS) | USED;
    words[at + OFFSET] = position;
  }

  #type(entry: number): number {
    const type = this.#words(entry)[wordOf(entry) + TYPE]! & 0xffff;
    return type === LARGE_TYPE ? this.#largeTypes.get(entry)! : type;
  }

  /** Lets go of what is not in the entry itself. */
  #clear(entry: number): void {
    const words = this.#words(entry);
    const at = wordOf(entry);
    const type = words[at + TYPE]! & 0xffff;
    if (type !== NO_TYPE) this.#types.release(this.#type(entry));
    if (type === LARGE_TYPE) this.#largeTypes.delete(entry);
    if (words[at + VERSION] === LARGE_VERSION) this.#largeVersions.delete(entry);
    if (words[at + BYTES]! >= TIMED) this.#deadlines.delete(entry);
  }

  #words(entry: number): Uint32Array {
    return this.#arena.words[chunkOf(entry)]!;
  }
}

// --- internal ---

/**
 * The words of an entry. It begins with the lower half of the revision. What revisions leave of the
 * words of their upper halves is the id of the segment and whether it is an entry at all; `BYTES`
 * has a bit that says whether there is a deadline; `TYPE` is a content type of 16 bits and the
 * bytes of the key.
 */
const REVISION_HIGH = 1;
const CREATE = 2;
const CREATE_HIGH = 3;
const VERSION = 4;
const OFFSET = 5;
const BYTES = 6;
const TYPE = 7;
const KEY = 8;

const TWO_TO_32 = 2 ** 32;
const HIGH_BITS = 21;
const HIGH_MASK = 2 ** HIGH_BITS - 1;
const LOW_SEGMENT_BITS = 32 - HIGH_BITS;
const TIMED = 2 ** 31;
const KEY_BYTES_MAX = 0xffff;

/** Those from this one on stand in a map. */
const LARGE_VERSION = 0xffffffff;
const LARGE_TYPE = 0xfffe;
const NO_TYPE = 0xffff;

/** What an entry of a map takes, about. */
const MAP_ENTRY_BYTES = 48;

/** Units of eight bytes of an entry with a key of `length` bytes. */
function unitsOf(length: number): number {
  return KEY / 2 + ((length + 7) >>> 3);
}

function unitsAt(words: Uint32Array, at: number): number {
  return unitsOf(words[at + TYPE]! >>> 16);
}
