/**
 * Takes a copy of a store apart, piece by piece as it comes, and holds each byte of it against the
 * checksums, the chain and the count at its end. Knows nothing of where the pieces come from.
 */

import { KvError } from "../errors.ts";
import { decodeUtf8 } from "../text.ts";
import {
  bodyIsSound,
  decodeRecordHeader,
  hasUnknownExtension,
  isChange,
  KIND,
  RECORD_HEADER_BYTES,
  recordBytes,
  recordKey,
  type RecordHeader,
} from "./format.ts";
import { endsCommit, type ScannedRecord } from "./segment.ts";
import {
  decodeSnapshotHeader,
  SNAPSHOT_HEADER_BYTES,
  SNAPSHOT_SEGMENT,
  snapshotOffset,
  type SnapshotHeader,
} from "./snapshot-format.ts";

/** What a whole copy holds. */
export interface SnapshotSummary extends Omit<SnapshotHeader, "crc"> {
  readonly commits: number;
  /** Records, without the last one, which only ends the copy. */
  readonly records: number;
  readonly bytes: number;
}

export class SnapshotParser {
  #header: SnapshotHeader | undefined;
  #buffer = new Uint8Array(0);
  /** What is in the buffer and not yet taken: from `#start` to `#end`. */
  #start = 0;
  #end = 0;
  /** Which byte of the copy `#start` is. */
  #position = 0;
  #chain = 0;
  #records = 0;
  #commits = 0;
  #revision = 0;
  /** Inside a commit: its revision. */
  #open: number | undefined;
  #ended = false;

  /** Known once the first bytes were taken. */
  get header(): SnapshotHeader | undefined {
    return this.#header;
  }

  /**
   * Takes a piece; yields the records of changes and voids that are whole by now, each valid until
   * the next piece. To be drained before the next one. @throws `internal` when it is broken.
   */
  *push(piece: Uint8Array): Generator<ScannedRecord, undefined> {
    this.#append(piece);
    if (this.#header === undefined && !this.#takeHeader()) return undefined;
    for (let record = this.#next(); record !== undefined; record = this.#next()) {
      const { header } = record;
      this.#chain = header.crc;
      this.#start += recordBytes(header);
      this.#position += recordBytes(header);
      if (this.#ended) continue;
      this.#records++;
      yield record;
    }
    return undefined;
  }

  /** No more pieces come. @throws `internal` when the end is missing. */
  finish(): SnapshotSummary {
    const bytes = this.#position + this.#end - this.#start;
    if (!this.#ended || this.#header === undefined) {
      throw new KvError("internal", `the backup is cut short after ${bytes} bytes`);
    }
    const { crc: _, ...header } = this.#header;
    return { ...header, commits: this.#commits, records: this.#records, bytes };
  }

  #append(piece: Uint8Array): void {
    const left = this.#end - this.#start;
    if (this.#end + piece.length > this.#buffer.length) {
      const wanted = left + piece.length;
      const into = wanted > this.#buffer.length ? new Uint8Array(2 * wanted) : this.#buffer;
      into.set(this.#buffer.subarray(this.#start, this.#end), 0);
      this.#buffer = into;
      this.#start = 0;
      this.#end = left;
    }
    this.#buffer.set(piece, this.#end);
    this.#end += piece.length;
  }

  #takeHeader(): boolean {
    if (this.#end < SNAPSHOT_HEADER_BYTES) return false;
    const header = decodeSnapshotHeader(this.#buffer.subarray(0, SNAPSHOT_HEADER_BYTES));
    if (typeof header === "string") throw this.#broken(header);
    this.#header = header;
    this.#chain = header.crc;
    this.#revision = header.since ?? 0;
    this.#start = SNAPSHOT_HEADER_BYTES;
    this.#position = SNAPSHOT_HEADER_BYTES;
    return true;
  }

  /** The record at `#start`, checked; `undefined` when it is not whole yet. */
  #next(): ScannedRecord | undefined {
    const left = this.#end - this.#start;
    if (this.#ended && left > 0) throw this.#broken("there are bytes behind its end");
    if (left < RECORD_HEADER_BYTES) return undefined;
    const offset = snapshotOffset(this.#position);
    const bytes = this.#buffer.subarray(0, this.#end);
    const header = decodeRecordHeader(bytes, this.#start, SNAPSHOT_SEGMENT, offset);
    if (typeof header === "string") throw this.#broken(header);
    if (header.previousCrc !== this.#chain) {
      throw this.#broken("a record does not follow the one before it");
    }
    if (left < recordBytes(header)) return undefined;
    if (!bodyIsSound(bytes, this.#start, header)) {
      throw this.#broken("a record's body fails its checksum");
    }
    const record = { header, bytes, at: this.#start };
    this.#check(record);
    return record;
  }

  #check(record: ScannedRecord): void {
    const { header, bytes, at } = record;
    if (header.extensionBytes > 0 && hasUnknownExtension(bytes, at, header)) {
      throw this.#broken("a record has an extension that this kv does not know; use a newer one");
    }
    if (isChange(header.kind)) this.#checkChange(record);
    else this.#checkNote(header);
  }

  #checkChange({ header, bytes, at }: ScannedRecord): void {
    const { revision } = header;
    if (this.#open === undefined) {
      if (revision <= this.#revision || revision > this.#header!.revision) {
        throw this.#broken(`revision ${revision} cannot be here`);
      }
    } else if (revision !== this.#open) throw this.#broken("a commit has two revisions");
    if (decodeUtf8(recordKey(bytes, at, header)) === undefined) {
      throw this.#broken("a key is no UTF-8");
    }
    this.#revision = revision;
    this.#open = endsCommit(header) ? undefined : revision;
    if (endsCommit(header)) this.#commits++;
  }

  #checkNote({ kind, revision, createRevision, version }: RecordHeader): void {
    if (this.#open !== undefined) throw this.#broken("a commit has no end");
    const newest = this.#header!.revision;
    if (kind === KIND.void) {
      if (revision < this.#revision || createRevision <= revision || createRevision > newest) {
        throw this.#broken(`a void from ${revision} to ${createRevision} cannot be here`);
      }
      this.#revision = createRevision;
    } else if (kind === KIND.end) {
      if (revision !== newest || createRevision !== this.#records || version !== this.#commits) {
        throw this.#broken("there are not as many records as its end says");
      }
      this.#ended = true;
    } else {
      throw this.#broken(`a record of kind ${kind}, which this kv does not know; use a newer one`);
    }
  }

  #broken(what: string): KvError {
    return new KvError("internal", `the backup is broken at byte ${this.#position}: ${what}`);
  }
}
