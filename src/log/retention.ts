/**
 * How much history is kept: by age and by size. Says up to which revision the store is to be
 * compacted; pinned revisions stay readable. A job of the background.
 */

import { KvError } from "../errors.ts";
import type { Job } from "./background.ts";
import { isChange, recordBytes } from "./format.ts";
import type { Horizon } from "./horizon.ts";
import type { Log } from "./log.ts";
import type { Pins } from "./pins.ts";
import { endsCommit, type Segment } from "./segment.ts";
import type { Segments } from "./segments.ts";

export interface RetentionOptions {
  readonly segments: Segments;
  readonly log: Log;
  readonly horizon: Horizon;
  readonly pins: Pins;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** History older than this is forgotten; infinite when its age does not count. */
  readonly milliseconds: number;
  /** Bytes of log above the oldest readable revision; infinite when its size does not count. */
  readonly bytes: number;
  /** Makes a revision the oldest readable one. */
  readonly compact: (revision: number) => Promise<unknown>;
}

export class Retention implements Job {
  readonly name = "forgetting old history";
  readonly #options: RetentionOptions;
  /**
   * What the newest revision was when, oldest first, while the store has run. Commits never go back
   * in time: after a clock that was far ahead for a moment, their times tell nothing for as long.
   */
  readonly #seen: Seen[] = [];

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  isDue(): boolean {
    const { horizon, segments, clock, milliseconds, bytes } = this.#options;
    this.#look();
    if (horizon.revision === horizon.oldest || Math.min(milliseconds, bytes) === Infinity) {
      return false;
    }
    const isLarge = bytesAbove(segments, horizon.oldest) > bytes * (1 + SLACK);
    const isOld =
      this.#oldestTime() < clock() - milliseconds * (1 + SLACK) ||
      this.#seenBefore(milliseconds * (1 + SLACK)) > horizon.oldest;
    return (isLarge || isOld) && this.#target() > horizon.oldest;
  }

  waits(): boolean {
    return this.#options.milliseconds !== Infinity;
  }

  async run(): Promise<void> {
    try {
      await this.#options.compact(this.#target());
    } catch (error) {
      // Somebody has asked for a later revision meanwhile: more is forgotten than was due.
      if (!(error instanceof KvError) || error.code !== "compacted") throw error;
    }
  }

  /**
   * What becomes the oldest readable revision when history has to make room: half of its bytes go,
   * and all when little is left. `undefined` when nothing can go.
   */
  halfway(): number | undefined {
    const { horizon, segments, pins } = this.#options;
    const half = bytesAbove(segments, horizon.oldest) / 2;
    const isLittle = half < HALVED_BYTES_MIN;
    const revision = isLittle ? horizon.revision : revisionBelow(segments, half);
    const halfway = Math.min(revision, pins.lowest());
    return halfway > horizon.oldest ? halfway : undefined;
  }

  /** The newest revision that nobody wants anything before. */
  #target(): number {
    const { segments, pins, clock, milliseconds, bytes } = this.#options;
    const target = Math.max(
      lastCommit(segments, (time) => time <= clock() - milliseconds),
      this.#seenBefore(milliseconds),
      revisionBelow(segments, bytes),
    );
    return Math.min(target, pins.lowest());
  }

  /** Notes the newest revision, now and then; and lets go of what is of no use any more. */
  #look(): void {
    const { horizon, clock, milliseconds } = this.#options;
    if (milliseconds === Infinity) return;
    const now = clock();
    // What was seen when the clock was ahead was seen now at the latest.
    for (const seen of this.#seen) seen.at = Math.min(seen.at, now);
    const last = this.#seen.at(-1);
    if (last !== undefined && now - last.at < milliseconds * SLACK) return;
    this.#seen.push({ revision: horizon.revision, at: now });
    const isPast = (seen: Seen | undefined) => seen!.at <= now - milliseconds * (1 + SLACK);
    while (this.#seen.length > 1 && isPast(this.#seen[1])) this.#seen.shift();
  }

  /** The newest revision that was there so many milliseconds ago, as far as it was seen. */
  #seenBefore(milliseconds: number): number {
    const until = this.#options.clock() - milliseconds;
    return this.#seen.findLast(({ at }) => at <= until)?.revision ?? 0;
  }

  /** The time of the first commit above the oldest readable revision. */
  #oldestTime(): number {
    const { log, horizon } = this.#options;
    let time = Infinity;
    log.scan(horizon.oldest + 1, ({ header }) => {
      if (isChange(header.kind)) time = header.time;
      return time === Infinity;
    });
    return time;
  }
}

/** Bytes of log above a revision, give or take 16 KiB. */
export function bytesAbove(segments: Segments, revision: number): number {
  const [first, ...later] = segments.all.slice(segments.indexAt(revision)) as [Segment];
  let bytes = first.end - first.seek(revision + 1);
  for (const { end } of later as Segment[]) bytes += end;
  return bytes;
}

/** The newest commit with at least so many bytes of log behind it; 0 when there is none. */
export function revisionBelow(segments: Segments, bytes: number): number {
  return lastCommit(segments, (_, behind) => behind >= bytes);
}

// --- internal ---

interface Seen {
  readonly revision: number;
  /** Milliseconds since 1970. */
  at: number;
}

/** History goes beyond its bounds by this share, so that not every write ends in a compaction. */
const SLACK = 1 / 32;

/** Bytes of history below which none is kept when it has to make room. */
const HALVED_BYTES_MIN = 1024 * 1024;

/** Is a commit old, by its time and by the bytes of log behind it? */
type IsOld = (time: number, behind: number) => boolean;

/** The newest commit that is old; 0 when there is none. All before an old one are old. */
function lastCommit(segments: Segments, isOld: IsOld): number {
  let behind = 0;
  for (const segment of segments.all.toReversed()) {
    const { offsets, times } = segment.marks;
    let at = offsets.length - 1;
    while (at >= 0 && !isOld(times[at]!, behind + segment.end - offsets[at]!)) at--;
    // A commit that begins at an old place can end at one that is not: then it is the one before.
    for (const mark of [at, at - 1].filter((index) => index >= 0)) {
      const revision = lastCommitFrom(segment, offsets[mark]!, behind, isOld);
      if (revision > 0) return revision;
    }
    behind += segment.end;
  }
  return 0;
}

function lastCommitFrom(segment: Segment, from: number, behind: number, isOld: IsOld): number {
  let revision = 0;
  segment.scanSound(from, ({ header }) => {
    if (!isChange(header.kind)) return true;
    const end = header.offset + recordBytes(header);
    if (!isOld(header.time, behind + segment.end - end)) return false;
    if (endsCommit(header)) revision = header.revision;
    return true;
  });
  return revision;
}
