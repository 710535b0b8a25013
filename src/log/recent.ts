/**
 * The end of the log in memory, up to a number of bytes, for watchers that are caught up: a copy of
 * its records, of which commits are made where somebody asks for them.
 */

import type { Changes, Range } from "../kv.ts";
import { ChunkOfChanges } from "./changes.ts";
import type { PendingRecords } from "./encoding.ts";
import { readRecordHeader, recordBytes } from "./format.ts";

interface Ended {
  readonly piece: Piece | undefined;
  readonly offset: number;
  readonly from: number;
}

const NOWHERE: Ended = { piece: undefined, offset: 0, from: -1 };

export class Recent {
  readonly #bytesMax: number;
  /** In the order of revisions; each has whole commits, and at least one. */
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  /** Every commit above this revision is here. */
  #above: number;
  /** Where the last chunk ended, and the revision from which on it goes on there. */
  #ended: Ended = NOWHERE;

  constructor(revision: number, bytesMax: number) {
    this.#above = revision;
    this.#bytesMax = bytesMax;
  }

  /** Takes the commits of a batch. */
  add(records: PendingRecords): void {
    let start = 0;
    for (let at = 0; at < records.count; at++) {
      const end = records.recordEnd(at);
      const isLast = at === records.count - 1;
      if (!isLast && (end - start < PIECE_BYTES || !records.isLast(at))) continue;
      this.#append(records, start, end, records.revision(at));
      start = end;
    }
  }

  /** The next chunk of changes at `from` and above, or `undefined` when the log has to be read. */
  changes(from: number, ranges: readonly Range[]): Changes | undefined {
    if (from <= this.#above) return undefined;
    const chunk = new ChunkOfChanges(from, ranges);
    // Who follows what comes goes on where it ended.
    const { piece, offset } = from === this.#ended.from ? this.#ended : NOWHERE;
    let index = piece === undefined ? -1 : this.#pieces.lastIndexOf(piece);
    let at = index < 0 ? 0 : offset;
    if (index < 0) index = this.#find(from);
    for (; index < this.#pieces.length; index++, at = 0) {
      const piece = this.#pieces[index]!;
      while (at < piece.end) {
        const header = readRecordHeader(piece.view, at);
        const record = { header, bytes: piece.bytes, at };
        at += recordBytes(header);
        if (header.revision < from || chunk.add(record)) continue;
        this.#ended = { piece, offset: at, from: header.revision + 1 };
        return chunk.changes();
      }
      this.#ended = { piece, offset: at, from: piece.lastRevision + 1 };
    }
    return chunk.changes();
  }

  /** Appends bytes to the last piece, where they have room there, or makes a new one of them. */
  #append(records: PendingRecords, start: number, end: number, lastRevision: number): void {
    const added = records.bytes.subarray(start, end);
    let piece = this.#pieces.at(-1);
    if (piece === undefined || piece.end + added.length > piece.bytes.length) {
      const bytes = new Uint8Array(Math.max(added.length, Math.min(PIECE_BYTES, this.#bytesMax)));
      const view = new DataView(bytes.buffer);
      piece = { bytes, view, end: 0, lastRevision };
      this.#pieces.push(piece);
      this.#bytes += bytes.length;
    }
    piece.bytes.set(added, piece.end);
    piece.end += added.length;
    piece.lastRevision = lastRevision;
    while (this.#bytes > this.#bytesMax) this.#drop();
  }

  #drop(): void {
    const { bytes, lastRevision } = this.#pieces.shift()!;
    this.#bytes -= bytes.length;
    this.#above = lastRevision;
  }

  /** The first piece that has a commit at or above a revision. */
  #find(revision: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pieces[middle]!.lastRevision < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

// --- internal ---

/** Bytes of a piece, but for one that has a larger commit. */
const PIECE_BYTES = 64 * 1024;

interface Piece {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where its records end. */
  end: number;
  /** The newest revision that it has. */
  lastRevision: number;
}
