/** How long a batch waits for those who come back, and when it does not wait at all. */

import { describe, expect, test } from "bun:test";
import type { Store } from "../../src/kv.ts";
import {
  BATCH_BYTES_MAX,
  EXPIRE_EVENTS_MAX,
  GATHER_MS_MAX,
  GATHER_REST_BATCHES,
  GATHER_SYNC_MS_MIN,
  GATHER_WRITERS_MIN,
} from "../../src/limits.ts";
import { Gathering } from "../../src/log/gathering.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { HeldDisk } from "../support/held-disk.ts";
import { openOn } from "../support/logs.ts";
import { delRange, put, putFor, write } from "../support/stores.ts";
import { turns } from "../support/turns.ts";

const WRITERS = GATHER_WRITERS_MIN;
const SLOW = 2 * GATHER_SYNC_MS_MIN;

/** One behind a batch of some writers, whose sync took some milliseconds. */
function behind(writers: number, milliseconds: number) {
  const { gathering, time } = fresh();
  gathering.note(writers, time.now, (time.now += milliseconds));
  return { gathering, time };
}

function fresh() {
  const time = new FakeTime();
  return { gathering: new Gathering(time.timer), time };
}

/** Whether a wait is over. */
function over(wait: Promise<void> | undefined): () => boolean {
  expect(wait).toBeDefined();
  let isOver = false;
  void wait!.then(() => (isOver = true));
  return () => isOver;
}

describe("a batch", () => {
  test("waits behind a slow sync until as many are there as were before", async () => {
    const { gathering, time } = behind(WRITERS, SLOW);
    const isOver = over(gathering.wait(1, 0, time.now));
    gathering.came(WRITERS - 1, 0);
    await turns();
    expect(isOver()).toBe(false);
    gathering.came(WRITERS, 0);
    await turns();
    expect([isOver(), time.timers]).toEqual([true, 0]);
    expect(gathering.wait(1, 0, time.now)).toBeUndefined();
  });

  test("waits no longer than the sync took, and than is allowed", () => {
    const waits: number[] = [];
    const waitBehind = (milliseconds: number, later: number): void => {
      const gathering = new Gathering((_, wait) => {
        waits.push(wait);
        return () => {};
      });
      gathering.note(WRITERS, 0, milliseconds);
      void gathering.wait(1, 0, milliseconds + later);
    };
    waitBehind(SLOW, 1);
    waitBehind(9 * GATHER_MS_MAX, 0);
    // As if the clock was set back since.
    waitBehind(SLOW, -GATHER_MS_MAX);
    expect(waits).toEqual([SLOW - 1, GATHER_MS_MAX, GATHER_MS_MAX]);
  });

  test("does not wait behind a fast sync, one of few writers, or one long ago", () => {
    const fast = behind(WRITERS, GATHER_SYNC_MS_MIN - 1);
    expect(fast.gathering.wait(1, 0, fast.time.now)).toBeUndefined();
    const few = behind(WRITERS - 1, SLOW);
    expect(few.gathering.wait(1, 0, few.time.now)).toBeUndefined();
    const old = behind(WRITERS, SLOW);
    expect(old.gathering.wait(1, 0, old.time.now + SLOW)).toBeUndefined();
  });

  test("does not wait when all are there, or as many bytes as it may have", async () => {
    const { gathering, time } = behind(WRITERS, SLOW);
    expect(gathering.wait(WRITERS, 0, time.now)).toBeUndefined();
    expect(gathering.wait(1, BATCH_BYTES_MAX, time.now)).toBeUndefined();
    const isOver = over(gathering.wait(1, 0, time.now));
    gathering.came(2, BATCH_BYTES_MAX);
    await turns();
    expect(isOver()).toBe(true);
  });

  test("that waited in vain makes the next ones not wait, for a while", async () => {
    const { gathering, time } = behind(WRITERS, SLOW);
    const isOver = over(gathering.wait(1, 0, time.now));
    time.fire();
    await turns();
    expect(isOver()).toBe(true);
    for (let batch = 0; batch < GATHER_REST_BATCHES; batch++) {
      gathering.note(WRITERS, time.now, (time.now += SLOW));
      expect(gathering.wait(1, 0, time.now)).toBeUndefined();
    }
    gathering.note(WRITERS, time.now, (time.now += SLOW));
    expect(gathering.wait(1, 0, time.now)).toBeDefined();
  });

  test("that waited longer than its sync took, or for a fast one, makes the next ones not wait", () => {
    for (const [waited, took, isWorth] of [
      [SLOW, SLOW, true],
      [SLOW + 1, SLOW, false],
      [0, GATHER_SYNC_MS_MIN - 1, false],
    ] as const) {
      const { gathering, time } = behind(WRITERS, 2 * SLOW);
      void gathering.wait(1, 0, time.now);
      time.now += waited;
      gathering.came(WRITERS, 0);
      gathering.note(WRITERS, time.now, (time.now += took));
      gathering.note(WRITERS, time.now, (time.now += SLOW));
      expect(gathering.wait(1, 0, time.now) !== undefined).toBe(isWorth);
    }
  });

  test("waits by the timer of the platform where no other one is given", async () => {
    const gathering = new Gathering();
    gathering.note(WRITERS, 0, SLOW);
    await gathering.wait(1, 0, SLOW);
    gathering.note(WRITERS, 0, SLOW);
    expect(gathering.wait(1, 0, SLOW)).toBeUndefined();
  });
});

/** A store on a disk that holds syncs. */
async function begin() {
  const disk = new HeldDisk();
  const time = new FakeTime();
  const { clock, timer } = time;
  const store = await openOn(disk, { clock, timer, gatherTimer: timer });
  await write(store, ...shortLived);
  await turns();
  disk.isHeld = true;
  disk.syncs = 0;
  return { disk, time, store };
}

function writeAll(store: Store): Promise<unknown> {
  return Promise.all(keys.map((key) => write(store, put(key))));
}

/** In turns of their own. The answers come when they come. */
async function writeOneByOne(store: Store): Promise<Promise<unknown>[]> {
  const answers: Promise<unknown>[] = [];
  for (const key of keys) {
    answers.push(write(store, put(key)));
    await turns();
  }
  return answers;
}

/** As `turns`, before a slice of time is over. */
async function microtasks(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

/** As `begin`, where the sync of a first batch of writers has just taken long, and none is held. */
async function behindSlowSync() {
  const { disk, time, store } = await begin();
  const all = writeAll(store);
  await turns();
  time.now += SLOW;
  disk.isHeld = false;
  await disk.release();
  await all;
  disk.syncs = 0;
  return { disk, time, store };
}

const keys = Array.from({ length: WRITERS }, (_, at) => `key${at}`);
const LIFE = 60_000;
/** What all of these stores have: a listing lets so many expire in a batch of their own. */
const shortLived = Array.from({ length: EXPIRE_EVENTS_MAX }, (_, at) =>
  putFor(`short${at}`, "", LIFE),
);

describe("writers that come back one after the other on a slow disk", () => {
  test("share one sync", async () => {
    const { disk, store } = await behindSlowSync();
    await Promise.all(await writeOneByOne(store));
    expect(disk.syncs).toBe(1);
    await store.close();
  });

  test("are answered before others wait for them", async () => {
    const { disk, time, store } = await begin();
    const answers = writeAll(store);
    await microtasks();
    const other = write(store, put("other"));
    time.now += SLOW;
    disk.isHeld = false;
    await disk.release();
    await answers;
    expect(disk.syncs).toBe(1);
    await Promise.all([other, ...(await writeOneByOne(store))]);
    expect([disk.syncs, time.timers]).toEqual([2, 1]);
    await store.close();
  });

  test("do not make wait what a batch had no room for", async () => {
    const { disk, time, store } = await begin();
    const all = writeAll(store);
    // Looks at a range, in which the others may have made keys: it is in the next batch.
    const last = write(store, delRange({ prefix: "none" }), put("last"));
    await microtasks();
    time.now += SLOW;
    await disk.release();
    await all;
    expect(disk.syncs).toBe(2);
    disk.isHeld = false;
    await disk.release();
    await last;
    await store.close();
  });

  test("wait by the platform's timer, whatever wakes the store for keys that fall due", async () => {
    const disk = new FakeDisk();
    let now = 0;
    disk.fault = ({ kind }) => void (kind === "sync" && (now += SLOW));
    const store = await openOn(disk, { clock: () => now, timer: () => () => undefined });
    await writeAll(store);
    await write(store, put("key0"));
    await store.close();
  });

  test("wait for others no longer than a timer says", async () => {
    const { disk, time, store } = await behindSlowSync();
    const answer = write(store, put("key0"));
    await turns();
    expect(disk.syncs).toBe(0);
    time.fire();
    await answer;
    expect(disk.syncs).toBe(1);
    await store.close();
  });

  test("do not hold a close up", async () => {
    const { store } = await behindSlowSync();
    const answer = write(store, put("key0"));
    await turns();
    await store.close();
    expect((await answer).revision).toBe(WRITERS + 2);
  });

  test("do not hold a read up that waits for keys to expire", async () => {
    const { time, store } = await behindSlowSync();
    const answer = write(store, put("key0"));
    await turns();
    time.now += LIFE;
    const { entries } = await store.list({ prefix: "short" });
    expect(entries).toEqual([]);
    await answer;
    await store.close();
  });
});
