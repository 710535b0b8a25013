/**
 * The index as it was at one moment, read in key order over many turns while keys go on changing:
 * of each entry that changes before it was read, what was there is kept. Nothing else is copied.
 */

import type { Entries } from "./entries.ts";
import { EntryRows } from "./entry-rows.ts";
import type { KeyColumns } from "./key-columns.ts";
import type { KeyOrder } from "./key-order.ts";
import { newestOf, type Newest } from "./newest.ts";
import { WantedKey } from "./wanted-key.ts";

export class IndexCopy {
  /** Entries are added to them and change; none goes. */
  readonly #entries: Entries;
  readonly #order: KeyOrder;
  /** What entries were that have changed since and were not read yet: a row here, or `ABSENT`. */
  readonly #before = new Map<number, number>();
  readonly #rows: EntryRows;
  /** The last entry that was read: what happens up to its key does not count any more. */
  #read = -1;
  readonly #wanted = new WantedKey();

  /** Use `KeyIndex.copy`. */
  constructor(entries: Entries, order: KeyOrder) {
    this.#entries = entries;
    this.#order = order;
    this.#rows = new EntryRows(entries.types);
  }

  /** Called before an entry changes. */
  note(entry: number): void {
    if (this.#counts(entry)) this.#before.set(entry, this.#rows.addCopy(this.#entries.rows, entry));
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
    return this.#walk((rows, row, entry) => visit(this.#entries.key(entry), newestOf(rows, row)));
  }

  /** Adds the next keys to columns, until these are full. Answers whether there may be more. */
  fill(into: KeyColumns): boolean {
    if (into.isFull) return true;
    return this.#walk((rows, row, entry) => {
      const at = into.count;
      const start = into.keysEnd;
      into.reserveKeys(start + this.#entries.rows.keyLength(entry));
      into.keyEnds[at] = this.#entries.copyKey(entry, into.keys, start);
      into.revisions[at] = rows.revision(row);
      into.createRevisions[at] = rows.createRevision(row);
      into.versions[at] = rows.version(row);
      into.contentTypes[at] = rows.contentType(row);
      into.deadlines[at] = rows.deadline(row);
      into.positions[at] = rows.position(row);
      into.recordBytes[at] = rows.bytes(row);
      into.count++;
      return !into.isFull;
    });
  }

  /** Lets go of what was kept. */
  end(): void {
    for (const row of this.#before.values()) if (row !== ABSENT) this.#rows.remove(row);
    this.#before.clear();
  }

  #counts(entry: number): boolean {
    if (this.#read >= 0 && this.#entries.compareBoth(entry, this.#read) <= 0) return false;
    return !this.#before.has(entry);
  }

  #walk(visit: (rows: EntryRows, row: number, entry: number) => boolean): boolean {
    const { rows } = this.#entries;
    if (this.#read < 0) this.#wanted.setText("");
    else this.#entries.takeKey(this.#read, this.#wanted);
    const scan = this.#order.up(this.#wanted, false);
    for (let entry = scan.next(); entry >= 0; entry = scan.next()) {
      if (entry === this.#read) continue;
      this.#read = entry;
      const before = this.#before.size > 0 ? this.#before.get(entry) : undefined;
      if (before === undefined) {
        if (!visit(rows, entry, entry)) return true;
        continue;
      }
      this.#before.delete(entry);
      if (before === ABSENT) continue;
      const goOn = visit(this.#rows, before, entry);
      this.#rows.remove(before);
      if (!goOn) return true;
    }
    return false;
  }
}

// --- internal ---

/** The key was not there. */
const ABSENT = -1;
