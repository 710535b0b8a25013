/** The syncs of the log by themselves: who waits for which, and what a failed one leaves. */

import { expect, test } from "bun:test";
import type { Durability } from "../../src/durability.ts";
import { DurableFile } from "../../src/log/durable.ts";
import { encodeSegmentHeader } from "../../src/log/format.ts";
import { openSegment, segmentName } from "../../src/log/segment.ts";
import { Syncing } from "../../src/log/syncing.ts";
import { FakeTime } from "../support/fake-time.ts";
import { HeldDisk } from "../support/held-disk.ts";
import { turns } from "../support/turns.ts";

async function begin(durability: Durability) {
  const disk = new HeldDisk();
  const { clock, timer } = new FakeTime();
  const { durable } = await DurableFile.open(disk);
  const file = disk.create(segmentName(1));
  file.write(encodeSegmentHeader(HEADER), 0);
  const segment = openSegment(file);
  const failures: string[] = [];
  const failed = (error: Error): void => void failures.push(error.message);
  const end = { segment, offset: 128, chain: 0, revision: 0 };
  const syncing = new Syncing({ durability, durable, clock, timer, end, failed });
  /** Writes nothing, but says so. */
  const wrote = (revision: number): void => syncing.wrote({ ...end, revision }, 100);
  disk.syncs = 0;
  return { disk, syncing, wrote, failures };
}

const HEADER = {
  store: "0".repeat(32),
  number: 1,
  nextRevision: 1,
  compactedRevision: 0,
  previousEnd: 0,
  previousCrc: 0,
  createdAt: 0,
  reservedRevision: 0,
};

test("those who wait while a sync runs share the next one", async () => {
  const { disk, syncing, wrote } = await begin({ mode: "os" });
  disk.isHeld = true;
  const ended: string[] = [];
  const wait = (name: string): void => void syncing.all().then(() => ended.push(name));
  wrote(1);
  wait("first");
  await turns();
  wrote(2);
  wait("second");
  wait("third");
  await turns();
  expect([disk.syncs, ended]).toEqual([1, []]);
  await disk.release();
  expect([disk.syncs, ended]).toEqual([2, ["first"]]);
  expect(syncing.isClean).toBe(false);
  await disk.release();
  expect([disk.syncs, ended]).toEqual([2, ["first", "second", "third"]]);
  expect([syncing.isClean, disk.syncsAtOnce]).toEqual([true, 1]);
});

test("with nothing to sync there is no sync", async () => {
  const { disk, syncing } = await begin({ mode: "sync" });
  await syncing.all();
  expect([disk.syncs, syncing.isClean]).toEqual([0, true]);
});

test("a sync that failed is never tried again, whoever asks", async () => {
  for (const mode of ["sync", "os"] as const) {
    const { disk, syncing, wrote, failures } = await begin({ mode });
    disk.fault = ({ kind }) => (kind === "sync" ? "EIO" : undefined);
    wrote(1);
    await expect(syncing.all()).rejects.toThrow("EIO");
    disk.fault = undefined;
    for (const ask of [() => syncing.all(), () => syncing.room()]) {
      await expect(ask()).rejects.toThrow("EIO");
    }
    expect(() => syncing.check()).toThrow("EIO");
    wrote(2);
    await turns();
    // Who waited was told, and tells the others.
    expect([disk.syncs, failures, syncing.isClean]).toEqual([1, [], false]);
  }
});

test("a mark that cannot be written is a failure as well", async () => {
  const { disk, syncing, wrote } = await begin({ mode: "sync" });
  disk.fault = ({ kind, name }) => (kind === "write" && name === "DURABLE" ? "EIO" : undefined);
  wrote(1);
  await expect(syncing.all()).rejects.toThrow("EIO");
  disk.fault = undefined;
  await expect(syncing.all()).rejects.toThrow("EIO");
});
