/** Records that are sound in themselves and cannot be where they are: the start is refused. */

import { describe, expect, test } from "bun:test";
import { checkLog } from "../../src/log/check.ts";
import type { LogStore } from "../../src/log/engine.ts";
import {
  crc32,
  encodeSegmentHeader,
  KIND,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  type RecordContent,
  type SegmentHeader,
} from "../../src/log/format.ts";
import { segmentName } from "../../src/log/segment.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { appendRecord, killedAfter, openOn, recordsOf, segmentNames } from "../support/logs.ts";
import { filesOf } from "../support/log-view.ts";
import { bytes, failure, put, write } from "../support/stores.ts";

const record = { kind: KIND.put, key: bytes("a"), value: bytes("x"), contentType: "text/plain" };
const again = { ...record, revision: 3, createRevision: 1, version: 2, previousRevision: 1 };

test.each([
  ["a previous revision that is not the key's", 5, "the key's previous revision is 5, but was 1"],
  ["none, where the key has one", 0, "the key's previous revision is 0, but was 1"],
])("a put with %s", async (_, previousRevision, message) => {
  const disk = await logOfTwo();
  const right = disk.copy();
  appendRecord(right, again);
  await (await openOn(right)).close();
  appendRecord(disk, { ...again, previousRevision });
  await refused(disk, message);
});

test("what the disk fails with once the end was mended is no damage", async () => {
  const disk = await logOfTwo();
  appendRecord(disk, again);
  let reads = 0;
  // The first read of the segment that is made is that of its header.
  disk.lookFault = ({ kind, name }) =>
    kind === "read" && name === segmentName(2) && reads++ > 0 ? "EIO" : undefined;
  const error = await openOn(disk).then(
    () => undefined,
    (error: Error) => error,
  );
  expect(error?.message).toMatch(/EIO/);
  expect(error?.message).not.toContain("damaged");
  disk.lookFault = undefined;
  const store = await openOn(disk);
  expect((await store.get("a")).entry?.revision).toBe(3);
  await store.close();
});

test.each<[string, Partial<RecordContent>, string]>([
  ["a put at a revision that was before", { ...again, revision: 2 }, "not above the one before"],
  ["a put of a key that is no text", { ...again, key: Uint8Array.of(0xff) }, "no UTF-8"],
  ["a compaction above the newest revision", { revision: 2, createRevision: 3 }, "cannot be"],
  ["a compaction at another revision", { revision: 1, createRevision: 1 }, "not of its place"],
  ["a void of nothing", { kind: KIND.void, revision: 2, createRevision: 2 }, "a void up to 2"],
  ["the end of a merged segment", { kind: KIND.end, revision: 2 }, "of kind 7"],
  ["a kind of a later version", { kind: 200 as typeof KIND.put, revision: 2 }, "of kind 200"],
  ["a reserve at another revision", { kind: KIND.reserve, revision: 1 }, "not of its place"],
])("%s", async (_, content, message) => {
  const disk = await logOfTwo();
  appendRecord(disk, content);
  await refused(disk, message);
});

test("a compaction that goes back", async () => {
  const disk = await logOfTwo();
  appendRecord(disk, { revision: 2, createRevision: 2 });
  appendRecord(disk, { revision: 2, createRevision: 1 });
  await refused(disk, "a compaction to 1, which cannot be");
});

test.each<[string, Partial<RecordContent>, string]>([
  ["another revision", { ...again, key: bytes("b"), revision: 4 }, "a commit of two revisions"],
  ["a compaction", { revision: 3, createRevision: 1 }, "a commit has no end"],
])("in the middle of a commit, %s", async (_, content, message) => {
  const disk = await logOfTwo();
  appendRecord(disk, again);
  // Its flags: no last record of a commit any more.
  changeLast(disk, (header) => header.setUint8(13, 0));
  appendRecord(disk, content);
  await refused(disk, message);
});

test.each<[string, (header: DataView) => void, string]>([
  ["another place", (header) => header.setUint32(28, 8, true), "no record of this place"],
  ["another segment", (header) => header.setUint32(24, 9, true), "no record of this place"],
  ["another log", (header) => header.setUint32(8, 7, true), "does not follow"],
])("a record of %s", async (_, change, message) => {
  const disk = await logOfTwo();
  appendRecord(disk, again);
  // At the end of the log it would be an unfinished write.
  appendSegment(disk);
  changeLast(disk, change, segmentNames(disk)[0]);
  await refused(disk, message);
});

test("a commit of two records at a revision that was before, of which nothing is told", async () => {
  const disk = await logOfTwo();
  appendRecord(disk, { ...again, revision: 2 });
  changeLast(disk, (header) => header.setUint8(13, 0));
  appendRecord(disk, { ...again, key: bytes("b"), revision: 2 });
  await refused(disk, "not above the one before");
  const { findings } = await checkLog({ disk });
  // The second one of them is of the same commit.
  expect(findings.filter(({ file }) => file === segmentNames(disk)[0])).toHaveLength(1);
});

describe("a segment", () => {
  test("behind a commit that has no end", async () => {
    const disk = await logOfTwo();
    appendRecord(disk, again);
    changeLast(disk, (header) => header.setUint8(13, 0));
    appendSegment(disk);
    await refused(disk, "a commit has no end");
  });

  test.each<[string, Partial<SegmentHeader>, string]>([
    ["whose revisions were before", { nextRevision: 2 }, "its revisions do not follow"],
    ["whose oldest revision is to come", { compactedRevision: 9 }, "below its oldest readable"],
    ["with another number", { number: 7 }, "its header says that it is segment 7"],
    ["of another store", { store: "ab".repeat(16) }, "it belongs to another store"],
    ["that begins elsewhere", { previousEnd: 128 }, "does not follow"],
    ["that stands for others", { merged: { first: 1, last: 2 } }, "it stands for segments 1 to 2"],
    ["that stands for none", { merged: { first: 2, last: 1 } }, "it stands for segments 2 to 1"],
  ])("%s", async (_, parts, message) => {
    const disk = await logOfTwo();
    appendSegment(disk, parts);
    await refused(disk, message);
  });

  test.each<[string, (header: DataView) => void, string]>([
    ["of a later version", (header) => header.setUint32(8, 2, true), "its format is version 2"],
    ["with flags of a later one", (header) => header.setUint32(68, 4, true), "its flags are 4"],
  ])("%s", async (_, change, message) => {
    const disk = await logOfTwo();
    appendSegment(disk);
    const header = disk.bytes(segmentNames(disk).at(-1)!).subarray(0, SEGMENT_HEADER_BYTES);
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    change(view);
    view.setUint32(12, crc32(header.subarray(16), crc32(header.subarray(0, 12))), true);
    await refused(disk, message);
  });

  test("that is right is one more", async () => {
    const disk = await logOfTwo();
    appendSegment(disk);
    expect((await checkLog({ disk })).sound).toBe(true);
    const store = await openOn(disk);
    expect(await store.status()).toMatchObject({ revision: 2, keys: 2 });
    await store.close();
  });
});

test("a record behind the end of a merged segment", async () => {
  const disk = new FakeDisk();
  const store = (await openOn(disk, { segmentBytesMax: 500, mergeBytesMin: 100 })) as LogStore;
  for (let at = 0; at < 12; at++) await write(store, put(at % 2 === 0 ? "a" : "b", String(at)));
  await store.compact(8);
  await store.maintained();
  const died = disk.kill();
  const [merged] = segmentNames(died);
  expect(recordsOf(died, merged!).at(-1)!.kind).toBe(KIND.end);
  appendRecord(died, { ...again, revision: 12 }, merged);
  await refused(died, "a record behind the end record");
});

test("an extension that must be understood; another one is passed over", async () => {
  for (const [tag, message] of [
    [0x8001, "an extension that this kv does not know"],
    [0x0001, undefined],
  ] as const) {
    const disk = await logOfTwo();
    appendRecord(disk, { ...again, value: Uint8Array.of(tag & 0xff, tag >>> 8, 0, 0) });
    // What was the value is the extensions now.
    changeLast(disk, (header) => {
      header.setUint16(18, 4, true);
      header.setUint32(20, 0, true);
    });
    if (message !== undefined) await refused(disk, message);
    else await (await openOn(disk)).close();
  }
});

// --- internal ---

function logOfTwo(): Promise<FakeDisk> {
  return killedAfter(async (store) => {
    await write(store, put("a", "1"));
    await write(store, put("b", "2"));
  });
}

/** Is refused by a start, which says truly what it changed; for a check damaged in the same place. */
async function refused(disk: FakeDisk, message: string): Promise<void> {
  const opened = disk.copy();
  const error = await failure(() => openOn(opened), "internal");
  expect(error.message).toContain(message);
  const isSame = Bun.deepEquals(logOf(opened), logOf(disk));
  expect(error.message).toContain(
    isSame
      ? "; nothing was changed; "
      : "; nothing but the unfinished end of the log was changed; ",
  );
  const [, file, offset] = /(\d{10}\.log) is damaged at offset (\d+)/.exec(error.message)!;
  const { sound, findings } = await checkLog({ disk });
  expect(sound).toBe(false);
  const places = findings.filter(({ severity }) => severity === "damage");
  expect(places).toContainEqual(expect.objectContaining({ file, offset: Number(offset) }));
}

/** The segments, and what was cut off them. */
function logOf(disk: FakeDisk) {
  return [...filesOf(disk)].filter(([name]) => name.includes(".log"));
}

/** Adds a segment without a record, which goes on from the last one unless `parts` say otherwise. */
function appendSegment(disk: FakeDisk, parts: Partial<SegmentHeader> = {}): void {
  const names = segmentNames(disk);
  const before = disk.bytes(names.at(-1)!);
  const store = Buffer.from(before.subarray(16, 32)).toString("hex");
  const last = recordsOf(disk, names.at(-1)!).at(-1)!;
  const header = encodeSegmentHeader({
    store,
    number: names.length + 1,
    nextRevision: last.revision + 1,
    compactedRevision: 0,
    previousEnd: before.length,
    previousCrc: last.crc,
    createdAt: 0,
    reservedRevision: 0,
    ...parts,
  });
  disk.remove("DURABLE");
  disk.place(segmentName(names.length + 1), header);
}

/** Changes the header of the last record, which then is sound again. */
function changeLast(
  disk: FakeDisk,
  change: (header: DataView) => void,
  name = segmentNames(disk).at(-1)!,
): void {
  const all = disk.bytes(name);
  const last = recordsOf(disk, name).at(-1)!;
  const header = all.subarray(last.offset, last.offset + RECORD_HEADER_BYTES);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  change(view);
  view.setUint32(0, crc32(header.subarray(4)), true);
}
