/** Log engines on fake disks, and the damage that tests do to them. */

import { expect } from "bun:test";
import { openLog, type LogOptions } from "../../src/log/engine.ts";
import {
  contentBytes,
  encodeRecord,
  FLAG_BATCH_START,
  FLAG_COMMIT_END,
  isChange,
  KIND,
  type RecordContent,
  recordContentType,
  type RecordHeader,
  recordKey,
  recordValue,
  SEGMENT_HEADER_BYTES,
} from "../../src/log/format.ts";
import { openSegment, type ScannedRecord } from "../../src/log/segment.ts";
import type { Commit, Event, Store } from "../../src/kv.ts";
import { FakeDisk } from "./fake-disk.ts";

/** A store on a disk; what would end the process is thrown away, as the disk shows it anyway. */
export function openOn(disk: FakeDisk, options: Partial<LogOptions> = {}): Promise<Store> {
  return openLog({ directory: disk.directory, disk, onFatal: () => undefined, ...options });
}

/** A disk as it is left by a process that died after `work`, where everything was answered. */
export async function killedAfter(
  work: (store: Store, disk: FakeDisk) => Promise<void>,
  options: Partial<LogOptions> = {},
): Promise<FakeDisk> {
  const disk = new FakeDisk();
  await work(await openOn(disk, options), disk);
  return disk.kill();
}

/** The names of the segments, oldest first. */
export function segmentNames(disk: FakeDisk): string[] {
  return disk
    .list()
    .filter((name) => name.endsWith(".log"))
    .toSorted();
}

/** A copy of a disk with one bit of one file the other way round. */
export function flipped(disk: FakeDisk, name: string, bit: number): FakeDisk {
  const copy = disk.copy();
  copy.bytes(name)[bit >>> 3]! ^= 1 << (bit & 7);
  return copy;
}

/** A copy of a disk with one file cut, and something else after the cut. */
export function cut(
  disk: FakeDisk,
  name: string,
  length: number,
  after: Uint8Array = new Uint8Array(0),
): FakeDisk {
  const copy = disk.copy();
  const kept = disk.bytes(name).subarray(0, length);
  const bytes = new Uint8Array(kept.length + after.length);
  bytes.set(kept);
  bytes.set(after, kept.length);
  copy.place(name, bytes);
  return copy;
}

/**
 * Every commit that the files of a disk hold, read record by record: by another way than the
 * engine's streams, states and histories.
 */
export function commitsIn(disk: FakeDisk): Commit[] {
  const commits: { revision: number; events: Event[] }[] = [];
  for (const name of segmentNames(disk)) {
    const file = disk.open(name);
    const { fault } = openSegment(file).scan(SEGMENT_HEADER_BYTES, file.size(), (record) => {
      const { revision, kind } = record.header;
      if (!isChange(kind)) return true;
      if (commits.at(-1)?.revision !== revision) commits.push({ revision, events: [] });
      commits.at(-1)!.events.push(eventOf(record));
      return true;
    });
    file.close();
    expect(fault).toBeUndefined();
  }
  return commits;
}

/** The records of a segment, all of which must be sound and chained. */
export function recordsOf(disk: FakeDisk, name: string): RecordHeader[] {
  const file = disk.open(name);
  const segment = openSegment(file);
  const records: RecordHeader[] = [];
  const { fault } = segment.scan(
    SEGMENT_HEADER_BYTES,
    file.size(),
    ({ header }) => {
      records.push(header);
      return true;
    },
    segment.header.crc,
  );
  file.close();
  expect(fault).toBeUndefined();
  return records;
}

/**
 * Writes one more record at the end of a segment, sound in itself: of a compaction, unless `parts`
 * say otherwise.
 */
export function appendRecord(
  disk: FakeDisk,
  parts: Partial<RecordContent>,
  name = segmentNames(disk).at(-1)!,
): void {
  const before = disk.bytes(name);
  const last = recordsOf(disk, name).at(-1)!;
  const content: RecordContent = {
    kind: KIND.compact,
    key: new Uint8Array(0),
    contentType: "",
    value: new Uint8Array(0),
    revision: 0,
    previousRevision: 0,
    createRevision: 0,
    version: 0,
    time: last.time,
    deadline: 0,
    ...parts,
  };
  const record = new Uint8Array(contentBytes(content));
  const flags = FLAG_BATCH_START | FLAG_COMMIT_END;
  const place = { segment: last.segment, offset: before.length, previousCrc: last.crc, flags };
  encodeRecord(record, 0, content, place);
  // As if it had been synced with what was before it: nothing of it is a torn tail.
  disk.remove("DURABLE");
  disk.place(name, Buffer.concat([before, record]));
}

// --- internal ---

function eventOf({ header, bytes, at }: ScannedRecord): Event {
  const { kind, revision, createRevision, version, deadline } = header;
  const key = Buffer.from(recordKey(bytes, at, header)).toString();
  if (kind !== KIND.put) return { type: kind === KIND.expire ? "expire" : "delete", key, revision };
  return {
    type: "put",
    key,
    value: recordValue(bytes, at, header).slice(),
    contentType: recordContentType(bytes, at, header),
    revision,
    createRevision,
    version,
    ...(deadline === 0 ? undefined : { expiresAt: deadline }),
  };
}
