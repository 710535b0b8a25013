/**
 * The log as readers see it: finds records by place, by revision and by key, across segments. Only
 * what is applied is found. Knows nothing of who writes.
 */

import { assert } from "../errors.ts";
import { encodeUtf8 } from "../text.ts";
import { sameBytes } from "./bytes.ts";
import { CommitPlaces, type Places } from "./commit-places.ts";
import { isChange, recordKey } from "./format.ts";
import { offsetOf, segmentOf } from "./key-index.ts";
import { keyOf } from "./records.ts";
import type { ScannedRecord, Segment } from "./segment.ts";
import type { Segments } from "./segments.ts";

/** A part of a segment, from the beginning of a commit to the end of one. */
export interface LogWindow {
  readonly segment: Segment;
  readonly from: number;
  readonly to: number;
}

export class Log {
  readonly #segments: Segments;
  #places = new CommitPlaces();
  #placesGeneration = 0;

  constructor(segments: Segments) {
    this.#segments = segments;
  }

  /** The record of a key at a place that the index gave. @throws `internal` when it is damaged. */
  read(position: number, bytes: number): ScannedRecord {
    return this.segmentAt(position).read(offsetOf(position), bytes);
  }

  /** The segment of a place that the index gave. */
  segmentAt(position: number): Segment {
    return this.#segments.byId(segmentOf(position));
  }

  /** See `Segments.generation`. */
  get generation(): number {
    return this.#segments.generation;
  }

  /**
   * The record with which a commit changed a key; `undefined` when a merge has left it out, since
   * no state that can be read has it. @throws `internal` when it is damaged.
   */
  find(revision: number, key: string): ScannedRecord | undefined {
    const found = this.search(revision, key);
    assert(
      found !== undefined || this.#mayLeaveOut(revision),
      `revision ${revision} of a key is in the log`,
    );
    return found;
  }

  /** As `find`; `undefined` when the commit did not change the key, or there is no such commit. */
  search(revision: number, key: string): ScannedRecord | undefined {
    const segment = this.#segmentOf(revision);
    this.#forgetMovedPlaces();
    const places = this.#places.get(revision);
    if (places !== undefined) return recordAt(segment, places.get(key));
    const wanted = encodeUtf8(key);
    let found: ScannedRecord | undefined;
    let others = 0;
    segment.scanSound(segment.seek(revision), (record) => {
      const { header, bytes, at } = record;
      if (header.revision !== revision || !isChange(header.kind))
        return header.revision <= revision;
      if (sameBytes(recordKey(bytes, at, header), wanted)) found = record;
      else others++;
      return found === undefined && others < LARGE_COMMIT_EVENTS;
    });
    if (others < LARGE_COMMIT_EVENTS) return found;
    return recordAt(segment, this.#placesIn(segment, revision).get(key));
  }

  /**
   * The log at and below a revision in windows of about 16 KiB, from that revision back. Each holds
   * whole commits; the first may go on above the revision.
   */
  *windowsBefore(revision: number): Generator<LogWindow, undefined> {
    let at = this.#segments.indexAt(revision);
    let segment = this.#segments.all[at]!;
    let from: number | undefined = segment.seek(revision);
    yield { segment, from, to: segment.end };
    for (;;) {
      const to: number = from;
      from = segment.markBefore(to);
      if (from !== undefined) {
        yield { segment, from, to };
        continue;
      }
      if (--at < 0) return undefined;
      segment = this.#segments.all[at]!;
      from = segment.end;
    }
  }

  #mayLeaveOut(revision: number): boolean {
    const { merged, compactedRevision } = this.#segmentOf(revision).header;
    return merged !== undefined && revision <= compactedRevision;
  }

  #segmentOf(revision: number): Segment {
    return this.#segments.all[this.#segments.indexAt(revision)]!;
  }

  /** A merge has moved records: what is known of their places is not true any more. */
  #forgetMovedPlaces(): void {
    if (this.#placesGeneration === this.generation) return;
    this.#placesGeneration = this.generation;
    this.#places = new CommitPlaces();
  }

  #placesIn(segment: Segment, revision: number): Places {
    const places = new Map<string, number>();
    segment.scanSound(segment.seek(revision), (record) => {
      const { header } = record;
      if (header.revision === revision && isChange(header.kind)) {
        places.set(keyOf(record), header.offset);
      }
      return header.revision <= revision;
    });
    this.#places.add(revision, places);
    return places;
  }

  /**
   * Visits the records of revision `from` and later, across segments, while `visit` answers true.
   * @throws `internal` when one is damaged.
   */
  scan(from: number, visit: (record: ScannedRecord) => boolean): void {
    for (let at = this.#segments.indexAt(from); at < this.#segments.all.length; at++) {
      const segment = this.#segments.all[at]!;
      let goOn = true;
      segment.scanSound(segment.seek(from), (record) => {
        if (record.header.revision >= from) goOn = visit(record);
        return goOn;
      });
      if (!goOn) return;
    }
  }
}

// --- internal ---

/** Events of one commit above which the places of all of them are noted. */
const LARGE_COMMIT_EVENTS = 64;

function recordAt(segment: Segment, offset: number | undefined): ScannedRecord | undefined {
  if (offset === undefined) return undefined;
  let found: ScannedRecord | undefined;
  segment.scanSound(offset, (record) => {
    found = record;
    return false;
  });
  return found;
}
