/**
 * The file `RESERVE`: room on the disk that is kept for deletions, compactions and merges, and
 * given up for them when the disk is full. Knows nothing of who writes what.
 *
 *   absent ──fill──▶ whole ──give up──▶ given up (the file is empty)
 *                      ◀──────fill────────┘
 */

import {
  BACKGROUND_SYNC_BYTES,
  RESERVE_PIECE_BYTES,
  RESERVE_SHARE_MAX,
  RESERVE_SPARE_BYTES_MAX,
  RESERVE_SPARE_SHARE,
} from "../limits.ts";
import type { Turns } from "./background.ts";
import { isSpaceError, TEMPORARY_SUFFIX, writeFully, type Disk, type DiskFile } from "./disk.ts";

export const RESERVE_FILE = "RESERVE";

/**
 * `given up` outlives the process: on a disk that is full still, a start must not take what the
 * reserve has left for puts.
 */
export type ReserveState = "absent" | "whole" | "given up";

export interface ReserveOptions {
  readonly disk: Disk;
  /** Bytes of the reserve; on a small disk it is a share of it. */
  readonly bytes: number;
  /** Fresh random bytes: there are file systems on which others would take no room. */
  readonly random: (bytes: number) => Uint8Array;
}

/** The reserve of a directory, as it is there; none, and no file of it, where it has no bytes. */
export function openReserve(options: ReserveOptions): Reserve | undefined {
  if (options.bytes > 0) return new Reserve(options);
  removeReserve(options.disk);
  return undefined;
}

export class Reserve {
  readonly #options: ReserveOptions;
  readonly #bytes: number;
  #state: ReserveState;
  /** The file that is being made. */
  #filling: Filling | undefined;

  /** Use `openReserve`. Finds what is there; a reserve of another size is removed. */
  constructor(options: ReserveOptions) {
    const { disk, bytes } = options;
    this.#options = options;
    // Of the whole disk, not of what is free: it must not get smaller with each time it is made.
    this.#bytes = Math.min(bytes, Math.floor(disk.capacity() * RESERVE_SHARE_MAX));
    this.#state = stateOf(disk, this.#bytes);
    if (this.#state === "absent") removeReserve(disk);
  }

  get state(): ReserveState {
    return this.#state;
  }

  /** Can there be room for it? Where the system does not know better, a fill tells. */
  get mayFit(): boolean {
    return this.#options.disk.room() >= this.wantedBytes;
  }

  /** Bytes that have to be free for it to be made. */
  get wantedBytes(): number {
    const spare = Math.min(this.#bytes * RESERVE_SPARE_SHARE, RESERVE_SPARE_BYTES_MAX);
    return this.#bytes + Math.ceil(spare);
  }

  /**
   * Makes the file whole. Answers false when there was no room, or it was given up meanwhile; then
   * no part of it is left. Takes a little more while it is made: without room to spare, the next
   * write would have to give it up again.
   * @throws errors of the disk, and `Stopped`; then too no part of it is left.
   */
  async fill(turns: Turns): Promise<boolean> {
    const { disk } = this.#options;
    let filling: Filling | undefined;
    try {
      const ended = Promise.withResolvers<void>();
      filling = { file: createAnew(disk, TEMPORARY_NAME), ended, isCancelled: false };
      this.#filling = filling;
      await this.#write(filling, turns);
      if (filling.isCancelled) return false;
      disk.rename(TEMPORARY_NAME, RESERVE_FILE);
      filling.isRenamed = true;
      this.#state = "whole";
      await disk.syncDirectory();
      return this.#state === "whole";
    } catch (error) {
      if (isSpaceError(error)) return this.#state === "whole";
      throw error;
    } finally {
      this.#filling = undefined;
      if (filling !== undefined) this.#end(filling);
    }
  }

  /**
   * Gives its room to whoever writes next. Answers whether there was any to give: a part of a file
   * that is being made counts.
   */
  async giveUp(): Promise<boolean> {
    const filling = this.#filling;
    if (filling !== undefined && filling.isRenamed !== true) {
      const had = filling.file.size() > 0;
      filling.isCancelled = true;
      filling.file.truncate(0);
      // It may be syncing: whoever makes it closes and removes it.
      await filling.ended.promise;
      await this.#options.disk.syncDirectory();
      return had;
    }
    if (this.#state !== "whole") return false;
    this.#state = "given up";
    return await giveUpReserve(this.#options.disk);
  }

  async #write(filling: Filling, turns: Turns): Promise<void> {
    const { random } = this.#options;
    const end = this.wantedBytes;
    let synced = 0;
    for (let at = 0; at < end;) {
      const piece = random(Math.min(RESERVE_PIECE_BYTES, end - at));
      writeFully(filling.file, piece, at);
      at += piece.length;
      if (at - synced >= BACKGROUND_SYNC_BYTES) {
        await filling.file.sync();
        synced = at;
        turns.check();
      }
      await turns.pause();
      if (filling.isCancelled) return;
    }
    filling.file.truncate(this.#bytes);
    await filling.file.sync();
  }

  #end(filling: Filling): void {
    try {
      filling.file.close();
      if (filling.isRenamed !== true) this.#options.disk.unlink(TEMPORARY_NAME);
    } finally {
      filling.ended.resolve();
    }
  }
}

/** Gives up the reserve of a directory. Answers false where there is none, or no more of it. */
export async function giveUpReserve(disk: Disk): Promise<boolean> {
  if (!disk.list().includes(RESERVE_FILE)) return false;
  const file = disk.open(RESERVE_FILE);
  try {
    if (file.size() === 0) return false;
    file.truncate(0);
    // Room that is not durably free is not always given out.
    await file.sync();
    return true;
  } finally {
    file.close();
  }
}

/** Does something; where there is no room for it, the reserve is given up, and it is done again. */
export async function withReserve<T>(disk: Disk, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isSpaceError(error) || !(await giveUpReserve(disk))) throw error;
    return await work();
  }
}

// --- internal ---

const TEMPORARY_NAME = `${RESERVE_FILE}${TEMPORARY_SUFFIX}`;

interface Filling {
  readonly file: DiskFile;
  readonly ended: PromiseWithResolvers<void>;
  isCancelled: boolean;
  isRenamed?: boolean;
}

function removeReserve(disk: Disk): void {
  if (disk.list().includes(RESERVE_FILE)) disk.unlink(RESERVE_FILE);
}

function stateOf(disk: Disk, bytes: number): ReserveState {
  if (!disk.list().includes(RESERVE_FILE)) return "absent";
  const file = disk.open(RESERVE_FILE);
  try {
    const size = file.size();
    if (size === 0) return "given up";
    return size === bytes ? "whole" : "absent";
  } finally {
    file.close();
  }
}

/** What an attempt before could not remove does not keep the next one from being made. */
function createAnew(disk: Disk, name: string): DiskFile {
  if (disk.list().includes(name)) disk.unlink(name);
  return disk.create(name);
}
