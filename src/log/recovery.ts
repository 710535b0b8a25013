/**
 * Opens the log of a data directory, or begins one: mends the end after an unclean stop, then reads
 * every record of every segment, compares all checksums and builds the index.
 */

import { KvError } from "../errors.ts";
import { decodeUtf8 } from "../text.ts";
import { createWhole, TEMPORARY_SUFFIX, type Disk } from "./disk.ts";
import { DURABLE_FILE, DurableFile, type Mark } from "./durable.ts";
import {
  encodeSegmentHeader,
  hasUnknownExtension,
  isChange,
  KIND,
  recordBytes,
  recordContentType,
  recordKey,
  SEGMENT_HEADER_BYTES,
  type RecordHeader,
} from "./format.ts";
import { KeyIndex, position, type Newest } from "./key-index.ts";
import {
  damage,
  endsCommit,
  openSegment,
  segmentName,
  segmentNumber,
  type ScannedRecord,
  type Segment,
} from "./segment.ts";
import { cutAside, mendTail, otherThanMarked, type Notice } from "./tail.ts";

/** The log as it is on the disk, all of it durable. */
export interface Recovered {
  /** The store id: 32 hexadecimal digits. */
  readonly store: string;
  /** In order; the last one is the active segment. */
  readonly segments: Segment[];
  readonly index: KeyIndex;
  readonly durable: DurableFile;
  /** The newest revision; 0 in a new store. */
  readonly revision: number;
  /** The oldest readable revision. */
  readonly oldest: number;
  /** The time of the newest commit, in milliseconds since 1970. */
  readonly time: number;
}

export interface RecoveryOptions {
  readonly disk: Disk;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Fresh random bytes, for the store id. */
  readonly random: (bytes: number) => Uint8Array;
  readonly notice: Notice;
}

/**
 * @throws `internal` that names file and offset when anything but the unfinished end is damaged.
 */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  const { disk, notice } = options;
  removeTemporary(disk);
  // A process may have died between the rename of a segment and the sync of the directory: what is
  // acknowledged in that segment from now on must not go with its name in a power cut.
  disk.syncDirectory();
  const numbers = segmentNumbers(disk);
  if (numbers.length === 0) return await begin(options);

  const segments: Segment[] = [];
  const opened: { close(): void }[] = [];
  try {
    for (const number of numbers) {
      const file = disk.open(segmentName(number));
      opened.push(file);
      segments.push(openSegment(file));
    }
    const { durable, mark } = await DurableFile.open(disk);
    opened.push(durable);
    const active = segments.at(-1)!;
    const sealed = segments.slice(0, -1);
    const loader = new Loader();
    for (const [at, segment] of sealed.entries()) {
      loader.load(segment, sealedEnd(segment, segments[at + 1]!, mark));
    }
    loader.checkHeader(active);
    // What comes before the end is sound: only now is anything changed.
    await cutSealed(disk, sealed, notice);
    const end = active.file.size();
    if (mark?.segment === active.number && mark.end === end) {
      // Synced to its last byte: there is nothing to mend, and reading it once tells all.
      loader.load(active, end);
      if (active.chain !== mark.lastCrc) throw otherThanMarked(active, end);
    } else {
      const next = await mendTail(disk, active, mark, notice);
      loader.load(active, active.file.size());
      if (next !== undefined) {
        opened.push(next.file);
        segments.push(next);
        loader.load(next, next.file.size());
      }
    }
    const { store } = active.header;
    const recovered = { store, segments, durable, ...loader.finish() };
    await noteDurable(recovered);
    return recovered;
  } catch (error) {
    for (const file of opened) file.close();
    throw error;
  }
}

/** The mark for a log all of which is synced. */
export function markOf(active: Segment): Mark {
  return { segment: active.number, end: active.end, lastCrc: active.chain };
}

// --- internal ---

async function begin({ disk, clock, random }: RecoveryOptions): Promise<Recovered> {
  if (disk.list().includes(DURABLE_FILE)) {
    const { durable, mark } = await DurableFile.open(disk);
    durable.close();
    if (mark !== undefined) {
      throw damage(DURABLE_FILE, 0, `it names segment ${mark.segment}, and there is no segment`);
    }
  }
  const store = Buffer.from(random(16)).toString("hex");
  const header = encodeSegmentHeader({
    store,
    number: 1,
    nextRevision: 1,
    compactedRevision: 0,
    previousEnd: 0,
    previousCrc: 0,
    createdAt: clock(),
    reservedRevision: 0,
  });
  const segment = openSegment(await createWhole(disk, segmentName(1), header));
  const { durable } = await DurableFile.open(disk);
  const recovered = {
    store,
    segments: [segment],
    index: new KeyIndex(),
    durable,
    revision: 0,
    oldest: 0,
    time: 0,
  };
  await noteDurable(recovered);
  return recovered;
}

async function noteDurable({ durable, segments }: Recovered): Promise<void> {
  durable.write(markOf(segments.at(-1)!));
  await durable.sync();
}

/** Removes files that a crash left half made: ours alone, whoever else has files here. */
function removeTemporary(disk: Disk): void {
  for (const name of disk.list()) {
    if (!name.endsWith(TEMPORARY_SUFFIX)) continue;
    const whole = name.slice(0, -TEMPORARY_SUFFIX.length);
    const segment = whole.replace(/\.cut-\d+$/, "");
    if (whole === DURABLE_FILE || segmentNumber(segment) !== undefined) disk.unlink(name);
  }
}

function segmentNumbers(disk: Disk): number[] {
  const numbers = disk
    .list()
    .map(segmentNumber)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
  for (const [at, number] of numbers.entries()) {
    if (number === at + 1) continue;
    throw new KvError(
      "internal",
      `${segmentName(at + 1)} is missing, but there is ${segmentName(number)}; ` +
        "restore the data directory from a copy",
    );
  }
  return numbers;
}

/** Where a segment that has a successor ends. */
function sealedEnd(segment: Segment, next: Segment, mark: Mark | undefined): number {
  const { name } = segment.file;
  const end = next.header.previousEnd;
  const size = segment.file.size();
  if (size < end) throw damage(name, size, `the file ends here, but had ${end} bytes`);
  if (mark?.segment === segment.number && mark.end > end) {
    throw damage(name, end, `the next segment begins here, but it was synced up to ${mark.end}`);
  }
  return end;
}

/**
 * Cuts what is beyond the end of a segment that has a successor: a crash came between the copy into
 * the successor and the cut here.
 */
async function cutSealed(disk: Disk, sealed: readonly Segment[], notice: Notice): Promise<void> {
  for (const segment of sealed) {
    if (segment.file.size() > segment.end) await cutAside(disk, segment, segment.end, notice);
  }
}

/** Reads segments in order and builds the index. Everything in them has to be sound. */
class Loader {
  readonly #index = new KeyIndex();
  #revision = 0;
  #oldest = 0;
  #time = 0;
  #previous: Segment | undefined;
  /** Inside a commit: its revision. */
  #open: number | undefined;

  /** Reads a segment up to `end`, where it has to end. */
  load(segment: Segment, end: number): void {
    this.checkHeader(segment);
    this.#oldest = Math.max(this.#oldest, segment.header.compactedRevision);
    const { offset, chain, fault } = segment.scan(
      SEGMENT_HEADER_BYTES,
      end,
      (record) => {
        this.#apply(segment, record);
        return true;
      },
      segment.header.crc,
    );
    if (fault !== undefined) throw damage(segment.file.name, offset, fault);
    if (this.#open !== undefined) throw damage(segment.file.name, offset, "a commit has no end");
    segment.end = end;
    segment.chain = chain;
    this.#previous = segment;
  }

  /** @throws `internal` when a segment is not the next one after those that were read. */
  checkHeader(segment: Segment): void {
    const { header, file } = segment;
    const before = this.#previous;
    if (header.nextRevision <= this.#revision) {
      throw damage(file.name, 0, "its revisions do not follow those of the segment before");
    }
    if (before === undefined) return;
    if (header.store !== before.header.store) {
      throw damage(file.name, 0, "it belongs to another store");
    }
    if (header.previousCrc !== before.chain || header.previousEnd !== before.end) {
      throw damage(file.name, 0, "it does not follow the segment before");
    }
  }

  /** What was read. No further segment may follow. */
  finish(): Pick<Recovered, "index" | "revision" | "oldest" | "time"> {
    this.#index.dropTombstones(this.#oldest, Infinity);
    this.#index.sort();
    return {
      index: this.#index,
      revision: this.#revision,
      oldest: this.#oldest,
      time: this.#time,
    };
  }

  #apply(segment: Segment, record: ScannedRecord): void {
    const { header, bytes, at } = record;
    const { kind } = header;
    if (header.extensionBytes > 0 && hasUnknownExtension(bytes, at, header)) {
      throw faulty(
        segment,
        header,
        "a record with an extension that this kv does not know; use a newer one",
      );
    }
    if (isChange(kind)) this.#applyChange(segment, record);
    else if (kind === KIND.compact) this.#applyCompact(segment, header);
    else {
      throw faulty(
        segment,
        header,
        `a record of kind ${kind}, which this kv does not know; use a newer one`,
      );
    }
    this.#time = Math.max(this.#time, header.time);
  }

  #applyChange(segment: Segment, { header, bytes, at }: ScannedRecord): void {
    const { revision, previousRevision } = header;
    if (this.#open === undefined) {
      if (revision <= this.#revision)
        throw faulty(segment, header, "a revision that is not above the one before");
      segment.mark(revision, header.offset);
    } else if (revision !== this.#open) throw faulty(segment, header, "a commit of two revisions");

    const key = decodeUtf8(recordKey(bytes, at, header));
    if (key === undefined) throw faulty(segment, header, "a key that is no UTF-8");
    const known = this.#index.get(key);
    if (previousRevision !== (known?.revision ?? 0) && !this.#isForgotten(known, header)) {
      throw faulty(
        segment,
        header,
        `the key's previous revision is ${previousRevision}, but was ${known?.revision ?? 0}`,
      );
    }
    this.#index.load(key, {
      revision,
      createRevision: header.createRevision,
      version: header.version,
      contentType: this.#intern(recordContentType(bytes, at, header)),
      deadline: header.deadline,
      position: position(segment.number, header.offset),
      bytes: recordBytes(header),
    });
    this.#revision = revision;
    this.#open = endsCommit(header) ? undefined : revision;
  }

  /** A deletion that compaction has passed may have been forgotten when the key was made anew. */
  #isForgotten(known: Newest | undefined, { previousRevision }: RecordHeader): boolean {
    if (known === undefined || previousRevision !== 0) return false;
    return known.version === 0 && known.revision <= this.#oldest;
  }

  #applyCompact(segment: Segment, header: RecordHeader): void {
    const { revision, createRevision: oldest } = header;
    if (this.#open !== undefined) throw faulty(segment, header, "a commit has no end");
    if (revision !== this.#revision || !endsCommit(header)) {
      throw faulty(segment, header, "a compaction that is not of its place");
    }
    if (oldest < this.#oldest || oldest > revision) {
      throw faulty(segment, header, `a compaction to ${oldest}, which cannot be`);
    }
    this.#oldest = oldest;
  }

  /** One string for all records of a type: there are few types and many records. */
  readonly #types = new Map<string, string>();

  #intern(type: string): string {
    const known = this.#types.get(type);
    if (known !== undefined) return known;
    if (this.#types.size < 10_000) this.#types.set(type, type);
    return type;
  }
}

/** A record whose checksums are right and whose content cannot be. */
function faulty({ file }: Segment, { offset }: RecordHeader, what: string): KvError {
  return damage(file.name, offset, what);
}
