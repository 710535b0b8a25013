/**
 * Decides when garbage is looked for, and which segments are merged with which: the disk is to hold
 * at most twice the live data beside the history. A job of the background.
 */

import {
  FULL_DISK_GARBAGE_SHARE,
  MERGE_BEHIND_TIMES,
  MERGE_BEHIND_SHARE,
  MERGE_GARBAGE_SHARE,
  SURVEY_BACKOFF_MS_MAX,
  SURVEY_BACKOFF_MS_MIN,
  TOMBSTONES_SLICE,
} from "../limits.ts";
import type { Job, Turns } from "./background.ts";
import type { Horizon } from "./horizon.ts";
import { mergeSegments, type MergeOptions } from "./merge.ts";
import { bytesAbove } from "./retention.ts";
import { Survey, type IsWorth, type Surveyed } from "./survey.ts";

export interface MergingOptions extends MergeOptions {
  readonly horizon: Horizon;
  /** Bytes of garbage below which nothing is merged. */
  readonly mergeBytesMin: number;
  /** Bytes that a merged segment has at most, unless one alone has more. */
  readonly segmentBytesMax: number;
  /** Makes everything that was written durable: a merge leaves out what is below it. */
  readonly syncLog: () => Promise<void>;
  /** Is the disk full? Then less garbage is worth a merge. */
  readonly isFull: () => boolean;
}

export class Merging implements Job {
  readonly name = "merging segments";
  readonly #options: MergingOptions;
  /** Of the last survey: its oldest readable revision, and the bytes that were kept below it. */
  #surveyedTo = 0;
  #keptBytes = 0;
  /** Where little was found: when it is worth looking again, and how long the next pause is. */
  #notBefore = 0;
  /** Bytes of garbage that the last survey left. */
  #leftBytes = 0;
  #backoffMs = SURVEY_BACKOFF_MS_MIN;
  /** Has somebody asked for room since the last survey? */
  #isWanted = false;

  constructor(options: MergingOptions) {
    this.#options = options;
  }

  isDue(): boolean {
    const { horizon, segments, index, mergeBytesMin, clock, isFull } = this.#options;
    if (horizon.oldest <= this.#surveyedTo) return false;
    const below = this.#sealedBelow(horizon.oldest);
    const hasGrown = below - this.#keptBytes >= Math.max(mergeBytesMin, this.#keptBytes / 2);
    // Where little was replaced, little below can be garbage, however much it has grown.
    const replaced = segments.bytes - index.liveBytes;
    const little = this.#isWanted ? 0 : index.liveBytes / LITTLE;
    if (hasGrown && replaced >= Math.max(mergeBytesMin, little)) return true;
    const garbage = below - index.liveBytes;
    if (isFull() && garbage - this.#leftBytes >= mergeBytesMin / LITTLE) return true;
    const now = clock();
    // By a clock that was set back, the pause would be longer than it was meant.
    const isPaused = now < this.#notBefore && this.#notBefore <= now + this.#backoffMs;
    return garbage >= Math.max(mergeBytesMin, index.liveBytes / 2) && !isPaused;
  }

  waits(): boolean {
    return this.#options.clock() < this.#notBefore;
  }

  /** Somebody wants room: also little garbage is looked for, and at once. */
  hurry(): void {
    this.#isWanted = true;
    this.#endPause();
  }

  /** No pause after surveys that found little. */
  #endPause(): void {
    this.#notBefore = 0;
    this.#backoffMs = SURVEY_BACKOFF_MS_MIN;
  }

  async run(turns: Turns): Promise<void> {
    const isWanted = this.#isWanted;
    this.#isWanted = false;
    try {
      await this.#run(turns);
    } catch (error) {
      this.#isWanted ||= isWanted;
      throw error;
    }
  }

  async #run(turns: Turns): Promise<void> {
    const { horizon, segments, index, syncLog, segmentBytesMax, mergeBytesMin } = this.#options;
    const { oldest } = horizon;
    const before = this.#sealedBelow(oldest);
    const behindBytes = 2 * index.liveBytes + MERGE_BEHIND_TIMES * mergeBytesMin;
    if (before > behindBytes) turns.slice.share = MERGE_BEHIND_SHARE;
    // A merged segment leaves out what is replaced: by records that a power cut must not take.
    await syncLog();
    turns.check();
    // The index must not point to a deletion that is about to be left out.
    while (index.dropTombstones(oldest, TOMBSTONES_SLICE)) await turns.next();
    const { share, room } = this.#terms();
    const isWorth: IsWorth = ({ segment: { end }, keptBytes }) =>
      end - keptBytes >= end * share && keptBytes <= room;
    const surveyed = await new Survey(index, oldest, isWorth).run(segments, turns);
    for (const run of rowsOf(surveyed, isWorth, Math.min(segmentBytesMax, room))) {
      await mergeSegments(this.#options, run, oldest, turns);
    }
    this.#surveyedTo = oldest;
    // More may have been forgotten meanwhile, which was not looked at.
    this.#keptBytes = this.#sealedBelow(oldest);
    this.#leftBytes = this.#keptBytes - index.liveBytes;
    this.#rest(before - this.#keptBytes);
  }

  /**
   * The share of a segment that has to be garbage, and the bytes that may be written at once: a
   * part of what a full disk has left is for deletes that come meanwhile.
   */
  #terms(): { share: number; room: number } {
    const { disk, isFull } = this.#options;
    return isFull()
      ? { share: FULL_DISK_GARBAGE_SHARE, room: disk.room() * (1 - DELETES_SHARE) }
      : { share: MERGE_GARBAGE_SHARE, room: Number.POSITIVE_INFINITY };
  }

  #rest(freedBytes: number): void {
    const { index, mergeBytesMin, clock } = this.#options;
    const garbage = this.#keptBytes - index.liveBytes;
    if (freedBytes >= Math.max(mergeBytesMin, garbage / 4)) return this.#endPause();
    this.#notBefore = clock() + this.#backoffMs;
    this.#backoffMs = Math.min(2 * this.#backoffMs, SURVEY_BACKOFF_MS_MAX);
  }

  /** Bytes of sealed segments at or below a revision. */
  #sealedBelow(revision: number): number {
    const { segments } = this.#options;
    const above = bytesAbove(segments, revision);
    return segments.bytes - Math.max(above, segments.active.end);
  }
}

// --- internal ---

/** The share of a full disk's room that merges leave to deletes. */
const DELETES_SHARE = 1 / 8;

/**
 * On a full disk this part of the garbage that is worth a survey else is worth one; else this part
 * of the live data, where the log has grown by half.
 */
const LITTLE = 8;

/** A segment with at most this part of the largest size is merged with its neighbours. */
const SMALL = 4;

/** Rows of neighbours that make one segment each of at most `bytesMax` or of one, oldest first. */
function rowsOf(surveyed: readonly Surveyed[], isWorth: IsWorth, bytesMax: number): Surveyed[][] {
  const rows: Surveyed[][] = [];
  let row: Surveyed[] = [];
  let bytes = 0;
  for (const one of surveyed) {
    const isWanted = isWorth(one) || one.keptBytes <= bytesMax / SMALL;
    if (!isWanted || bytes + one.keptBytes > bytesMax) {
      rows.push(row);
      row = [];
      bytes = 0;
    }
    if (!isWanted) continue;
    row.push(one);
    bytes += one.keptBytes;
  }
  rows.push(row);
  // A small segment alone is as good as merged.
  return rows.filter((row) => row.length > 1 || row.some(isWorth));
}
