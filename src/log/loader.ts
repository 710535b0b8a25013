/**
 * Reads segments in order when a store is opened, compares all checksums and the chain, and builds
 * the index. Changes nothing.
 */

import type { KvError } from "../errors.ts";
import { decodeUtf8 } from "../text.ts";
import {
  hasUnknownExtension,
  isChange,
  KIND,
  recordBytes,
  recordContentType,
  recordKey,
  SEGMENT_HEADER_BYTES,
  type RecordHeader,
} from "./format.ts";
import type { Void } from "./horizon.ts";
import { KeyIndex, position, type Newest } from "./key-index.ts";
import { damage, endsCommit, type ScannedRecord, type Segment } from "./segment.ts";

/** What the records of a log say. */
export interface Loaded {
  readonly index: KeyIndex;
  /** The newest revision; 0 in a new store. */
  readonly revision: number;
  /** The oldest readable revision. */
  readonly oldest: number;
  /** The time of the newest commit, in milliseconds since 1970. */
  readonly time: number;
  /** In order: revisions that are lost. */
  readonly voids: readonly Void[];
}

/** Reads segments in order and builds the index. Everything in them has to be sound. */
export class Loader {
  readonly #index = new KeyIndex();
  #revision = 0;
  #oldest = 0;
  #time = 0;
  #previous: Segment | undefined;
  /** Inside a commit: its revision. */
  #open: number | undefined;

  /** Reads a segment up to `end`, where it has to end. */
  load(segment: Segment, end: number): void {
    this.checkHeader(segment);
    this.#oldest = Math.max(this.#oldest, segment.header.compactedRevision);
    const { offset, chain, fault } = segment.scan(
      SEGMENT_HEADER_BYTES,
      end,
      (record) => {
        this.#apply(segment, record);
        return true;
      },
      segment.header.crc,
    );
    if (fault !== undefined) throw damage(segment.file.name, offset, fault);
    if (this.#open !== undefined) throw damage(segment.file.name, offset, "a commit has no end");
    segment.end = end;
    segment.chain = chain;
    this.#previous = segment;
  }

  /** @throws `internal` when a segment is not the next one after those that were read. */
  checkHeader(segment: Segment): void {
    const { header, file } = segment;
    const before = this.#previous;
    if (header.nextRevision <= this.#revision) {
      throw damage(file.name, 0, "its revisions do not follow those of the segment before");
    }
    if (before === undefined) return;
    if (header.store !== before.header.store) {
      throw damage(file.name, 0, "it belongs to another store");
    }
    if (header.previousCrc !== before.chain || header.previousEnd !== before.end) {
      throw damage(file.name, 0, "it does not follow the segment before");
    }
  }

  /** What was read. No further segment may follow. */
  finish(): Loaded {
    this.#index.dropTombstones(this.#oldest, Infinity);
    this.#index.sort();
    return {
      index: this.#index,
      revision: this.#revision,
      oldest: this.#oldest,
      time: this.#time,
      voids: [],
    };
  }

  #apply(segment: Segment, record: ScannedRecord): void {
    const { header, bytes, at } = record;
    const { kind } = header;
    if (header.extensionBytes > 0 && hasUnknownExtension(bytes, at, header)) {
      throw faulty(
        segment,
        header,
        "a record with an extension that this kv does not know; use a newer one",
      );
    }
    if (isChange(kind)) this.#applyChange(segment, record);
    else if (kind === KIND.compact) this.#applyCompact(segment, header);
    else {
      throw faulty(
        segment,
        header,
        `a record of kind ${kind}, which this kv does not know; use a newer one`,
      );
    }
    this.#time = Math.max(this.#time, header.time);
  }

  #applyChange(segment: Segment, { header, bytes, at }: ScannedRecord): void {
    const { revision, previousRevision } = header;
    if (this.#open === undefined) {
      if (revision <= this.#revision)
        throw faulty(segment, header, "a revision that is not above the one before");
      segment.mark(revision, header.offset);
    } else if (revision !== this.#open) throw faulty(segment, header, "a commit of two revisions");

    const key = decodeUtf8(recordKey(bytes, at, header));
    if (key === undefined) throw faulty(segment, header, "a key that is no UTF-8");
    const known = this.#index.get(key);
    if (previousRevision !== (known?.revision ?? 0) && !this.#isForgotten(known, header)) {
      throw faulty(
        segment,
        header,
        `the key's previous revision is ${previousRevision}, but was ${known?.revision ?? 0}`,
      );
    }
    this.#index.load(key, {
      revision,
      createRevision: header.createRevision,
      version: header.version,
      contentType: this.#intern(recordContentType(bytes, at, header)),
      deadline: header.deadline,
      position: position(segment.id, header.offset),
      bytes: recordBytes(header),
    });
    this.#revision = revision;
    this.#open = endsCommit(header) ? undefined : revision;
  }

  /** A deletion that compaction has passed may have been forgotten when the key was made anew. */
  #isForgotten(known: Newest | undefined, { previousRevision }: RecordHeader): boolean {
    if (known === undefined || previousRevision !== 0) return false;
    return known.version === 0 && known.revision <= this.#oldest;
  }

  #applyCompact(segment: Segment, header: RecordHeader): void {
    const { revision, createRevision: oldest } = header;
    if (this.#open !== undefined) throw faulty(segment, header, "a commit has no end");
    if (revision !== this.#revision || !endsCommit(header)) {
      throw faulty(segment, header, "a compaction that is not of its place");
    }
    if (oldest < this.#oldest || oldest > revision) {
      throw faulty(segment, header, `a compaction to ${oldest}, which cannot be`);
    }
    this.#oldest = oldest;
  }

  /** One string for all records of a type: there are few types and many records. */
  readonly #types = new Map<string, string>();

  #intern(type: string): string {
    const known = this.#types.get(type);
    if (known !== undefined) return known;
    if (this.#types.size < 10_000) this.#types.set(type, type);
    return type;
  }
}

// --- internal ---

/** A record whose checksums are right and whose content cannot be. */
function faulty({ file }: Segment, { offset }: RecordHeader, what: string): KvError {
  return damage(file.name, offset, what);
}
