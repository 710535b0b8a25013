/**
 * The index as it was at one moment, read in key order over many turns while keys go on changing:
 * of each entry that changes before it was read, what was there is kept. Nothing else is copied.
 */

import type { Entries } from "./entries.ts";
import type { KeyColumns } from "./key-columns.ts";
import type { KeyOrder } from "./key-order.ts";
import { newestOf, type Newest } from "./newest.ts";
import { NumberMap } from "./number-map.ts";
import { WantedKey } from "./wanted-key.ts";

export class IndexCopy {
  /** How many keys it has, tombstones included. */
  readonly size: number;
  /** Entries are added to them and change; none goes. */
  readonly #entries: Entries;
  readonly #order: KeyOrder;
  /** Of entries that have changed since and were not read yet: one of `#kept`, or `ABSENT`. */
  readonly #before = new NumberMap<number>();
  readonly #kept: Entries;
  /** The last entry that was read: what happens up to its key does not count any more. */
  #read = -1;
  readonly #wanted = new WantedKey();

  /** Use `KeyIndex.copy`. */
  constructor(entries: Entries, order: KeyOrder, size: number) {
    this.size = size;
    this.#entries = entries;
    this.#order = order;
    this.#kept = entries.like();
  }

  /** Called before an entry changes. */
  note(entry: number): void {
    if (this.#counts(entry)) this.#before.set(entry, this.#kept.addCopy(this.#entries, entry));
  }

  /** Called after an entry was added. */
  noteAdded(entry: number): void {
    if (this.#counts(entry)) this.#before.set(entry, ABSENT);
  }

  /**
   * Visits the next keys in order while `visit` answers true; the key for which it answers false
   * was read, too. Answers whether there may be more. The index must not change within one call.
   */
  next(visit: (key: string, newest: Newest) => boolean): boolean {
    return this.#walk((entries, entry) => visit(entries.key(entry), newestOf(entries, entry)));
  }

  /** Adds the next keys to columns, until these are full. Answers whether there may be more. */
  fill(into: KeyColumns): boolean {
    if (into.isFull) return true;
    return this.#walk((entries, entry) => {
      const at = into.count;
      const start = into.keysEnd;
      into.reserveKeys(start + entries.keyBytes(entry));
      into.keyEnds[at] = entries.copyKey(entry, into.keys, start);
      into.revisions[at] = entries.revision(entry);
      into.createRevisions[at] = entries.createRevision(entry);
      into.versions[at] = entries.version(entry);
      into.contentTypes[at] = entries.contentType(entry);
      into.deadlines[at] = entries.deadline(entry);
      into.positions[at] = entries.position(entry);
      into.recordBytes[at] = entries.bytes(entry);
      into.count++;
      return !into.isFull;
    });
  }

  /** Lets go of what was kept. */
  end(): void {
    for (const [, kept] of this.#before.entries()) if (kept !== ABSENT) this.#kept.remove(kept);
  }

  #counts(entry: number): boolean {
    if (this.#read >= 0 && this.#entries.compareBoth(entry, this.#read) <= 0) return false;
    return !this.#before.has(entry);
  }

  #walk(visit: (entries: Entries, entry: number) => boolean): boolean {
    if (this.#read < 0) this.#wanted.setText("");
    else this.#entries.takeKey(this.#read, this.#wanted);
    const scan = this.#order.up(this.#wanted, false);
    for (let entry = scan.next(); entry >= 0; entry = scan.next()) {
      if (entry === this.#read) continue;
      this.#read = entry;
      const before = this.#before.get(entry);
      let goOn = true;
      if (before === undefined) goOn = visit(this.#entries, entry);
      else if (before !== ABSENT) {
        goOn = visit(this.#kept, before);
        this.#kept.remove(before);
      }
      if (before !== undefined) this.#before.delete(entry);
      if (!goOn) return true;
    }
    return false;
  }
}

// --- internal ---

/** The key was not there. */
const ABSENT = -1;
