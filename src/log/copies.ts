/**
 * The copies of the store that are being read. Their open files keep the room on the disk of
 * segments that merges have replaced: where somebody reads too slowly, or the disk is full, such a
 * copy is ended. A job of the background, so that it happens also when nobody reads on.
 */

import { KvError } from "../errors.ts";
import { PIN_MS_MAX } from "../limits.ts";
import type { Job } from "./background.ts";
import type { Segment } from "./segment.ts";
import type { Segments } from "./segments.ts";

export interface CopiesOptions {
  /** Those of the log. */
  readonly segments: Segments;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Does the disk need all the room there is? */
  readonly isFull: () => boolean;
  /** There is something to look at from time to time. */
  readonly wake: () => void;
  /** Told in one line when a copy is ended. */
  readonly notice: (message: string) => void;
}

/** The files of one copy. */
export interface OpenCopy {
  /** To be asked before each read. @throws `unavailable` when the copy was ended. */
  check(): void;
  /** Closes the files, unless that was done before. */
  close(): void;
}

export class Copies implements Job {
  readonly name = "ending slow backups";
  readonly #options: CopiesOptions;
  readonly #reading = new Set<Reading>();

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  /** A copy begins. `segments` are its own, with files that nobody else closes. */
  begin(segments: readonly Segment[]): OpenCopy {
    const close = (): void => {
      if (!this.#reading.delete(reading)) return;
      for (const { file } of segments) file.close();
    };
    const reading: Reading = { segments, close, since: this.#options.clock(), ended: undefined };
    this.#reading.add(reading);
    this.#options.wake();
    const check = (): void => {
      if (reading.ended !== undefined) throw new KvError("unavailable", reading.ended);
    };
    return { check, close };
  }

  isDue(): boolean {
    return [...this.#reading].some((reading) => this.#fault(reading) !== undefined);
  }

  waits(): boolean {
    return this.#reading.size > 0;
  }

  async run(): Promise<void> {
    for (const reading of this.#reading) {
      const fault = this.#fault(reading);
      if (fault === undefined) continue;
      reading.ended = `the backup was ended: ${fault}`;
      reading.close();
      this.#options.notice(`a backup was ended: ${fault}`);
    }
  }

  /** Why a copy may not go on; `undefined` when it may. */
  #fault({ segments, since }: Reading): string | undefined {
    const { clock, isFull } = this.#options;
    const isLong = clock() - since > PIN_MS_MAX;
    if (!isLong && !isFull()) return undefined;
    // Where all of its files have their names still, it keeps no room from anybody.
    const named = new Set(this.#options.segments.all.map(({ header }) => header.crc));
    if (segments.every(({ header }) => named.has(header.crc))) return undefined;
    return isFull()
      ? "the disk is full, and needs the room of replaced segments that it kept"
      : "it took too long, and kept the room of segments that were replaced meanwhile";
  }
}

// --- internal ---

interface Reading {
  readonly segments: readonly Segment[];
  readonly close: () => void;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Why it was ended. */
  ended: string | undefined;
}
