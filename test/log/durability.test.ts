/** Answers before the sync: when syncs come, what they cover, and what the status says of the rest. */

import { describe, expect, test } from "bun:test";
import { DURABLE_FILE, DurableFile } from "../../src/log/durable.ts";
import { FLAG_BATCH_START, KIND } from "../../src/log/format.ts";
import { UNSYNCED_BYTES_MAX, UNSYNCED_BYTES_WAIT } from "../../src/limits.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { begin, INTERVAL, OS } from "../support/held-store.ts";
import { openOn, recordsOf, segmentNames } from "../support/logs.ts";
import { random } from "../support/random.ts";
import { dump, failure, put, textOf, write } from "../support/stores.ts";
import { turns } from "../support/turns.ts";

const NOTHING = { revisions: 0, bytes: 0, ms: 0 };

describe("in the mode interval", () => {
  test("an answer comes before the sync, which follows after the interval", async () => {
    const { disk, store, time, delays } = await begin(INTERVAL);
    time.fire();
    await turns();
    expect(store.status()).toMatchObject({ durability: "interval:70", lag: NOTHING });
    const { syncs } = disk;
    delays.length = 0;
    await write(store, put("a", "1"));
    time.now += 30;
    await write(store, put("a", "2"));
    expect(disk.syncs).toBe(syncs);
    expect(await textOf(store, "a")).toBe("2");
    expect(delays).toEqual([70]);
    const bytes = disk.bytes(segmentNames(disk)[0]!).length - endOfRevision(disk, 1);
    expect(store.status()).toMatchObject({ lag: { revisions: 2, bytes, ms: 30 } });

    time.fire();
    await turns();
    expect(disk.syncs).toBe(syncs + 1);
    expect(store.status()).toMatchObject({ lag: NOTHING });
    await store.close();
  });

  test("what is written while a sync runs is covered by the next one, which never runs beside it", async () => {
    const { disk, store, time, delays } = await begin(INTERVAL);
    time.fire();
    await turns();
    await write(store, put("a", "1"));
    disk.isHeld = true;
    time.fire();
    await turns();
    time.now += 10;
    await write(store, put("b", "2"));
    time.now += 20;
    expect(store.status()).toMatchObject({ lag: { revisions: 2, ms: 30 } });
    const { syncs } = disk;
    time.fire();
    await turns();
    expect(disk.syncs).toBe(syncs);
    delays.length = 0;
    await disk.release();
    expect(delays).toEqual([50]);
    expect(store.status()).toMatchObject({ lag: { revisions: 1, ms: 20 } });
    expect(await markedEnd(disk)).toBe(endOfRevision(disk, 2));

    for (let seed = 0; seed < 10; seed++) {
      const again = await openOn(disk.afterPowerCut(random(seed)));
      expect(await textOf(again, "a")).toBe("1");
      await again.close();
    }
    time.fire();
    await disk.release();
    expect(store.status()).toMatchObject({ lag: NOTHING });
    expect(await markedEnd(disk)).toBe(endOfRevision(disk, 3));
    expect(disk.syncsAtOnce).toBe(1);
    disk.isHeld = false;
    await store.close();
  });

  test("a write that waited longer than the interval behind a sync is synced at once", async () => {
    const { disk, store, time } = await begin(INTERVAL);
    disk.isHeld = true;
    time.fire();
    await turns();
    await write(store, put("a", "1"));
    time.now += 70;
    const { syncs } = disk;
    await disk.release();
    expect(disk.syncs).toBe(syncs + 1);
    await disk.release();
    expect(store.status()).toMatchObject({ lag: NOTHING });
    disk.isHeld = false;
    await store.close();
  });

  test("a clock that was set back makes no interval longer, and no lag negative", async () => {
    const { disk, store, time, delays } = await begin(INTERVAL);
    disk.isHeld = true;
    time.fire();
    await turns();
    await write(store, put("a", "1"));
    time.now -= 1_000_000;
    expect(store.status()).toMatchObject({ lag: { ms: 0 } });
    delays.length = 0;
    await disk.release();
    expect(delays).toEqual([70]);
    disk.isHeld = false;
    time.fire();
    await turns();
    expect(store.status()).toMatchObject({ lag: NOTHING });
    await store.close();
  });
});

describe("in the mode os", () => {
  test("no timer is set, and a sync comes after so many bytes", async () => {
    const { disk, store, delays } = await begin(OS);
    expect(store.status()).toMatchObject({ durability: "os" });
    const { syncs } = disk;
    delays.length = 0;
    const half = "x".repeat(UNSYNCED_BYTES_MAX / 2);
    await write(store, put("a", half));
    await turns();
    expect(disk.syncs).toBe(syncs);
    await write(store, put("b", half));
    await turns();
    expect(disk.syncs).toBe(syncs + 1);
    expect(store.status()).toMatchObject({ lag: NOTHING });
    expect(delays).toEqual([]);
    await store.close();
  });

  test("writes wait for a disk that does not keep up, and are answered when it does", async () => {
    const { disk, store } = await begin(OS);
    disk.isHeld = true;
    const large = "x".repeat(UNSYNCED_BYTES_WAIT / 4);
    for (let at = 0; at < 4; at++) await write(store, put(`k${at}`, large));
    const { lag } = await store.status();
    expect(lag!.bytes).toBeGreaterThanOrEqual(UNSYNCED_BYTES_WAIT);
    let isAnswered = false;
    const waiting = write(store, put("last", "1")).then(() => (isAnswered = true));
    await turns();
    expect(isAnswered).toBe(false);
    await disk.release();
    await waiting;
    disk.isHeld = false;
    await disk.release();
    await store.close();
    expect(disk.syncsAtOnce).toBe(1);
  });
});

test("in the mode sync the status has no lag, and the log no reserve record", async () => {
  const { disk, store } = await begin({ mode: "sync" });
  expect(store.status()).toMatchObject({ durability: "sync" });
  expect(store.status()).not.toHaveProperty("lag");
  await store.close();
  const kinds = recordsOf(disk, segmentNames(disk)[0]!).map(({ kind }) => kind);
  expect(kinds).toEqual([KIND.put]);
});

describe.each([["interval", INTERVAL] as const, ["os", OS] as const])(
  "in the mode %s",
  (_, mode) => {
    test("a record says that it began a batch only when everything before it was synced", async () => {
      const { disk, store, time } = await begin(mode);
      await write(store, put("a", "1"));
      await write(store, put("b", "1"));
      await store.compact(2);
      await write(store, put("c", "1"));
      await write(store, put("d", "1"));
      await store.close();
      time.fire();
      const flagged = recordsOf(disk, segmentNames(disk)[0]!).map(({ kind, revision, flags }) => [
        kind,
        revision,
        (flags & FLAG_BATCH_START) !== 0,
      ]);
      expect(flagged).toEqual([
        [KIND.reserve, 0, true],
        [KIND.put, 1, true],
        [KIND.put, 2, false],
        [KIND.put, 3, false],
        [KIND.compact, 3, false],
        [KIND.put, 4, true],
        [KIND.put, 5, false],
        [KIND.reserve, 5, false],
      ]);
    });

    test("everything is synced before the next segment begins", async () => {
      const { disk, store } = await begin(mode, { segmentBytesMax: 1_000 });
      const order: string[] = [];
      disk.fault = ({ kind, name }) => void order.push(`${kind} ${name}`);
      const large = "x".repeat(400);
      for (let at = 0; at < 3; at++) await write(store, put("a", large));
      disk.fault = undefined;
      const [first, second] = segmentNames(disk);
      const begun = order.indexOf(`create ${second}.tmp`);
      expect(order.slice(0, begun).lastIndexOf(`sync ${first}`)).toBeGreaterThan(
        order.slice(0, begun).lastIndexOf(`write ${first}`),
      );
      expect(order.slice(begun)).not.toContain(`write ${first}`);
      await store.close();
    });

    test("a compaction is durable when it is answered, and so is all before it", async () => {
      for (let seed = 0; seed < 10; seed++) {
        const { disk, store } = await begin(mode);
        await write(store, put("a", "1"));
        await store.compact(2);
        const again = await openOn(disk.powerCut(random(seed)));
        expect(await again.status()).toMatchObject({ oldest: 2 });
        expect(await textOf(again, "a")).toBe("1");
        await again.close();
      }
    });

    test("a background sync that fails ends the store, once; reads go on, and a start has all", async () => {
      const { disk, store, time, fatal } = await begin(mode);
      time.fire();
      await turns();
      disk.fault = ({ kind, name }) =>
        kind === "sync" && name.endsWith(".log") ? "EIO" : undefined;
      await write(store, put("a", "1"));
      const large = "x".repeat(UNSYNCED_BYTES_MAX);
      await write(store, put("b", large));
      await turns();
      expect(fatal.map(({ code }) => code)).toEqual(["outcome_unknown"]);
      expect(fatal[0]!.message).toContain("EIO");
      let syncs = 0;
      disk.fault = ({ kind }) => void (kind === "sync" && syncs++);
      await failure(() => write(store, put("c", "3")), "unavailable");
      await failure(() => store.compact(1), "unavailable");
      expect(await textOf(store, "a")).toBe("1");
      time.fire();
      await store.close();
      expect([fatal.length, syncs, disk.openFiles]).toEqual([1, 0, 0]);

      const again = await openOn(disk.kill());
      expect([await textOf(again, "a"), await textOf(again, "b")]).toEqual(["1", large]);
      expect(await textOf(again, "c")).toBeUndefined();
      await again.close();
    });

    test("a sync that fails in a write leaves its outcome open", async () => {
      const { disk, store, fatal } = await begin(mode, { segmentBytesMax: 1_000 });
      disk.fault = ({ kind }) => (kind === "sync" ? "EIO" : undefined);
      const large = "x".repeat(1_000);
      await failure(() => write(store, put("a", large)), "outcome_unknown");
      await failure(() => write(store, put("b", "1")), "unavailable");
      await store.close();
      expect(fatal).toHaveLength(1);
      expect(disk.openFiles).toBe(0);
    });

    test("a write that fails beside a running sync: the files are closed when that has ended", async () => {
      const { disk, store } = await begin(mode, { segmentBytesMax: 2 * UNSYNCED_BYTES_MAX });
      disk.isHeld = true;
      await write(store, put("a", "x".repeat(UNSYNCED_BYTES_MAX)));
      disk.fault = ({ kind }) => (kind === "write" ? "EIO" : undefined);
      await failure(() => write(store, put("b", "1")), "outcome_unknown");
      let isClosed = false;
      const closing = store.close().then(() => (isClosed = true));
      await turns();
      expect(isClosed).toBe(false);
      disk.fault = undefined;
      await disk.release();
      await closing;
      expect([disk.closedEarly, disk.openFiles]).toEqual([0, 0]);
    });

    // The first to need that sync is a checkpoint, or the close itself.
    test.each([0, Infinity])(
      "a close that cannot sync what was answered fails (%p)",
      async (bytes) => {
        const { disk, store } = await begin(mode, { checkpointBytesMin: bytes });
        disk.fault = ({ kind, name }) =>
          kind === "sync" && name.endsWith(".log") ? "EIO" : undefined;
        let error: unknown;
        await store.close().catch((failed: unknown) => (error = failed));
        expect(String(error)).toContain("EIO");
        expect(disk.openFiles).toBe(0);
      },
    );
  },
);

test.each([["interval", INTERVAL] as const, ["os", OS] as const])(
  "in the mode %s a process that dies loses nothing that was answered",
  async (_, mode) => {
    const { disk, store } = await begin(mode, { segmentBytesMax: 700 });
    for (let at = 0; at < 10; at++) await write(store, put(`k${at % 3}`, `${at}`.repeat(50)));
    const right = await dump(store, 0);
    const again = await openOn(disk.kill());
    const { status, ...rest } = await dump(again, 0).then(({ commits, states, status }) => ({
      commits,
      states: states.slice(0, right.states.length),
      status,
    }));
    expect(rest).toEqual({ commits: right.commits, states: right.states });
    expect(status.keys).toBe(right.status.keys);
    await again.close();
  },
);

// --- internal ---

/** Where the last record of a revision ends in the last segment. */
function endOfRevision(disk: FakeDisk, revision: number): number {
  const name = segmentNames(disk).at(-1)!;
  const next = recordsOf(disk, name).find((record) => record.revision > revision);
  return next?.offset ?? disk.bytes(name).length;
}

/** How far `DURABLE` says that the last segment is synced. */
async function markedEnd(disk: FakeDisk): Promise<number | undefined> {
  const copy = new FakeDisk();
  copy.place(DURABLE_FILE, disk.bytes(DURABLE_FILE));
  const { durable, mark } = await DurableFile.open(copy);
  durable.close();
  return mark?.end;
}
