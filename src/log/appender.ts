/**
 * The end of the log: writes batches of commits to the active segment, makes them durable, and
 * begins the next segment. Knows nothing of queues or of what a put means.
 */

import { createWhole, isSpaceError, writeFully, type Disk } from "./disk.ts";
import type { DurableFile } from "./durable.ts";
import { encodeUtf8 } from "../text.ts";
import {
  contentBytes,
  encodeRecord,
  encodeSegmentHeader,
  FLAG_BATCH_START,
  FLAG_COMMIT_END,
  KIND,
  SEGMENT_HEADER_BYTES,
  type RecordContent,
} from "./format.ts";
import { position } from "./key-index.ts";
import { markOf, type Recovered } from "./recovery.ts";
import { openSegment, segmentName, type Segment } from "./segment.ts";
import type { Segments } from "./segments.ts";

/** One change of one key, evaluated and not yet written. */
export interface PendingEvent {
  readonly type: "put" | "delete" | "expire";
  readonly key: string;
  /** Empty for a delete; so are the other fields, 0 or without text. */
  readonly value: Uint8Array;
  readonly contentType: string;
  readonly previousRevision: number;
  readonly createRevision: number;
  readonly version: number;
  /** Milliseconds since 1970; 0 = never. */
  readonly deadline: number;
}

export interface PendingCommit {
  readonly revision: number;
  readonly events: readonly PendingEvent[];
}

/** Where each record of a batch came to stand, in the order of commits and events. */
export interface Placed {
  readonly position: number;
  readonly bytes: number;
}

/** There is no room for a batch: nothing of it was applied, and the log is as it was before. */
export class SpaceError extends Error {
  override readonly name = "SpaceError";
}

export interface AppenderOptions {
  readonly disk: Disk;
  readonly segments: Segments;
  readonly recovered: Recovered;
  readonly segmentBytesMax: number;
  readonly clock: () => number;
}

export class Appender {
  readonly #disk: Disk;
  readonly #durable: DurableFile;
  readonly #segments: Segments;
  readonly #segmentBytesMax: number;
  readonly #clock: () => number;
  /** The time of the newest commit: never decreasing, whatever the clock does. */
  #time: number;
  /** The oldest readable revision. */
  #compacted: number;
  #sealNext = false;

  constructor({ disk, segments, recovered, segmentBytesMax, clock }: AppenderOptions) {
    this.#disk = disk;
    this.#segments = segments;
    this.#durable = recovered.durable;
    this.#time = recovered.time;
    this.#compacted = recovered.oldest;
    this.#segmentBytesMax = segmentBytesMax;
    this.#clock = clock;
  }

  /**
   * Writes a batch and makes it durable; readers see it when this resolves.
   * @throws `SpaceError` when the disk is full; any other error leaves the outcome open, and the
   * log must not be used again.
   */
  async append(commits: readonly PendingCommit[]): Promise<Placed[]> {
    this.#time = Math.max(this.#time, this.#clock());
    return await this.#append(toRecords(commits, this.#time), commits[0]!.revision);
  }

  /**
   * Notes that `oldest` is the oldest readable revision from now on; `revision` is the store's. As
   * durable as a batch, and fails in the same ways.
   */
  async compact(oldest: number, revision: number): Promise<void> {
    this.#time = Math.max(this.#time, this.#clock());
    const content = { ...COMPACT, revision, createRevision: oldest, time: this.#time };
    await this.#append([{ content, first: false, last: true }], revision + 1);
    this.#compacted = oldest;
  }

  /** The next write begins a segment: what is in the active one can be merged then. */
  sealNext(): void {
    this.#sealNext = true;
  }

  /** Seals the log. Nothing may be under way. */
  async close(): Promise<void> {
    try {
      await this.#durable.sync();
    } finally {
      this.abandon();
    }
  }

  /** Closes the files as they are. */
  abandon(): void {
    this.#durable.close();
    this.#segments.close();
  }

  /** Writes records and makes them durable; no later commit is below `nextRevision`. */
  async #append(records: readonly PendingRecord[], nextRevision: number): Promise<Placed[]> {
    const bytes = records.reduce((sum, record) => sum + contentBytes(record.content), 0);
    let active = this.#segments.active;
    const isFull = this.#sealNext || active.end + bytes > this.#segmentBytesMax;
    if (isFull && active.end > SEGMENT_HEADER_BYTES) {
      active = await this.#roll(active, nextRevision);
    }
    this.#sealNext = false;
    const batch = encodeBatch(active, records, bytes);
    await this.#write(active, batch.bytes);
    await active.file.sync();

    for (const { revision, offset } of batch.commits) active.mark(revision, offset, this.#time);
    active.end += bytes;
    active.chain = batch.chain;
    this.#durable.write(markOf(active));
    return batch.placed;
  }

  /**
   * Writes a batch at the end of a segment. On a full disk the part that was written is cut off
   * again, durably: the next write must not leave old bytes behind it that look like records.
   */
  async #write(segment: Segment, bytes: Uint8Array): Promise<void> {
    try {
      writeFully(segment.file, bytes, segment.end);
    } catch (error) {
      if (!isSpaceError(error)) throw error;
      segment.file.truncate(segment.end);
      await segment.file.sync();
      throw new SpaceError(error.message);
    }
  }

  /** Begins the next segment. All of the active one is synced already. */
  async #roll(active: Segment, nextRevision: number): Promise<Segment> {
    const number = active.number + 1;
    const header = encodeSegmentHeader({
      store: active.header.store,
      number,
      nextRevision,
      compactedRevision: this.#compacted,
      previousEnd: active.end,
      previousCrc: active.chain,
      createdAt: this.#clock(),
      reservedRevision: 0,
    });
    try {
      const file = await createWhole(this.#disk, segmentName(number), header);
      const segment = openSegment(file, this.#segments.nextId());
      this.#segments.push(segment);
      return segment;
    } catch (error) {
      // Under its name it is part of the log already, and may end the segment before it for good:
      // going on in that one could lose what is written there.
      const begun = this.#disk.list().includes(segmentName(number));
      if (isSpaceError(error) && !begun) throw new SpaceError(error.message);
      throw error;
    }
  }
}

// --- internal ---

interface PendingRecord {
  readonly content: RecordContent;
  /** The first record of a commit; the last one of it, or a record that belongs to none. */
  readonly first: boolean;
  readonly last: boolean;
}

const COMPACT = {
  kind: KIND.compact,
  key: new Uint8Array(0),
  contentType: "",
  value: new Uint8Array(0),
  previousRevision: 0,
  version: 0,
  deadline: 0,
};

function toRecords(commits: readonly PendingCommit[], time: number): PendingRecord[] {
  const records: PendingRecord[] = [];
  for (const { revision, events } of commits) {
    for (const [at, event] of events.entries()) {
      const content = {
        kind: KIND[event.type],
        key: encodeUtf8(event.key),
        contentType: event.contentType,
        value: event.value,
        revision,
        previousRevision: event.previousRevision,
        createRevision: event.createRevision,
        version: event.version,
        time,
        deadline: event.deadline,
      };
      records.push({ content, first: at === 0, last: at === events.length - 1 });
    }
  }
  return records;
}

interface EncodedBatch {
  readonly bytes: Uint8Array;
  readonly placed: Placed[];
  /** Where each commit begins. */
  readonly commits: { readonly revision: number; readonly offset: number }[];
  /** The checksum of the last record. */
  readonly chain: number;
}

function encodeBatch(
  segment: Segment,
  records: readonly PendingRecord[],
  bytes: number,
): EncodedBatch {
  const into = new Uint8Array(bytes);
  const placed: Placed[] = [];
  const commits: EncodedBatch["commits"] = [];
  let chain = segment.chain;
  let at = 0;
  for (const { content, first, last } of records) {
    const offset = segment.end + at;
    const flags = (last ? FLAG_COMMIT_END : 0) | (at === 0 ? FLAG_BATCH_START : 0);
    chain = encodeRecord(into, at, content, {
      segment: segment.number,
      offset,
      previousCrc: chain,
      flags,
    });
    if (first) commits.push({ revision: content.revision, offset });
    const size = contentBytes(content);
    placed.push({ position: position(segment.id, offset), bytes: size });
    at += size;
  }
  return { bytes: into, placed, commits, chain };
}
