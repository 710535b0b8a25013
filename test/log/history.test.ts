/** Histories out of the log: over segments, after damage, long ones, and at the end of the store. */

import { expect, test } from "bun:test";
import type { Store } from "../../src/kv.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn, segmentNames } from "../support/logs.ts";
import {
  answeredMeanwhile,
  del,
  failure,
  incr,
  put,
  shown,
  textOf,
  write,
} from "../support/stores.ts";

/** A key with 40 changes, every fifth a deletion, among changes of others, in many segments. */
async function beginLong(disk = new FakeDisk()) {
  const options = { segmentBytesMax: 1_000, valueCacheBytesMax: 0, recentBytesMax: 0 };
  const store = await openOn(disk, options);
  const right: unknown[] = [];
  for (let at = 1; at <= 40; at++) {
    const { revision } = await write(store, at % 5 === 0 ? del("a") : put("a", `value ${at}`));
    right.unshift([revision, at % 5 === 0 ? "delete" : `value ${at}`]);
    await write(store, put(`other/${at % 3}`, "x".repeat(100)));
  }
  expect(segmentNames(disk).length).toBeGreaterThan(10);
  return { disk, store, right, options };
}

test("a history goes over all segments, and is the same after a restart", async () => {
  const { disk, store, right, options } = await beginLong();
  expect(await told(store, "a")).toEqual(right);
  const again = await openOn(disk.kill(), options);
  expect(await told(again, "a")).toEqual(right);
  await again.close();
});

test("a history begins at any revision, in the middle of any segment", async () => {
  const { store, right } = await beginLong();
  const { revision } = await store.status();
  for (let before = 1; before <= revision + 1; before++) {
    const { entries, more } = await store.history("a", { before, limit: 3 });
    const below = right.filter((one) => (one as [number])[0] < before);
    expect(entries.map(brief)).toEqual(below.slice(0, 3));
    expect(more).toBe(below.length > 3);
  }
  await store.close();
});

test("a history ends where compaction has passed, whatever segments there still are", async () => {
  const { store, right, disk, options } = await beginLong();
  const { revision } = await store.status();
  for (const oldest of [1, 7, 19, 20, 41, revision]) {
    await store.compact(oldest);
    const kept = right.filter((one) => (one as [number])[0] > oldest);
    const atOldest = right.find((one) => (one as [number])[0] <= oldest) as [number, string];
    if (atOldest[1] !== "delete") kept.push(atOldest);
    expect(await told(store, "a")).toEqual(kept);
  }
  const before = await told(store, "a");
  const again = await openOn(disk.kill(), options);
  expect(await told(again, "a")).toEqual(before);
  await again.close();
});

test("damage under a history is an error that names the place, and no other read feels it", async () => {
  const { store, disk } = await beginLong();
  const name = segmentNames(disk).find((name) =>
    Buffer.from(disk.bytes(name)).includes("value 17"),
  )!;
  const at = Buffer.from(disk.bytes(name)).indexOf("value 17");
  disk.bytes(name)[at + 3]! ^= 1;
  const error = await failure(() => store.history("a"), "internal");
  expect(error.message).toContain(name);
  expect(error.message).toMatch(/offset \d+/);
  const { revision } = (await store.history("a", { limit: 20 })).entries.at(-1)!;
  expect(revision).toBeGreaterThan(33);
  expect(await textOf(store, "a", 2 * 24 - 1)).toBe("value 24");
  await failure(() => store.get("a", { revision: 33 }), "internal");
  await failure(() => store.list({ key: "a" }, { revision: 33 }), "internal");
  expect((await store.history("other/1")).entries.length).toBeGreaterThan(5);
  await write(store, put("a", "after"));
  expect(await textOf(store, "a")).toBe("after");
  disk.bytes(name)[at + 3]! ^= 1;
  expect((await store.history("a")).entries).toHaveLength(41);
  await store.close();
});

test("a history without values does not show those of old entries either", async () => {
  const { store } = await beginLong();
  const { entries } = await store.history("a", { keys: true });
  expect(entries.every((entry) => !("value" in entry))).toBe(true);
  expect(entries).toHaveLength(40);
  await store.close();
});

test("the history of a key does not show what is written after it was asked for", async () => {
  const { store } = await beginLong();
  const { revision: before } = await store.status();
  const reading = store.history("a");
  const writing = write(store, put("a", "new"), put("b", "new"));
  const { revision, entries } = await reading;
  expect(entries[0]!.revision).toBeLessThanOrEqual(revision);
  if (revision === before) expect(entries).toHaveLength(40);
  await writing;
  await store.close();
});

test("long histories leave room for others, and a close in the middle of one ends it", async () => {
  const store = await openOn(new FakeDisk(), { segmentBytesMax: 200_000 });
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 1_000 }, () => write(store, incr("n"))));
  }
  const whole = Promise.resolve(store.history("n", { limit: 10_000 }));
  expect(await answeredMeanwhile(store, whole)).toBeGreaterThan(1);
  const { entries } = await whole;
  expect(entries).toHaveLength(10_000);
  expect(entries.map(({ revision }) => revision)).toEqual(
    entries.map((_, at) => entries[0]!.revision - at),
  );

  const cut = Promise.allSettled([store.history("n", { limit: 10_000 })]);
  await new Promise((resolve) => setImmediate(resolve));
  await store.close();
  const [outcome] = await cut;
  if (outcome!.status === "fulfilled") expect(outcome!.value.entries).toHaveLength(10_000);
  else expect(outcome!.reason.code).toBe("unavailable");
}, 30_000);

// --- internal ---

type Past = Awaited<ReturnType<Store["history"]>>["entries"][number];

function brief(entry: Past): unknown {
  const { revision, type, value } = shown(entry);
  return [revision, type === "put" ? value : type];
}

async function told(store: Store, key: string): Promise<unknown[]> {
  const { entries, more } = await store.history(key);
  expect(more).toBe(false);
  return entries.map(brief);
}
