/** The content of segments, compared while something else is done. */

import { describe, expect, test } from "bun:test";
import { Unusable } from "../../src/log/checkpoint-reader.ts";
import { ContentCheck, type Checked } from "../../src/log/content-check.ts";
import { crc32, SEGMENT_HEADER_BYTES } from "../../src/log/format.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { random } from "../support/random.ts";
import { turns } from "../support/turns.ts";

const MIB = 1024 * 1024;

/** Segments of so many bytes, with what a checkpoint knows of them: all but their last bytes. */
function segmentsOf(disk: FakeDisk, ...sizes: number[]): Checked[] {
  const bytes = random(1);
  return sizes.map((size, at) => {
    const name = `${at}`;
    const content = Uint8Array.from({ length: size }, () => bytes.below(256));
    disk.place(name, content);
    const end = size - 5;
    const crc = crc32(content.subarray(SEGMENT_HEADER_BYTES, end));
    const file = disk.open(name);
    return { file, covered: { end, crc } as Checked["covered"] };
  });
}

describe("the content of segments", () => {
  test("is as it was, however much it is and however little is read at once", async () => {
    const disk = new FakeDisk();
    const sizes = [SEGMENT_HEADER_BYTES + 5, 100, 2 * MIB, 2 * MIB + 200, 5 * MIB, 300];
    const segments = segmentsOf(disk, ...sizes);
    await new ContentCheck(segments).done();
    disk.readBytesMax = 100_000;
    await new ContentCheck(segments).done();
    await new ContentCheck([]).done();
  });

  test("is not when a byte is another one, wherever that is", async () => {
    const disk = new FakeDisk();
    const segments = segmentsOf(disk, 1_000, 4 * MIB + 77);
    for (const at of [SEGMENT_HEADER_BYTES, 2 * MIB - 1, 2 * MIB + 500, 4 * MIB + 71]) {
      disk.bytes("1")[at]! ^= 1;
      const error = await new ContentCheck(segments).done().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Unusable);
      expect((error as Error).message).toBe("1 has other content");
      disk.bytes("1")[at]! ^= 1;
    }
    // Behind what is covered it may be anything.
    disk.bytes("1")[4 * MIB + 72]! ^= 1;
    await new ContentCheck(segments).done();
  });

  test("is not when the file ends before, or cannot be read", async () => {
    const disk = new FakeDisk();
    const segments = segmentsOf(disk, 1_000, 3 * MIB);
    segments[1]!.file.truncate(3 * MIB - 6);
    await expect(new ContentCheck(segments).done()).rejects.toThrow("1 is shorter");
    disk.lookFault = ({ kind }) => (kind === "read" ? "EIO" : undefined);
    await expect(new ContentCheck(segments).done()).rejects.toThrow("EIO");
  });

  test("is no longer read when it is not wanted any more", async () => {
    const disk = new FakeDisk();
    const segments = segmentsOf(disk, 5 * MIB, 5 * MIB);
    let reads = 0;
    const held = Promise.withResolvers<void>();
    for (const { file } of segments) {
      const { readAsync } = file;
      file.readAsync = async (into, at) => {
        if (++reads === 2) await held.promise;
        return readAsync.call(file, into, at);
      };
    }
    const check = new ContentCheck(segments);
    await turns();
    let isStopped = false;
    const stopping = check.stop().then(() => (isStopped = true));
    await turns();
    expect([reads, isStopped]).toEqual([2, false]);
    held.resolve();
    await stopping;
    await turns();
    expect(reads).toBe(2);
    await check.done();
  });
});
