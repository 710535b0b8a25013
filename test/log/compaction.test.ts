/** Compaction in the log: its record, what it survives, and what the index forgets by it. */

import { describe, expect, test } from "bun:test";
import type { Store } from "../../src/kv.ts";
import {
  decodeSegmentHeader,
  FLAG_BATCH_START,
  FLAG_COMMIT_END,
  KIND,
  type RecordContent,
  type SegmentHeader,
} from "../../src/log/format.ts";
import { recover } from "../../src/log/recovery.ts";
import { equalsReplay } from "../store/replay.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import {
  appendRecord,
  commitsIn,
  cut,
  flipped,
  killedAfter,
  openOn,
  recordsOf,
  segmentNames,
} from "../support/logs.ts";
import { random } from "../support/random.ts";
import { changesBetween, del, failure, put, putFor, textOf, write } from "../support/stores.ts";
import { turns } from "../support/turns.ts";

/** Ten revisions of a few keys, with deletions at 4 and 8. */
async function putTen(store: Store): Promise<void> {
  for (let at = 1; at <= 10; at++) {
    if (at % 4 === 0) await write(store, del("b"));
    else await write(store, put(at % 2 === 0 ? "b" : "a", String(at)));
  }
}

describe("the record of a compaction", () => {
  test("stands between two commits, with the revision of the one before and the oldest readable", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk);
    await putTen(store);
    await store.compact(7);
    await write(store, put("c"));
    await store.close();
    const records = recordsOf(disk, segmentNames(disk)[0]!);
    const [before, compact, after] = records.slice(-3);
    expect(compact).toMatchObject({
      kind: KIND.compact,
      revision: 10,
      createRevision: 7,
      previousRevision: 0,
      version: 0,
      deadline: 0,
      keyBytes: 0,
      contentTypeBytes: 0,
      valueBytes: 0,
      flags: FLAG_BATCH_START | FLAG_COMMIT_END,
    });
    expect([before!.revision, after!.revision]).toEqual([10, 11]);
    expect(compact!.time).toBeGreaterThanOrEqual(before!.time);
  });

  test("is written once: the same again writes nothing", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk);
    await putTen(store);
    await store.compact(7);
    const { calls } = disk;
    expect(await store.compact(7)).toEqual({ oldest: 7 });
    expect(disk.calls).toBe(calls);
    const many = await Promise.all(Array.from({ length: 5 }, () => store.compact(9)));
    expect(many).toEqual(Array.from({ length: 5 }, () => ({ oldest: 9 })));
    expect(compactions(disk)).toEqual([7, 9]);
    await store.close();
  });

  test("of an empty store is none", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk);
    expect(await store.compact(0)).toEqual({ oldest: 0 });
    await failure(() => store.compact(1), "invalid_argument");
    expect(compactions(disk)).toEqual([]);
    await store.close();
  });

  test("stands in the headers of later segments, which alone tell it", async () => {
    const disk = new FakeDisk();
    const options = { segmentBytesMax: 500 };
    const store = await openOn(disk, options);
    await putTen(store);
    const { length } = segmentNames(disk);
    await store.compact(6);
    await putTen(store);
    const headers = segmentNames(disk).map(
      (name) => decodeSegmentHeader(disk.bytes(name)) as SegmentHeader,
    );
    expect(headers.slice(0, length).every((header) => header.compactedRevision === 0)).toBe(true);
    expect(headers.length).toBeGreaterThan(length + 1);
    expect(headers.at(-1)!.compactedRevision).toBe(6);
    const again = await openOn(disk.kill(), options);
    expect((await again.status()).oldest).toBe(6);
    await again.close();
  });

  test("takes its place among the writes that are sent with it", async () => {
    const store = await openOn(new FakeDisk());
    const first = write(store, put("a", "1"));
    const { revision } = await first;
    const together = [
      write(store, put("a", "2")),
      store.compact(revision),
      write(store, put("a", "3")),
      failure(() => store.compact(revision - 1), "compacted"),
    ] as const;
    const [second, compacted, third] = await Promise.all(together);
    expect(compacted).toEqual({ oldest: revision });
    expect([second.revision, third.revision]).toEqual([revision + 1, revision + 2]);
    expect(await textOf(store, "a", revision)).toBe("1");
    await store.close();
  });

  test("that a higher one overtakes in the queue is compacted, not set back", async () => {
    const store = await openOn(new FakeDisk());
    await putTen(store);
    const high = store.compact(8);
    const low = failure(() => store.compact(5), "compacted");
    expect(await high).toEqual({ oldest: 8 });
    expect((await low).details.oldest).toBe(8);
    expect((await store.status()).oldest).toBe(8);
    await store.close();
  });
});

describe("a compaction that was answered", () => {
  test("is there after the death of the process and after a power cut", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const disk = new FakeDisk();
      const store = await openOn(disk, { segmentBytesMax: 600 });
      await putTen(store);
      await store.compact(5 + (seed % 5));
      const after = seed % 2 === 0 ? disk.kill() : disk.powerCut(random(seed));
      const again = await openOn(after, { segmentBytesMax: 600 });
      expect((await again.status()).oldest).toBe(5 + (seed % 5));
      await equalsReplay(again, commitsIn(after), [{}]);
      await again.close();
    }
  });

  test("that died at any call to the disk is there whole, or not at all", async () => {
    let died = 0;
    for (let calls = 0; calls < 60; calls++) {
      const disk = new FakeDisk();
      const store = await openOn(disk, { segmentBytesMax: 400 });
      await putTen(store);
      await store.compact(3);
      const last = disk.calls + calls;
      disk.fault = () => (disk.calls > last ? "EIO" : undefined);
      const answered = await Promise.allSettled([
        write(store, put("a", "11")),
        store.compact(9),
        write(store, put("a", "12")),
      ]);
      const [, compacted] = answered.map(({ status }) => status === "fulfilled");
      if (answered.some(({ status }) => status === "rejected")) died++;
      const after = calls % 2 === 0 ? disk.kill() : disk.powerCut(random(calls));
      const again = await openOn(after, { segmentBytesMax: 400 });
      const { oldest } = await again.status();
      expect(compacted ? [9] : [3, 9]).toContain(oldest);
      await equalsReplay(again, commitsIn(after), [{}, { prefix: "a" }]);
      await again.close();
    }
    expect(died).toBeGreaterThan(5);
  });

  test("is whole or not at all wherever the end of the log is torn", async () => {
    let lengthBefore = 0;
    const disk = await killedAfter(async (store, disk) => {
      await putTen(store);
      lengthBefore = disk.bytes(segmentNames(disk)[0]!).length;
      await store.compact(9);
    });
    const [name] = segmentNames(disk) as [string];
    const { length } = disk.bytes(name);
    const seen = new Set<number>();
    for (let end = lengthBefore; end <= length; end++) {
      const torn = cut(disk, name, end);
      torn.remove("DURABLE");
      const store = await openOn(torn);
      const { oldest, revision } = await store.status();
      seen.add(oldest);
      expect([oldest, revision]).toEqual([end === length ? 9 : 0, 10]);
      await equalsReplay(store, commitsIn(torn), [{}]);
      await write(store, put("later"));
      await store.close();
    }
    expect([...seen]).toEqual([0, 9]);
  });

  test("whose record rots is not forgotten in silence", async () => {
    const disk = await killedAfter(async (store) => {
      await putTen(store);
      await store.compact(9);
      await write(store, put("later"));
    });
    const [name] = segmentNames(disk) as [string];
    const { offset } = recordsOf(disk, name).find(({ kind }) => kind === KIND.compact)!;
    for (let bit = 0; bit < 88 * 8; bit += 7) {
      const error = await failure(() => openOn(flipped(disk, name, offset * 8 + bit)), "internal");
      expect(error.message).toContain(name);
    }
  });
});

describe("a compaction that fails", () => {
  test("for room changes nothing and is told; there is another chance", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk);
    await putTen(store);
    disk.capacityBytes = 0;
    await failure(() => store.compact(5), "storage_full");
    expect((await store.status()).oldest).toBe(0);
    expect(await textOf(store, "a", 1)).toBe("1");
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    expect(await store.compact(5)).toEqual({ oldest: 5 });
    await store.close();
  });

  test("with the disk leaves the outcome open and ends the store", async () => {
    const disk = new FakeDisk();
    const fatal: Error[] = [];
    const store = await openOn(disk, { onFatal: (error) => fatal.push(error) });
    await putTen(store);
    disk.fault = ({ kind }) => (kind === "sync" ? "EIO" : undefined);
    await failure(() => store.compact(5), "outcome_unknown");
    await failure(() => store.compact(5), "unavailable");
    await failure(() => write(store, put("a")), "unavailable");
    expect(fatal).toHaveLength(1);
    await store.close();
    expect(disk.openFiles).toBe(0);
  });
});

describe("a record of a compaction that cannot be is refused:", () => {
  const bad: [string, Partial<RecordContent>][] = [
    ["of a revision that is not the last one", { revision: 2, createRevision: 2 }],
    ["of a revision that comes later", { revision: 4, createRevision: 3 }],
    ["that goes back", { revision: 3, createRevision: 1 }],
    ["above its own revision", { revision: 3, createRevision: 4 }],
  ];
  test.each(bad)("%s", async (_, content) => {
    const disk = await sound();
    appendRecord(disk, content);
    await failure(() => openOn(disk), "internal");
  });

  test("and one that can be is not", async () => {
    const disk = await sound();
    appendRecord(disk, { revision: 3, createRevision: 3 });
    const store = await openOn(disk);
    expect((await store.status()).oldest).toBe(3);
    await equalsReplay(store, commitsIn(disk), [{}]);
    await store.close();
  });
});

describe("deleted keys that compaction has passed", () => {
  test("leave the index, so that the next life of such a key knows nothing of the last", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk);
    await write(store, put("forgotten", "1"), put("kept", "1"));
    const { revision } = await write(store, del("forgotten"));
    await write(store, del("kept"));
    await store.compact(revision);
    await turns();
    await write(store, put("forgotten", "2"), put("kept", "2"));
    const [first, second] = recordsOf(disk, segmentNames(disk)[0]!).slice(-2);
    expect([first!.previousRevision, second!.previousRevision]).toEqual([0, revision + 1]);
    const keys = ["forgotten", "kept"];
    expect(await historyLengths(store, keys)).toEqual([1, 3]);
    const killed = disk.kill();
    const again = await openOn(killed);
    expect(await historyLengths(again, keys)).toEqual([1, 3]);
    await equalsReplay(again, commitsIn(killed), [{}]);
    await again.close();
  });

  test("are forgotten at a start as well, those that expired too", async () => {
    const disk = new FakeDisk();
    const time = new FakeTime();
    const { clock, timer } = time;
    const store = await openOn(disk, { clock, timer, segmentBytesMax: 500 });
    await write(store, put("deleted", "1"), putFor("expired", "1", 10), put("live", "1"));
    await write(store, del("deleted"));
    time.now += 10;
    expect(await textOf(store, "expired")).toBeUndefined();
    const { revision } = await store.status();
    await write(store, put("late", "1"));
    await write(store, del("late"));
    await store.compact(revision);
    const { index, oldest, durable, segments } = await recover({
      disk: disk.kill(),
      clock,
      random: (count) => new Uint8Array(count),
      notice: () => undefined,
    });
    expect([...index.up("")]).toEqual(["late", "live"]);
    expect([oldest, index.live]).toEqual([revision, 1]);
    durable.close();
    for (const { file } of segments) file.close();
  });

  test("are forgotten while keys are put and deleted again, and none that came again is", async () => {
    const disk = new FakeDisk();
    const store = await openOn(disk, { segmentBytesMax: 20_000 });
    const names = Array.from({ length: 3_000 }, (_, at) => `key/${at}`);
    await write(store, ...names.map((key) => put(key, "1")));
    const { revision } = await write(store, ...names.map(del));
    const compacting = store.compact(revision);
    const sent = names.map((key, at) => (at % 3 === 0 ? write(store, put(key, "2")) : undefined));
    await compacting;
    await Promise.all(sent);
    const left = names.filter((_, at) => at % 3 === 0);
    expect((await store.status()).keys).toBe(left.length);
    const { entries } = await store.list({}, { limit: 5_000 });
    expect(entries.map(({ key }) => key)).toEqual(left.toSorted());
    expect(entries.every(({ version }) => version === 1)).toBe(true);
    await turns();
    const again = await openOn(disk.kill(), { segmentBytesMax: 20_000 });
    expect((await again.list({}, { limit: 5_000 })).entries).toEqual(entries);
    await again.close();
  });
});

test("a stream that reads what is compacted away meanwhile is told so, and skips nothing", async () => {
  const store = await openOn(new FakeDisk(), { recentBytesMax: 0, segmentBytesMax: 500_000 });
  const value = "x".repeat(300_000);
  for (let round = 0; round < 12; round++) await write(store, put("a", value));
  const stream = store.changes(1)[Symbol.asyncIterator]();
  const { value: first } = await stream.next();
  expect(first!.through).toBeLessThan(12);
  await store.compact(first!.through);
  const { value: second } = await stream.next();
  expect(second!.commits[0]!.revision).toBe(first!.through + 1);
  await store.compact(second!.through + 1);
  const error = await failure(() => stream.next(), "compacted");
  expect(error.details.oldest).toBe(second!.through + 2);
  expect(await changesBetween(store, second!.through + 2, 12)).not.toEqual([]);
  await store.close();
});

// --- internal ---

/** Three commits, the last of two records, and a compaction to 2 before it. */
function sound(): Promise<FakeDisk> {
  return killedAfter(async (store) => {
    await write(store, put("a", "1"));
    await write(store, put("a", "2"));
    await store.compact(2);
    await write(store, put("a", "3"), put("b", "3"));
  });
}

function historyLengths(store: Store, keys: readonly string[]): Promise<number[]> {
  return Promise.all(keys.map(async (key) => (await store.history(key)).entries.length));
}

/** The oldest readable revisions that a disk's compactions name. */
function compactions(disk: FakeDisk): number[] {
  return segmentNames(disk)
    .flatMap((name) => recordsOf(disk, name))
    .filter(({ kind }) => kind === KIND.compact)
    .map(({ createRevision }) => createRevision);
}
