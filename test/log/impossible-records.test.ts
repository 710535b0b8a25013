/** Records that are sound in themselves and cannot be where they are: the start is refused. */

import { expect, test } from "bun:test";
import { crc32, KIND, RECORD_HEADER_BYTES, type RecordContent } from "../../src/log/format.ts";
import type { FakeDisk } from "../support/fake-disk.ts";
import { appendRecord, killedAfter, openOn, recordsOf, segmentNames } from "../support/logs.ts";
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

test.each<[string, Partial<RecordContent>, string]>([
  ["a put at a revision that was before", { ...again, revision: 2 }, "not above the one before"],
  ["a put of a key that is no text", { ...again, key: Uint8Array.of(0xff) }, "no UTF-8"],
  ["a compaction above the newest revision", { revision: 2, createRevision: 3 }, "cannot be"],
  ["a compaction at another revision", { revision: 1, createRevision: 1 }, "not of its place"],
  ["a void of nothing", { kind: KIND.void, revision: 2, createRevision: 2 }, "a void up to 2"],
  ["the end of a merged segment", { kind: KIND.end, revision: 2 }, "of kind 7"],
  ["a kind of a later version", { kind: 200 as typeof KIND.put, revision: 2 }, "of kind 200"],
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

async function refused(disk: FakeDisk, message: string): Promise<void> {
  const error = await failure(() => openOn(disk), "internal");
  expect(error.message).toContain(message);
  expect(error.message).toMatch(/\d{10}\.log is damaged at offset \d+/);
}

/** Changes the header of the last record, which then is sound again. */
function changeLast(disk: FakeDisk, change: (header: DataView) => void): void {
  const name = segmentNames(disk).at(-1)!;
  const all = disk.bytes(name);
  const last = recordsOf(disk, name).at(-1)!;
  const header = all.subarray(last.offset, last.offset + RECORD_HEADER_BYTES);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  change(view);
  view.setUint32(0, crc32(header.subarray(4)), true);
}
