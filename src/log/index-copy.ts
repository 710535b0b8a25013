/**
 * The index as it was at one moment, read in key order over many turns while keys go on changing:
 * of each key that changes before it was read, what was there is kept. Nothing else is copied.
 */

import { compareKeys } from "../keys.ts";
import { encodeUtf8 } from "../text.ts";
import type { KeyColumns } from "./key-columns.ts";
import type { Newest } from "./key-index.ts";

/** What a copy is made of. Keys are added to it and change; none goes. */
export interface CopySource<N> {
  get(key: string): N | undefined;
  up(start: string): Iterator<string>;
}

export class IndexCopy<N> {
  readonly #source: CopySource<N>;
  /** What keys were that have changed since and were not read yet; `undefined`: not there. */
  readonly #before = new Map<string, N | undefined>();
  /** The last key that was read: what happens up to it does not count any more. */
  #read: string | undefined;

  /** Use `KeyIndex.copy`. */
  constructor(source: CopySource<N>) {
    this.#source = source;
  }

  /** Called before a key changes. */
  note(key: string, before: N | undefined): void {
    if (this.#read !== undefined && compareKeys(key, this.#read) <= 0) return;
    if (!this.#before.has(key)) this.#before.set(key, before);
  }

  /**
   * Visits the next keys in order while `visit` answers true; the key for which it answers false
   * was read, too. Answers whether there may be more. The index must not change within one call.
   */
  next(visit: (key: string, newest: N) => boolean): boolean {
    // U+0000 is the smallest character: nothing lies between a key and the key followed by it.
    const keys = this.#source.up(this.#read === undefined ? "" : `${this.#read}\u0000`);
    for (
      let { done, value: key } = keys.next();
      done !== true;
      { done, value: key } = keys.next()
    ) {
      this.#read = key;
      const newest = this.#take(key);
      if (newest !== undefined && !visit(key, newest)) return true;
    }
    return false;
  }

  /**
   * Adds the next keys in order to columns, until these are full or there are no more; answers
   * whether there may be more.
   */
  fill(this: IndexCopy<Newest>, into: KeyColumns): boolean {
    if (into.isFull) return true;
    return this.next((key, newest) => {
      const at = into.count;
      const bytes = encodeUtf8(key);
      const start = into.keysEnd;
      into.reserveKeys(start + bytes.length);
      into.keys.set(bytes, start);
      into.keyEnds[at] = start + bytes.length;
      into.revisions[at] = newest.revision;
      into.createRevisions[at] = newest.createRevision;
      into.versions[at] = newest.version;
      into.deadlines[at] = newest.deadline;
      into.positions[at] = newest.position;
      into.recordBytes[at] = newest.bytes;
      into.contentTypes[at] = newest.contentType;
      into.count++;
      return !into.isFull;
    });
  }

  #take(key: string): N | undefined {
    if (!this.#before.has(key)) return this.#source.get(key);
    const before = this.#before.get(key);
    this.#before.delete(key);
    return before;
  }
}
