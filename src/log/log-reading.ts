/**
 * Reads the log at a start: with the help of a checkpoint, or, where that is of no use, all of it.
 * What a checkpoint says is held against the log, so both ways give the same. Changes nothing.
 */

import { CHECKPOINT_FILE } from "./checkpoint-format.ts";
import { loadCheckpoint, type Covers, type Resumed } from "./checkpoint-load.ts";
import { Unusable } from "./checkpoint-reader.ts";
import type { Disk } from "./disk.ts";
import { Loader, type Loaded } from "./loader.ts";
import type { Segment } from "./segment.ts";
import type { Notice } from "./tail.ts";

export interface LogReadingOptions {
  readonly disk: Disk;
  readonly notice: Notice;
}

export class LogReading {
  readonly #options: LogReadingOptions;
  readonly #sealed: readonly Segment[];
  readonly #active: Segment;
  readonly #endOf: (segment: Segment) => number;
  #resumed: Resumed | undefined;
  #loader = new Loader();

  /** `endOf` tells where a segment ends, by the one behind it. */
  constructor(
    options: LogReadingOptions,
    segments: readonly Segment[],
    endOf: (segment: Segment, next: Segment) => number,
  ) {
    this.#options = options;
    this.#sealed = segments.slice(0, -1);
    this.#active = segments.at(-1)!;
    this.#endOf = (segment) => endOf(segment, segments[segments.indexOf(segment) + 1]!);
  }

  /** What the checkpoint covers with whose help it was read. */
  get covers(): Covers | undefined {
    return this.#resumed?.covers;
  }

  /** Reads all segments but the last one. @throws `internal` when one is damaged. */
  async read(): Promise<void> {
    const { disk, notice } = this.#options;
    try {
      this.#resumed = await loadCheckpoint(disk, [...this.#sealed, this.#active], this.#endOf);
    } catch (error) {
      noteUnusable(notice, error as Error);
    }
    if (this.#resumed === undefined) this.#readAll();
    else this.#loader = this.#resumed.loader;
  }

  /** Reads the last segments, which end where their files do. @throws as `read`. */
  readTail(tail: readonly Segment[]): Loaded {
    try {
      const loaded = this.#finish(tail);
      this.#resumed?.check(loaded);
      return loaded;
    } catch (error) {
      if (this.#resumed === undefined) throw error;
      noteUnusable(this.#options.notice, error as Error);
      this.#resumed = undefined;
      this.#readAll();
      return this.#finish(tail);
    }
  }

  #readAll(): void {
    this.#loader = new Loader();
    for (const segment of this.#sealed) this.#loader.load(segment, this.#endOf(segment));
    this.#loader.checkHeader(this.#active);
  }

  #finish(tail: readonly Segment[]): Loaded {
    for (const segment of tail) this.#loader.load(segment, segment.file.size());
    return this.#loader.finish(tail.at(-1)!);
  }
}

// --- internal ---

function noteUnusable(notice: Notice, error: Error): void {
  const why = error instanceof Unusable ? error.message : "the log is not as it says";
  notice(`${CHECKPOINT_FILE} is of no use (${why}): all of the log is read instead`);
}
