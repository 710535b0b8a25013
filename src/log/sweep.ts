/**
 * Reads every record of a log that may be damaged, in order, and goes on behind each damaged place:
 * tells what is not sound, and hands out what is whole. Changes nothing. Whether a start would take
 * the log as it is, is not decided here.
 */

import { KvError } from "../errors.ts";
import { OFFLINE_WRITE_BYTES } from "../limits.ts";
import { Slice } from "../slice.ts";
import type { Finding } from "./check-report.ts";
import { CommitAssembly, type OpenFinding, type Swept } from "./commit-assembly.ts";
import { readFully, type Disk, type DiskFile } from "./disk.ts";
import { DURABLE_FILE, readMark, type Mark } from "./durable.ts";
import {
  decodeSegmentHeader,
  recordBytes,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from "./format.ts";
import { resume } from "./resume.ts";
import { Segment, segmentName, segmentNumber } from "./segment.ts";
import { hasBatchStart } from "./tail.ts";

export interface SweepOptions {
  readonly disk: Disk;
  /** Told what is whole, in order; the next is read when it is done. */
  readonly visit?: (swept: Swept) => Promise<void>;
  /** Told after each MiB how many bytes more were read. */
  readonly onRead?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What was read. `findings` in the order of the log. */
export interface SweepResult {
  readonly findings: readonly Finding[];
  /** The end of the log was not finished: a start cuts it, and loses nothing. */
  readonly tail: Finding | undefined;
  readonly store: string | undefined;
  /** The newest revision of what is whole. */
  readonly revision: number;
  /** The highest revision that may ever have been handed out, as far as anything tells. */
  readonly highest: number;
  readonly oldest: number;
  readonly segments: number;
  readonly records: number;
  readonly commits: number;
  readonly bytes: number;
}

/** Bytes that a sweep reads. */
export function sweepBytes(disk: Disk): number {
  let bytes = 0;
  for (const name of disk.list()) {
    if (segmentNumber(name) === undefined) continue;
    const file = disk.openReadOnly(name);
    bytes += file.size();
    file.close();
  }
  return bytes;
}

/** @throws `not_found` when there is no log, `unavailable` when `signal` aborts. */
export async function sweepLog(options: SweepOptions): Promise<SweepResult> {
  const sweep = new Sweep(options);
  try {
    return await sweep.run();
  } finally {
    sweep.close();
  }
}

// --- internal ---

/** A file that is read as a part of the log. */
interface Part {
  readonly file: DiskFile;
  readonly segment: Segment;
  /** Absent when it is damaged. */
  readonly header: SegmentHeader | undefined;
}

class Sweep {
  readonly #options: SweepOptions;
  readonly #findings: OpenFinding[] = [];
  readonly #assembly = new CommitAssembly((finding) => this.#findings.push(finding));
  readonly #slice = new Slice(1);
  readonly #parts: Part[] = [];
  #tail: OpenFinding | undefined;
  #bytes = 0;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  close(): void {
    for (const { file } of this.#parts) file.close();
  }

  async run(): Promise<SweepResult> {
    const { disk } = this.#options;
    const numbers = disk.list().map(segmentNumber);
    const inOrder = numbers.filter((number) => number !== undefined).toSorted((a, b) => a - b);
    if (inOrder.length === 0 && !disk.list().includes(DURABLE_FILE)) {
      throw new KvError("not_found", `there is no store in ${disk.directory}`);
    }
    let next = 1;
    for (const number of inOrder) {
      // A merged segment stands for it.
      if (number < next) continue;
      const before = this.#parts.at(-1);
      const part = this.#open(number);
      // One whose header is damaged may stand for those that are not there.
      const isKnown = before === undefined || before.header !== undefined;
      const isMissing = number > next && isKnown;
      // Where a segment ends is told by the beginning of the next one, when that is there.
      if (before !== undefined) await this.#read(before, isMissing ? undefined : part.header);
      if (isMissing) this.#missing(next, number);
      next = (part.header?.merged?.last ?? number) + 1;
    }
    const last = this.#parts.at(-1);
    if (last !== undefined) await this.#read(last, undefined, readMark(disk));
    const { revision, highest, oldest, records, commits } = this.#assembly;
    const store = this.#parts.findLast(({ header }) => header !== undefined)?.header?.store;
    const counts = { segments: this.#parts.length, records, commits, bytes: this.#bytes };
    const tail = this.#tail;
    return { findings: this.#findings, tail, store, revision, highest, oldest, ...counts };
  }

  #open(number: number): Part {
    const file = this.#options.disk.openReadOnly(segmentName(number));
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
    const decoded = decodeSegmentHeader(bytes.subarray(0, readFully(file, bytes, 0)));
    const header = typeof decoded === "string" ? undefined : decoded;
    if (typeof decoded === "string") this.#damage(file, 0, decoded);
    else if (decoded.number !== number) {
      this.#damage(file, 0, `its header says that it is segment ${decoded.number}`);
    }
    const part = { file, header, segment: new Segment(file, header ?? unknownHeader(number), 1) };
    this.#parts.push(part);
    return part;
  }

  #missing(number: number, but: number): void {
    const what = `it is missing, but there is ${segmentName(but)}`;
    const finding: OpenFinding = { severity: "damage", file: segmentName(number), what };
    this.#findings.push(finding);
    this.#assembly.miss(finding);
  }

  /** Reads a part up to where it ends; `mark` is known of the last one. */
  async #read(part: Part, next: SegmentHeader | undefined, mark?: Mark): Promise<void> {
    const { file, segment, header } = part;
    const size = file.size();
    const isLast = part === this.#parts.at(-1);
    let to = size;
    // What is not known to be no merged segment is read to its end.
    if (!isLast && next !== undefined && header !== undefined && header.merged === undefined) {
      to = Math.min(size, next.previousEnd);
      if (size < next.previousEnd) {
        const what = `the file ends here, but had ${next.previousEnd} bytes`;
        this.#assembly.miss(this.#damage(file, size, what));
      }
    }
    this.#bytes += to;
    this.#assembly.begin(header);
    let offset = SEGMENT_HEADER_BYTES;
    let chain = header?.crc;
    while (offset < to) {
      const piece = this.#piece(part, offset, to, chain);
      offset = piece.offset;
      chain = piece.chain;
      for (const swept of piece.swept) await this.#options.visit?.(swept);
      await this.#pause(piece.bytes);
      if (piece.fault === undefined) continue;
      if (isLast && this.#isTail(segment, offset, size, mark)) {
        this.#endTail(file, offset, size);
        return;
      }
      const resumed = resume(segment, offset, to, chain);
      const finding = this.#damage(file, offset, piece.fault);
      if (resumed.offset < to) finding.end = resumed.offset;
      this.#assembly.lose(finding, resumed);
      offset = resumed.offset;
      chain = resumed.chain;
    }
    const isTail = isLast && offset > syncedEnd(segment, mark);
    this.#assembly.end(() => {
      const finding = this.#damage(file, offset, "a commit has no end");
      if (isTail) this.#toTail(finding);
      return finding;
    });
  }

  /** Reads about one MiB. */
  #piece({ segment, file }: Part, from: number, to: number, chain: number | undefined) {
    const swept: Swept[] = [];
    let bytes = 0;
    const end = segment.scan(
      from,
      to,
      (record) => {
        if (bytes >= OFFLINE_WRITE_BYTES) return false;
        bytes += recordBytes(record.header);
        const whole = this.#assembly.take(file.name, record);
        if (whole !== undefined) swept.push(whole);
        return true;
      },
      chain,
    );
    // Where nothing was read, what the next one is held to is what it was.
    return { ...end, chain: bytes === 0 ? chain : end.chain, swept, bytes };
  }

  /** Is a fault here one that a start takes for a write that was not finished? */
  #isTail(segment: Segment, offset: number, size: number, mark: Mark | undefined): boolean {
    return offset >= syncedEnd(segment, mark) && !hasBatchStart(segment, offset, size);
  }

  #endTail(file: DiskFile, offset: number, size: number): void {
    const what = `${size - offset} bytes of a write that was not finished`;
    const finding: OpenFinding = { severity: "note", file: file.name, offset, what };
    this.#tail = finding;
    this.#assembly.end(() => finding);
  }

  #toTail(finding: OpenFinding): void {
    this.#findings.pop();
    finding.severity = "note";
    finding.what = "a write that was not finished";
    this.#tail = finding;
  }

  #damage({ name }: DiskFile, offset: number, what: string): OpenFinding {
    const finding: OpenFinding = { severity: "damage", file: name, offset, what };
    this.#findings.push(finding);
    return finding;
  }

  async #pause(bytes: number): Promise<void> {
    this.#options.onRead?.(bytes);
    if (this.#slice.isOver()) await this.#slice.next();
    if (this.#options.signal?.aborted) throw new KvError("unavailable", "it was ended");
  }
}

/** How far a segment was synced, by the mark. */
function syncedEnd({ number }: Segment, mark: Mark | undefined): number {
  return mark?.segment === number ? mark.end : SEGMENT_HEADER_BYTES;
}

/** For a segment whose own header is damaged: its records are found by their number. */
function unknownHeader(number: number): SegmentHeader {
  const none = { nextRevision: 0, compactedRevision: 0, previousEnd: 0, previousCrc: 0 };
  return { store: "", number, ...none, createdAt: 0, reservedRevision: 0, crc: 0 };
}
