/** Work in the background and on files does not take all at once what is large: nothing is lost by it. */

import { expect, test } from "bun:test";
import { BACKGROUND_SYNC_BYTES, COMMIT_PLACES_MAX, OFFLINE_WRITE_BYTES } from "../../src/limits.ts";
import { checkLog } from "../../src/log/check.ts";
import { CommitPlaces } from "../../src/log/commit-places.ts";
import type { LogStore } from "../../src/log/engine.ts";
import { repair } from "../../src/log/repair.ts";
import { CHECKPOINT, expectSameStart } from "../support/checkpoints.ts";
import { copyOf, later, randomBytes, restoreInto } from "../support/copies.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { listAll, put, shown, textOf, write } from "../support/stores.ts";

/** Values some of which are larger than any buffer, and more than a sync in all. */
const SIZES = [1_500_000, 10, 700_000, 300_000, 1, 600_000];

function valueOf(at: number): string {
  return String(at).repeat(SIZES[at % SIZES.length]!);
}

/** The syncs of files whose names begin with a text. */
function syncsOf(disk: FakeDisk, name: string): () => number {
  let syncs = 0;
  disk.fault = (call) => {
    if (call.kind === "sync" && call.name.startsWith(name)) syncs++;
    return undefined;
  };
  return () => syncs;
}

test("a merge keeps values of any size, and syncs as it goes", async () => {
  const disk = new FakeDisk();
  const options = { segmentBytesMax: 4_000_000, mergeBytesMin: 1, valueCacheBytesMax: 0 };
  const store = (await openOn(disk, options)) as LogStore;
  for (let at = 0; at < 6; at++) {
    await write(store, put(`k${at}`, valueOf(at)));
    for (const value of ["x", "y"]) await write(store, put("again", value.repeat(900_000)));
  }
  const syncs = syncsOf(disk, "0000000001.log.tmp");
  await store.compact(store.status().revision);
  await store.maintained();
  expect(syncs()).toBeGreaterThan(1);
  const died = disk.kill();
  expect(died.list()).not.toContain("0000000002.log");
  const again = await openOn(died);
  for (let at = 0; at < 6; at++) expect(await textOf(again, `k${at}`)).toBe(valueOf(at));
  await again.close();
  expect(await checkLog({ disk: died })).toMatchObject({ sound: true, findings: [] });
});

test("a checkpoint of many keys syncs as it goes, and gives what the log gives", async () => {
  const disk = new FakeDisk();
  const options = { checkpointBytesMin: 3 * BACKGROUND_SYNC_BYTES };
  const store = (await openOn(disk, options)) as LogStore;
  const syncs = syncsOf(disk, CHECKPOINT);
  const bytes = 1_000;
  const keys = Math.ceil((3 * BACKGROUND_SYNC_BYTES) / bytes);
  for (let from = 0; from < keys; from += 500) {
    const names = Array.from({ length: 500 }, (_, at) => String(from + at).padEnd(bytes, "k"));
    await write(store, ...names.map((name) => put(name)));
  }
  await store.maintained();
  expect(syncs()).toBeGreaterThan(2);
  const start = await expectSameStart(disk.kill());
  expect([start.resumed, start.notices]).toEqual([true, []]);
});

test("a copy and a repair of large values have all of them", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk);
  for (let at = 0; at < 6; at++) await write(store, put(`k${at}`, valueOf(at)));
  expect(disk.bytes("0000000001.log").length).toBeGreaterThan(2 * OFFLINE_WRITE_BYTES);
  const right = (await listAll(store, {})).map(shown);
  const restored = new FakeDisk();
  await restoreInto(restored, [await copyOf(store)], { segmentBytesMax: 8_000_000 });
  await store.close();
  const mended = new FakeDisk();
  const options = { clock: later, random: randomBytes, segmentBytesMax: 8_000_000 };
  expect((await repair({ from: disk, into: mended, ...options })).findings).toEqual([]);
  for (const made of [restored, mended]) {
    expect(await checkLog({ disk: made })).toMatchObject({ sound: true, findings: [] });
    const again = await openOn(made);
    expect((await listAll(again, {})).map(shown)).toEqual(right);
    await again.close();
  }
});

test("places of commits are forgotten when they are too many, those used longest ago first", () => {
  const all = new CommitPlaces();
  const third = Math.floor(COMMIT_PLACES_MAX / 3);
  for (const revision of [1, 2, 3]) all.add(revision, places(third));
  expect([1, 2, 3].map((revision) => all.get(revision)?.size)).toEqual([third, third, third]);
  // The first one is used again.
  all.get(1);
  all.add(4, places(third));
  expect([1, 2, 3, 4].map((revision) => all.get(revision)?.size)).toEqual([
    third,
    undefined,
    third,
    third,
  ]);
  // One that is too large by itself is kept alone.
  all.add(5, places(COMMIT_PLACES_MAX + 1));
  expect([1, 3, 4, 5].map((revision) => all.get(revision)?.size)).toEqual([
    undefined,
    undefined,
    undefined,
    COMMIT_PLACES_MAX + 1,
  ]);
});

// --- internal ---

function places(count: number): Map<string, number> {
  return new Map(Array.from({ length: count }, (_, at) => [`${at}`, at]));
}
