/** No checkpoint, however it came to be, makes a start know what the log does not say. */

import { describe, expect, test } from "bun:test";
import { openLog, type LogOptions } from "../../src/log/engine.ts";
import {
  CHECKPOINT,
  EAGER,
  expectSameStart,
  maintained,
  startOn,
  withCheckpoint,
  withoutCheckpoint,
} from "../support/checkpoints.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { flipped, segmentNames } from "../support/logs.ts";
import { del, put, putFor } from "../support/stores.ts";

/** A store of two segments, with keys of each kind in its checkpoint, and some log after it. */
async function small(options: Partial<LogOptions> = {}): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const open = { directory: "", disk, ...EAGER, segmentBytesMax: 400, ...options };
  let store = await openLog({ ...open });
  await store.commit({ checks: [], then: [put("a", "1"), putFor("b", "2", 1_000_000)] });
  await store.commit({ checks: [], then: [put("é", "3", "x/y"), del("a")] });
  await store.close();
  store = await openLog({ ...open, checkpointBytesMin: 100_000 });
  await store.commit({ checks: [], then: [put("c", "4")] });
  await store.close();
  return disk;
}

describe("a checkpoint of which", () => {
  test("one bit is the other way round gives the store that the log gives", async () => {
    const disk = await small();
    const scan = await startOn(withoutCheckpoint(disk));
    const bits = 8 * disk.bytes(CHECKPOINT).length;
    expect(bits).toBeGreaterThan(1_000);
    for (let bit = 0; bit < bits; bit++) {
      const start = await startOn(flipped(disk, CHECKPOINT, bit));
      expect(start.resumed).toBe(false);
      expect(start.notices.join()).toStartWith("CHECKPOINT is of no use (");
      expect(start.state).toEqual(scan.state!);
    }
  });

  test("the end is missing, or more follows, gives the store that the log gives", async () => {
    const disk = await small();
    const scan = await startOn(withoutCheckpoint(disk));
    const whole = disk.bytes(CHECKPOINT).slice();
    const others = Array.from(whole, (_, length) => whole.slice(0, length));
    for (const bytes of [...others, Buffer.concat([whole, whole]), Buffer.alloc(5_000)]) {
      const start = await startOn(withCheckpoint(disk, bytes));
      expect(start.resumed).toBe(false);
      expect(start.state).toEqual(scan.state!);
    }
    expect((await expectSameStart(disk)).resumed).toBe(true);
  });

  test("the blocks are in another order gives the store that the log gives", async () => {
    const disk = await small();
    const whole = disk.bytes(CHECKPOINT);
    const blocks: Uint8Array[] = [];
    for (let at = 128; at < whole.length; at += blocks.at(-1)!.length) {
      const bytes = new DataView(whole.buffer, whole.byteOffset + at).getUint32(4, true);
      blocks.push(whole.slice(at, at + 16 + bytes));
    }
    expect(blocks.length).toBeGreaterThan(4);
    for (let at = 0; at < blocks.length; at++) {
      const without = Buffer.concat([whole.subarray(0, 128), ...blocks.toSpliced(at, 1)]);
      expect((await expectSameStart(withCheckpoint(disk, without))).resumed).toBe(false);
      const twice = Buffer.concat([
        whole.subarray(0, 128),
        ...blocks.toSpliced(at, 0, blocks[at]!),
      ]);
      expect((await expectSameStart(withCheckpoint(disk, twice))).resumed).toBe(false);
    }
  });
});

describe("a checkpoint", () => {
  test("of another store is of no use", async () => {
    const disk = await small({ random: (bytes) => new Uint8Array(bytes).fill(1) });
    const other = await small({ random: (bytes) => new Uint8Array(bytes).fill(2) });
    const start = await expectSameStart(withCheckpoint(disk, other.bytes(CHECKPOINT)));
    expect(start.resumed).toBe(false);
    expect(start.notices.join()).toContain("it is of another store");
  });

  test("of a log that was longer is of no use", async () => {
    const disk = new FakeDisk();
    const store = await openLog({ directory: "", disk, ...EAGER });
    await store.commit({ checks: [], then: [put("a", "1")] });
    const before = disk.copy();
    await store.commit({ checks: [], then: [put("b", "2".repeat(1_000))] });
    await store.close();
    const start = await expectSameStart(withCheckpoint(before, disk.bytes(CHECKPOINT)));
    expect(start.resumed).toBe(false);
    expect(start.state!.keys.map(({ key }) => key)).toEqual(["a"]);
  });

  test("of a log that went another way is of no use", async () => {
    const disk = new FakeDisk();
    const store = await openLog({ directory: "", disk, ...EAGER });
    await store.commit({ checks: [], then: [put("a", "1")] });
    const fork = disk.kill().copy();
    const ways: FakeDisk[] = [];
    for (const value of ["left", "also"]) {
      const copy = fork.copy();
      const way = await openLog({ directory: "", disk: copy, ...EAGER });
      await way.commit({ checks: [], then: [put("b", value.repeat(200))] });
      await way.close();
      ways.push(copy);
    }
    const [left, also] = ways;
    const start = await expectSameStart(withCheckpoint(left!, also!.bytes(CHECKPOINT)));
    expect(start.resumed).toBe(false);
  });

  test("from before many changes gives the store as it is now", async () => {
    const disk = new FakeDisk();
    let stale: Uint8Array | undefined;
    const store = await openLog({ directory: "", disk, ...EAGER });
    for (let at = 0; at < 60; at++) {
      await store.commit({ checks: [], then: [at % 5 === 0 ? del("k1") : put(`k${at % 7}`, "v")] });
      if (at === 10) await maintained(store);
      if (at === 10) stale = disk.bytes(CHECKPOINT).slice();
    }
    await store.close();
    expect((await expectSameStart(withCheckpoint(disk, stale!))).resumed).toBe(true);
  });

  test("does not let a start pass over a bit of the log that has rotted", async () => {
    const disk = await small();
    expect((await startOn(disk)).resumed).toBe(true);
    for (const name of segmentNames(disk)) {
      for (let bit = 0; bit < 8 * disk.bytes(name).length; bit++) {
        const { error } = await expectSameStart(flipped(disk, name, bit));
        expect(error).toContain(name);
      }
    }
  });

  test("that cannot be read is as none", async () => {
    const disk = await small();
    for (let read = 0; read < 8; read++) {
      const copy = disk.copy();
      failReads(copy, CHECKPOINT, read);
      const notices: string[] = [];
      const onNotice = (message: string): void => void notices.push(message);
      const store = await openLog({ directory: "", disk: copy, onNotice });
      expect(notices.join()).toStartWith("CHECKPOINT is of no use (");
      expect((await store.get("c")).entry?.version).toBe(1);
      await store.close();
    }
  });
});

/** Lets the reads of a file fail, after some. */
function failReads(disk: FakeDisk, name: string, after: number): void {
  const open = disk.open.bind(disk);
  disk.open = (opened) => {
    const file = open(opened);
    if (opened !== name) return file;
    let left = after;
    const read = file.read.bind(file);
    file.read = (into, offset) => {
      if (left-- > 0) return read(into, offset);
      throw Object.assign(new Error("EIO: read"), { code: "EIO" });
    };
    return file;
  };
}
