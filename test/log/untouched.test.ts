/** What a start must leave alone: files of others, and a log of which anything is damaged. */

import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { openDirectory } from "../../src/log/disk.ts";
import { encodeSegmentHeader } from "../../src/log/format.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { cut, flipped, killedAfter, openOn, segmentNames } from "../support/logs.ts";
import { bytes, failure, put, write } from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";

test("only files that the log was making are removed at a start", async () => {
  const disk = new FakeDisk();
  const ours = ["0000000007.log.tmp", "0000000001.log.cut-128.tmp", "DURABLE.tmp"];
  const others = ["letter.tmp", ".tmp", "7.log.tmp", "LOCK.tmp", "0000000001.log.cut-x.tmp"];
  for (const name of [...ours, ...others]) disk.place(name, bytes("precious"));
  const store = await openOn(disk);
  await store.close();
  const left = disk.list().filter((name) => name.endsWith(".tmp"));
  expect(left.toSorted()).toEqual(others.toSorted());
});

test("a segment of another store cuts nothing off the one before it", async () => {
  const disk = await killedAfter(async (store) => {
    for (let round = 0; round < 4; round++) await write(store, put("a", "x".repeat(100)));
  });
  disk.remove("DURABLE");
  const [name] = segmentNames(disk) as [string];
  const before = disk.bytes(name).slice();
  const header = {
    store: "00".repeat(16),
    number: 2,
    nextRevision: 2,
    compactedRevision: 0,
    previousEnd: 128,
    previousCrc: 7,
    createdAt: 0,
    reservedRevision: 0,
  };
  disk.place("0000000002.log", encodeSegmentHeader(header));
  await failure(() => openOn(disk), "internal");
  expect(Buffer.compare(disk.bytes(name), before)).toBe(0);
  expect(disk.list().filter((file) => file.includes("cut"))).toEqual([]);
  expect(disk.openFiles).toBe(0);
});

test("damage in an older segment leaves a torn tail as it is", async () => {
  const disk = await killedAfter(
    async (store) => {
      for (let round = 0; round < 8; round++) await write(store, put("a", "x".repeat(100)));
    },
    { segmentBytesMax: 600 },
  );
  const names = segmentNames(disk);
  const last = names.at(-1)!;
  const damaged = flipped(disk, names[0]!, 200 * 8);
  damaged.remove("DURABLE");
  damaged.place(last, damaged.bytes(last).slice(0, -8));
  const before = damaged.bytes(last).slice();
  const error = await failure(() => openOn(damaged), "internal");
  expect(error.message).toContain(names[0]!);
  expect(Buffer.compare(damaged.bytes(last), before)).toBe(0);
  expect(segmentNames(damaged)).toEqual(names);
});

test("damage in the last segment leaves the ones before it as they are", async () => {
  const disk = await killedAfter(
    async (store) => {
      for (let round = 0; round < 8; round++) await write(store, put("a", "x".repeat(100)));
    },
    { segmentBytesMax: 600 },
  );
  const names = segmentNames(disk);
  // The crash of a start that had rewritten what was behind, and not cut it yet.
  const longer = cut(disk, names[0]!, Infinity, bytes("what was behind"));
  const damaged = flipped(longer, names.at(-1)!, 200 * 8);
  const before = new Map(damaged.list().map((name) => [name, damaged.bytes(name).slice()]));
  const error = await failure(() => openOn(damaged), "internal");
  expect(error.message).toContain(names.at(-1)!);
  expect(new Map(damaged.list().map((name) => [name, damaged.bytes(name).slice()]))).toEqual(
    before,
  );
});

test("a checkpoint without a log is no new store", async () => {
  const disk = new FakeDisk();
  disk.place("CHECKPOINT", bytes("whatever it says"));
  const error = await failure(() => openOn(disk), "internal");
  expect(error.message).toContain("CHECKPOINT is damaged at offset 0");
  expect(disk.list()).toEqual(["CHECKPOINT"]);
});

test("the file of the lock is the owner's alone, as all others are", () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, "data");
  const lock = openDirectory(path).lock();
  expect(statSync(join(path, "LOCK")).mode & 0o777).toBe(0o600);
  lock.release();
  openDirectory(path).lock().release();
});
