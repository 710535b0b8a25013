/** Segments: when they begin, what their headers say, and what the records in them look like. */

import { expect, test } from "bun:test";
import {
  decodeSegmentHeader,
  FLAG_BATCH_START,
  FLAG_COMMIT_END,
  KIND,
  type RecordHeader,
  type SegmentHeader,
} from "../../src/log/format.ts";
import { segmentName, segmentNumber } from "../../src/log/segment.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn, recordsOf, segmentNames } from "../support/logs.ts";
import { del, dump, put, write } from "../support/stores.ts";

test("a segment ends at its bytes, and a commit never spans two", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk, { segmentBytesMax: 1_000 });
  for (let round = 0; round < 30; round++) {
    await write(store, put("a", "x".repeat(round * 7)), put("b", `${round}`));
  }
  await write(store, put("large", "y".repeat(5_000)));
  await write(store, put("after", "1"));
  const names = segmentNames(disk);
  expect(names).toEqual(names.map((_, at) => segmentName(at + 1)));
  expect(names.length).toBeGreaterThan(8);
  for (const name of names) {
    const records = recordsOf(disk, name);
    expect(records.at(-1)!.flags & FLAG_COMMIT_END).toBe(FLAG_COMMIT_END);
    const revisions = new Set(records.map(({ revision }) => revision));
    if (revisions.size > 1) expect(disk.bytes(name).length).toBeLessThanOrEqual(1_000);
  }
  expect(disk.bytes(names.at(-2)!).length).toBeGreaterThan(5_000);
  await store.close();
});

test("each header names store, number, next revision, and the end of the one before", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk, { segmentBytesMax: 500 });
  for (let round = 0; round < 10; round++) await write(store, put("a", "x".repeat(200)));
  const { store: id } = await store.status();
  await store.close();
  let before: { header: SegmentHeader; last: RecordHeader; size: number } | undefined;
  for (const [at, name] of segmentNames(disk).entries()) {
    const header = headerOf(disk, name);
    const records = recordsOf(disk, name);
    expect(header).toMatchObject({
      store: id,
      number: at + 1,
      nextRevision: records[0]!.revision,
      compactedRevision: 0,
      previousEnd: before?.size ?? 0,
      previousCrc: before?.last.crc ?? 0,
    });
    before = { header, last: records.at(-1)!, size: disk.bytes(name).length };
  }
});

test("records tell kind, revisions, version, and where commits and batches begin and end", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk);
  await write(store, put("a", "1"), put("b", "1"));
  await Promise.all([write(store, put("a", "2")), write(store, del("b"))]);
  await write(store, put("b", "3"));
  await store.close();
  const [name] = segmentNames(disk) as [string];
  const seen = recordsOf(disk, name).map((record) => [
    record.kind,
    record.revision,
    record.previousRevision,
    record.createRevision,
    record.version,
    (record.flags & FLAG_BATCH_START) !== 0,
    (record.flags & FLAG_COMMIT_END) !== 0,
  ]);
  expect(seen).toEqual([
    [KIND.put, 1, 0, 1, 1, true, false],
    [KIND.put, 1, 0, 1, 1, false, true],
    [KIND.put, 2, 1, 1, 2, true, true],
    [KIND.delete, 3, 1, 0, 0, false, true],
    [KIND.put, 4, 3, 4, 1, true, true],
  ]);
});

test("times never go back, whatever the clock does, also over a start", async () => {
  const disk = new FakeDisk();
  let now = 1_000_000;
  for (let opening = 0; opening < 3; opening++) {
    const store = await openOn(disk, { clock: () => now, segmentBytesMax: 500 });
    for (let round = 0; round < 5; round++) {
      now += round % 2 === 0 ? 500 : -2_000;
      await write(store, put("a", `${round}`));
    }
    await store.close();
  }
  const times = segmentNames(disk).flatMap((name) => recordsOf(disk, name).map(({ time }) => time));
  expect(times).toHaveLength(15);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(times[0]).toBe(1_000_500);
});

test("history is read across segments, from any revision", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytesMax: 700, recentBytesMax: 0, valueCacheBytesMax: 0 };
  const store = await openOn(disk, options);
  for (let round = 0; round < 25; round++) await write(store, put(`k${round % 3}`, `${round}`));
  const right = await dump(store, 0);
  for (let from = 0; from <= 25; from++) {
    const part = await dump(store, from);
    expect(part.commits).toEqual(right.commits.slice(from));
    expect(part.states).toEqual(right.states.slice(from));
  }
  await store.close();
});

test("a chunk of history is about 1 MiB, and the next one goes on where it ended", async () => {
  for (const recentBytesMax of [0, 16 * 1024 * 1024]) {
    const options = { segmentBytesMax: 1_500_000, recentBytesMax, valueCacheBytesMax: 0 };
    const store = await openOn(new FakeDisk(), options);
    const value = "x".repeat(100_000);
    for (let round = 0; round < 40; round++) await write(store, put(`k${round}`, value));
    const seen: number[] = [];
    for await (const { commits, through } of store.changes(1)) {
      expect(commits.length).toBeGreaterThan(0);
      expect(commits.length).toBeLessThan(25);
      expect(through).toBe(commits.at(-1)!.revision);
      seen.push(...commits.map(({ revision }) => revision));
      if (through === 40) break;
    }
    expect(seen).toEqual(Array.from({ length: 40 }, (_, at) => at + 1));
    await store.close();
  }
});

test("the name of a segment sorts as its number does", () => {
  expect(segmentName(7)).toBe("0000000007.log");
  for (const number of [1, 9, 10, 99_999, 2 ** 31]) {
    expect(segmentNumber(segmentName(number))).toBe(number);
  }
  for (const name of ["7.log", "0000000007.log.tmp", "0000000007.log.cut-128", "x0000000007.log"]) {
    expect(segmentNumber(name)).toBeUndefined();
  }
});

// --- internal ---

function headerOf(disk: FakeDisk, name: string): SegmentHeader {
  const header = decodeSegmentHeader(disk.bytes(name));
  if (typeof header === "string") throw new Error(header);
  return header;
}
