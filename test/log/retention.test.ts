/** How much history is kept by itself: by age, by size, and for those who have pinned a revision. */

import { describe, expect, test } from "bun:test";
import type { LogOptions, LogStore } from "../../src/log/engine.ts";
import { PIN_MS_MAX } from "../../src/limits.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn, segmentNames } from "../support/logs.ts";
import { random } from "../support/random.ts";
import { del, listAll, put, textOf, write } from "../support/stores.ts";

const HOUR = 3_600_000;

async function begin(options: Partial<LogOptions>) {
  const disk = new FakeDisk();
  const time = new FakeTime();
  const { clock, timer } = time;
  const small = { segmentBytesMax: 4_000, mergeBytesMin: 1_000, clock, timer };
  const store = (await openOn(disk, { ...small, ...options })) as LogStore;
  return { disk, time, store };
}

async function oldest(store: LogStore): Promise<number> {
  await store.maintained();
  return store.status().oldest;
}

describe("history by age", () => {
  test("is readable for as long as it was asked for, and forgotten then", async () => {
    const { store, time } = await begin({ history: { milliseconds: 24 * HOUR } });
    for (let hour = 1; hour <= 60; hour++) {
      await write(store, put("a", String(hour)));
      expect(await oldest(store)).toBeLessThanOrEqual(Math.max(0, hour - 24));
      time.now += HOUR;
      // The state of 24 hours ago can be read: what was written then, or before it.
      const then = await textOf(store, "a", Math.max(1, hour - 23));
      expect(then).toBe(String(Math.max(1, hour - 23)));
    }
    expect(await oldest(store)).toBeGreaterThanOrEqual(35);
    await store.close();
  });

  test("is forgotten in a store where nothing is written any more, at the next look", async () => {
    const { store, time } = await begin({ history: { milliseconds: HOUR } });
    for (let at = 0; at < 10; at++) await write(store, put("a", String(at)));
    expect(await oldest(store)).toBe(0);
    time.now += 2 * HOUR;
    time.fire();
    expect(await oldest(store)).toBe(10);
    expect(await textOf(store, "a")).toBe("9");
    await store.close();
  });

  test("is not forgotten by a clock that was set back", async () => {
    const { store, time } = await begin({ history: { milliseconds: HOUR } });
    await write(store, put("a", "1"), put("b", "1"));
    time.now -= 5 * HOUR;
    await write(store, put("a", "2"));
    expect(await oldest(store)).toBe(0);
    await store.close();
  });
});

describe("a clock that was a year ahead for one write", () => {
  const YEAR = 365 * 24 * HOUR;

  async function beginAhead() {
    const begun = await begin({ history: { milliseconds: HOUR } });
    const { store, time } = begun;
    await write(store, put("a", "1"));
    time.now += YEAR;
    await write(store, put("a", "2"));
    await store.maintained();
    time.now -= YEAR;
    return begun;
  }

  test("does not keep history for longer than it was asked for", async () => {
    const { store, time } = await beginAhead();
    for (let minute = 0; minute < 300; minute++) {
      const { revision } = await write(store, put("a", String(minute)));
      expect(revision).toBe(minute + 3);
      time.now += HOUR / 60;
      const forgotten = await oldest(store);
      // An hour is kept at any rate, and little more.
      expect(forgotten).toBeLessThanOrEqual(Math.max(2, revision - 59));
      if (minute > 70) expect(forgotten).toBeGreaterThan(revision - 66);
    }
    await store.close();
  });

  test("nor in a store where nothing is written after it", async () => {
    const { store, time } = await beginAhead();
    await write(store, put("a", "3"));
    for (let minute = 0; minute < 70; minute++) {
      if (minute <= 60) expect(await oldest(store)).toBeLessThan(3);
      time.now += HOUR / 60;
      time.fire();
    }
    expect(await oldest(store)).toBe(3);
    expect(await textOf(store, "a")).toBe("3");
    await store.close();
  });
});

describe("history by size", () => {
  test("keeps the disk below twice the live data and the history, whatever is written", async () => {
    for (let seed = 1; seed <= 3; seed++) {
      const pick = random(seed);
      const history = 20_000;
      const { disk, store } = await begin({ history: { bytes: history } });
      const live = new Map<string, number>();
      for (let at = 0; at < 1_500; at++) {
        const key = `k${pick.below(pick.oneIn(2) ? 10 : 400)}`;
        if (pick.oneIn(4)) {
          await write(store, del(key));
          live.delete(key);
        } else {
          const bytes = pick.below(150);
          await write(store, put(key, "x".repeat(bytes)));
          live.set(key, recordBytesAbout(key, bytes));
        }
        if (at % 50 !== 0) continue;
        await store.maintained();
        const liveBytes = [...live.values()].reduce((sum, bytes) => sum + bytes, 0);
        // The rest is what a batch, a merge and a look are too small for.
        expect(bytesOf(disk)).toBeLessThan(2 * liveBytes + history * 1.1 + 12_000);
      }
      expect((await listAll(store, {})).length).toBe(live.size);
      await store.close();
    }
  });

  test("never makes a write wait for room, and keeps what is live", async () => {
    const { store } = await begin({ history: { bytes: 1 } });
    for (let at = 0; at < 300; at++) await write(store, put(`k${at % 7}`, String(at)));
    expect(await oldest(store)).toBeGreaterThan(250);
    for (let at = 293; at < 300; at++) expect(await textOf(store, `k${at % 7}`)).toBe(String(at));
    await store.close();
  });
});

describe("a pin", () => {
  test("keeps its revision readable until it is let go", async () => {
    const { store } = await begin({ history: { bytes: 2_000 } });
    for (let at = 0; at < 20; at++) await write(store, put("a", String(at).padEnd(50)));
    const pinned = store.status().revision;
    const release = store.pin(pinned);
    for (let at = 0; at < 200; at++) await write(store, put("a", String(at).padEnd(50)));
    expect(await oldest(store)).toBeLessThanOrEqual(pinned);
    expect((await textOf(store, "a", pinned))?.trim()).toBe("19");
    release();
    release();
    await write(store, put("b"));
    expect(await oldest(store)).toBeGreaterThan(pinned);
    await store.close();
  });

  test("holds for ten minutes at most", async () => {
    const { store, time } = await begin({ history: { bytes: 2_000 } });
    await write(store, put("a"));
    store.pin(1);
    for (let at = 0; at < 100; at++) await write(store, put("a", String(at).padEnd(50)));
    time.now += PIN_MS_MAX;
    expect(await oldest(store)).toBe(1);
    time.now += 1;
    expect(await oldest(store)).toBeGreaterThan(1);
    await store.close();
  });

  test("does not hold up a compaction that somebody asks for", async () => {
    const { store } = await begin({});
    for (let at = 0; at < 5; at++) await write(store, put("a"));
    store.pin(2);
    expect(await store.compact(4)).toEqual({ oldest: 4 });
    await store.close();
  });
});

// --- internal ---

function recordBytesAbout(key: string, value: number): number {
  return 80 + key.length + "text/plain; charset=utf-8".length + value + 7;
}

function bytesOf(disk: FakeDisk): number {
  return segmentNames(disk).reduce((sum, name) => sum + disk.bytes(name).length, 0);
}
