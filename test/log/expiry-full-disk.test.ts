/** Keys that fall due while there is no room to write down that they did. */

import { expect, test } from "bun:test";
import { EXPIRE_LOOK_MS_MAX } from "../../src/limits.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn } from "../support/logs.ts";
import {
  changesBetween,
  delRange,
  failure,
  incr,
  put,
  putFor,
  textOf,
  touch,
  write,
} from "../support/stores.ts";
import { turns } from "../support/turns.ts";

/** A store with a key that is due and one that stays, on a disk without room. */
async function beginFull() {
  const disk = new FakeDisk();
  const time = new FakeTime();
  const { clock, timer } = time;
  const notices: string[] = [];
  const onNotice = (message: string) => void notices.push(message);
  const store = await openOn(disk, { clock, timer, onNotice });
  const { revision } = await write(store, putFor("due", "v", 1_000), put("stays", "v"));
  disk.capacityBytes = 0;
  time.now += 1_000;
  return { disk, store, time, revision, notices };
}

test("an overdue key is never shown, and what could meet it is refused as storage_full", async () => {
  const { store, revision } = await beginFull();
  await failure(() => store.get("due"), "storage_full");
  await failure(() => store.list({}), "storage_full");
  await failure(() => store.list({ prefix: "d" }, { count: true }), "storage_full");
  await failure(() => store.list({}, { reverse: true }), "storage_full");
  await failure(() => store.history("due"), "storage_full");
  await failure(() => write(store, { op: "get", key: "due" }), "storage_full");
  await failure(() => write(store, { op: "list", range: {} }), "storage_full");
  await failure(() => write(store, delRange({ prefix: "due" })), "storage_full");
  await failure(() => write(store, put("due", "new")), "storage_full");
  await failure(() => write(store, incr("due")), "storage_full");
  // That it is gone is not durable yet, so "not found" would show what may not come to be.
  await failure(() => write(store, touch("due", "none")), "storage_full");
  await failure(() => write(store, incr("due", 1n), touch("absent", "none")), "storage_full");
  const checks = [{ key: "due", revision: 0 }];
  await failure(() => store.commit({ checks, then: [] }), "storage_full");
  expect((await store.status()).revision).toBe(revision);
  await store.close();
});

test("reads that cannot meet it go on, and so do reads at a revision", async () => {
  const { store, revision } = await beginFull();
  expect(await textOf(store, "stays")).toBe("v");
  expect((await store.list({ start: "e" })).entries.map(({ key }) => key)).toEqual(["stays"]);
  expect((await store.list({ prefix: "stay" }, { count: true })).count).toBe(1);
  expect((await store.history("stays")).entries).toHaveLength(1);
  const { results } = await write(store, { op: "get", key: "stays", keys: true });
  expect(results).toMatchObject([{ op: "get", entry: { key: "stays" } }]);
  expect(await textOf(store, "due", revision)).toBe("v");
  expect((await store.list({}, { revision })).entries).toHaveLength(2);
  await store.close();
});

test("nothing is tried again and again, but now and then, until there is room", async () => {
  const { disk, store, time, revision, notices } = await beginFull();
  time.fire();
  await turns();
  const { calls } = disk;
  for (let round = 0; round < 50; round++) {
    time.fire();
    await turns();
  }
  // The clock has not moved: no call but for what the first try has left.
  expect(disk.calls).toBe(calls);
  for (let round = 0; round < 3; round++) {
    time.now += EXPIRE_LOOK_MS_MAX;
    time.fire();
    await turns();
  }
  expect(disk.calls).toBeGreaterThan(calls);
  expect((await store.status()).revision).toBe(revision);
  expect(notices).toHaveLength(1);

  disk.capacityBytes = Number.POSITIVE_INFINITY;
  time.now += EXPIRE_LOOK_MS_MAX;
  time.fire();
  const [commit] = await changesBetween(store, revision + 1, revision + 1);
  expect(commit!.events).toEqual([{ type: "expire", key: "due", revision: revision + 1 }]);
  expect(await textOf(store, "due")).toBeUndefined();
  await store.close();
});

test("as soon as there is room, whoever asks is answered, without a wait for the timer", async () => {
  const { disk, store, revision } = await beginFull();
  await failure(() => store.get("due"), "storage_full");
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  expect(await textOf(store, "due")).toBeUndefined();
  expect((await store.list({})).entries.map(({ key }) => key)).toEqual(["stays"]);
  expect((await store.status()).revision).toBe(revision + 1);
  await store.close();
});

test("a clock that is set back meanwhile does not keep keys from expiring later", async () => {
  const { disk, store, time, revision } = await beginFull();
  time.fire();
  await turns();
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  time.now -= 1_000_000;
  await write(store, putFor("next", "v", 10));
  time.now += 10;
  time.fire();
  const last = revision + 2;
  const [commit] = await changesBetween(store, last, last);
  expect(commit!.events).toEqual([{ type: "expire", key: "next", revision: last }]);
  expect(await textOf(store, "due")).toBe("v");
  time.now += 1_000_000;
  expect(await textOf(store, "due")).toBeUndefined();
  await store.close();
});

test("a start on a full disk is a start, and shows nothing that is overdue", async () => {
  const { disk, time, revision } = await beginFull();
  const killed = disk.kill();
  killed.capacityBytes = 0;
  const { clock, timer } = time;
  const store = await openOn(killed, { clock, timer });
  expect(await textOf(store, "stays")).toBe("v");
  await failure(() => store.get("due"), "storage_full");
  killed.capacityBytes = Number.POSITIVE_INFINITY;
  time.now += EXPIRE_LOOK_MS_MAX;
  time.fire();
  expect(await changesBetween(store, revision + 1, revision + 1)).toHaveLength(1);
  await store.close();
});

test("a disk that fails while keys expire ends the store, and they expire at the next start", async () => {
  const disk = new FakeDisk();
  const time = new FakeTime();
  const { clock, timer } = time;
  const fatal: string[] = [];
  const onFatal = (error: Error) => void fatal.push(error.message);
  const store = await openOn(disk, { clock, timer, onFatal });
  await write(store, putFor("due", "v", 1_000), put("stays", "v"));
  disk.fault = ({ kind }) => (kind === "sync" ? "EIO" : undefined);
  time.now += 1_000;
  time.fire();
  await turns();
  expect(fatal).toHaveLength(1);
  await failure(() => store.get("due"), "unavailable", "outcome_unknown");
  await failure(() => write(store, put("a")), "unavailable");
  await store.close();
  disk.fault = undefined;
  const again = await openOn(disk.kill(), { clock, timer });
  expect(await textOf(again, "due")).toBeUndefined();
  expect(await textOf(again, "stays")).toBe("v");
  expect((await again.history("due")).entries.map(({ type }) => type)).toEqual(["expire", "put"]);
  await again.close();
});

// --- internal ---
