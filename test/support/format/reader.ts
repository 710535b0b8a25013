/**
 * Reads a data directory as FORMAT.md says, from the bytes of its files and with nothing of the
 * engine: what an open store must show, or that its start must be refused.
 */

import {
  beginsBatch,
  isRecordHead,
  type Mark,
  readMark,
  readRecord,
  readSegmentHead,
  type ReadRecord,
  Refusal,
  SEGMENT_HEADER_BYTES,
  type SegmentHead,
} from "./bytes.ts";
import type { LogContent } from "./content.ts";
import { Replay } from "./replay.ts";

/** The files of a directory, by name. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** @throws `Refusal` where the start must be refused. */
export function readLog(files: Files): LogContent {
  const segments = segmentsOf(files);
  const mark = readMark(files.get("DURABLE"));
  const active = segments.at(-1);
  if (active === undefined) {
    if (mark !== undefined) throw new Refusal("DURABLE", 0, "there is no segment");
    throw new Refusal(".", 0, "there is no log");
  }
  if (mark !== undefined && mark.segment > active.head.number) {
    throw new Refusal("DURABLE", 0, `there is no segment ${mark.segment}`);
  }
  const replay = new Replay();
  for (const [at, segment] of segments.slice(0, -1).entries()) {
    readSealed(segment, segments[at + 1]!, mark, replay);
  }
  readActive(active, mark, replay);
  return replay.content(active.head.store);
}

// --- internal ---

interface ReadSegment {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly head: SegmentHead;
}

/** The segments of the log in order, without those for which a merged one stands. */
function segmentsOf(files: Files): ReadSegment[] {
  const names = [...files.keys()].filter((name) => /^\d{10}\.log$/.test(name)).toSorted();
  const segments: ReadSegment[] = [];
  let expected = 1;
  for (const file of names) {
    const number = Number(file.slice(0, 10));
    // One for which a merged one stands, whatever has become of it.
    if (number < expected) continue;
    if (number > expected) throw new Refusal(file, 0, `segment ${expected} is missing`);
    const bytes = files.get(file)!;
    const head = readSegmentHead(file, bytes);
    segments.push({ file, bytes, head });
    expected = (head.merged?.last ?? number) + 1;
  }
  return segments;
}

function readSealed(
  segment: ReadSegment,
  next: ReadSegment,
  mark: Mark | undefined,
  replay: Replay,
): void {
  const { file, bytes, head } = segment;
  const end = head.merged === undefined ? next.head.previousEnd : bytes.length;
  if (bytes.length < end) throw new Refusal(file, bytes.length, `it had ${end} bytes`);
  if (head.merged === undefined && mark?.segment === head.number && mark.end > end) {
    throw new Refusal(file, end, `it was synced up to ${mark.end}`);
  }
  const { records, offset, fault } = scan(segment, end);
  if (fault !== undefined) throw new Refusal(file, offset, fault);
  replay.segment(file, head, records, end);
}

function readActive(segment: ReadSegment, mark: Mark | undefined, replay: Replay): void {
  const { file, bytes, head } = segment;
  if (head.merged !== undefined) throw new Refusal(file, 0, "the active segment is never merged");
  const ours = mark?.segment === head.number ? mark : undefined;
  const synced = ours?.end ?? SEGMENT_HEADER_BYTES;
  if (bytes.length < synced) throw new Refusal(file, bytes.length, `synced up to ${synced}`);
  const { records, offset, fault } = scan(segment, bytes.length);
  while (records.length > 0 && !records.at(-1)!.endsCommit) records.pop();
  const last = records.at(-1);
  const whole = last === undefined ? SEGMENT_HEADER_BYTES : last.offset + last.bytes;
  if (whole < synced) throw new Refusal(file, offset, fault ?? "a commit has no end");
  if (ours !== undefined) {
    const chain =
      synced === SEGMENT_HEADER_BYTES
        ? head.crc
        : records.find((record) => record.offset + record.bytes === synced)?.crc;
    if (chain !== ours.lastCrc) throw new Refusal(file, synced, "another record than the mark's");
  }
  if (fault !== undefined) {
    for (let at = offset + 8; at < bytes.length; at += 8) {
      const began = isRecordHead(bytes, at, head.number) && beginsBatch(bytes, at);
      if (began) throw new Refusal(file, offset, `${fault}, below a later batch`);
    }
  }
  replay.segment(file, head, records, whole);
}

/** The sound records of a segment up to `to`, each of which follows the one before. */
function scan(
  { file, bytes, head }: ReadSegment,
  to: number,
): { records: ReadRecord[]; offset: number; fault: string | undefined } {
  const records: ReadRecord[] = [];
  let offset = SEGMENT_HEADER_BYTES;
  let chain = head.crc;
  let fault: string | undefined;
  while (offset < to && fault === undefined) {
    const record = readRecord(file, bytes, offset, head.number, { to });
    if (typeof record === "string") fault = record;
    else if (record.chain !== chain) fault = "it does not follow the record before";
    else {
      records.push(record);
      chain = record.crc;
      offset += record.bytes;
    }
  }
  return { records, offset, fault };
}
