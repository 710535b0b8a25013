/**
 * Starts from a checkpoint: holds what it says of the log against the log, and gives a loader that
 * goes on behind it. Segments that were merged since are read record by record. Whatever is wrong,
 * all of the log is read as if there were no checkpoint: that decides, and says what is damaged.
 */

import { decodeUtf8 } from "../text.ts";
import type { CoveredSegment } from "./checkpoint-format.ts";
import type { Places } from "./checkpoint-keys.ts";
import { CheckpointReader, Unusable } from "./checkpoint-reader.ts";
import type { Disk } from "./disk.ts";
import { ContentCheck } from "./content-check.ts";
import { RECORD_ALIGNMENT_BYTES, SEGMENT_HEADER_BYTES } from "./format.ts";
import type { KeyColumns } from "./key-columns.ts";
import { KeyIndex, position, segmentOf } from "./key-index.ts";
import { Loader, type Loaded } from "./loader.ts";
import type { Segment } from "./segment.ts";

/** How much of each segment a checkpoint covers, in bytes, and how large it is itself. */
export interface Covers {
  readonly ends: ReadonlyMap<Segment, number>;
  readonly bytes: number;
}

/** What was loaded with the help of a checkpoint. */
export interface Resumed {
  /** It has read all segments but the active one, of which it reads on from where it is known. */
  readonly loader: Loader;
  readonly covers: Covers;
  /** Holds what was loaded in the end against what was not known before. @throws `Unusable`. */
  check(loaded: Loaded): void;
}

/**
 * `undefined` when there is no checkpoint. `endOf` says where a segment ends that has a successor.
 * Changes no file.
 * @throws whatever speaks against using it.
 */
export async function loadCheckpoint(
  disk: Disk,
  segments: readonly Segment[],
  endOf: (segment: Segment) => number,
): Promise<Resumed | undefined> {
  const reader = CheckpointReader.open(disk);
  if (reader === undefined) return undefined;
  try {
    return await loadFrom(reader, segments, endOf);
  } finally {
    reader.close();
  }
}

// --- internal ---

/** The id of no segment: of records that a merge has left out, as later ones replaced them. */
const NOWHERE = 0;

async function loadFrom(
  reader: CheckpointReader,
  segments: readonly Segment[],
  endOf: (segment: Segment) => number,
): Promise<Resumed> {
  const { header, voids, bytes } = reader;
  const known = match(reader, segments);
  const sealed = segments.slice(0, -1);
  const loader = new Loader();
  for (const segment of segments.slice(0, known.from)) loader.load(segment, endOf(segment));
  for (const { segment, covered } of known.pairs) {
    const isLast = covered === reader.segments.at(-1);
    const end = sealed.includes(segment) ? endOf(segment) : segment.file.size();
    if (isLast ? covered.end > end : covered.end !== end) {
      throw new Unusable(`${segment.file.name} ends elsewhere`);
    }
    segment.takeOver(covered);
    loader.pass(segment);
  }
  const { segment } = known.pairs.at(-1)!;
  const check = new ContentCheck(
    known.pairs.map(({ segment: { file }, covered }) => ({ file, covered })),
  );
  let read: Awaited<ReturnType<typeof readIndex>>;
  try {
    read = await readIndex(reader, known.pairs, loader.index);
    await check.done();
  } catch (error) {
    await check.stop();
    throw error;
  }
  const { index, nowhere } = read;
  const { revision, oldest, time, reserved } = header;
  loader.resume({ index, revision, oldest, time, reserved, voids, segment });
  const ends = new Map(known.pairs.map(({ segment, covered }) => [segment, covered.end]));
  for (const later of sealed.slice(segments.indexOf(segment))) loader.load(later, endOf(later));
  const active = segments.at(-1)!;
  if (segment !== active) loader.checkHeader(active);
  return {
    loader,
    covers: { ends, bytes },
    check: (loaded) => checkPlaces(loaded.index, nowhere),
  };
}

interface Pair {
  readonly segment: Segment;
  readonly covered: CoveredSegment;
}

/**
 * The segments that are as the checkpoint knew them, up to the one it ends in; `from`: how many are
 * before them, which were merged since or follow such ones.
 */
function match(
  { header, segments: covered }: CheckpointReader,
  segments: readonly Segment[],
): { readonly from: number; readonly pairs: readonly Pair[] } {
  if (segments[0]!.header.store !== header.store) throw new Unusable("it is of another store");
  const last = covered.at(-1);
  const at = segments.findIndex(({ number }) => number === last?.number);
  const pairs: Pair[] = [];
  for (let back = 0; back < covered.length && back <= at; back++) {
    const pair = { segment: segments[at - back]!, covered: covered.at(-1 - back)! };
    if (pair.segment.header.crc !== pair.covered.headerCrc) break;
    pairs.unshift(pair);
  }
  if (pairs.length === 0) throw new Unusable("the log has no segment that it ends in");
  if (segments[at]!.header.merged !== undefined) throw new Unusable("it ends in a merged segment");
  return { from: at + 1 - pairs.length, pairs };
}

/**
 * The index as the checkpoint has it. Of records in segments that were merged since, `merged` says
 * where they are now; `nowhere` are the keys of those that are in none.
 */
async function readIndex(
  reader: CheckpointReader,
  pairs: readonly Pair[],
  merged: KeyIndex,
): Promise<{ readonly index: KeyIndex; readonly nowhere: readonly string[] }> {
  const index = new KeyIndex();
  index.reserve(reader.header.keys);
  const nowhere: string[] = [];
  const placing = new Placing(reader.segments, pairs);
  await reader.readKeys((columns, places) => {
    if (!placing.place(columns, places)) {
      for (let at = 0; at < columns.count; at++) {
        if (!placing.isKnown(places.segments[at]!)) findMerged(columns, at, merged, nowhere);
      }
    }
    if (!index.appendColumns(columns)) throw new Unusable("its keys are not in order");
  });
  index.endAppend();
  if (index.live !== reader.header.keys) throw new Unusable("its keys are not those of its header");
  return { index, nowhere };
}

/** Makes positions of places: in the segments that are as the checkpoint knew them. */
class Placing {
  /** By the place among those covered: the id of the segment, and how much of it is covered. */
  readonly #ids: Float64Array;
  readonly #ends: Float64Array;
  /** Segments at a place below it were merged since. */
  readonly #known: number;

  constructor(covered: readonly CoveredSegment[], pairs: readonly Pair[]) {
    this.#known = covered.length - pairs.length;
    this.#ids = new Float64Array(covered.length);
    this.#ends = new Float64Array(covered.length);
    for (const [at, { segment, covered }] of pairs.entries()) {
      this.#ids[this.#known + at] = segment.id;
      this.#ends[this.#known + at] = covered.end;
    }
  }

  isKnown(place: number): boolean {
    return place >= this.#known;
  }

  /** Fills the positions; answers false where some are in segments that were merged since. */
  place({ positions, recordBytes, count }: KeyColumns, { segments, offsets }: Places): boolean {
    let isWhole = true;
    for (let at = 0; at < count; at++) {
      const place = segments[at]!;
      if (place < this.#known) {
        isWhole = false;
        continue;
      }
      const offset = offsets[at]!;
      const isThere =
        offset >= SEGMENT_HEADER_BYTES &&
        offset % RECORD_ALIGNMENT_BYTES === 0 &&
        offset + recordBytes[at]! <= (this.#ends[place] ?? 0);
      if (!isThere) throw new Unusable("a key has its record where none can be");
      positions[at] = position(this.#ids[place]!, offset);
    }
    return isWhole;
  }
}

/** Looks where a record is that was in a segment which was merged since. */
function findMerged(columns: KeyColumns, at: number, merged: KeyIndex, nowhere: string[]): void {
  const { keys, keyEnds, positions, revisions } = columns;
  const start = at === 0 ? 0 : keyEnds[at - 1]!;
  const key = decodeUtf8(keys.subarray(start, keyEnds[at]!))!;
  const there = merged.get(key);
  if (there?.revision !== revisions[at]!) {
    positions[at] = position(NOWHERE, 0);
    nowhere.push(key);
    return;
  }
  const isSame =
    there.createRevision === columns.createRevisions[at] &&
    there.version === columns.versions[at] &&
    there.contentType === columns.contentTypes[at] &&
    there.deadline === columns.deadlines[at] &&
    there.bytes === columns.recordBytes[at];
  if (!isSame) throw new Unusable("a key has another record in the log");
  positions[at] = there.position;
}

/**
 * A merge leaves out what later records replace: after these were read, no key that is left may
 * have its record in none of the segments.
 */
function checkPlaces(index: KeyIndex, nowhere: readonly string[]): void {
  for (const key of nowhere) {
    const newest = index.get(key);
    if (newest !== undefined && segmentOf(newest.position) === NOWHERE) {
      throw new Unusable("a key has no record in the log");
    }
  }
}
