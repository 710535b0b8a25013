/**
 * Makes checkpoints of the index: in the background after enough new log, in slices, while keys go
 * on changing; and when the store closes. Whatever goes wrong, the one before it stays.
 */

import {
  BACKGROUND_SYNC_BYTES,
  CHECKPOINT_BLOCK_KEY_BYTES,
  CHECKPOINT_BLOCK_KEYS_MAX,
  CHECKPOINT_LOG_RATIO,
} from "../limits.ts";
import type { LogState } from "./appender.ts";
import type { Job, Turns } from "./background.ts";
import {
  CHECKPOINT_FILE,
  checkpointHeaderCrc,
  encodeCheckpointHeader,
  endBlock,
  sealBlock,
  segmentBlock,
  voidsBlock,
  type CoveredSegment,
} from "./checkpoint-format.ts";
import type { Covers } from "./checkpoint-load.ts";
import { KeysBlocks } from "./checkpoint-keys.ts";
import {
  createAnew,
  removeQuietly,
  TEMPORARY_SUFFIX,
  writeFully,
  type Disk,
  type DiskFile,
} from "./disk.ts";
import type { DurableFile } from "./durable.ts";
import type { Horizon } from "./horizon.ts";
import { KeyColumns } from "./key-columns.ts";
import type { KeyIndex } from "./key-index.ts";
import type { Segment } from "./segment.ts";
import type { Segments } from "./segments.ts";

export interface CheckpointOptions {
  readonly disk: Disk;
  readonly store: string;
  readonly segments: Segments;
  readonly index: KeyIndex;
  readonly horizon: Horizon;
  readonly durable: DurableFile;
  /** What the log says at its end. */
  readonly state: () => LogState;
  /** Makes everything that was written durable. */
  readonly syncLog: () => Promise<void>;
  /** Is the disk full? A checkpoint is the last thing that needs room. */
  readonly isFull: () => boolean;
  /** Bytes of log to read again at a start below which no checkpoint is made. */
  readonly bytesMin: number;
  /** Of the checkpoint that the store was opened with. */
  readonly covers: Covers | undefined;
  /** Called when deletions may be forgotten again. */
  readonly released: () => void;
  readonly notice: (message: string) => void;
}

export class Checkpoints implements Job {
  readonly name = "making a checkpoint";
  readonly #options: CheckpointOptions;
  #covers: Covers;

  constructor(options: CheckpointOptions) {
    this.#options = options;
    this.#covers = options.covers ?? { ends: new Map(), bytes: 0 };
  }

  /** A large checkpoint has to save much: so all of them cost no more than the log itself. */
  isDue(): boolean {
    const { bytesMin } = this.#options;
    const bytes = Math.max(bytesMin, this.#covers.bytes * CHECKPOINT_LOG_RATIO);
    return this.#bytesToRead() >= bytes && this.#hasRoom();
  }

  async run(turns: Turns): Promise<void> {
    await this.#make(turns, BACKGROUND_SYNC_BYTES);
  }

  /** When nothing is written any more: makes one without pauses, if it is due. Never fails. */
  async close(): Promise<void> {
    if (!this.isDue()) return;
    try {
      await this.#make(NO_TURNS, Infinity);
    } catch (error) {
      this.#options.notice(`${this.name} failed: ${(error as Error).message}`);
    }
  }

  /** Is there twice the room that it may need? Writes go on meanwhile, and need some, too. */
  #hasRoom(): boolean {
    const { disk, index, isFull } = this.#options;
    if (isFull()) return false;
    try {
      return disk.room() >= 2 * index.live * KEY_BYTES_ABOUT;
    } catch {
      // Where the system does not tell, the attempt will.
      return true;
    }
  }

  /**
   * Bytes that a start has to read record by record: what was written since the checkpoint, and
   * everything up to the last segment that was merged since.
   */
  #bytesToRead(): number {
    let all = 0;
    let bytes = 0;
    for (const segment of this.#options.segments.all) {
      const covered = this.#covers.ends.get(segment);
      all += segment.end;
      bytes = covered === undefined ? all : bytes + segment.end - covered;
    }
    return bytes;
  }

  async #make(turns: Pick<Turns, "isOver" | "next">, syncBytes: number): Promise<void> {
    const { disk, index, durable, syncLog, released } = this.#options;
    // What readers are shown follows the log within a turn.
    while (!this.#isSettled()) await turns.next();
    const covered = this.#cover();
    const copy = index.copy();
    const temporary = `${CHECKPOINT_FILE}${TEMPORARY_SUFFIX}`;
    let file: DiskFile | undefined;
    try {
      file = createAnew(disk, temporary);
      const writer = new BlockWriter(file, covered.header, syncBytes);
      for (const segment of covered.segments) {
        writer.add(segmentBlock(segment));
        await writer.flush();
        await turns.next();
      }
      writer.add(voidsBlock(covered.voids));
      await writeKeys(copy, covered.places, writer, turns);
      await file.sync();
      // Neither a checkpoint of what the log may lose, nor a log that looks shorter to a start.
      await syncLog();
      await durable.sync();
      // The directory need not be synced: whichever file has the name after a crash is whole.
      disk.rename(temporary, CHECKPOINT_FILE);
      this.#covers = { ends: covered.ends, bytes: writer.bytes };
    } catch (error) {
      removeQuietly(disk, temporary);
      throw error;
    } finally {
      file?.close();
      index.endCopy();
      released();
    }
  }

  #isSettled(): boolean {
    const { state, horizon } = this.#options;
    const { revision, oldest } = state();
    return revision === horizon.revision && oldest === horizon.oldest;
  }

  /** Everything but keys, as it is now. */
  #cover() {
    const { store, segments, index, horizon, state } = this.#options;
    const { revision, oldest, time, reserved } = state();
    const { all } = segments;
    return {
      segments: [...all.slice(0, -1).map(coveredOf), coveredActive(segments.active)],
      /** By the id of a segment: which of those covered it is. */
      places: new Map(all.map(({ id }, place) => [id, place])),
      ends: new Map(all.map((segment) => [segment, segment.end])),
      voids: horizon.voids,
      header: encodeCheckpointHeader({
        store,
        revision,
        oldest,
        time,
        reserved,
        segments: all.length,
        keys: index.live,
      }),
    };
  }
}

// --- internal ---

/** Bytes that a key of a usual length takes in a checkpoint. */
const KEY_BYTES_ABOUT = 128;

/** Keys between two looks at the time: they may stand anywhere in memory. */
const STEP_KEYS = 32;

/** Nobody else is there. */
const NO_TURNS = {
  isOver: () => false,
  next: () => new Promise<void>((resolve) => void setImmediate(resolve)),
};

/** A segment as it is now. */
function coveredOf({ number, header, end, chain, crc, marks }: Segment): CoveredSegment {
  return { number, headerCrc: header.crc, end, chain, crc, marks };
}

/** The same of the active segment, which goes on growing. */
function coveredActive(active: Segment): CoveredSegment {
  const { revisions, times, offsets } = active.marks;
  const marks = { revisions: [...revisions], times: [...times], offsets: [...offsets] };
  return { ...coveredOf(active), marks };
}

/** Writes the keys of a copy of the index, in slices. */
async function writeKeys(
  copy: ReturnType<KeyIndex["copy"]>,
  places: ReadonlyMap<number, number>,
  writer: BlockWriter,
  turns: Pick<Turns, "isOver" | "next">,
): Promise<void> {
  const placeOf = (segment: number): number => {
    const place = places.get(segment);
    if (place === undefined) throw new Error("a key's record is in a segment that was replaced");
    return place;
  };
  const keysMax = Math.max(1, Math.min(copy.size, CHECKPOINT_BLOCK_KEYS_MAX));
  const blocks = new KeysBlocks(keysMax);
  const columns = new KeyColumns(keysMax);
  let keys = 0;
  for (let more = true; more;) {
    columns.limit = Math.min(columns.count + STEP_KEYS, columns.keysMax);
    // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- it is no array
    more = copy.fill(columns);
    const isFull =
      columns.count === columns.keysMax || columns.keysEnd >= CHECKPOINT_BLOCK_KEY_BYTES;
    if ((isFull || !more) && columns.count > 0) {
      writer.add(blocks.encode(columns, placeOf));
      keys += columns.count;
      columns.count = 0;
    }
    await writer.flush();
    if (turns.isOver()) await turns.next();
  }
  writer.add(endBlock(keys));
}

/** Writes blocks one after the other, each bound to the one before it, synced bit by bit. */
class BlockWriter {
  readonly #file: DiskFile;
  readonly #syncBytes: number;
  #crc: number;
  #unsynced = 0;
  bytes = 0;

  constructor(file: DiskFile, header: Uint8Array, syncBytes: number) {
    this.#file = file;
    this.#syncBytes = syncBytes;
    this.#crc = checkpointHeaderCrc(header);
    this.#write(header);
  }

  add(block: Uint8Array): void {
    this.#crc = sealBlock(block, this.#crc);
    this.#write(block);
  }

  /** Syncs when enough was written. */
  async flush(): Promise<void> {
    if (this.#unsynced < this.#syncBytes) return;
    this.#unsynced = 0;
    await this.#file.sync();
  }

  #write(bytes: Uint8Array): void {
    writeFully(this.#file, bytes, this.bytes);
    this.bytes += bytes.length;
    this.#unsynced += bytes.length;
  }
}
