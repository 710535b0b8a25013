/**
 * The index: for each key its newest record, in memory, ordered by key. Deleted keys stay as
 * tombstones until compaction passes them, so that reads at an older revision find them. A hash
 * finds one key; sorted chunks give the order.
 */

import { assert } from "../errors.ts";
import { compareKeys } from "../keys.ts";
import { encodeUtf8 } from "../text.ts";
import { IndexCopy } from "./index-copy.ts";
import type { KeyColumns } from "./key-columns.ts";
import type { KeySource } from "./listing.ts";
import { lowerBound } from "./sorted.ts";
import { Tombstones } from "./tombstones.ts";

/** What the index knows of a key's newest record. */
export interface Newest {
  readonly revision: number;
  readonly createRevision: number;
  /** 0 for a tombstone. */
  readonly version: number;
  readonly contentType: string;
  /** Milliseconds since 1970; 0 = never. */
  readonly deadline: number;
  /** Where the record stands: see `position`. */
  readonly position: number;
  /** Bytes of the record in the log. */
  readonly bytes: number;
}

/**
 * Segment and offset as one number, exact below 2^53: segments up to two million, offsets up to 4
 * GiB.
 */
export function position(segment: number, offset: number): number {
  return segment * 2 ** 32 + offset;
}

export function segmentOf(position: number): number {
  return Math.floor(position / 2 ** 32);
}

export function offsetOf(position: number): number {
  return position % 2 ** 32;
}

/** The entry of a key that is not in. */
export const NO_ENTRY = -1;

/** Entries one after the other; the index must not change meanwhile. */
export interface EntryScan {
  /** The next entry, or `NO_ENTRY` behind the last one. */
  next(): number;
}

/** Keys of a chunk above which it is split in two. */
const CHUNK_KEYS_MAX = 1024;

export class KeyIndex implements KeySource {
  readonly #newest = new Map<string, Newest>();
  /**
   * Every key once, in order: all keys of a chunk are below those of the next. No chunk is empty.
   */
  readonly #chunks: Chunk[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #keys: string[] = [];
  #live = 0;
  #liveBytes = 0;
  #timed = 0;
  readonly #tombstones = new Tombstones(
    ({ key, revision }) => this.#newest.get(key)?.revision === revision,
  );
  #copy: IndexCopy<Newest> | undefined;

  /** Keys that are no tombstones. */
  get live(): number {
    return this.#live;
  }

  /** Bytes of the records of live keys: what a log without garbage would hold. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Keys that have a deadline. */
  get timed(): number {
    return this.#timed;
  }

  /** The keys that are no tombstones; many tombstones in one place are passed over at once. */
  get living(): KeySource {
    return { up: (start) => this.up(start, true), down: (end) => this.down(end, true) };
  }

  /** Every key, in no order. The index must not change meanwhile. */
  all(): Iterable<[string, Newest]> {
    return this.#newest;
  }

  /** The newest record of a key, a tombstone included. */
  get(key: string): Newest | undefined {
    return this.#newest.get(key);
  }

  set(key: string, newest: Newest): void {
    const before = this.#newest.get(key);
    this.#copy?.note(key, before);
    if (before === undefined) this.#insert(key);
    const wasLive = before !== undefined && before.version > 0;
    const isLive = newest.version > 0;
    if (wasLive !== isLive) this.#chunks[this.#chunkOf(key)]!.live += isLive ? 1 : -1;
    this.load(key, newest);
  }

  // By number and by bytes: an entry keeps its number until its deletion is forgotten.

  /** The entry of the key at `start` to `end` in `bytes`, or `NO_ENTRY`; a tombstone counts. */
  find(bytes: Uint8Array, start: number, end: number): number {
    return this.findKey(utf8.decode(bytes.subarray(start, end)));
  }

  findKey(key: string): number {
    return this.#numbers.get(key) ?? NO_ENTRY;
  }

  revision(entry: number): number {
    return this.#at(entry).revision;
  }

  createRevision(entry: number): number {
    return this.#at(entry).createRevision;
  }

  /** 0 for a tombstone. */
  version(entry: number): number {
    return this.#at(entry).version;
  }

  contentType(entry: number): string {
    return this.#at(entry).contentType;
  }

  /** Milliseconds since 1970; 0 = never. */
  deadline(entry: number): number {
    return this.#at(entry).deadline;
  }

  position(entry: number): number {
    return this.#at(entry).position;
  }

  /** Bytes of the record in the log. */
  bytes(entry: number): number {
    return this.#at(entry).bytes;
  }

  key(entry: number): string {
    return this.#keys[entry]!;
  }

  /** Bytes of the key. */
  keyBytes(entry: number): number {
    return encodeUtf8(this.#keys[entry]!).length;
  }

  /** Copies the bytes of the key to `at`; answers where they end there. */
  copyKey(entry: number, into: Uint8Array, at: number): number {
    const bytes = encodeUtf8(this.#keys[entry]!);
    into.set(bytes, at);
    return at + bytes.length;
  }

  /** As `set`, of the key at `start` to `end` in `keyBytes`; answers the entry. */
  put(
    keyBytes: Uint8Array,
    start: number,
    end: number,
    revision: number,
    createRevision: number,
    version: number,
    contentType: string,
    deadline: number,
    position: number,
    bytes: number,
  ): number {
    const key = utf8.decode(keyBytes.subarray(start, end));
    this.set(key, { revision, createRevision, version, contentType, deadline, position, bytes });
    return this.findKey(key);
  }

  /** As `put`, while a log is read: the order is made once after it, by `sort`. */
  loadBytes(
    keyBytes: Uint8Array,
    start: number,
    end: number,
    revision: number,
    createRevision: number,
    version: number,
    contentType: string,
    deadline: number,
    position: number,
    bytes: number,
  ): number {
    const key = utf8.decode(keyBytes.subarray(start, end));
    this.load(key, { revision, createRevision, version, contentType, deadline, position, bytes });
    return this.findKey(key);
  }

  /** The newest record of an entry stands elsewhere now. */
  moveEntry(entry: number, position: number): void {
    this.move(this.#keys[entry]!, position);
  }

  /** Makes room for about that many keys more at once: before many are appended. */
  reserve(_keys: number): void {}

  /**
   * As `append`, of many keys; answers false when one is not above the one before it. `endAppend`
   * has to follow in the end.
   */
  appendColumns(columns: KeyColumns): boolean {
    let start = 0;
    for (let at = 0; at < columns.count; at++) {
      const key = utf8.decode(columns.keys.subarray(start, columns.keyEnds[at]!));
      start = columns.keyEnds[at]!;
      const last = this.#chunks.at(-1)?.keys.at(-1);
      if (last !== undefined && compareKeys(last, key) >= 0) return false;
      this.append(key, {
        revision: columns.revisions[at]!,
        createRevision: columns.createRevisions[at]!,
        version: columns.versions[at]!,
        contentType: columns.contentTypes[at]!,
        deadline: columns.deadlines[at]!,
        position: columns.positions[at]!,
        bytes: columns.recordBytes[at]!,
      });
    }
    return true;
  }

  /** As `up`, by number. */
  scanUp(start: string, living = false): EntryScan {
    const keys = this.up(start, living);
    return { next: () => this.findKey(keys.next().value ?? "") };
  }

  /** As `down`, by number. */
  scanDown(end: string | undefined, living = false): EntryScan {
    const keys = this.down(end, living);
    return { next: () => this.findKey(keys.next().value ?? "") };
  }

  #at(entry: number): Newest {
    return this.#newest.get(this.#keys[entry]!)!;
  }

  #number(key: string): void {
    if (!this.#numbers.has(key)) this.#numbers.set(key, this.#keys.push(key) - 1);
  }

  /** The newest record of a key stands elsewhere now: a merge has moved it. */
  move(key: string, position: number): void {
    const newest = this.#newest.get(key);
    if (newest !== undefined) this.#newest.set(key, { ...newest, position });
  }

  /** As `set`, while a log is read: the order is made once after it, by `sort`. */
  load(key: string, newest: Newest): void {
    const before = this.#newest.get(key);
    this.#live += Number(newest.version > 0) - Number(before !== undefined && before.version > 0);
    this.#liveBytes += liveBytes(newest) - liveBytes(before);
    this.#timed +=
      Number(newest.deadline > 0) - Number(before !== undefined && before.deadline > 0);
    this.#number(key);
    this.#newest.set(key, newest);
    if (newest.version === 0) this.#tombstones.add({ key, revision: newest.revision });
  }

  /** As `load`, of a key above all others that are in: none is loaded in another way before. */
  append(key: string, newest: Newest): void {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.keys.length === CHUNK_KEYS_MAX) {
      chunk = { keys: [], live: 0 };
      this.#chunks.push(chunk);
    }
    chunk.keys.push(key);
    this.#number(key);
    this.#newest.set(key, newest);
    this.#timed += Number(newest.deadline > 0);
    if (newest.version === 0) this.#tombstones.add({ key, revision: newest.revision });
    else {
      chunk.live++;
      this.#live++;
      this.#liveBytes += newest.bytes;
    }
  }

  /** After keys were appended, in whose order deletions do not come as they were made. */
  endAppend(): void {
    this.#tombstones.sort();
  }

  /**
   * Forgets keys whose newest record is a deletion at or below `revision`; looks at `max` deletions
   * at most. Returns whether there are more; none is forgotten while there is a copy.
   */
  dropTombstones(revision: number, max: number): boolean {
    if (this.#copy !== undefined) return false;
    for (let left = max; left > 0; left--) {
      const tombstone = this.#tombstones.oldest;
      if (tombstone === undefined || tombstone.revision > revision) return false;
      this.#tombstones.drop();
      const newest = this.#newest.get(tombstone.key);
      if (newest?.revision === tombstone.revision) this.#remove(tombstone.key);
    }
    return true;
  }

  /**
   * The index as it is now, for one reader that takes its time: keys may change meanwhile, but no
   * deletion is forgotten. Only one at a time; `endCopy` when it is not needed any more.
   */
  copy(): IndexCopy<Newest> {
    assert(this.#copy === undefined, "one copy of the index at a time");
    this.#copy = new IndexCopy(this);
    return this.#copy;
  }

  endCopy(): void {
    this.#copy = undefined;
  }

  /** Makes the order of all keys, which `load` left out. */
  sort(): void {
    const keys = [...this.#newest.keys()];
    // UTF-16 units have the order of UTF-8 bytes but for surrogates, and they compare much faster.
    if (keys.some((key) => /[\ud800-\udfff]/.test(key))) keys.sort(compareKeys);
    else keys.sort();
    this.#chunks.length = 0;
    for (let at = 0; at < keys.length; at += CHUNK_KEYS_MAX) {
      this.#chunks.push(this.#chunkWith(keys.slice(at, at + CHUNK_KEYS_MAX)));
    }
  }

  /**
   * Keys at or above `start`; without tombstones when only `living` ones are wanted. The index must
   * not change meanwhile.
   */
  *up(start: string, living = false): Generator<string, undefined> {
    const first = this.#chunkOf(start);
    for (let index = first; index < this.#chunks.length; index++) {
      const { keys, live } = this.#chunks[index]!;
      if (living && live === 0) continue;
      for (let at = index === first ? lowerBound(keys, start) : 0; at < keys.length; at++) {
        if (!living || this.#isLive(keys[at]!)) yield keys[at]!;
      }
    }
    return undefined;
  }

  /** As `up`, keys below `end` from the last one down. */
  *down(end: string | undefined, living = false): Generator<string, undefined> {
    const first = end === undefined ? this.#chunks.length - 1 : this.#chunkOf(end);
    for (let index = Math.min(first, this.#chunks.length - 1); index >= 0; index--) {
      const { keys, live } = this.#chunks[index]!;
      if (living && live === 0) continue;
      const whole = end === undefined || index < first;
      for (let at = (whole ? keys.length : lowerBound(keys, end)) - 1; at >= 0; at--) {
        if (!living || this.#isLive(keys[at]!)) yield keys[at]!;
      }
    }
    return undefined;
  }

  #isLive(key: string): boolean {
    return (this.#newest.get(key)?.version ?? 0) > 0;
  }

  #chunkWith(keys: string[]): Chunk {
    let live = 0;
    for (const key of keys) live += Number(this.#isLive(key));
    return { keys, live };
  }

  #remove(key: string): void {
    this.#newest.delete(key);
    this.#numbers.delete(key);
    // While a log is read there is no order yet.
    if (this.#chunks.length === 0) return;
    const index = this.#chunkOf(key);
    const { keys } = this.#chunks[index]!;
    keys.splice(lowerBound(keys, key), 1);
    if (keys.length === 0) this.#chunks.splice(index, 1);
  }

  /** Makes a place for a key that is not in yet, and no live one until it is set. */
  #insert(key: string): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push({ keys: [key], live: 0 });
      return;
    }
    const index = this.#chunkOf(key);
    const { keys } = this.#chunks[index]!;
    // Loading in order appends: no search and no move.
    if (compareKeys(keys.at(-1)!, key) < 0) keys.push(key);
    else keys.splice(lowerBound(keys, key), 0, key);
    if (keys.length <= CHUNK_KEYS_MAX) return;
    // A chunk that grew at its end is likely to grow there again: it stays nearly full.
    const appended = keys.at(-1) === key && index === this.#chunks.length - 1;
    const rest = keys.splice(appended ? CHUNK_KEYS_MAX : CHUNK_KEYS_MAX / 2);
    this.#chunks.splice(index, 1, this.#chunkWith(keys), this.#chunkWith(rest));
  }

  /** The last chunk whose first key is at or below `key`; the first one when there is none. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#chunks[middle]!.keys[0]!, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

// --- internal ---

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

interface Chunk {
  readonly keys: string[];
  /** How many of them are no tombstones. */
  live: number;
}

function liveBytes(newest: Newest | undefined): number {
  return newest === undefined || newest.version === 0 ? 0 : newest.bytes;
}
