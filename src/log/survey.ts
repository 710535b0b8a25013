/**
 * Finds out which records nobody can read any more: below the oldest readable revision, those that
 * a newer record of their key has replaced there, and deletions of which no older record is left.
 * Reads segments from the newest to the oldest, in slices, while the store goes on.
 */

import type { Turns } from "./background.ts";
import { Bits } from "./bits.ts";
import { isChange, KIND, RECORD_HEADER_BYTES, recordBytes, type RecordHeader } from "./format.ts";
import { KeyIndex, NO_ENTRY } from "./key-index.ts";
import { NumberMap } from "./number-map.ts";
import { scanInTurns, type ScannedRecord, type Segment } from "./segment.ts";
import type { Segments } from "./segments.ts";

/** What is to be kept of one segment. */
export interface Surveyed {
  readonly segment: Segment;
  /** By the number of the record in its segment, from 0: is it to be kept? */
  readonly kept: Bits;
  /** Bytes of the records that are kept. */
  keptBytes: number;
}

/** Is the garbage of a segment worth a merge of its own, and can that be made? */
export type IsWorth = (surveyed: Surveyed) => boolean;

export class Survey {
  readonly #index: KeyIndex;
  /** The oldest readable revision when the survey began: nothing above it goes. */
  readonly #oldest: number;
  readonly #isWorth: IsWorth;
  /** Gives numbers to keys of which the newest record of all is not at or below `#oldest`. */
  readonly #keys = new KeyIndex();
  /** By their number: those of which the newest record at or below `#oldest` was met. */
  readonly #seen = new Bits();
  /** By the number of their keys: deletions that go if no older record stays. */
  readonly #tombstones = new NumberMap<Tombstone>();

  constructor(index: KeyIndex, oldest: number, isWorth: IsWorth) {
    this.#index = index;
    this.#oldest = oldest;
    this.#isWorth = isWorth;
  }

  /**
   * Looks at all sealed segments that have records at or below the oldest readable revision, and
   * answers them oldest first. A deletion is only left out if the segments before its own that
   * are worth it are merged first.
   */
  async run(segments: Segments, turns: Turns): Promise<Surveyed[]> {
    const { active } = segments;
    const all: Surveyed[] = [];
    for (const segment of segments.all.toReversed()) {
      if (segment.header.nextRevision > this.#oldest) continue;
      const surveyed = await this.#look(segment, turns);
      // Of the active one it only counts what its records replace in the others.
      if (segment !== active) all.push(surveyed);
    }
    for (const [, { surveyed, number, bytes }] of this.#tombstones.entries()) {
      surveyed.kept.set(number, false);
      surveyed.keptBytes -= bytes;
      if (turns.isOver()) await turns.next();
    }
    return all.toReversed();
  }

  async #look(segment: Segment, turns: Turns): Promise<Surveyed> {
    const look = new Look(segment);
    await scanInTurns(segment, turns, (record) => this.#judge(look, record));
    const { surveyed } = look;
    if (!this.#isWorth(surveyed)) {
      // Its old records stay, so the deletions above them have to.
      for (const key of look.replaced) {
        this.#tombstones.delete(key);
        if (turns.isOver()) await turns.next();
      }
    }
    for (const [key, { number, bytes, isPut }] of look.newest.entries()) {
      this.#seen.set(key, true);
      if (!isPut) this.#tombstones.set(key, { surveyed, number, bytes });
      if (turns.isOver()) await turns.next();
    }
    return surveyed;
  }

  #judge(look: Look, record: ScannedRecord): void {
    const { header } = record;
    const bytes = recordBytes(header);
    if (!isChange(header.kind)) return look.add(bytes, this.#keepsNote(header));
    if (header.revision > this.#oldest) return look.add(bytes, true);
    const start = record.at + RECORD_HEADER_BYTES;
    const end = start + header.keyBytes;
    const entry = this.#index.find(record.bytes, start, end);
    const newest = entry === NO_ENTRY ? Infinity : this.#index.revision(entry);
    if (newest <= this.#oldest && this.#index.version(entry) > 0) {
      return look.add(bytes, newest === header.revision);
    }
    let key = this.#keys.find(record.bytes, start, end);
    if (key === NO_ENTRY)
      key = this.#keys.loadBytes(record.bytes, start, end, 1, 1, 1, "", 0, 0, 0);
    if (!this.#seen.get(key)) return look.addNewest(key, bytes, header.kind === KIND.put);
    if (this.#tombstones.has(key)) look.replaced.push(key);
    look.add(bytes, false);
  }

  #keepsNote({ kind, createRevision }: RecordHeader): boolean {
    return kind === KIND.void && createRevision > this.#oldest;
  }
}

// --- internal ---

interface Tombstone {
  readonly surveyed: Surveyed;
  readonly number: number;
  readonly bytes: number;
}

/** What is known of one segment while it is read. */
class Look {
  readonly surveyed: Surveyed;
  /** Of keys that may have newer records above: the last one here. */
  readonly newest = new NumberMap<{ number: number; bytes: number; isPut: boolean }>();
  /** Keys of records that go, of which a deletion was met in a later segment. */
  readonly replaced: number[] = [];
  #count = 0;

  constructor(segment: Segment) {
    this.surveyed = { segment, kept: new Bits(), keptBytes: 0 };
  }

  add(bytes: number, keep: boolean): void {
    this.surveyed.kept.set(this.#count++, keep);
    if (keep) this.surveyed.keptBytes += bytes;
  }

  /** A record that stays unless a newer one of its key follows in this segment. */
  addNewest(key: number, bytes: number, isPut: boolean): void {
    const before = this.newest.get(key);
    if (before !== undefined) {
      this.surveyed.kept.set(before.number, false);
      this.surveyed.keptBytes -= before.bytes;
    }
    this.newest.set(key, { number: this.#count, bytes, isPut });
    this.add(bytes, true);
  }
}
