/**
 * Reads the file `CHECKPOINT` as FORMAT.md says, and holds it against the log that another part of
 * this reader read: of a directory in which nothing was merged since.
 */

import {
  checksum,
  integer,
  isZero,
  readSegmentHead,
  type ReadRecord,
  Refusal,
  utf8,
  viewOf,
} from "./bytes.ts";
import type { LogContent } from "./content.ts";
import type { Files } from "./reader.ts";

export interface CheckpointContent {
  readonly store: string;
  readonly revision: number;
  readonly oldest: number;
  readonly time: number;
  readonly reserved: number;
  readonly segments: readonly CoveredSegment[];
  readonly voids: readonly { readonly first: number; readonly last: number }[];
  readonly keys: readonly CoveredKey[];
}

interface CoveredSegment {
  readonly number: number;
  readonly headCrc: number;
  readonly lastCrc: number;
  readonly end: number;
  readonly crc: number;
  readonly marks: readonly { readonly revision: number; readonly time: number; offset: number }[];
}

interface CoveredKey {
  readonly key: string;
  readonly contentType: string;
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
  readonly deadline: number;
  readonly place: number;
  readonly offset: number;
  readonly bytes: number;
}

/** @throws `Refusal` when it is of no use. */
export function readCheckpoint(bytes: Uint8Array): CheckpointContent {
  if (bytes.length < 128) refuse(0, "no whole header");
  const view = viewOf(bytes, 0);
  if (Buffer.from(bytes.subarray(0, 8)).toString("hex") !== "8b6b7663686b0d0a") refuse(0, "magic");
  const headCrc = checksum(bytes.subarray(0, 12), bytes.subarray(16, 128));
  if (view.getUint32(12, true) !== headCrc) refuse(0, "header checksum");
  if (view.getUint32(8, true) !== 2) refuse(0, "version");
  const segments: CoveredSegment[] = [];
  const voids: { first: number; last: number }[] = [];
  const keys: CoveredKey[] = [];
  let step = 1;
  for (const { at, kind, items, body } of blocksOf(bytes, headCrc)) {
    const inTurn = kind === step || (kind > step && step > 1);
    if (!inTurn || kind > 4) refuse(at, `a block of kind ${kind}`);
    if (kind === 1) segments.push(segmentOf(body, items));
    if (kind === 2) voids.push(...pairsOf(body, items));
    if (kind === 3) keys.push(...keysOf(body, items));
    if (kind === 4 && integer(viewOf(body, 0), 0) !== keys.length) refuse(at, "the number of keys");
    if (kind === 1 ? segments.length === view.getUint32(64, true) : kind === 2) step = kind + 1;
    else step = kind;
    if (kind === 4 && at + 16 + body.length !== bytes.length) refuse(at, "bytes behind the end");
  }
  if (step !== 4) refuse(bytes.length, "no end");
  const live = keys.filter(({ version }) => version > 0).length;
  if (integer(view, 72) !== live) refuse(72, "the number of keys");
  const texts = keys.map(({ key }) => Buffer.from(key));
  if (texts.some((key, at) => at > 0 && Buffer.compare(texts[at - 1]!, key) >= 0)) {
    refuse(0, "keys that do not rise");
  }
  return {
    store: Buffer.from(bytes.subarray(16, 32)).toString("hex"),
    revision: integer(view, 32),
    oldest: integer(view, 40),
    time: integer(view, 48),
    reserved: integer(view, 56),
    segments,
    voids,
    keys,
  };
}

/** What of a checkpoint is not what the log says up to its place; none for a right one. */
export function faultsOfCheckpoint(
  checkpoint: CheckpointContent,
  files: Files,
  log: LogContent,
): string[] {
  const faults: string[] = [];
  const { segments, oldest, keys } = checkpoint;
  for (const { number, headCrc, end, crc, lastCrc, marks } of segments) {
    const file = `${String(number).padStart(10, "0")}.log`;
    const bytes = files.get(file) ?? new Uint8Array(128);
    const records = log.records.filter(({ segment, offset }) => segment === number && offset < end);
    if (readSegmentHead(file, bytes).crc !== headCrc) faults.push(`${file} is another`);
    if (checksum(bytes.subarray(128, end)) !== crc) faults.push(`${file} has other bytes`);
    if ((records.at(-1)?.crc ?? headCrc) !== lastCrc) faults.push(`${file} ends otherwise`);
    if (!Bun.deepEquals(marks, marksOf(records))) faults.push(`${file} has other marks`);
  }
  const last = segments.at(-1)!;
  const newest = new Map<string, ReadRecord>();
  for (const record of log.records) {
    const { segment, offset } = record;
    if (segment > last.number || (segment === last.number && offset >= last.end)) break;
    if (/put|delete|expire/.test(record.kind)) newest.set(record.key, record);
  }
  for (const known of keys) {
    const { key, contentType, revision, createRevision, version, deadline, bytes } = known;
    const place = { segment: segments[known.place]?.number, offset: known.offset, bytes };
    const said = { key, contentType, revision, createRevision, version, deadline, ...place };
    const record = newest.get(key);
    newest.delete(key);
    const same = Object.entries(said).every(
      ([field, value]) => record?.[field as keyof ReadRecord] === value,
    );
    if (!same) faults.push(`the key ${key} has another newest record`);
  }
  for (const [key, { kind, revision }] of newest) {
    if (kind === "put" || revision > oldest) faults.push(`the key ${key} is missing`);
  }
  if (checkpoint.store !== log.store) faults.push("it is of another store");
  const voids = log.voids.filter(({ last }) => last > oldest && last <= checkpoint.revision);
  if (!Bun.deepEquals(checkpoint.voids, voids)) faults.push("there are other voids");
  return faults;
}

// --- internal ---

function refuse(at: number, what: string): never {
  throw new Refusal("CHECKPOINT", at, what);
}

interface Block {
  readonly at: number;
  readonly kind: number;
  readonly items: number;
  readonly body: Uint8Array;
}

/** The blocks, each of which carries on the checksum of the one before. */
function* blocksOf(bytes: Uint8Array, headCrc: number): Generator<Block> {
  let crc = headCrc;
  for (let at = 128; at < bytes.length;) {
    if (at + 16 > bytes.length) refuse(at, "no whole block header");
    const view = viewOf(bytes, at);
    const length = view.getUint32(4, true);
    if (length > 2 ** 24 || at + 16 + length > bytes.length) refuse(at, "no whole block");
    crc = checksum({ from: crc }, bytes.subarray(at + 4, at + 16 + length));
    if (crc !== view.getUint32(0, true)) refuse(at, "block checksum");
    const body = bytes.subarray(at + 16, at + 16 + length);
    yield { at, kind: view.getUint32(8, true), items: view.getUint32(12, true), body };
    at += 16 + length;
  }
}

function segmentOf(body: Uint8Array, items: number): CoveredSegment {
  const view = viewOf(body, 0);
  const marks = Array.from({ length: items }, (_, index) => ({
    revision: integer(view, 32 + index * 20),
    time: integer(view, 40 + index * 20),
    offset: view.getUint32(48 + index * 20, true),
  }));
  return {
    number: integer(view, 0),
    headCrc: view.getUint32(8, true),
    lastCrc: view.getUint32(12, true),
    end: integer(view, 16),
    crc: view.getUint32(24, true),
    marks,
  };
}

function pairsOf(body: Uint8Array, items: number): { first: number; last: number }[] {
  const view = viewOf(body, 0);
  return Array.from({ length: items }, (_, index) => ({
    first: integer(view, index * 16),
    last: integer(view, index * 16 + 8),
  }));
}

function keysOf(body: Uint8Array, items: number): CoveredKey[] {
  const view = viewOf(body, 0);
  if (items === 0 || items > 1_024) refuse(0, "the number of keys of a block");
  const columns = columnsOf(body, items);
  const types = typesOf(body.subarray(152, 152 + view.getUint32(0, true)));
  let text = columns.end;
  const rest = body.subarray(text + view.getUint32(4, true));
  if (rest.length > 7 || !isZero(rest)) refuse(0, "what is behind the keys");
  const keys = Array.from({ length: items }, (_, index) => {
    const [revision, age, version, deadline, place, offset, bytes, length, type] =
      columns.values.map((column) => column[index]!) as Nine;
    const key = utf8(body.subarray(text, (text += length))) ?? refuse(0, "a key that is no UTF-8");
    const contentType = types[type] ?? refuse(0, "no content type");
    const createRevision = revision - age;
    return { key, contentType, revision, createRevision, version, deadline, place, offset, bytes };
  });
  if (text + rest.length !== body.length) refuse(0, "the bytes of the keys");
  return keys;
}

type Nine = [number, number, number, number, number, number, number, number, number];

/** The values of the nine columns, and where the last one ends. */
function columnsOf(body: Uint8Array, items: number): { values: number[][]; end: number } {
  const view = viewOf(body, 0);
  let at = 152 + view.getUint32(0, true);
  const values: number[][] = [];
  for (let head = 8; head < 152; head += 16) {
    const smallest = integer(view, head);
    const width = view.getUint32(head + 8, true);
    if (![0, 1, 2, 4, 8].includes(width)) refuse(0, `values of ${width} bytes`);
    const end = at + width * items;
    values.push(
      Array.from({ length: items }, (_, index) => {
        const bytes = [...body.subarray(at + index * width, at + (index + 1) * width)];
        return bytes.reduceRight((sum, byte) => sum * 256 + byte, 0) + smallest;
      }),
    );
    at = Math.ceil(end / 8) * 8;
    if (!isZero(body.subarray(end, at))) refuse(0, "what is behind a column");
  }
  return { values, end: at };
}

function typesOf(bytes: Uint8Array): string[] {
  const view = viewOf(bytes, 0);
  const types: string[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = view.getUint16(at, true);
    types.push(Buffer.from(bytes.subarray(at + 2, at + 2 + length)).toString("latin1"));
    at += 2 + length;
  }
  return types;
}

/** One mark for the first commit, and one for each that begins 16 KiB behind the mark before. */
function marksOf(records: readonly ReadRecord[]): CoveredSegment["marks"] {
  const marks: { revision: number; time: number; offset: number }[] = [];
  let open = false;
  for (const { kind, revision, time, offset, endsCommit } of records) {
    if (!/put|delete|expire/.test(kind)) continue;
    const last = marks.at(-1)?.offset ?? Number.NEGATIVE_INFINITY;
    if (!open && offset - last >= 16 * 1024) marks.push({ revision, time, offset });
    open = !endsCommit;
  }
  return marks;
}
