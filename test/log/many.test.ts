/** Many operations at once on a log: in few batches, each a commit, also where the disk fails. */

import { describe, expect, test } from "bun:test";
import {
  BATCH_RECORDS_MAX,
  MANY_GETS_A_TURN,
  MANY_OPERATIONS_A_BATCH,
  TOMBSTONES_SLICE,
} from "../../src/limits.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { deleteFrame, getFrame, many, putFrame } from "../support/frames.ts";
import { leave, openFilling } from "../support/full-disk.ts";
import { HeldDisk } from "../support/held-disk.ts";
import { openOn } from "../support/logs.ts";
import { changesBetween, failure, put, write } from "../support/stores.ts";
import { turns } from "../support/turns.ts";

function named(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${name}${at}`);
}

function syncsOf(disk: FakeDisk): () => number {
  let syncs = 0;
  disk.fault = ({ kind }) => {
    if (kind === "sync") syncs++;
    return undefined;
  };
  return () => syncs;
}

test("writes are commits of their own, and share a sync", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk);
  const syncs = syncsOf(disk);
  const frame = [putFrame("a", "1"), putFrame("b", "2"), deleteFrame("a"), putFrame("a", "3")];
  expect(await many(store, frame)).toEqual(["put 1", "put 2", "deleted 3", "put 4"]);
  expect(syncs()).toBe(1);
  const commits = await changesBetween(store, 1, 4);
  expect(commits.map(({ revision, events }) => [revision, events.length])).toEqual([
    [1, 1],
    [2, 1],
    [3, 1],
    [4, 1],
  ]);
  await store.close();
});

test("reads between writes see what came before them, and nothing after", async () => {
  const store = await openOn(new FakeDisk());
  await write(store, put("a", "0"));
  const frame = [
    getFrame("a"),
    putFrame("a", "1"),
    getFrame("a"),
    deleteFrame("a"),
    getFrame("a"),
    putFrame("a", "2"),
    getFrame("a"),
    deleteFrame("b"),
  ];
  expect(await many(store, frame)).toEqual([
    "found 0",
    "put 2",
    "found 1",
    "deleted 3",
    "absent 3",
    "put 4",
    "found 2",
    "absent 4",
  ]);
  await store.close();
});

test("a read of what is older than the batch shows the value that was there then", async () => {
  const store = await openOn(new FakeDisk(), { valueCacheBytesMax: 0 });
  await write(store, put("a", "old"));
  const frame = [putFrame("b", "1"), getFrame("a"), putFrame("a", "new"), getFrame("a")];
  const answers = await many(store, frame);
  expect(answers).toEqual(["put 2", "found old", "put 3", "found new"]);
  await store.close();
});

test("a key that is overdue expires before it is met, wherever it stands", async () => {
  const time = new FakeTime();
  const store = await openOn(new FakeDisk(), { clock: time.clock, timer: time.timer });
  await many(store, [putFrame("a", "1", { ttl: 10 }), putFrame("b", "1", { ttl: 10 })]);
  time.now += 1_000;
  const answers = await many(store, [getFrame("c"), getFrame("a"), putFrame("b", "2")]);
  // Both expire in one commit, at the head of the batch.
  expect(answers).toEqual(["absent 2", "absent 3", "put 4"]);
  const { entry } = await store.get("b");
  expect(entry).toMatchObject({ version: 1, createRevision: 4 });
  await store.close();
});

test("more than a batch takes goes in several, in order", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk);
  const syncs = syncsOf(disk);
  const count = 2 * MANY_OPERATIONS_A_BATCH + 10;
  const puts = Array.from({ length: count }, (_, at) => putFrame(`k${at % 1_000}`, `${at}`));
  const after = write(store, put("k0", "last")).then(({ revision }) => revision);
  const answers = await many(store, puts);
  expect(answers).toEqual(puts.map((_, at) => `put ${at + 2}`));
  expect(syncs()).toBe(3);
  expect(await after).toBe(1);
  await store.close();
});

test("what many have sent at once goes in several batches, in order, with turns in between", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk);
  const syncs = syncsOf(disk);
  const sent = Math.ceil((3 * BATCH_RECORDS_MAX) / MANY_OPERATIONS_A_BATCH);
  const puts = Array.from({ length: MANY_OPERATIONS_A_BATCH }, (_, at) => putFrame(`k${at}`, "1"));
  const frames = Array.from({ length: sent }, () => many(store, puts));
  const after = Array.from({ length: BATCH_RECORDS_MAX }, () => write(store, put("a", "1")));
  for (const [at, answers] of (await Promise.all(frames)).entries()) {
    expect(answers).toEqual(puts.map((_, row) => `put ${at * puts.length + row + 1}`));
  }
  for (const [at, { revision }] of (await Promise.all(after)).entries()) {
    expect(revision).toBe(sent * puts.length + at + 1);
  }
  expect(syncs()).toBe(4);
  await store.close();
});

test("more gets than one turn has are answered in several", async () => {
  const store = await openOn(new FakeDisk());
  await write(store, put("a", "1"));
  const gets = Array.from({ length: 2 * MANY_GETS_A_TURN + 1 }, () => getFrame("a"));
  const order: string[] = [];
  const answered = many(store, gets).then((answers) => {
    order.push("gets");
    return answers;
  });
  setImmediate(() => order.push("another"));
  expect(new Set(await answered)).toEqual(new Set(["found 1"]));
  expect(order).toEqual(["another", "gets"]);
  await store.close();
});

test("a deletion that is forgotten while its key is put again mixes no keys up", async () => {
  const disk = new HeldDisk();
  const store = await openOn(disk);
  const count = 4 * TOMBSTONES_SLICE;
  const old = named("old", count);
  await many(
    store,
    old.map((key) => putFrame(key, "1")),
  );
  await many(
    store,
    old.map((key) => deleteFrame(key)),
  );
  await store.compact(2 * count);
  // Deletions are forgotten in slices: those of the last one while this batch syncs.
  disk.isHeld = true;
  const fresh = named("fresh", 2_000);
  const again = old.slice(-900);
  const written = many(
    store,
    [...fresh, ...again].map((key) => putFrame(key, key)),
  );
  await turns();
  disk.isHeld = false;
  await disk.release();
  await written;
  const keys = [...fresh, ...again];
  const found = await many(
    store,
    keys.map((key) => getFrame(key)),
  );
  expect(found).toEqual(keys.map((key) => `found ${key}`));
  const { count: living } = await store.list({}, { count: true });
  expect(living).toBe(keys.length);
  await store.close();
});

describe("a full disk", () => {
  test("refuses what puts, and answers the rest as if that had never been", async () => {
    const { disk, store } = await openFilling();
    await write(store, put("a", "1"), put("b", "2"));
    leave(disk, 300);
    const frame = [
      putFrame("c", "x".repeat(2_000)),
      deleteFrame("a"),
      getFrame("c"),
      getFrame("b"),
      putFrame("b", "new"),
      deleteFrame("c"),
    ];
    expect(await many(store, frame)).toEqual([
      "failed storage_full",
      "deleted 2",
      "absent 2",
      "found 2",
      "failed storage_full",
      "absent 2",
    ]);
    await store.close();
  });

  test("without room for anything refuses each write, and goes on reading", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk, { reserveBytes: 0 });
    await write(store, put("a", "1"));
    disk.fault = ({ kind, name }) =>
      kind === "write" && name.endsWith(".log") ? "ENOSPC" : undefined;
    const frame = [deleteFrame("b"), deleteFrame("a"), getFrame("a"), putFrame("c", "1")];
    const refused = "failed storage_full";
    expect(await many(store, frame)).toEqual(["absent 1", refused, "found 1", refused]);
    disk.fault = undefined;
    expect(await many(store, frame)).toEqual(["absent 1", "deleted 2", "absent 2", "put 3"]);
    await store.close();
  });
});

describe("a failed sync", () => {
  test("leaves open which writes were done", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk);
    disk.fault = ({ kind }) => (kind === "sync" ? "EIO" : undefined);
    await failure(() => many(store, [putFrame("a", "1")]), "outcome_unknown");
    await failure(() => many(store, [putFrame("a", "1")]), "unavailable");
    await store.close();
  });

  test("leaves it open also where the first of several batches was done", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk);
    let syncs = 0;
    disk.fault = ({ kind }) => (kind === "sync" && ++syncs > 1 ? "EIO" : undefined);
    const count = 2 * MANY_OPERATIONS_A_BATCH + 10;
    const puts = Array.from({ length: count }, (_, at) => putFrame(`k${at}`, "1"));
    await failure(() => many(store, puts), "outcome_unknown");
    await store.close();
  });
});

test("a close waits for what was handed over before, and refuses what comes after", async () => {
  const store = await openOn(new FakeDisk());
  const before = many(store, [putFrame("a", "1"), getFrame("a")]);
  const closed = store.close();
  await failure(() => many(store, [getFrame("a")]), "unavailable");
  expect(await before).toEqual(["put 1", "found 1"]);
  await closed;
});
