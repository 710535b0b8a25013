/**
 * The index as its readers see it: entries found by key, told by number, and walked in order. What
 * changes it is in `KeyIndex`.
 */

import { Entries } from "./entries.ts";
import type { Appended } from "./index-append.ts";
import { HashTables } from "./hash-tables.ts";
import { secretHash, type HashWords } from "./key-hash.ts";
import { KeyOrder, type EntryScan } from "./key-order.ts";
import type { KeySource } from "./listing.ts";
import { newestOf, type Newest } from "./newest.ts";
import { WantedKey } from "./wanted-key.ts";

/** The entry of a key that is not in. */
export const NO_ENTRY = -1;

export class IndexReads implements KeySource {
  /** Made of what was read ahead: a read whose result nobody has is left out. */
  touched = 0;
  protected readonly entries = new Entries();
  protected readonly tables = new HashTables(this.entries, (entry) =>
    this.entries.hash(entry, this.#hash),
  );
  protected readonly order = new KeyOrder(this.entries);
  /** The key of the call that is under way. */
  protected readonly wanted = new WantedKey();
  protected liveKeys = 0;
  protected bytesOfLive = 0;
  protected timedKeys = 0;
  readonly #hash: HashWords;
  /** Of the keys of one call. */
  #hashes = new Uint32Array(0);

  /** Another `hash` than one with a secret of its own is for tests. */
  constructor(hash: HashWords = secretHash()) {
    this.#hash = hash;
  }

  /** Keys that are no tombstones. */
  get live(): number {
    return this.liveKeys;
  }

  /** Bytes of the records of live keys: what a log without garbage would hold. */
  get liveBytes(): number {
    return this.bytesOfLive;
  }

  /** Keys that have a deadline. */
  get timed(): number {
    return this.timedKeys;
  }

  /** The keys that are no tombstones; many tombstones in one place are passed over at once. */
  get living(): KeySource {
    return { up: (start) => this.up(start, true), down: (end) => this.down(end, true) };
  }

  /** The newest record of a key, a tombstone included. */
  get(key: string): Newest | undefined {
    const entry = this.findKey(key);
    return entry === NO_ENTRY ? undefined : newestOf(this.entries, entry);
  }

  // By number and by bytes: an entry keeps its number until its deletion is forgotten.

  /** The entry of the key at `start` to `end` in `bytes`, or `NO_ENTRY`; a tombstone counts. */
  find(bytes: Uint8Array, start: number, end: number): number {
    this.wanted.set(bytes, start, end);
    return this.findWanted();
  }

  findKey(key: string): number {
    this.wanted.setText(key);
    return this.findWanted();
  }

  /**
   * As `find`, of the keys at `starts` to `ends` from number `from` up to `to`: the first entry
   * goes to `into[0]`. What the searches read of memory is read ahead of them, for all at once.
   */
  findMany(
    bytes: Uint8Array,
    starts: Uint32Array,
    ends: Uint32Array,
    from: number,
    to: number,
    into: Int32Array,
  ): void {
    const { tables, wanted } = this;
    const count = to - from;
    if (this.#hashes.length < count) this.#hashes = new Uint32Array(count);
    const hashes = this.#hashes;
    for (let at = 0; at < count; at++) {
      wanted.set(bytes, starts[from + at]!, ends[from + at]!);
      hashes[at] = this.hashOfWanted();
    }
    let touched = tables.touch(hashes, count);
    for (let at = 0; at < count; at++) into[at] = tables.guess(hashes[at]!);
    touched ^= this.entries.touch(into, count);
    for (let at = 0; at < count; at++) {
      if (into[at] === NO_ENTRY) continue;
      wanted.set(bytes, starts[from + at]!, ends[from + at]!);
      if (!this.entries.isKey(into[at]!, wanted)) into[at] = tables.find(hashes[at]!, wanted);
    }
    this.touched = touched;
  }

  /** Reads ahead where many entries and their keys are; -1 stands for none. */
  touch(entries: Int32Array, count: number): void {
    this.touched = this.entries.touch(entries, count);
  }

  /** Is there an entry of that number? Those of keys that were forgotten are given anew. */
  isUsed(entry: number): boolean {
    return this.entries.isUsed(entry);
  }

  revision(entry: number): number {
    return this.entries.revision(entry);
  }

  createRevision(entry: number): number {
    return this.entries.createRevision(entry);
  }

  /** 0 for a tombstone. */
  version(entry: number): number {
    return this.entries.version(entry);
  }

  contentType(entry: number): string {
    return this.entries.contentType(entry);
  }

  /** Milliseconds since 1970; 0 = never. */
  deadline(entry: number): number {
    return this.entries.deadline(entry);
  }

  position(entry: number): number {
    return this.entries.position(entry);
  }

  /** Bytes of the record in the log. */
  bytes(entry: number): number {
    return this.entries.bytes(entry);
  }

  key(entry: number): string {
    return this.entries.key(entry);
  }

  /** Bytes of the key. */
  keyBytes(entry: number): number {
    return this.entries.keyBytes(entry);
  }

  /** Copies the bytes of the key to `at`; answers where they end there. */
  copyKey(entry: number, into: Uint8Array, at: number): number {
    return this.entries.copyKey(entry, into, at);
  }

  /** Order of the keys of two entries: negative, 0 or positive. */
  compareEntries(a: number, b: number): number {
    return this.entries.compareBoth(a, b);
  }

  // In order

  /** Entries with keys at or above `start`; only those that are no tombstones when `living`. */
  scanUp(start: string, living = false): EntryScan {
    this.wanted.setText(start);
    return this.order.up(this.wanted, living);
  }

  /** As `scanUp`, with keys below `end`, or all, from the last one down. */
  scanDown(end: string | undefined, living = false): EntryScan {
    if (end !== undefined) this.wanted.setText(end);
    return this.order.down(end === undefined ? undefined : this.wanted, living);
  }

  /**
   * Keys at or above `start`; without tombstones when only `living` ones are wanted. The index must
   * not change meanwhile.
   */
  *up(start: string, living = false): Generator<string, undefined> {
    const scan = this.scanUp(start, living);
    for (let entry = scan.next(); entry >= 0; entry = scan.next()) yield this.key(entry);
    return undefined;
  }

  /** As `up`, keys below `end` from the last one down. */
  *down(end: string | undefined, living = false): Generator<string, undefined> {
    const scan = this.scanDown(end, living);
    for (let entry = scan.next(); entry >= 0; entry = scan.next()) yield this.key(entry);
    return undefined;
  }

  /** Every key in order. The index must not change meanwhile. */
  *all(): Generator<[string, Newest], undefined> {
    const scan = this.scanUp("");
    for (let entry = scan.next(); entry >= 0; entry = scan.next()) {
      yield [this.key(entry), newestOf(this.entries, entry)];
    }
    return undefined;
  }

  /** Entries with their deadlines, of those that have one, in no order. */
  deadlines(): Iterable<[number, number]> {
    return this.entries.deadlines();
  }

  /** What many keys are appended to at once. */
  protected get appended(): Appended {
    const { entries, tables, order } = this;
    return { entries, tables, order, hash: this.#hash };
  }

  protected hashOfWanted(): number {
    return this.#hash(this.wanted.words, 0, this.wanted.length);
  }

  protected findWanted(): number {
    return this.tables.find(this.hashOfWanted(), this.wanted);
  }
}
