/**
 * Which record of a key comes before another one, in a log that is made of the records of another:
 * what a merge has left out there is named by records here that stay.
 */

import { KIND } from "./format.ts";
import { keyOf } from "./records.ts";
import type { ScannedRecord } from "./segment.ts";

export class Predecessors {
  /** The newest revision of each key; below 0 where that is a deletion. */
  readonly #newest = new Map<string, number>();

  /** Keys that are there. */
  get live(): number {
    let count = 0;
    for (const revision of this.#newest.values()) if (revision > 0) count++;
    return count;
  }

  /**
   * The previous revision with which a record fits behind those that were noted; `undefined` when
   * one is missing that could be read at `oldest` or later.
   */
  of(record: ScannedRecord, oldest: number): number | undefined {
    const { revision, previousRevision } = record.header;
    const known = this.#newest.get(keyOf(record));
    const before = Math.abs(known ?? 0);
    // What was before a record that nobody can read below is nobody's concern.
    if (previousRevision === before || revision <= oldest) return before;
    // The key was made anew after its deletion had been forgotten.
    if (previousRevision === 0 && known !== undefined && known < 0 && before <= oldest) return 0;
    // A deletion was left out, with all that was before it.
    if (previousRevision <= oldest && known === undefined) return 0;
    return undefined;
  }

  /** The newest one that was noted, whatever the record says. */
  known(record: ScannedRecord): number {
    return Math.abs(this.#newest.get(keyOf(record)) ?? 0);
  }

  /** To be called once the commit of a record is whole. */
  note({ header, key }: { readonly header: ScannedRecord["header"]; readonly key: string }): void {
    this.#newest.set(key, header.kind === KIND.put ? header.revision : -header.revision);
  }
}
