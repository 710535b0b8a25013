/**
 * What the log does by itself while the store is open: forgets old history, merges segments, writes
 * checkpoints, keeps room for a full disk. Wires the jobs of the background.
 */

import { randomBytes } from "node:crypto";
import {
  BACKGROUND_WAKE_BYTES,
  CHECKPOINT_BYTES_MIN,
  MERGE_BYTES_MIN,
  SEGMENT_BYTES_MAX,
  TOMBSTONES_SLICE,
} from "../limits.ts";
import { Slice } from "../slice.ts";
import type { Appender } from "./appender.ts";
import { Background } from "./background.ts";
import { Checkpoints } from "./checkpoint-writer.ts";
import { Copies } from "./copies.ts";
import type { Disk } from "./disk.ts";
import type { Timer } from "./expiry.ts";
import { FullDisk } from "./full-disk.ts";
import type { Horizon } from "./horizon.ts";
import type { KeyIndex } from "./key-index.ts";
import type { Log } from "./log.ts";
import { Merging } from "./merging.ts";
import type { LogOptions } from "./options.ts";
import { Pins } from "./pins.ts";
import type { Recovered } from "./recovery.ts";
import { openReserve } from "./reserve.ts";
import { bytesAbove, Retention } from "./retention.ts";
import type { Segments } from "./segments.ts";

export interface UpkeepOptions {
  readonly options: LogOptions;
  readonly recovered: Recovered;
  readonly disk: Disk;
  readonly segments: Segments;
  readonly log: Log;
  readonly index: KeyIndex;
  readonly horizon: Horizon;
  readonly appender: Appender;
  readonly clock: () => number;
  readonly timer: Timer;
  readonly notice: (message: string) => void;
  /** Makes a revision the oldest readable one. */
  readonly compact: (revision: number) => Promise<unknown>;
  /** Told when nothing may be written any more. */
  readonly fatal: (error: Error) => void;
}

export class Upkeep {
  readonly pins: Pins;
  readonly fullDisk: FullDisk;
  readonly copies: Copies;
  readonly #options: UpkeepOptions;
  readonly #retention: Retention;
  readonly #merging: Merging;
  readonly #checkpoints: Checkpoints;
  readonly #background: Background;
  #stopped = false;
  /** Since the background was last woken. */
  #writtenBytes = 0;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    const { segments, clock, timer, notice } = options;
    this.pins = new Pins(clock, (revision) => bytesAbove(segments, revision));
    this.#retention = this.#makeRetention();
    this.fullDisk = this.#makeFullDisk();
    this.copies = new Copies({
      segments,
      clock,
      notice,
      isFull: () => this.fullDisk.isFull,
      wake: () => this.wake(),
    });
    this.#merging = this.#makeMerging();
    this.#checkpoints = this.#makeCheckpoints();
    const { refilling, yielding } = this.fullDisk;
    // What a copy keeps from a full disk may be all that the reserve needs.
    const first = [this.copies, refilling];
    const jobs = [...first, this.#retention, this.#merging, yielding, this.#checkpoints];
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

  /** Forgets deleted keys that no state which can be read needs, in turns. */
  async forgetDeletions(): Promise<void> {
    const { index, horizon } = this.#options;
    const slice = new Slice();
    while (!this.#stopped && index.dropTombstones(horizon.oldest, TOMBSTONES_SLICE)) {
      await slice.next();
    }
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

  /** When nothing is written any more: makes a checkpoint, if that is worth it. Never fails. */
  close(): Promise<void> {
    return this.#checkpoints.close();
  }

  #makeRetention(): Retention {
    const { segments, log, horizon, clock, compact, options } = this.#options;
    const { pins } = this;
    const { milliseconds = Infinity, bytes = Infinity } = options.history ?? {};
    return new Retention({ segments, log, horizon, clock, compact, pins, milliseconds, bytes });
  }

  #makeFullDisk(): FullDisk {
    const { disk, compact, notice, clock, options } = this.#options;
    const { reserveBytes: bytes = 0, random = randomBytes } = options;
    return new FullDisk({
      reserve: openReserve({ disk, bytes, random }),
      halfway: () => this.#retention.halfway(),
      wake: () => this.wake(),
      compact,
      notice,
      clock,
    });
  }

  #makeMerging(): Merging {
    const { disk, segments, index, horizon, clock, fatal, options } = this.#options;
    return new Merging({
      disk,
      segments,
      index,
      horizon,
      clock,
      fatal,

      mergeBytesMin: options.mergeBytesMin ?? MERGE_BYTES_MIN,
      segmentBytesMax: options.segmentBytesMax ?? SEGMENT_BYTES_MAX,
      syncLog: () => this.#options.appender.syncAll(),
      isFull: () => this.fullDisk.isFull,
      isStopped: () => this.#stopped,
    });
  }

  #makeCheckpoints(): Checkpoints {
    const { disk, segments, index, horizon, appender, notice } = this.#options;
    const { recovered, options } = this.#options;
    const { store, durable, covers } = recovered;
    return new Checkpoints({
      disk,
      segments,
      index,
      horizon,
      notice,
      // A checkpoint needs deletions for as long as it is being made.
      released: () => void this.forgetDeletions(),
      store,
      durable,
      covers,

      state: () => appender.state,
      syncLog: () => appender.syncAll(),
      isFull: () => this.fullDisk.isFull,
      bytesMin: options.checkpointBytesMin ?? CHECKPOINT_BYTES_MIN,
    });
  }
}
