/** Log engines on fake disks, and the damage that tests do to them. */

import { expect } from "bun:test";
import { openLog, type LogOptions } from "../../src/log/engine.ts";
import { type RecordHeader, SEGMENT_HEADER_BYTES } from "../../src/log/format.ts";
import { openSegment } from "../../src/log/segment.ts";
import type { Store } from "../../src/kv.ts";
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
