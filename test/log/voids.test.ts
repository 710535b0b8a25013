/** Revisions that may have been answered and lost: never used again, and never taken for known. */

import { describe, expect, test } from "bun:test";
import type { LogOptions, LogStore } from "../../src/log/engine.ts";
import { KIND } from "../../src/log/format.ts";
import { RESERVED_REVISIONS } from "../../src/limits.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn, recordsOf, segmentNames } from "../support/logs.ts";
import { random } from "../support/random.ts";
import { changesBetween, failure, put, putFor, textOf, write } from "../support/stores.ts";
import { turns } from "../support/turns.ts";

const OS = { mode: "os" } as const;
const INTERVAL = { mode: "interval", ms: 100 } as const;
const SYNC = { mode: "sync" } as const;

describe("a start after an unclean end", () => {
  test("voids what was reserved, in words, and goes on above it", async () => {
    const { store, notices } = await lost(3, 5);
    expect(store.status()).toMatchObject({ revision: 13, oldest: 0 });
    expect(notices.filter((text) => text.includes("passed over"))).toEqual([
      expect.stringContaining("revisions 4 to 13 are passed over"),
    ]);
    expect((await write(store, put("a", "new"))).revision).toBe(14);
    await store.close();
  });

  test("treats what was seen of the void as lost, and serves who has seen nothing of it", async () => {
    const { store } = await lost(3, 5);
    await write(store, put("b", "14"));
    for (const revision of [4, 8, 12]) {
      const at = await failure(() => store.get("a", { revision }), "compacted");
      expect(at.details).toEqual({ oldest: 13 });
      await failure(() => store.list({}, { revision, after: "a" }), "compacted");
    }
    for (const from of [5, 9, 13]) {
      const cannot = await failure(() => changesBetween(store, from, 14), "compacted");
      expect(cannot.details).toEqual({ oldest: 14 });
    }
    for (const before of [5, 8, 12]) {
      await failure(() => store.history("a", { before }), "compacted");
    }
    for (const revision of [3, 13, 14]) expect(await textOf(store, "a", revision)).toBe("3");
    for (const from of [4, 14]) {
      const commits = await changesBetween(store, from, 14);
      expect(commits.map((commit) => commit.revision)).toEqual([14]);
    }
    const all = await changesBetween(store, 1, 14);
    expect(all.map((commit) => commit.revision)).toEqual([1, 2, 3, 14]);
    for (const before of [4, 13, 14, 100]) {
      const { entries } = await store.history("a", { before });
      expect(entries.map(({ revision }) => revision)).toEqual([3, 2, 1]);
    }
    await store.close();
  });

  test("knows the void again after the next start, until compaction passes it", async () => {
    const { disk, store } = await lost(3, 5);
    await write(store, put("b", "14"));
    await store.close();
    const again = await openOn(disk, { durability: OS });
    expect(again.status()).toMatchObject({ revision: 14 });
    await failure(() => again.get("a", { revision: 8 }), "compacted");
    await again.compact(13);
    await failure(() => again.get("a", { revision: 12 }), "compacted");
    expect(await textOf(again, "a", 13)).toBe("3");
    await failure(() => changesBetween(again, 13, 14), "compacted");
    expect(await changesBetween(again, 14, 14)).toHaveLength(1);
    await again.close();
  });

  test("knows the void also after a merge of what tells it", async () => {
    const { disk, store } = await lost(6, 5, { segmentBytesMax: 1_000, mergeBytesMin: 1 });
    for (let at = 0; at < 8; at++) await write(store, put("b", "x".repeat(200)));
    await store.compact(6);
    await (store as LogStore).maintained();
    expect(recordsOf(disk, segmentNames(disk)[0]!).at(-1)!.kind).toBe(KIND.end);
    await store.close();
    const again = await openOn(disk, { durability: OS });
    await failure(() => again.get("a", { revision: 10 }), "compacted");
    for (const revision of [6, 16]) expect(await textOf(again, "a", revision)).toBe("6");
    await again.close();
  });

  test("cannot be compacted into the void", async () => {
    const { store } = await lost(3, 5);
    await failure(() => store.compact(8), "compacted");
    expect(store.status()).toMatchObject({ oldest: 0 });
    await store.close();
  });

  test("in which everything survived voids all the same, and never the revision of a commit", async () => {
    for (const writes of [1, 9, 10, 11, 12, 20, 21]) {
      const disk = new FakeDisk();
      const store = await openOn(disk, { durability: OS, reservedRevisions: 10 });
      for (let at = 1; at <= writes; at++) await write(store, put("a", String(at)));
      const again = await openOn(disk.kill(), { durability: OS });
      const { revision } = await again.status();
      expect(revision).toBeGreaterThan(writes);
      expect(await textOf(again, "a", writes)).toBe(String(writes));
      // Whoever has seen the last commit goes on without a gap.
      expect(await changesBetween(again, writes + 1, revision)).toEqual([]);
      await again.close();
    }
  });

  test("serves nobody who has seen what is lost, not even the last that was reserved", async () => {
    for (let writes = 1; writes <= 12; writes++) {
      const disk = new FakeDisk();
      const store = await openOn(disk, { durability: OS, reservedRevisions: 4 });
      for (let at = 1; at <= writes; at++) await write(store, put("a", `${at}`));
      const again = await openOn(without(disk), { durability: OS });
      const { revision } = await again.status();
      const survived = (await changesBetween(again, 1, revision)).length;
      expect(survived).toBeLessThan(writes);
      for (let seen = survived + 1; seen <= writes; seen++) {
        await failure(() => again.get("a", { revision: seen }), "compacted");
        await failure(() => changesBetween(again, seen + 1, revision), "compacted");
      }
      await again.close();
    }
  });

  test("that dies at any call voids the same at the next one", async () => {
    const before = await unclean(3, 5);
    for (const crash of ["kill", "power cut"] as const) {
      for (let fails = 1; ; fails++) {
        const disk = before.copy();
        disk.fault = () => (disk.calls >= fails ? "EIO" : undefined);
        const opened = await openOn(disk, { durability: OS }).catch(() => undefined);
        const next = crash === "kill" ? disk.kill() : disk.powerCut(random(fails));
        const store = await openOn(next, { durability: OS });
        expect(store.status()).toMatchObject({ revision: 13 });
        expect(await textOf(store, "a")).toBe("3");
        await failure(() => store.get("a", { revision: 8 }), "compacted");
        await store.close();
        if (opened !== undefined) break;
      }
    }
  });

  test("without room for the void is refused, and changes nothing", async () => {
    const disk = await unclean(3, 5);
    disk.capacityBytes = disk.list().reduce((sum, name) => sum + disk.bytes(name).length, 0);
    await expect(openOn(disk, { durability: OS })).rejects.toThrow("ENOSPC");
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    expect(disk.openFiles).toBe(0);
    const store = await openOn(disk.kill(), { durability: OS });
    expect(store.status()).toMatchObject({ revision: 13 });
    await store.close();
  });

  test("writes the void before anything else, and syncs it", async () => {
    const time = new FakeTime();
    const disk = new FakeDisk();
    const { clock, timer } = time;
    const options = { clock, timer, reservedRevisions: 10 };
    const store = await openOn(disk, { ...options, durability: OS });
    await write(store, putFor("a", "1", 50));
    time.now += 100;
    const next = disk.kill();
    const again = await openOn(next, { ...options, durability: OS });
    expect(await textOf(again, "a")).toBeUndefined();
    const { revision } = await again.status();
    const [name] = segmentNames(next).toReversed();
    const kinds = recordsOf(next, name!).map((record) => [record.kind, record.revision]);
    const above = kinds.slice(kinds.findIndex(([kind]) => kind === KIND.void));
    expect(above).toEqual([
      [KIND.void, 1],
      [KIND.reserve, 11],
      [KIND.expire, 12],
    ]);
    expect(revision).toBe(12);
    await again.close();
  });
});

describe("a stop in order", () => {
  test.each([OS, INTERVAL])(
    "leaves no void, and no gap in the revisions ($mode)",
    async (durability) => {
      const disk = new FakeDisk();
      for (let round = 1; round <= 5; round++) {
        const store = await openOn(disk, { durability });
        expect(store.status()).toMatchObject({ revision: round - 1 });
        expect((await write(store, put("a", `${round}`))).revision).toBe(round);
        await store.close();
      }
    },
  );

  test("is durable: a power cut after it takes nothing", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const disk = new FakeDisk();
      const store = await openOn(disk, { durability: OS, segmentBytesMax: 600 });
      for (let at = 1; at <= 5; at++) await write(store, put("a", "x".repeat(100)));
      await store.close();
      const again = await openOn(disk.powerCut(random(seed)), { durability: OS });
      expect(again.status()).toMatchObject({ revision: 5 });
      await again.close();
    }
  });

  test("without a write adds nothing to the log", async () => {
    const disk = new FakeDisk();
    await (await openOn(disk, { durability: OS })).close();
    const before = disk.bytes(segmentNames(disk)[0]!).length;
    await (await openOn(disk, { durability: OS })).close();
    expect(disk.bytes(segmentNames(disk)[0]!)).toHaveLength(before);
  });
});

describe("revisions are reserved", () => {
  test("durably before the first of them is answered, many at a time", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk, { durability: INTERVAL });
    let isReserved = false;
    disk.fault = ({ kind, name }) => {
      if (kind === "sync" && name.endsWith(".log")) isReserved = true;
      const records = recordsOf(disk, segmentNames(disk)[0]!);
      expect(records.some((record) => record.kind === KIND.put) && !isReserved).toBe(false);
      return undefined;
    };
    await write(store, put("a", "1"));
    await write(store, put("a", "2"));
    disk.fault = undefined;
    const [first, ...rest] = recordsOf(disk, segmentNames(disk)[0]!);
    expect(first).toMatchObject({ kind: KIND.reserve, revision: 0 });
    expect(first!.createRevision).toBe(RESERVED_REVISIONS + 1);
    expect(rest.map(({ kind }) => kind)).toEqual([KIND.put, KIND.put]);
    await store.close();
  });

  test("through every segment: a void knows them when their record is long behind", async () => {
    const disk = new FakeDisk();
    const options = { durability: OS, segmentBytesMax: 400, reservedRevisions: 50 };
    const store = await openOn(disk, options);
    for (let at = 1; at <= 10; at++) await write(store, put("a", "x".repeat(100)));
    expect(segmentNames(disk).length).toBeGreaterThan(4);
    const again = await openOn(disk.kill(), options);
    expect(again.status()).toMatchObject({ revision: 51 });
    await again.close();
  });
});

describe("another mode at the next start", () => {
  test("sync after interval: the void comes first, and no reserve record after it", async () => {
    const disk = await unclean(3, 5);
    const store = await openOn(disk, { durability: SYNC });
    expect((await write(store, put("a", "14"))).revision).toBe(14);
    const again = await openOn(disk.kill(), { durability: SYNC });
    expect(again.status()).toMatchObject({ revision: 14 });
    await failure(() => again.get("a", { revision: 8 }), "compacted");
    await again.close();
  });

  test("interval after sync: revisions are reserved at the first write", async () => {
    const disk = new FakeDisk();
    const first = await openOn(disk, { durability: SYNC });
    for (let at = 1; at <= 20; at++) await write(first, put("a", `${at}`));
    const died = disk.kill();
    const second = await openOn(died, { durability: INTERVAL, reservedRevisions: 10 });
    expect((await write(second, put("a", "21"))).revision).toBe(21);
    const third = await openOn(died.kill(), { durability: SYNC });
    expect(third.status()).toMatchObject({ revision: 31 });
    await third.close();
  });

  test("sync after a stop in order goes on without a gap, however it ends", async () => {
    const disk = new FakeDisk();
    const first = await openOn(disk, { durability: OS });
    await write(first, put("a", "1"));
    await first.close();
    const second = await openOn(disk, { durability: SYNC });
    await write(second, put("a", "2"));
    const third = await openOn(disk.kill(), { durability: SYNC });
    expect(third.status()).toMatchObject({ revision: 2 });
    await third.close();
  });
});

// --- internal ---

/**
 * A disk after a power cut in the mode `interval`: of the revisions of one key the first `kept` are
 * synced, and `gone` more were answered and are not there. Ten were reserved after the third.
 */
async function unclean(kept: number, gone: number): Promise<FakeDisk> {
  const disk = new FakeDisk();
  const first = await openOn(disk, { durability: SYNC });
  for (let at = 1; at < kept; at++) await write(first, put("a", `${at}`));
  await first.close();
  const time = new FakeTime();
  const { clock, timer } = time;
  const store = await openOn(disk, { durability: INTERVAL, reservedRevisions: 10, clock, timer });
  await write(store, put("a", `${kept}`));
  time.fire();
  await turns();
  for (let at = 1; at <= gone; at++) await write(store, put("a", `${kept + at}`));
  return without(disk);
}

/** What a power cut leaves that takes everything unsynced. */
function without(disk: FakeDisk): FakeDisk {
  const none = { ...random(0), pick: <T>(items: readonly T[]): T => items[0]! };
  return disk.powerCut(none);
}

async function lost(kept: number, gone: number, options: Partial<LogOptions> = {}) {
  const disk = await unclean(kept, gone);
  const notices: string[] = [];
  const onNotice = (text: string): void => void notices.push(text);
  const store = await openOn(disk, {
    durability: OS,
    reservedRevisions: 10,
    onNotice,
    ...options,
  });
  return { disk, store, notices };
}
