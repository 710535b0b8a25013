/**
 * Takes the records of a log in order and holds each against what FORMAT.md says of its content: its
 * revision, its key's previous one, its time, and its place among the others.
 */

import type { Entry } from "../../../src/entry.ts";
import { type ReadRecord, Refusal, SEGMENT_HEADER_BYTES, type SegmentHead } from "./bytes.ts";
import { commitsOf, entryOf, type LogContent } from "./content.ts";

export class Replay {
  readonly #records: ReadRecord[] = [];
  /** Of each key the newest record. */
  readonly #newest = new Map<string, ReadRecord>();
  readonly #voids: { first: number; last: number }[] = [];
  #before: { head: SegmentHead; end: number; crc: number } | undefined;
  #revision = 0;
  #compacted = 0;
  #oldest = 0;
  #reserved = 0;
  /** Up to here merges have left out what nobody can read. */
  #merged = 0;
  #time = 0;
  /** The revision of the commit that has begun. */
  #open: number | undefined;
  #keys = new Set<string>();

  /** Takes the next segment, which ends at `end`. */
  segment(file: string, head: SegmentHead, records: readonly ReadRecord[], end: number): void {
    this.#follow(file, head);
    this.#compacted = head.compacted;
    this.#oldest = Math.max(this.#oldest, head.compacted);
    this.#reserved = head.reserved;
    if (head.merged !== undefined) this.#merged = Math.max(this.#merged, head.compacted);
    for (const record of records) {
      try {
        this.#take(head, record);
      } catch (error) {
        throw new Refusal(file, record.offset, (error as Error).message);
      }
    }
    if (this.#open !== undefined) throw new Refusal(file, end, "a commit has no end");
    const last = records.at(-1);
    this.#before = { head, end, crc: last?.crc ?? head.crc };
    if (head.merged === undefined) return;
    if (last?.kind !== "end") throw new Refusal(file, end, "a merged segment without its end");
    this.#before = { head, end: last.createRevision, crc: last.version };
  }

  content(store: string): LogContent {
    const entries = new Map<string, Entry>();
    for (const [key, record] of this.#newest) {
      if (record.kind === "put") entries.set(key, entryOf(record));
    }
    return {
      store,
      revision: this.#revision,
      oldest: this.#oldest,
      reserved: this.#reserved,
      voids: this.#voids,
      records: this.#records,
      commits: commitsOf(this.#records),
      entries,
    };
  }

  #follow(file: string, head: SegmentHead): void {
    const before = this.#before;
    const refuse = (what: string): never => {
      throw new Refusal(file, 0, what);
    };
    if (head.nextRevision <= this.#revision) refuse("its revisions do not follow");
    if (before === undefined) {
      if (head.previousEnd !== 0 || head.previousCrc !== 0) refuse("there is none before");
      return;
    }
    if (head.store !== before.head.store) refuse("it is of another store");
    if (head.previousEnd !== before.end) refuse(`${before.end} is the end before`);
    if (head.previousCrc !== before.crc) refuse("it follows another segment");
  }

  #take(head: SegmentHead, record: ReadRecord): void {
    const isOfNone = record.kind === "end" && record.time === 0;
    if (record.time < this.#time && !isOfNone) throw new Error("a time that goes back");
    this.#time = Math.max(this.#time, record.time);
    this.#records.push(record);
    if (head.merged !== undefined && record.beginsBatch) throw new Error("a batch in a merge");
    if (record.kind === "put" || record.kind === "delete" || record.kind === "expire") {
      this.#takeChange(head, record);
    } else {
      this.#takeOther(head, record);
    }
  }

  #takeChange(head: SegmentHead, record: ReadRecord): void {
    const { kind, key, revision, previousRevision: previous, createRevision, version } = record;
    if (this.#open === undefined) {
      if (revision <= this.#revision) throw new Error("a revision that does not rise");
      if (revision < head.nextRevision) throw new Error("a revision below the header's");
      this.#keys.clear();
    } else if (revision !== this.#open) {
      throw new Error("a commit of two revisions");
    }
    if (this.#keys.has(key)) throw new Error("a key twice in a commit");
    this.#keys.add(key);
    const known = this.#newest.get(key);
    if (previous !== (known?.revision ?? 0) && !this.#mayBeForgotten(known, previous)) {
      throw new Error(`the key's previous revision is ${previous}, but was ${known?.revision}`);
    }
    if (kind !== "put") {
      if (createRevision !== 0 || version !== 0) throw new Error("a delete with a version");
      if (record.value.length > 0) throw new Error("a delete with a value");
    } else if (previous === (known?.revision ?? 0) || previous === 0) {
      const isNext =
        known?.kind === "put" &&
        version === known.version + 1 &&
        createRevision === known.createRevision;
      // One commit may delete a key and make it anew.
      const isFirst = version === 1 && createRevision === revision;
      if (!isNext && !isFirst) throw new Error(`version ${version} of ${createRevision}`);
    }
    this.#newest.set(key, record);
    this.#revision = revision;
    this.#open = record.endsCommit ? undefined : revision;
  }

  /**
   * May there be no record of `previous`? A deletion that compaction had passed may have been
   * forgotten when the key was made anew, and a merge may have left out what compaction passed.
   */
  #mayBeForgotten(known: ReadRecord | undefined, previous: number): boolean {
    if (previous > 0) return previous > (known?.revision ?? 0) && previous <= this.#oldest;
    if (known === undefined) return false;
    // The deletion itself may be left out, and what was before it still be there.
    return known.revision <= (known.kind === "put" ? this.#merged : this.#oldest);
  }

  #takeOther(head: SegmentHead, record: ReadRecord): void {
    const { kind, revision, createRevision, version } = record;
    if (this.#open !== undefined) throw new Error("a commit has no end");
    if (!record.endsCommit) throw new Error("no end of a commit");
    if (record.key !== "" || record.contentType !== "" || record.value.length > 0) {
      throw new Error(`a ${kind} with a body`);
    }
    const merged = head.merged !== undefined;
    // What was before it may have been left out by a merge.
    if (revision < this.#revision || (!merged && revision !== this.#revision)) {
      throw new Error(`a ${kind} at ${revision}, where the store is at ${this.#revision}`);
    }
    if (kind === "compact" || kind === "reserve" || kind === "end") {
      if ((kind === "end") !== merged) throw new Error(`a ${kind} in such a segment`);
    }
    this.#revision = revision;
    if (kind === "compact") {
      if (createRevision < this.#compacted || createRevision > revision) {
        throw new Error(`a compaction to ${createRevision}`);
      }
      this.#compacted = createRevision;
      this.#oldest = Math.max(this.#oldest, createRevision);
    } else if (kind === "reserve") {
      if (createRevision < revision) throw new Error("a reserve below the store's revision");
      this.#reserved = createRevision;
    } else if (kind === "void") {
      if (createRevision <= revision) throw new Error("a void without a revision");
      this.#voids.push({ first: revision + 1, last: createRevision });
      this.#revision = createRevision;
    } else if (createRevision < SEGMENT_HEADER_BYTES || version >= 2 ** 32) {
      throw new Error("the end of no segment");
    }
  }
}
