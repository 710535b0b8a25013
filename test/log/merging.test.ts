/** When garbage is looked for. */

import { expect, spyOn, test } from "bun:test";
import { MERGE_BEHIND_SHARE } from "../../src/limits.ts";
import type { LogStore } from "../../src/log/engine.ts";
import { Merging } from "../../src/log/merging.ts";
import { FakeTime } from "../support/fake-time.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn, segmentNames } from "../support/logs.ts";
import { put, write } from "../support/stores.ts";

test("garbage is not looked for where no key was put twice, after a start neither", async () => {
  const options = { segmentBytesMax: 4_000, mergeBytesMin: 3_000 };
  const disk = new FakeDisk();
  const store = (await openOn(disk, options)) as LogStore;
  for (let at = 0; at < 200; at++) await write(store, put(`k${at}`, "x".repeat(60)));
  const reads = readsOf(disk);
  await store.compact(200);
  await store.maintained();
  // Of nine segments; sealing the last one may read something of it.
  expect(reads()).toBeLessThan(3);
  await store.close();

  const again = (await openOn(disk, options)) as LogStore;
  const readByStart = reads();
  await write(again, put("one more", "x"));
  await again.compact(201);
  await again.maintained();
  expect(reads()).toBeLessThan(readByStart + 3);
  // The same with a segment that was replaced whole.
  for (let at = 0; at < 30; at++) await write(again, put(`k${at}`, "y".repeat(60)));
  await again.compact(231);
  await again.maintained();
  expect(reads()).toBeGreaterThan(readByStart + 5);
  await again.close();
});

test("garbage is not looked for where it is little beside what lives", async () => {
  const disk = new FakeDisk();
  // Nothing but the newest 500 bytes of history is kept.
  const options = { segmentBytesMax: 4_000, mergeBytesMin: 500, history: { bytes: 500 } };
  const store = (await openOn(disk, options)) as LogStore;
  for (let at = 0; at < 200; at++) await write(store, put(`k${at}`, "x".repeat(60)));
  await store.maintained();
  const reads = readsOf(disk);
  // An eighth is 3,500 bytes; a record has 140.
  for (let at = 0; at < 15; at++) await write(store, put("k1", "y".repeat(60)));
  await store.maintained();
  expect(store.status().oldest).toBeGreaterThan(200);
  const readBefore = reads();
  expect(readBefore).toBeLessThan(10);
  for (let at = 0; at < 15; at++) await write(store, put("k1", "y".repeat(60)));
  await store.maintained();
  expect(reads()).toBeGreaterThan(readBefore + 10);
  await store.close();
});

test("garbage is looked for where it is little, when history is forgotten by hand", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytesMax: 4_000, mergeBytesMin: 500 };
  const store = (await openOn(disk, options)) as LogStore;
  for (let at = 0; at < 200; at++) await write(store, put(`k${at}`, "x".repeat(60)));
  for (let at = 0; at < 15; at++) await write(store, put("k1", "y".repeat(60)));
  const reads = readsOf(disk);
  await store.compact(215);
  await store.maintained();
  expect(reads()).toBeGreaterThan(10);
  await store.close();
});

test("a wish for room outlives an attempt that fails", async () => {
  const disk = new FakeDisk();
  const time = new FakeTime();
  const notices: string[] = [];
  const store = (await openOn(disk, {
    segmentBytesMax: 4_000,
    mergeBytesMin: 500,
    timer: time.timer,
    onNotice: (message) => void notices.push(message),
  })) as LogStore;
  for (let at = 0; at < 200; at++) await write(store, put(`k${at}`, "x".repeat(60)));
  for (let at = 0; at < 15; at++) await write(store, put("k1", "y".repeat(60)));
  const [first] = segmentNames(disk);
  disk.lookFault = ({ kind, name }) => (kind === "read" && name === first ? "EIO" : undefined);
  await store.compact(215);
  await store.maintained();
  expect(notices.join()).toContain("merging segments failed, and is tried again");
  const reads = readsOf(disk);
  time.fire();
  await store.maintained();
  expect(reads()).toBeGreaterThan(5);
  await store.close();
});

test("merges that have fallen behind take as much time as requests do", async () => {
  const store = (await openOn(new FakeDisk(), {
    segmentBytesMax: 4_000,
    mergeBytesMin: 500,
    history: { bytes: Infinity },
  })) as LogStore;
  using run = spyOn(Merging.prototype, "run");
  /** What came of the garbage of so many puts of 140 bytes. */
  const sharesAfter = async (puts: number): Promise<number[]> => {
    run.mockClear();
    for (let at = 0; at < puts; at++) await write(store, put("k", "x".repeat(60)));
    await store.compact(store.status().revision);
    await store.maintained();
    return run.mock.calls.map(([turns]) => turns.slice.share);
  };
  // 64 times 500 bytes.
  expect(await sharesAfter(200)).toEqual([0]);
  expect(await sharesAfter(300)).toEqual([MERGE_BEHIND_SHARE]);
  expect(await sharesAfter(200)).toEqual([0]);
  await store.close();
});

/** How often a segment was read from then on. */
function readsOf(disk: FakeDisk): () => number {
  let reads = 0;
  disk.lookFault = ({ kind, name }) => {
    if (kind === "read" && name.endsWith(".log")) reads++;
    return undefined;
  };
  return () => reads;
}
