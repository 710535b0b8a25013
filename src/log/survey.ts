/**
 * Finds out which records nobody can read any more: below the oldest readable revision, those that
 * a newer record of their key has replaced there, and deletions of which no older record is left.
 * Reads segments from the newest to the oldest, in slices, while the store goes on.
 */

import type { Turns } from "./background.ts";
import { Bits } from "./bits.ts";
import { isChange, KIND, recordBytes, type RecordHeader } from "./format.ts";
import type { KeyIndex } from "./key-index.ts";
import { KeyMap } from "./key-map.ts";
import { keyOf } from "./records.ts";
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
  /**
   * Keys of which the newest record at or below `#oldest` was met, unless it is the newest of all:
   * that one the index knows.
   */
  readonly #seen = new KeyMap<true>();
  /** Deletions that go if no older record of their key stays. */
  readonly #tombstones = new KeyMap<Tombstone>();

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
    const key = keyOf(record);
    const newest = this.#index.get(key);
    if (newest !== undefined && newest.version > 0 && newest.revision <= this.#oldest) {
      if (newest.revision === header.revision) return look.add(bytes, true);
    } else if (!this.#seen.has(key)) {
      return look.addNewest(key, bytes, header.kind === KIND.put);
    }
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
  readonly newest = new KeyMap<{ number: number; bytes: number; isPut: boolean }>();
  /** Keys of records that go, of which a deletion was met in a later segment. */
  readonly replaced: string[] = [];
  #count = 0;

  constructor(segment: Segment) {
    this.surveyed = { segment, kept: new Bits(), keptBytes: 0 };
  }

  add(bytes: number, keep: boolean): void {
    this.surveyed.kept.set(this.#count++, keep);
    if (keep) this.surveyed.keptBytes += bytes;
  }

  /** A record that stays unless a newer one of its key follows in this segment. */
  addNewest(key: string, bytes: number, isPut: boolean): void {
    const before = this.newest.get(key);
    if (before !== undefined) {
      this.surveyed.kept.set(before.number, false);
      this.surveyed.keptBytes -= before.bytes;
    }
    this.newest.set(key, { number: this.#count, bytes, isPut });
    this.add(bytes, true);
  }
}
