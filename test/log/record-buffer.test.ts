/** A value is shown only where all of its record is sound, whichever way it is read. */

import { describe, expect, test } from "bun:test";
import { crc32, RECORD_HEADER_BYTES } from "../../src/log/format.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { recordsOf, openOn, segmentNames } from "../support/logs.ts";
import { changesBetween, failure, put, write } from "../support/stores.ts";

/** Where the fields of a record's header are. */
const FIELD = {
  bodyCrc: 4,
  contentTypeBytes: 14,
  keyBytes: 16,
  valueBytes: 20,
  offset: 28,
  revision: 32,
} as const;

/** Neighbours, no value of which is in memory: a listing reads them all at once. */
async function neighbours(at = 1) {
  const disk = new FakeDisk();
  const store = await openOn(disk, { valueCacheBytesMax: 0, recentBytesMax: 0 });
  for (const key of ["a", "b", "c"]) await write(store, put(key, `value of ${key}`));
  const [name] = segmentNames(disk);
  const { offset } = recordsOf(disk, name!)[at]!;
  const record = disk.bytes(name!).subarray(offset);
  const header = new DataView(record.buffer, record.byteOffset, RECORD_HEADER_BYTES);
  return { store, header, offset };
}

/** Makes the checksum of a header right. */
function seal(header: DataView): void {
  const bytes = new Uint8Array(header.buffer, header.byteOffset, RECORD_HEADER_BYTES);
  header.setUint32(0, crc32(bytes.subarray(4)), true);
}

describe("a record", () => {
  test.each<[string, (header: DataView) => void]>([
    ["with a bit of its header the other way round", (header) => flip(header, FIELD.revision)],
    ["with another checksum of its header", (header) => flip(header, 0)],
    ["of another place", (header) => sealed(header, FIELD.offset, 8)],
    ["with another length of its key", (header) => sealed(header, FIELD.keyBytes, 8)],
    ["with another length of its type", (header) => sealed(header, FIELD.contentTypeBytes, 16)],
    ["with another checksum of its body", (header) => sealed(header, FIELD.bodyCrc, 1)],
  ])("%s is damaged, and no other is", async (_, change) => {
    const { store, header, offset } = await neighbours();
    change(header);
    for (const read of [
      () => store.get("b"),
      () => store.list({}),
      () => store.list({ start: "b" }),
    ]) {
      const { message } = await failure(read, "internal");
      expect(message).toContain(`0000000001.log is damaged at offset ${offset}`);
    }
    expect((await store.get("a")).entry).toMatchObject({ revision: 1 });
    expect((await store.list({ start: "c" })).entries).toHaveLength(1);
    await store.close();
  });
});

test("a key that became no UTF-8 since the start is damage for what reads its record", async () => {
  const { store, header, offset } = await neighbours(2);
  const start = header.byteOffset + RECORD_HEADER_BYTES;
  const body = new Uint8Array(header.buffer, start, bodyBytes(header));
  expect(body[0]).toBe("c".codePointAt(0)!);
  body[0] = 0xff;
  header.setUint32(FIELD.bodyCrc, crc32(body), true);
  seal(header);
  const { message } = await failure(() => changesBetween(store, 1, 3), "internal");
  expect(message).toContain(`is damaged at offset ${offset}: a bad key`);
  await store.close();
});

// --- internal ---

/** Bytes of the body of a record, padding included. */
function bodyBytes(header: DataView): number {
  const lengths = [FIELD.contentTypeBytes, FIELD.keyBytes].map((at) => header.getUint16(at, true));
  const bytes = lengths[0]! + lengths[1]! + header.getUint32(FIELD.valueBytes, true);
  return Math.ceil(bytes / 8) * 8;
}

function flip(header: DataView, at: number): void {
  header.setUint8(at, header.getUint8(at) ^ 1);
}

function sealed(header: DataView, at: number, more: number): void {
  header.setUint8(at, header.getUint8(at) ^ more);
  seal(header);
}
