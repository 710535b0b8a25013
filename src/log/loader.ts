/**
 * Reads segments in order when a store is opened, compares all checksums and the chain, and builds
 * the index. Changes nothing.
 */

import { isUtf8 } from "node:buffer";
import type { KvError } from "../errors.ts";
import {
  crc32,
  hasUnknownExtension,
  isChange,
  KIND,
  RECORD_HEADER_BYTES,
  recordBytes,
  type RecordHeader,
} from "./format.ts";
import type { Void } from "./horizon.ts";
import { KeyIndex, NO_ENTRY, position } from "./key-index.ts";
import { damage, endsCommit, type ScannedRecord, type Segment } from "./segment.ts";
import { Warming } from "./warming.ts";

/** What the records of a log say. */
export interface Loaded {
  readonly index: KeyIndex;
  /** The newest revision; 0 in a new store. */
  readonly revision: number;
  /** The oldest readable revision. */
  readonly oldest: number;
  /** The time of the newest commit, in milliseconds since 1970. */
  readonly time: number;
  /** Revisions up to this one may have been handed out without being synced. */
  readonly reserved: number;
  /** In order: revisions that are lost. */
  readonly voids: readonly Void[];
}

/** The state at a place in the log, as a checkpoint tells it. */
export interface LoadedUpTo extends Loaded {
  /** The segment that goes on there; what is before it in it is known. */
  readonly segment: Segment;
}

/** Where a segment ends, and the checksum that ends its chain: what the next one must follow. */
interface Seal {
  readonly store: string;
  readonly end: number;
  readonly chain: number;
}

/** Reads segments in order and builds the index. Everything in them has to be sound. */
export class Loader {
  #index = new KeyIndex();
  /** Where the log goes on from what a checkpoint told. */
  #resumed: Segment | undefined;
  #revision = 0;
  #oldest = 0;
  /** The oldest readable revision as compactions say: a merge may have been made at a later one. */
  #compacted = 0;
  /** Up to here merges have left out what cannot be read. */
  #merged = 0;
  #time = 0;
  #reserved = 0;
  #voids: Void[] = [];
  readonly #types = new Types();
  readonly #warming = new Warming();
  #seal: Seal | undefined;
  /** Inside a commit: its revision. */
  #open: number | undefined;
  /** In a merged segment: its last record, once it was met. */
  #end: RecordHeader | undefined;

  /** Reads a segment up to `end`, where it has to end; all of it, or what is not known of it. */
  load(segment: Segment, end: number): void {
    if (segment !== this.#resumed) {
      this.checkHeader(segment);
      this.#begin(segment);
      segment.reset();
    }
    if (segment.end > end) throw damage(segment.file.name, end, "it was longer");
    const { offset, chain, fault } = segment.scan(
      segment.end,
      end,
      (record) => {
        this.#apply(segment, record);
        return true;
      },
      segment.chain,
      (bytes) => void (segment.crc = crc32(bytes, segment.crc)),
    );
    if (fault !== undefined) throw damage(segment.file.name, offset, fault);
    if (this.#open !== undefined) throw damage(segment.file.name, offset, "a commit has no end");
    segment.end = end;
    segment.chain = chain;
    this.#seal = this.#sealOf(segment);
  }

  /** Takes a segment as read that is known: what its records say comes with `resume`. */
  pass(segment: Segment): void {
    this.checkHeader(segment);
    this.#begin(segment);
    const { header, end, chain } = segment;
    // Where a merged segment ends the log is in its last record only.
    this.#seal = header.merged === undefined ? { store: header.store, end, chain } : undefined;
  }

  /** The index of what was read so far, out of order. */
  get index(): KeyIndex {
    return this.#index;
  }

  /** Goes on from a state that is known, after the segments before were read or passed. */
  resume({ index, revision, oldest, time, reserved, voids, segment }: LoadedUpTo): void {
    this.#index = index;
    this.#revision = revision;
    this.#oldest = Math.max(this.#oldest, oldest);
    this.#compacted = Math.max(this.#compacted, oldest);
    this.#time = time;
    this.#reserved = reserved;
    this.#voids = [...voids];
    this.#resumed = segment;
  }

  /** @throws `internal` when a segment is not the next one after those that were read. */
  checkHeader(segment: Segment): void {
    const { header, file } = segment;
    if (header.nextRevision <= this.#revision) {
      throw damage(file.name, 0, "its revisions do not follow those of the segment before");
    }
    const before = this.#seal;
    if (before === undefined) return;
    if (header.store !== before.store) {
      throw damage(file.name, 0, "it belongs to another store");
    }
    if (header.previousCrc !== before.chain || header.previousEnd !== before.end) {
      throw damage(file.name, 0, "it does not follow the segment before");
    }
  }

  /** What was read. No further segment may follow. */
  finish(last: Segment): Loaded {
    if (this.#oldest > this.#revision) {
      throw damage(last.file.name, last.end, "the log ends below its oldest readable revision");
    }
    this.#index.dropTombstones(this.#oldest, Infinity);
    if (this.#resumed === undefined) this.#index.sort();
    return {
      index: this.#index,
      revision: this.#revision,
      oldest: this.#oldest,
      time: this.#time,
      reserved: this.#reserved,
      voids: this.#voids,
    };
  }

  #begin({ header }: Segment): void {
    const { nextRevision, compactedRevision, reservedRevision, merged } = header;
    // The newest commit may have been a deletion that a merge has left out.
    this.#revision = Math.max(this.#revision, nextRevision - 1);
    this.#oldest = Math.max(this.#oldest, compactedRevision);
    if (merged === undefined) this.#compacted = Math.max(this.#compacted, compactedRevision);
    else this.#merged = Math.max(this.#merged, compactedRevision);
    this.#reserved = reservedRevision;
    this.#end = undefined;
  }

  #sealOf(segment: Segment): Seal {
    const { header, end, chain, file } = segment;
    if (header.merged === undefined) return { store: header.store, end, chain };
    const last = this.#end;
    if (last === undefined) throw damage(file.name, end, "a merged segment has no end record");
    return { store: header.store, end: last.createRevision, chain: last.version };
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
    if (this.#end !== undefined) throw faulty(segment, header, "a record behind the end record");
    if (isChange(kind)) this.#applyChange(segment, record);
    else this.#applyNote(segment, header);
    this.#time = Math.max(this.#time, header.time);
  }

  #applyChange(segment: Segment, { header, bytes, at }: ScannedRecord): void {
    const { revision, previousRevision } = header;
    if (this.#open === undefined) {
      if (revision <= this.#revision)
        throw faulty(segment, header, "a revision that is not above the one before");
      segment.mark(revision, header.offset, header.time);
    } else if (revision !== this.#open) throw faulty(segment, header, "a commit of two revisions");

    const start = at + RECORD_HEADER_BYTES;
    const end = start + header.keyBytes;
    if (!isText(bytes, start, end)) throw faulty(segment, header, "a key that is no UTF-8");
    const index = this.#index;
    this.#warming.before(index, bytes, at);
    const known = index.find(bytes, start, end);
    const before = known === NO_ENTRY ? 0 : index.revision(known);
    if (previousRevision !== before && !this.#isLeftOut(known, header)) {
      throw faulty(
        segment,
        header,
        `the key's previous revision is ${previousRevision}, but was ${before}`,
      );
    }
    const { createRevision, version, deadline } = header;
    const type = this.#types.of(bytes, end, header.contentTypeBytes);
    const place = position(segment.id, header.offset);
    const size = recordBytes(header);
    if (known !== NO_ENTRY) {
      index.putEntry(
        known,
        bytes,
        start,
        end,
        revision,
        createRevision,
        version,
        type,
        deadline,
        place,
        size,
      );
    } else if (this.#resumed === undefined) {
      index.loadBytes(
        bytes,
        start,
        end,
        revision,
        createRevision,
        version,
        type,
        deadline,
        place,
        size,
      );
    } else
      index.put(bytes, start, end, revision, createRevision, version, type, deadline, place, size);
    this.#revision = revision;
    this.#open = endsCommit(header) ? undefined : revision;
  }

  /**
   * May there have been a record between the one that is known of a key and this one? A deletion
   * that compaction has passed may have been forgotten when the key was made anew, and a merge
   * leaves out what it can.
   */
  #isLeftOut(known: number, { previousRevision }: RecordHeader): boolean {
    const before = known === NO_ENTRY ? 0 : this.#index.revision(known);
    if (previousRevision !== 0)
      return previousRevision <= this.#merged && before < previousRevision;
    // The key is known: else there is nothing that could be left out.
    const isForgotten = this.#index.version(known) === 0 && before <= this.#oldest;
    return isForgotten || before <= this.#merged;
  }

  /** A record that belongs to no commit. */
  #applyNote(segment: Segment, header: RecordHeader): void {
    const { kind, revision, createRevision } = header;
    if (this.#open !== undefined) throw faulty(segment, header, "a commit has no end");
    const isMerged = segment.header.merged !== undefined;
    // What a merge has left out may have been between this record and the one before.
    const follows = revision === this.#revision || (isMerged && revision > this.#revision);
    if (!follows || !endsCommit(header)) {
      throw faulty(segment, header, "a note that is not of its place");
    }
    if (kind === KIND.compact && !isMerged) this.#applyCompact(segment, header);
    else if (kind === KIND.reserve && !isMerged) this.#reserved = createRevision;
    else if (kind === KIND.void) this.#applyVoid(segment, header);
    else if (kind === KIND.end && isMerged) this.#end = header;
    else {
      throw faulty(
        segment,
        header,
        `a record of kind ${kind}, which this kv does not know here; use a newer one`,
      );
    }
    this.#revision = kind === KIND.void ? createRevision : revision;
  }

  #applyCompact(segment: Segment, header: RecordHeader): void {
    const { revision, createRevision: oldest } = header;
    if (oldest < this.#compacted || oldest > revision) {
      throw faulty(segment, header, `a compaction to ${oldest}, which cannot be`);
    }
    this.#compacted = oldest;
    this.#oldest = Math.max(this.#oldest, oldest);
  }

  #applyVoid(segment: Segment, header: RecordHeader): void {
    const { revision, createRevision: last } = header;
    if (last <= revision) throw faulty(segment, header, `a void up to ${last}, which cannot be`);
    this.#voids.push({ first: revision + 1, last });
  }
}

// --- internal ---

/** A record whose checksums are right and whose content cannot be. */
function faulty({ file }: Segment, { offset }: RecordHeader, what: string): KvError {
  return damage(file.name, offset, what);
}

/** Is it well-formed UTF-8? Most keys are ASCII, which needs no decoder. */
function isText(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (bytes[at]! >= 0x80) return isUtf8(bytes.subarray(start, end));
  }
  return true;
}

const latin1 = new TextDecoder("latin1");

/** One string for all records of a type: there are few types and many records. */
class Types {
  readonly #known = new Map<string, string>();
  #last = "";
  #lastBytes = new Uint8Array(0);

  of(bytes: Uint8Array, start: number, length: number): string {
    if (this.#isLast(bytes, start, length)) return this.#last;
    this.#lastBytes = bytes.slice(start, start + length);
    const type = latin1.decode(this.#lastBytes);
    this.#last = this.#known.get(type) ?? type;
    if (this.#known.size < 10_000) this.#known.set(this.#last, this.#last);
    return this.#last;
  }

  #isLast(bytes: Uint8Array, start: number, length: number): boolean {
    const last = this.#lastBytes;
    if (last.length !== length) return false;
    for (let at = 0; at < length; at++) if (bytes[start + at] !== last[at]) return false;
    return true;
  }
}
