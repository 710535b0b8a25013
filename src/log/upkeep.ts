/**
 * What the log does by itself while the store is open: forgets old history, merges segments, and
 * what else is given to it. Wires the jobs of the background.
 */

import { BACKGROUND_WAKE_BYTES } from "../limits.ts";
import { Background, type Job } from "./background.ts";
import type { Timer } from "./expiry.ts";
import type { Log } from "./log.ts";
import { Merging, type MergingOptions } from "./merging.ts";
import { Pins } from "./pins.ts";
import { bytesAbove, Retention } from "./retention.ts";

export interface UpkeepOptions extends Omit<MergingOptions, "isStopped"> {
  readonly log: Log;
  readonly timer: Timer;
  readonly notice: (message: string) => void;
  /** See `LogOptions.history`. */
  readonly history: { readonly milliseconds?: number; readonly bytes?: number } | undefined;
  /** Makes a revision the oldest readable one. */
  readonly compact: (revision: number) => Promise<unknown>;
  /** Jobs that come before those of history, and behind them. */
  readonly first: readonly Job[];
  readonly last: readonly Job[];
}

export class Upkeep {
  readonly pins: Pins;
  readonly retention: Retention;
  readonly #merging: Merging;
  readonly #background: Background;
  #stopped = false;
  /** Since the background was last woken. */
  #writtenBytes = 0;

  constructor(options: UpkeepOptions) {
    const { segments, horizon, clock, history = {}, compact, log } = options;
    const { milliseconds = Infinity, bytes = Infinity } = history;
    this.pins = new Pins(clock, (revision) => bytesAbove(segments, revision));
    const { pins } = this;
    this.retention = new Retention({
      ...{ segments, log, horizon, pins, clock },
      ...{ milliseconds, bytes, compact },
    });
    this.#merging = new Merging({ ...options, isStopped: () => this.#stopped });
    const { timer, notice, first, last } = options;
    const jobs = [...first, this.retention, this.#merging, ...last];
    this.#background = new Background({ jobs, timer, notice });
  }

  /** There may be work. */
  wake(): void {
    this.#writtenBytes = 0;
    this.#background.wake();
  }

  /** Bytes were written to the log: a lot of them may be work. */
  wrote(bytes: number): void {
    this.#writtenBytes += bytes;
    if (this.#writtenBytes >= BACKGROUND_WAKE_BYTES) this.wake();
  }

  /** Somebody asked for a compaction, and wants the room soon. */
  hurry(): void {
    this.#merging.hurry();
    this.wake();
  }

  /** Resolves when nothing is due. */
  idle(): Promise<void> {
    return this.#background.idle();
  }

  /** Ends what is under way; begins nothing more. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.#background.stop();
  }
}
