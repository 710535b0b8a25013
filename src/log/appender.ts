/**
 * The end of the log: writes batches of commits to the active segment, as durable as the mode says,
 * reserves the revisions that are answered before they are synced, and begins the next segment.
 * Knows nothing of queues or of what a put means.
 */

import type { Durability } from "../durability.ts";
import type { Lag } from "../kv.ts";
import {
  createWhole,
  isOpenFilesError,
  isSpaceError,
  writeFully,
  type Disk,
  type DiskFile,
} from "./disk.ts";
import type { DurableFile } from "./durable.ts";
import { PendingRecords, type Note } from "./encoding.ts";
import type { Timer } from "./expiry.ts";
import { encodeSegmentHeader, KIND, SEGMENT_HEADER_BYTES } from "./format.ts";
import type { Recovered } from "./recovery.ts";
import { openSegment, segmentName, type Segment } from "./segment.ts";
import type { Segments } from "./segments.ts";
import { Syncing } from "./syncing.ts";

/** A batch could not be written: nothing of it was applied, and the log is as it was before. */
export class NotWrittenError extends Error {
  override readonly name: string = "NotWrittenError";
}

/** There is no room for it. */
export class SpaceError extends NotWrittenError {
  override readonly name = "SpaceError";
}

/** It needs a new file, and too many are open. */
export class OpenFilesError extends NotWrittenError {
  override readonly name = "OpenFilesError";
}

/** What the records up to a place in the log say together, but for keys: see `Loaded`. */
export interface LogState {
  readonly revision: number;
  readonly oldest: number;
  readonly time: number;
  readonly reserved: number;
}

export interface AppenderOptions {
  readonly disk: Disk;
  readonly segments: Segments;
  readonly recovered: Recovered;
  readonly durability: Durability;
  readonly segmentBytesMax: number;
  /** Revisions that are reserved at a time. */
  readonly reservedRevisions: number;
  readonly clock: () => number;
  readonly timer: Timer;
  /** A sync has failed that no batch waited for: nothing may be written any more. */
  readonly failed: (error: Error) => void;
}

export class Appender {
  readonly #options: AppenderOptions;
  readonly #durable: DurableFile;
  readonly #segments: Segments;
  readonly #syncing: Syncing;
  /** Is a batch durable before it is answered? */
  readonly #isSync: boolean;
  /** The time of the newest commit: never decreasing, whatever the clock does. */
  #time: number;
  /** The newest revision in the log. */
  #revision: number;
  /** The oldest readable revision. */
  #compacted: number;
  /** No commit has a revision at or above it without a reserve record that is synced before. */
  #reserved: number;
  #sealNext = false;

  constructor(options: AppenderOptions) {
    const { segments, recovered, durability, clock, timer, failed } = options;
    const { durable, revision } = recovered;
    this.#options = options;
    this.#segments = segments;
    this.#durable = durable;
    this.#isSync = durability.mode === "sync";
    this.#time = recovered.time;
    this.#revision = revision;
    this.#compacted = recovered.oldest;
    this.#reserved = recovered.reserved;
    const { active } = segments;
    const end = { segment: active, offset: active.end, chain: active.chain, revision };
    this.#syncing = new Syncing({ durability, durable, clock, timer, end, failed });
  }

  /** What the log says at its end. The store shows the same, or will within the same turn. */
  get state(): LogState {
    return {
      revision: this.#revision,
      oldest: this.#compacted,
      time: this.#time,
      reserved: this.#reserved,
    };
  }

  /** What was answered and is not synced; `undefined` where an answer means that it is. */
  get lag(): Lag | undefined {
    return this.#syncing.lag;
  }

  /**
   * Writes a batch and makes it as durable as the mode says; readers see it when this resolves.
   * @throws `NotWrittenError`; any other error leaves the outcome open, and the log must not be
   * used again.
   */
  async append(records: PendingRecords): Promise<void> {
    this.#time = Math.max(this.#time, this.#options.clock());
    if (!this.#isSync) {
      await this.#syncing.room();
      await this.#reserve(records.revision(records.count - 1));
    }
    await this.#append(records, records.revision(0), this.#isSync);
  }

  /**
   * Notes durably that `oldest` is the oldest readable revision from now on; `revision` is the
   * store's. Fails as `append`.
   */
  async compact(oldest: number, revision: number): Promise<void> {
    await this.#note({ kind: KIND.compact, revision, names: oldest });
  }

  /** The next write begins a segment: what is in the active one can be merged then. */
  sealNext(): void {
    this.#sealNext = true;
  }

  /**
   * Everything that was written before the call is durable when this resolves.
   * @throws what the sync failed with; that this ends the store is seen to already.
   */
  async syncAll(): Promise<void> {
    try {
      await this.#syncing.all();
    } catch (error) {
      this.#options.failed(error as Error);
      throw error;
    }
  }

  /** Seals the log. Nothing may be under way. */
  async close(): Promise<void> {
    try {
      await this.#endReservation();
      await this.#syncing.all();
      await this.#durable.sync();
    } finally {
      await this.abandon();
    }
  }

  /** Closes the files as they are. */
  async abandon(): Promise<void> {
    await this.#syncing.stop();
    this.#durable.close();
    this.#segments.close();
  }

  /**
   * Sees to it that a revision, and those before it, may be answered before they are synced. The
   * last reserved one is never given to a commit: the void that may end there is a state which
   * nobody has seen otherwise.
   */
  async #reserve(revision: number): Promise<void> {
    if (revision < this.#reserved) return;
    const names = revision + this.#options.reservedRevisions;
    await this.#note({ kind: KIND.reserve, revision: this.#revision, names });
  }

  /** What is reserved and was not used is not lost: the next start need not void it. */
  async #endReservation(): Promise<void> {
    const revision = this.#revision;
    if (this.#reserved <= revision) return;
    try {
      await this.#note({ kind: KIND.reserve, revision, names: revision });
    } catch (error) {
      // It voids it then, which does no harm.
      if (!(error instanceof NotWrittenError)) throw error;
    }
  }

  async #note(note: Note): Promise<void> {
    this.#time = Math.max(this.#time, this.#options.clock());
    const records = new PendingRecords(NOTE_BYTES);
    records.addNote(note);
    await this.#append(records, note.revision + 1, true);
  }

  /**
   * Writes records, and waits until they are durable where `isWaiting`; no later commit is below
   * `nextRevision`.
   */
  async #append(records: PendingRecords, nextRevision: number, isWaiting: boolean): Promise<void> {
    this.#syncing.check();
    const bytes = records.end;
    let active = this.#segments.active;
    const isFull = this.#sealNext || active.end + bytes > this.#options.segmentBytesMax;
    if (isFull && active.end > SEGMENT_HEADER_BYTES) {
      active = await this.#roll(active, nextRevision);
    }
    this.#sealNext = false;
    records.place(active, this.#time, this.#syncing.isClean);
    const written = records.bytes.subarray(0, bytes);
    await this.#write(active, written);
    const { chain, count } = records;
    const revision = records.revision(count - 1);
    this.#syncing.wrote({ segment: active, offset: active.end + bytes, chain, revision }, bytes);
    if (isWaiting) await this.#syncing.all();

    for (let at = 0; at < count; at++) {
      if (records.isFirst(at)) active.mark(records.revision(at), records.offset(at), this.#time);
    }
    active.grow(written, chain);
    this.#revision = revision;
    const kind = records.kind(count - 1);
    const names = records.createRevision(count - 1);
    if (kind === KIND.compact) this.#compacted = names;
    if (kind === KIND.reserve) this.#reserved = names;
  }

  /**
   * Writes a batch at the end of a segment. On a full disk the part that was written is cut off
   * again, durably: the next write must not leave old bytes behind it that look like records.
   */
  async #write(segment: Segment, bytes: Uint8Array): Promise<void> {
    const { end: offset, chain, file } = segment;
    try {
      writeFully(file, bytes, offset);
    } catch (error) {
      if (!isSpaceError(error)) throw error;
      file.truncate(offset);
      this.#syncing.wrote({ segment, offset, chain, revision: this.#revision }, 0);
      await this.#syncing.all();
      throw new SpaceError(error.message);
    }
  }

  /** Begins the next segment. All of the active one is synced before. */
  async #roll(active: Segment, nextRevision: number): Promise<Segment> {
    await this.#syncing.all();
    const { disk, clock } = this.#options;
    const number = active.number + 1;
    const header = encodeSegmentHeader({
      store: active.header.store,
      number,
      nextRevision,
      compactedRevision: this.#compacted,
      previousEnd: active.end,
      previousCrc: active.chain,
      createdAt: clock(),
      reservedRevision: this.#reserved,
    });
    let isNamed = false;
    const onNamed = (): void => void (isNamed = true);
    try {
      const file = await createWhole(disk, segmentName(number), header, onNamed);
      const segment = openNext(file, this.#segments.nextId());
      this.#segments.push(segment);
      return segment;
    } catch (error) {
      // Under its name it is part of the log already, and may end the segment before it for good:
      // going on in that one could lose what is written there.
      if (!isNamed && isSpaceError(error)) throw new SpaceError(error.message);
      if (!isNamed && isOpenFilesError(error)) throw new OpenFilesError(error.message);
      throw error;
    }
  }
}

// --- internal ---

/** Room for the record of a note. */
const NOTE_BYTES = 128;

/**
 * Opens a segment that was just made. Where it cannot be read it is part of the log all the same:
 * the error is none of those that answer one caller while others go on.
 */
function openNext(file: DiskFile, id: number): Segment {
  try {
    return openSegment(file, id);
  } catch (error) {
    file.close();
    throw new Error((error as Error).message, { cause: error });
  }
}
