/**
 * Opens the log of a data directory, or begins one: mends the end after an unclean stop, then reads
 * every record of every segment, compares all checksums and builds the index.
 */

import { KvError } from "../errors.ts";
import { CHECKPOINT_FILE } from "./checkpoint-format.ts";
import type { Covers } from "./checkpoint-load.ts";
import { createWhole, TEMPORARY_SUFFIX, type Disk } from "./disk.ts";
import { DURABLE_FILE, DurableFile, type Mark } from "./durable.ts";
import { encodeSegmentHeader } from "./format.ts";
import { KeyIndex } from "./key-index.ts";
import type { Loaded } from "./loader.ts";
import { LogReading } from "./log-reading.ts";
import { RESERVE_FILE } from "./reserve.ts";
import {
  damage,
  DamageError,
  openSegment,
  segmentName,
  segmentNumber,
  type Segment,
} from "./segment.ts";
import { cutAside, examineTail, mendTail, otherThanMarked, type Notice } from "./tail.ts";

/** The log as it is on the disk, all of it durable. */
export interface Recovered extends Loaded {
  /** The store id: 32 hexadecimal digits. */
  readonly store: string;
  /** In order; the last one is the active segment. */
  readonly segments: readonly Segment[];
  readonly durable: DurableFile;
  /** What the checkpoint covers with whose help it was read; absent when all was read. */
  readonly covers?: Covers | undefined;
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
  await disk.syncDirectory();
  const numbers = segmentNumbers(disk);
  if (numbers.length === 0) return await begin(options);

  const segments: Segment[] = [];
  const opened: { close(): void }[] = [];
  try {
    const replaced = openAll(disk, numbers, segments, opened);
    const { durable, mark } = await DurableFile.open(disk);
    opened.push(durable);
    const active = segments.at(-1)!;
    const sealed = segments.slice(0, -1);
    const log = new LogReading(options, segments, (segment, next) =>
      sealedEnd(segment, next, mark),
    );
    await log.read();
    // Synced to its last byte, there is nothing to mend, and reading it once tells all.
    const isWhole = mark?.segment === active.number && mark.end === active.file.size();
    const end = isWhole ? undefined : examineTail(active, mark);
    let loaded = isWhole ? log.readTail([active]) : undefined;
    if (isWhole && active.chain !== mark.lastCrc) throw otherThanMarked(active, active.end);
    // Nothing is damaged: only now is anything changed.
    await cutSealed(disk, sealed, notice);
    await removeReplaced(disk, replaced);
    const isCut = end !== undefined && end.wholeEnd < active.file.size();
    const next = end && (await mendTail(disk, active, end, notice));
    if (next !== undefined) {
      opened.push(next.file);
      segments.push(next);
    }
    const tail = segments.slice(sealed.length);
    loaded ??= isCut || next !== undefined ? readMended(log, tail) : log.readTail(tail);
    const { covers } = log;
    const { store } = active.header;
    const recovered = { store, segments, durable, covers, ...loaded };
    await noteDurable(recovered);
    return recovered;
  } catch (error) {
    for (const file of opened) file.close();
    throw error;
  }
}

/** What `make` makes of a log that was opened; where it fails, the files of that are closed. */
export function orClosed<T>({ segments, durable }: Recovered, make: () => T): T {
  try {
    return make();
  } catch (error) {
    for (const { file } of segments) file.close();
    durable.close();
    throw error;
  }
}

/** The mark for a log all of which is synced. */
export function markOf(active: Segment): Mark {
  return { segment: active.number, end: active.end, lastCrc: active.chain };
}

// --- internal ---

/** Reads the last segments, the end of which was mended. @throws as `LogReading.readTail`. */
function readMended(log: LogReading, tail: readonly Segment[]): Loaded {
  try {
    return log.readTail(tail);
  } catch (error) {
    throw error instanceof DamageError ? error.behindMending() : error;
  }
}

async function begin({ disk, clock, random }: RecoveryOptions): Promise<Recovered> {
  if (disk.list().includes(CHECKPOINT_FILE)) {
    throw damage(CHECKPOINT_FILE, 0, "it is of a log, and there is no segment");
  }
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
  const opened: { close(): void }[] = [];
  try {
    const file = await createWhole(disk, segmentName(1), header);
    opened.push(file);
    const segment = openSegment(file);
    const { durable } = await DurableFile.open(disk);
    opened.push(durable);
    const recovered = {
      store,
      segments: [segment],
      index: new KeyIndex(),
      durable,
      revision: 0,
      oldest: 0,
      time: 0,
      reserved: 0,
      voids: [],
    };
    await noteDurable(recovered);
    return recovered;
  } catch (error) {
    for (const file of opened) file.close();
    throw error;
  }
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
    const isOurs = [DURABLE_FILE, RESERVE_FILE, CHECKPOINT_FILE].includes(whole);
    if (isOurs || segmentNumber(segment) !== undefined) disk.unlink(name);
  }
}

/** In order. */
function segmentNumbers(disk: Disk): number[] {
  return disk
    .list()
    .map(segmentNumber)
    .filter((number) => number !== undefined)
    .sort((a, b) => a - b);
}

/**
 * Opens all segments that are part of the log; answers the names of those for which a merged one
 * stands.
 */
function openAll(
  disk: Disk,
  numbers: readonly number[],
  segments: Segment[],
  opened: { close(): void }[],
): string[] {
  const replaced: string[] = [];
  let next = 1;
  for (const number of numbers) {
    if (number < next) {
      replaced.push(segmentName(number));
      continue;
    }
    if (number > next) throw missing(next, `there is ${segmentName(number)}`);
    const file = disk.open(segmentName(number));
    opened.push(file);
    const segment = openSegment(file, segments.length + 1);
    segments.push(segment);
    next = lastOf(segment) + 1;
  }
  // What is written goes into a segment that nothing was left out of.
  const last = segments.at(-1)!;
  if (last.header.merged !== undefined) throw missing(next, `${last.file.name} is merged`);
  return replaced;
}

/** The number of the last segment that a segment stands for: most often its own. */
function lastOf({ header, file }: Segment): number {
  const { number, merged } = header;
  if (merged === undefined) return number;
  if (merged.first !== number || merged.last < number) {
    const range = `${merged.first} to ${merged.last}`;
    throw damage(file.name, 0, `its header says that it stands for segments ${range}`);
  }
  return merged.last;
}

function missing(number: number, but: string): KvError {
  const what = `${segmentName(number)} is missing, but ${but}`;
  return new KvError("internal", `${what}; restore the data directory from a copy`);
}

/** Removes segments for which a merged one stands: a crash came before their removal. */
async function removeReplaced(disk: Disk, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  for (const name of names) disk.unlink(name);
  await disk.syncDirectory();
}

/** Where a segment that has a successor ends. */
function sealedEnd(segment: Segment, next: Segment, mark: Mark | undefined): number {
  const { name } = segment.file;
  const size = segment.file.size();
  // It was made whole, and ends with a record that says so.
  if (segment.header.merged !== undefined) return size;
  const end = next.header.previousEnd;
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
