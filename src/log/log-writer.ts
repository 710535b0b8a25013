/**
 * Writes a log into an empty directory, offline, out of the records of another one. Until it is
 * finished the directory is no store, and a start there refuses: `DURABLE`, the first file, names a
 * segment, and the segments have temporary names still. Knows nothing of the source of records.
 */

import { KvError } from "../errors.ts";
import { OFFLINE_WRITE_BYTES, RESTORE_VOID_REVISIONS, SEGMENT_BYTES_MAX } from "../limits.ts";
import { createWhole, TEMPORARY_SUFFIX, writeFully, type Disk, type DiskFile } from "./disk.ts";
import { DURABLE_FILE, DurableFile, durableContent, type Mark } from "./durable.ts";
import {
  contentBytes,
  decodeRecordHeader,
  encodeRecord,
  encodeSegmentHeader,
  FLAG_COMMIT_END,
  KIND,
  recordBytes,
  relocateRecord,
  SEGMENT_HEADER_BYTES,
  segmentHeaderChain,
  setPreviousRevision,
  type RecordContent,
  type RecordHeader,
} from "./format.ts";
import { LOCK_FILE } from "./lock.ts";
import { endsCommit, segmentName, segmentNumber, type ScannedRecord } from "./segment.ts";

export interface LogWriterOptions {
  readonly disk: Disk;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Fresh random bytes, for the store id. */
  readonly random: (bytes: number) => Uint8Array;
  /** The oldest readable revision from the beginning on. */
  readonly oldest: number;
  readonly segmentBytesMax?: number;
}

export class LogWriter {
  /** The id of the new store: 32 hexadecimal digits. */
  readonly store: string;
  readonly #options: LogWriterOptions;
  readonly #segmentBytesMax: number;
  readonly #durable: DurableFile;
  readonly #sizes: number[] = [];
  #oldest: number;
  #revision = 0;
  #time = 0;
  #segment: OpenSegment | undefined;
  /** How the segment before ends. */
  #seal = { end: 0, chain: 0 };
  /** The records of a commit that is not whole yet. */
  #commit: Pending[] = [];

  private constructor(options: LogWriterOptions, durable: DurableFile) {
    this.#options = options;
    this.#durable = durable;
    this.#oldest = options.oldest;
    this.#segmentBytesMax = options.segmentBytesMax ?? SEGMENT_BYTES_MAX;
    this.store = Buffer.from(options.random(16)).toString("hex");
  }

  /** @throws `conflict` when the directory has a log already; errors of the system as they are. */
  static async begin(options: LogWriterOptions): Promise<LogWriter> {
    const { disk } = options;
    checkEmpty(disk);
    let durable: DurableFile | undefined;
    try {
      // A start finds a segment named that is not there, and refuses; from the first moment on.
      (await createWhole(disk, DURABLE_FILE, durableContent(FIRST_MARK))).close();
      durable = (await DurableFile.open(disk)).durable;
      return new LogWriter(options, durable);
    } catch (error) {
      durable?.close();
      removeLog(disk);
      throw error;
    }
  }

  /** The newest revision that was written. */
  get revision(): number {
    return this.#revision;
  }

  /** Bytes of all segments. */
  get bytes(): number {
    const done = this.#sizes.reduce((sum, size) => sum + size, 0);
    return done + (this.#segment?.end ?? 0);
  }

  /** Adds a record of a commit, which is written when its last one comes. */
  async add({ header, bytes, at }: ScannedRecord, previousRevision: number): Promise<void> {
    const copy = bytes.slice(at, at + recordBytes(header));
    if (header.previousRevision !== previousRevision) {
      setPreviousRevision(copy, previousRevision);
    }
    this.#commit.push({ header, bytes: copy });
    if (!endsCommit(header)) return;
    const commit = this.#commit;
    this.#commit = [];
    const size = commit.reduce((sum, record) => sum + record.bytes.length, 0);
    const segment = await this.#room(size, header.revision);
    for (const record of commit) segment.add(record);
    this.#revision = header.revision;
    this.#time = Math.max(this.#time, header.time);
  }

  /** Revisions above the newest one, up to `last`, are lost. */
  async addVoid(last: number): Promise<void> {
    await this.#note(KIND.void, last);
    this.#revision = last;
  }

  /** `oldest` is the oldest readable revision from here on. */
  async compact(oldest: number): Promise<void> {
    if (oldest <= this.#oldest) return;
    await this.#note(KIND.compact, oldest);
    this.#oldest = oldest;
  }

  /** Makes a revision the newest one whose commit is not in the log any more. */
  async reach(revision: number): Promise<void> {
    if (revision <= this.#revision) return;
    await this.#roll(revision + 1);
    this.#revision = revision;
  }

  /**
   * Passes over revisions that may have been handed out, and makes a store of the directory.
   * `highest` is the highest that is known to have been.
   */
  async finish(highest = 0): Promise<void> {
    await this.addVoid(Math.max(this.#revision, highest) + RESTORE_VOID_REVISIONS);
    await this.#sealSegment();
    const { disk } = this.#options;
    const { length } = this.#sizes;
    this.#durable.write({ segment: length, end: this.#seal.end, lastCrc: this.#seal.chain });
    await this.#durable.sync();
    this.#durable.close();
    // The first one last: without it, or without the one that `DURABLE` names, a start refuses.
    for (let number = length; number > 0; number--) {
      disk.rename(temporaryName(number), segmentName(number));
    }
    await disk.syncDirectory();
  }

  /** Takes everything away again. */
  async abandon(): Promise<void> {
    this.#segment?.close();
    try {
      this.#durable.close();
    } catch {
      // It was closed when the end failed.
    }
    removeLog(this.#options.disk);
    await this.#options.disk.syncDirectory();
  }

  /** A record that belongs to no commit. */
  async #note(kind: RecordContent["kind"], createRevision: number): Promise<void> {
    const content = { ...NOTE, kind, revision: this.#revision, createRevision, time: this.#time };
    const bytes = new Uint8Array(contentBytes(content));
    const place = { segment: 0, offset: 0, previousCrc: 0, flags: FLAG_COMMIT_END };
    encodeRecord(bytes, 0, content, place);
    const header = decodeRecordHeader(bytes, 0, 0, 0) as RecordHeader;
    const segment = await this.#room(bytes.length, this.#revision + 1);
    segment.add({ header, bytes });
  }

  /** The segment that takes `bytes` more, of a commit of `revision` or what is before it. */
  async #room(bytes: number, revision: number): Promise<OpenSegment> {
    const segment = this.#segment;
    if (segment === undefined) return this.#begin(Math.min(revision, this.#revision + 1));
    const isFull = segment.end + bytes > this.#segmentBytesMax;
    if (!isFull || segment.end === SEGMENT_HEADER_BYTES) return segment;
    return await this.#roll(revision);
  }

  async #roll(nextRevision: number): Promise<OpenSegment> {
    await this.#sealSegment();
    return this.#begin(nextRevision);
  }

  #begin(nextRevision: number): OpenSegment {
    const { disk, clock } = this.#options;
    const number = this.#sizes.length + 1;
    const header = encodeSegmentHeader({
      store: this.store,
      number,
      nextRevision,
      compactedRevision: this.#oldest,
      previousEnd: this.#seal.end,
      previousCrc: this.#seal.chain,
      createdAt: clock(),
      reservedRevision: 0,
    });
    this.#segment = new OpenSegment(disk.create(temporaryName(number)), number, header);
    return this.#segment;
  }

  async #sealSegment(): Promise<void> {
    const segment = this.#segment;
    if (segment === undefined) return;
    await segment.finish();
    this.#segment = undefined;
    this.#seal = { end: segment.end, chain: segment.chain };
    this.#sizes.push(segment.end);
  }
}

// --- internal ---

interface Pending {
  readonly header: RecordHeader;
  readonly bytes: Uint8Array;
}

/** A segment that is being written. */
class OpenSegment {
  end = SEGMENT_HEADER_BYTES;
  chain: number;
  readonly #file: DiskFile;
  readonly #number: number;
  #gathered: Uint8Array[];
  #gatheredBytes: number;
  #written = 0;

  constructor(file: DiskFile, number: number, header: Uint8Array) {
    this.#file = file;
    this.#number = number;
    this.chain = segmentHeaderChain(header);
    this.#gathered = [header];
    this.#gatheredBytes = header.length;
  }

  add({ header, bytes }: Pending): void {
    const place = { segment: this.#number, offset: this.end, previousCrc: this.chain };
    const flags = header.flags & FLAG_COMMIT_END;
    this.chain = relocateRecord(bytes, 0, { ...place, flags });
    this.end += bytes.length;
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= OFFLINE_WRITE_BYTES) this.#write();
  }

  async finish(): Promise<void> {
    this.#write();
    await this.#file.sync();
    this.#file.close();
  }

  close(): void {
    this.#file.close();
  }

  #write(): void {
    writeFully(this.#file, Buffer.concat(this.#gathered), this.#written);
    this.#written += this.#gatheredBytes;
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }
}

const FIRST_MARK: Mark = { segment: 1, end: SEGMENT_HEADER_BYTES, lastCrc: 0 };

const NOTE = {
  key: new Uint8Array(0),
  contentType: "",
  value: new Uint8Array(0),
  previousRevision: 0,
  version: 0,
  deadline: 0,
};

function temporaryName(number: number): string {
  return `${segmentName(number)}${TEMPORARY_SUFFIX}`;
}

function checkEmpty(disk: Disk): void {
  const there = disk.list().find((name) => name !== LOCK_FILE);
  if (there === undefined) return;
  const what = `${disk.directory} is not empty: there is ${there}`;
  throw new KvError("conflict", `${what}; choose a directory that is new or empty`);
}

/** The segments first: a start refuses as long as `DURABLE` names one that is not there. */
function removeLog(disk: Disk): void {
  const names = disk.list();
  for (const name of names) {
    const whole = name.endsWith(TEMPORARY_SUFFIX) ? name.slice(0, -TEMPORARY_SUFFIX.length) : name;
    if (segmentNumber(whole) !== undefined) disk.unlink(name);
  }
  for (const name of [DURABLE_FILE, `${DURABLE_FILE}${TEMPORARY_SUFFIX}`]) {
    if (names.includes(name)) disk.unlink(name);
  }
}
