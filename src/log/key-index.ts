/**
 * The index: for each key its newest record, in memory, ordered by key. Deleted keys stay as
 * tombstones until compaction passes them, so that reads at an older revision find them. All of it
 * is in typed arrays: an entry is a number, by which tables of hashes find it and leaves order it.
 */

import { assert } from "../errors.ts";
import { sortEntries } from "./entry-sort.ts";
import { IndexAppend } from "./index-append.ts";
import { IndexCopy } from "./index-copy.ts";
import { IndexReads, NO_ENTRY } from "./index-reads.ts";
import type { KeyColumns } from "./key-columns.ts";
import type { Newest } from "./newest.ts";
import { Tombstones } from "./tombstones.ts";

export { NO_ENTRY } from "./index-reads.ts";
export type { EntryScan } from "./key-order.ts";
export { offsetOf, position, segmentOf, type Newest } from "./newest.ts";

export class KeyIndex extends IndexReads {
  readonly #tombstones = new Tombstones((entry, revision) => this.#isDeletion(entry, revision));
  #copy: IndexCopy | undefined;
  #append: IndexAppend | undefined;

  /** Bytes of memory that the index takes, about: all of its arrays. */
  get bytesHeld(): number {
    return (
      this.entries.bytesHeld +
      this.tables.bytesHeld +
      this.order.bytesHeld +
      this.#tombstones.bytesHeld
    );
  }

  set(key: string, newest: Newest): void {
    this.wanted.setText(key);
    this.#setNewest(newest, true);
  }

  /** As `set`, while a log is read: the order is made once after it, by `sort`. */
  load(key: string, newest: Newest): void {
    this.wanted.setText(key);
    this.#setNewest(newest, false);
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
    this.wanted.set(keyBytes, start, end);
    return this.#set(
      true,
      revision,
      createRevision,
      version,
      contentType,
      deadline,
      position,
      bytes,
    );
  }

  /**
   * Is it the entry of the key at `start` to `end` in `keyBytes`? The number may be that of an
   * entry that was forgotten since.
   */
  isEntryOf(entry: number, keyBytes: Uint8Array, start: number, end: number): boolean {
    if (!this.entries.isUsed(entry)) return false;
    this.wanted.set(keyBytes, start, end);
    return this.entries.isKey(entry, this.wanted);
  }

  /** As `put`, of an entry that is known to be that of the key. */
  putEntry(
    entry: number,
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
  ): void {
    this.wanted.set(keyBytes, start, end);
    this.#replace(
      entry,
      // While a log is read there may be no order yet.
      !this.order.isEmpty,
      revision,
      createRevision,
      version,
      contentType,
      deadline,
      position,
      bytes,
    );
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
    this.wanted.set(keyBytes, start, end);
    return this.#set(
      false,
      revision,
      createRevision,
      version,
      contentType,
      deadline,
      position,
      bytes,
    );
  }

  /** The newest record of an entry stands elsewhere now: a merge has moved it. */
  moveEntry(entry: number, position: number): void {
    this.entries.move(entry, position);
  }

  // In order

  /**
   * Adds many keys, each above the one before it and all others that are in; answers false when one
   * is not: then the index is of no use any more. `endAppend` has to follow in the end.
   */
  appendColumns(columns: KeyColumns): boolean {
    const { versions, deadlines, revisions, recordBytes } = columns;
    this.#append ??= new IndexAppend(this.appended);
    return this.#append.add(columns, (entry, index) => {
      if (deadlines[index] !== 0) this.timedKeys++;
      if (versions[index] === 0) this.#tombstones.add(entry, revisions[index]!);
      else {
        this.liveKeys++;
        this.bytesOfLive += recordBytes[index]!;
      }
    });
  }

  /** After keys were appended, in whose order deletions do not come as they were made. */
  endAppend(): void {
    this.#append?.end();
    this.#append = undefined;
    this.#tombstones.sort();
  }

  /** Makes room at once for about that many keys in all: before many are appended. */
  reserve(keys: number): void {
    this.tables.reserve(keys);
  }

  /** Makes the order of all keys, which `load` left out. */
  sort(): void {
    const sorted = new Uint32Array(this.tables.size);
    let count = 0;
    this.entries.each((entry) => (sorted[count++] = entry));
    sortEntries(this.entries, sorted);
    for (const entry of sorted) this.order.append(entry, this.entries.isLive(entry));
  }

  /**
   * Forgets keys whose newest record is a deletion at or below `revision`; looks at `max` deletions
   * at most. Returns whether there are more; none is forgotten while there is a copy.
   */
  dropTombstones(revision: number, max: number): boolean {
    if (this.#copy !== undefined) return false;
    for (let left = max; left > 0; left--) {
      const entry = this.#tombstones.oldest;
      if (entry < 0) return false;
      const deleted = this.#tombstones.oldestRevision;
      if (deleted > revision) return false;
      this.#tombstones.drop();
      if (this.#isDeletion(entry, deleted)) this.#remove(entry);
    }
    return true;
  }

  /**
   * The index as it is now, for one reader that takes its time: keys may change meanwhile, but no
   * deletion is forgotten. Only one at a time; `endCopy` when it is not needed any more.
   */
  copy(): IndexCopy {
    assert(this.#copy === undefined, "one copy of the index at a time");
    this.#copy = new IndexCopy(this.entries, this.order, this.tables.size);
    return this.#copy;
  }

  endCopy(): void {
    this.#copy?.end();
    this.#copy = undefined;
  }

  #isDeletion(entry: number, revision: number): boolean {
    const { entries } = this;
    return entries.isUsed(entry) && !entries.isLive(entry) && entries.revision(entry) === revision;
  }

  #setNewest(newest: Newest, inOrder: boolean): void {
    const { revision, createRevision, version, contentType, deadline, position, bytes } = newest;
    this.#set(inOrder, revision, createRevision, version, contentType, deadline, position, bytes);
  }

  /** Sets the key of the call, and answers its entry. */
  #set(
    inOrder: boolean,
    revision: number,
    createRevision: number,
    version: number,
    contentType: string,
    deadline: number,
    position: number,
    bytes: number,
  ): number {
    const hash = this.hashOfWanted();
    const known = this.tables.find(hash, this.wanted);
    if (known !== NO_ENTRY) {
      this.#replace(
        known,
        inOrder,
        revision,
        createRevision,
        version,
        contentType,
        deadline,
        position,
        bytes,
      );
      return known;
    }
    const entry = this.entries.add(this.wanted);
    this.tables.add(hash, entry);
    this.#write(entry, revision, createRevision, version, contentType, deadline, position, bytes);
    if (inOrder) this.order.insert(entry, this.wanted);
    this.#copy?.noteAdded(entry);
    return entry;
  }

  /** Sets the entry of the key of the call. */
  #replace(
    known: number,
    inOrder: boolean,
    revision: number,
    createRevision: number,
    version: number,
    contentType: string,
    deadline: number,
    position: number,
    bytes: number,
  ): void {
    this.#copy?.note(known);
    const wasLive = this.entries.isLive(known);
    this.#forget(known);
    this.#write(known, revision, createRevision, version, contentType, deadline, position, bytes);
    const isLive = version > 0;
    if (inOrder && wasLive !== isLive) this.order.changeLive(this.wanted, isLive ? 1 : -1);
  }

  /** Takes what an entry is now out of the sums. */
  #forget(entry: number): void {
    const { entries } = this;
    if (entries.isLive(entry)) {
      this.liveKeys--;
      this.bytesOfLive -= entries.bytes(entry);
    }
    if (entries.deadline(entry) !== 0) this.timedKeys--;
  }

  #write(
    entry: number,
    revision: number,
    createRevision: number,
    version: number,
    contentType: string,
    deadline: number,
    position: number,
    bytes: number,
  ): void {
    const { entries } = this;
    entries.set(entry, revision, createRevision, version, contentType, deadline, position, bytes);
    if (deadline !== 0) this.timedKeys++;
    if (version === 0) this.#tombstones.add(entry, revision);
    else {
      this.liveKeys++;
      this.bytesOfLive += bytes;
    }
  }

  #remove(entry: number): void {
    this.entries.takeKey(entry, this.wanted);
    this.#forget(entry);
    this.tables.remove(this.hashOfWanted(), entry);
    // While a log is read there is no order yet.
    if (!this.order.isEmpty) this.order.remove(this.wanted);
    this.entries.remove(entry);
  }
}
