/**
 * What becomes of writes when the disk is full. With a reserve: at the first write without room it
 * is given up, and only what removes goes on until it can be made again; history yields meanwhile.
 * Without one, each write tries for itself.
 *
 *   normal ──a write finds no room, the reserve is given up──▶ full
 *      ◀──────────the reserve is whole again───────────────────┘
 */

import { KvError } from "../errors.ts";
import { BACKGROUND_RETRY_MS, FULL_DISK_LOOK_MS } from "../limits.ts";
import { showBytes } from "../text.ts";
import type { SpaceError } from "./appender.ts";
import type { Job, Turns } from "./background.ts";
import type { Reserve } from "./reserve.ts";

export interface FullDiskOptions {
  /** `undefined` where none is kept. */
  readonly reserve: Reserve | undefined;
  /**
   * The revision to which history yields next: about half of it is below. `undefined` when there is
   * none that may go.
   */
  readonly halfway: () => number | undefined;
  /** Makes a revision the oldest readable one, in a new segment: those before can be merged. */
  readonly compact: (revision: number) => Promise<unknown>;
  /** The disk has become full: the jobs have something to do. */
  readonly wake: () => void;
  /** Told in one line when the disk becomes full, and when there is room again. */
  readonly notice: (message: string) => void;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

export class FullDisk {
  readonly #options: FullDiskOptions;
  /** What the system said. */
  #reason: string | undefined;
  /** Without a reserve: when a write was last refused. */
  #refusedAt: number | undefined;
  /** When the reserve is tried again, and how long after that when it then fails in the middle. */
  #fillAt = 0;
  #fillPauseMs = FULL_DISK_LOOK_MS;
  /** There was no room since history last yielded. */
  #shallYield = false;
  #isMissingTold = false;
  /** Room was made for a write that is not through yet. */
  #isTrying = false;

  constructor(options: FullDiskOptions) {
    this.#options = options;
    // Not at once where it was never made: a short run would write it for nothing.
    if (!this.isFull) this.#fillAt = options.clock() + FULL_DISK_LOOK_MS;
    else options.notice(`the disk was full when the store stopped: ${this.#refusing}`);
  }

  /** Are commits with a put refused, without a try? */
  get isFull(): boolean {
    return this.#options.reserve?.state === "given up";
  }

  /** Why a commit with a put is refused now; `undefined` when it is not. */
  refusal(): KvError | undefined {
    return this.isFull ? storageFull(this.#reason, undefined, this.#roomWanted) : undefined;
  }

  /** The answer to a write for which there was no room. */
  failure(cause: SpaceError): KvError {
    return storageFull(cause.message, cause, this.#roomWanted);
  }

  /**
   * There was no room for a write. Answers whether some was made for it: then it is to be evaluated
   * and tried again, and `tried` to be called after that; until then the reserve is not made again.
   */
  async makeRoom(cause: SpaceError): Promise<boolean> {
    const { reserve, notice, clock, wake } = this.#options;
    this.#reason = cause.message;
    const wasFull = this.isFull;
    this.#isTrying = true;
    let made = false;
    try {
      made = (await reserve?.giveUp()) ?? false;
    } catch (error) {
      notice(`the room kept for a full disk could not be given up: ${(error as Error).message}`);
    }
    this.#isTrying = made;
    if (this.isFull) {
      if (wasFull) return made;
      notice(`the disk is full (${cause.message}): ${this.#refusing}`);
      this.#fillAt = 0;
      this.#fillPauseMs = FULL_DISK_LOOK_MS;
      wake();
    } else if (made) {
      this.#fillAt = clock() + BACKGROUND_RETRY_MS;
    } else {
      if (this.#refusedAt === undefined) {
        notice(`the disk is full (${cause.message}): writes are refused, reads go on`);
      }
      this.#refusedAt = clock();
    }
    return made;
  }

  /** The write is through, however it ended, for which room was made. */
  tried(): void {
    if (!this.#isTrying) return;
    this.#isTrying = false;
    this.#options.wake();
  }

  /**
   * A write found room. Without a reserve, a small one can between two large ones that do not: that
   * is not told each time.
   */
  noteWritten(): void {
    if (this.#refusedAt === undefined) return;
    if (this.#options.clock() - this.#refusedAt < ROOM_AGAIN_MS) return;
    this.#refusedAt = undefined;
    this.#options.notice(ROOM_AGAIN);
  }

  /**
   * Makes the reserve where it is missing; on a full disk that tells that there is room again. The
   * first of the background jobs.
   */
  readonly refilling: Job = {
    name: "keeping room for a full disk",
    isDue: () => this.#isDue(),
    waits: () => this.#isMissing,
    run: async (turns) => void (await this.#refill(turns)),
  };

  /**
   * Lets history yield while the disk is full. The last of the background jobs: merges come first,
   * and give back what may be enough.
   */
  readonly yielding: Job = {
    name: "making room on a full disk",
    isDue: () => this.isFull && this.#shallYield && this.#options.halfway() !== undefined,
    run: async (turns) => {
      // Merges may have made room since the last try.
      if (await this.#refill(turns)) return;
      // Once for each look: what yields has to be merged before it makes room.
      this.#shallYield = false;
      await this.#yield();
    },
  };

  /** Is the reserve to be made? */
  get #isMissing(): boolean {
    const { reserve } = this.#options;
    return reserve !== undefined && reserve.state !== "whole";
  }

  /** What has to come before writes go on. */
  get #roomWanted(): string {
    const { reserve } = this.#options;
    return this.isFull ? `${showBytes(reserve!.wantedBytes)} are free` : ANY_ROOM;
  }

  get #refusing(): string {
    const goesOn = "reads, deletes and compactions go on, history yields";
    return `writes are refused until ${this.#roomWanted}; ${goesOn}`;
  }

  #isDue(): boolean {
    if (!this.#isMissing || this.#isTrying) return false;
    const now = this.#options.clock();
    // A clock that was set back must not make the pause longer.
    return now >= this.#fillAt || this.#fillAt > now + BACKGROUND_RETRY_MS;
  }

  /** Answers whether the reserve is whole. */
  async #refill(turns: Turns): Promise<boolean> {
    const { notice, clock } = this.#options;
    const reserve = this.#options.reserve!;
    const wasFull = this.isFull;
    const mayFit = reserve.mayFit;
    if (mayFit && (await reserve.fill(turns))) {
      if (wasFull) notice(ROOM_AGAIN);
      this.#isMissingTold = false;
      return true;
    }
    if (this.isFull) {
      this.#shallYield = true;
      this.#fillAt = clock() + (mayFit ? this.#fillPauseMs : FULL_DISK_LOOK_MS);
      // What the system said was wrong: writing so much for nothing is not repeated every second.
      if (mayFit) this.#fillPauseMs = Math.min(2 * this.#fillPauseMs, BACKGROUND_RETRY_MS);
      return false;
    }
    this.#fillAt = clock() + BACKGROUND_RETRY_MS;
    if (!this.#isMissingTold) notice(NO_RESERVE);
    this.#isMissingTold = true;
    return false;
  }

  async #yield(): Promise<void> {
    const revision = this.#options.halfway();
    if (revision === undefined) return;
    try {
      await this.#options.compact(revision);
    } catch (error) {
      // A compaction of somebody else came first, there is no room even for this one, or the store
      // has failed, which others tell.
      if (error instanceof KvError) return;
      throw error;
    }
    this.#options.notice(`the disk is full: forgot the history below revision ${revision}`);
  }
}

/** The answer to a write for which there is no room. `until`: what lets writes go on. */
export function storageFull(reason?: string, cause?: unknown, until = ANY_ROOM): KvError {
  const why = reason === undefined ? "" : ` (${reason})`;
  const message =
    `the disk is full${why}; nothing was changed; make room on the disk, or delete what is not ` +
    `needed: writes go on by themselves when ${until}`;
  return new KvError("storage_full", message, {}, cause);
}

// --- internal ---

/** Without a refusal for so long, a write that goes through means that there is room again. */
const ROOM_AGAIN_MS = 1_000;

const ANY_ROOM = "there is room";
const ROOM_AGAIN = "the disk has room again: writes go on";
const NO_RESERVE =
  "the disk has no room to keep some for deletes when it is full; the store goes on without";
