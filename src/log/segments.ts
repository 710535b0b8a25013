/**
 * The segments of an open log, oldest first, and those that a merge has replaced for as long as
 * positions in them are known. The last one is the active segment.
 */

import { assert } from "../errors.ts";
import { SEGMENT_ID_MAX } from "../limits.ts";
import type { Segment } from "./segment.ts";

export class Segments {
  readonly #all: Segment[];
  readonly #byId = new Map<number, Segment>();
  #lastId: number;
  #generation = 0;

  constructor(segments: readonly Segment[]) {
    this.#all = [...segments];
    for (const segment of segments) this.#note(segment);
    this.#lastId = Math.max(...segments.map(({ id }) => id));
  }

  /** In the order of revisions; replaced ones are not among them. */
  get all(): readonly Segment[] {
    return this.#all;
  }

  get active(): Segment {
    return this.#all.at(-1)!;
  }

  /** Bytes of all segments. */
  get bytes(): number {
    return this.#all.reduce((sum, segment) => sum + segment.end, 0);
  }

  /**
   * Rises when segments are replaced: whoever goes through the log in several turns and holds
   * segments begins anew then.
   */
  get generation(): number {
    return this.#generation;
  }

  /**
   * A number for a segment that is opened next: positions in memory name segments by it. After the
   * highest one those of segments that are gone are given anew: a store may run for years.
   */
  nextId(): number {
    do this.#lastId = this.#lastId === SEGMENT_ID_MAX ? 1 : this.#lastId + 1;
    while (this.#byId.has(this.#lastId));
    return this.#lastId;
  }

  /** Adds the next active segment. */
  push(segment: Segment): void {
    this.#all.push(segment);
    this.#note(segment);
  }

  /** The segment of a position. */
  byId(id: number): Segment {
    const segment = this.#byId.get(id);
    assert(segment !== undefined, `segment with id ${id} is open`);
    return segment;
  }

  /** The place of the segment in which a revision is, or would be: the last that begins below. */
  indexAt(revision: number): number {
    let low = 1;
    let high = this.#all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#all[middle]!.header.nextRevision <= revision) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /**
   * Puts a merged segment in the place of those that it stands for. Positions in these stay
   * readable until `drop`.
   */
  replace(replaced: readonly Segment[], merged: Segment): void {
    const at = this.#all.indexOf(replaced[0]!);
    this.#all.splice(at, replaced.length, merged);
    this.#note(merged);
    this.#generation++;
  }

  /** Closes a replaced segment, in which nothing is looked for any more. */
  drop(segment: Segment): void {
    this.#byId.delete(segment.id);
    segment.file.close();
    this.#generation++;
  }

  /** Closes all files. */
  close(): void {
    for (const segment of this.#byId.values()) segment.file.close();
    this.#byId.clear();
  }

  #note(segment: Segment): void {
    this.#byId.set(segment.id, segment);
  }
}
