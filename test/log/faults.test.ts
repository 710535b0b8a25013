/** A disk that fails, is full, or takes its time: what callers are answered, and what is there after it. */

import { describe, expect, test } from "bun:test";
import { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
import { decodeSegmentHeader } from "../../src/log/format.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn, segmentNames } from "../support/logs.ts";
import { random } from "../support/random.ts";
import { delRange, dump, failure, put, textOf, write } from "../support/stores.ts";

/** A store with one entry, on a disk whose faults begin later. */
async function begin(options: { segmentBytesMax?: number } = {}) {
  const disk = new FakeDisk();
  const fatal: KvError[] = [];
  const store = await openOn(disk, { ...options, onFatal: (error) => fatal.push(error) });
  await write(store, put("before", "1"));
  return { disk, store, fatal };
}

describe("an error of the disk in a write", () => {
  test.each([
    ["sync", "EIO"],
    ["sync", "ENOSPC"],
    ["write", "EIO"],
  ])(
    "%s: %s leaves the outcome open, ends the store, and shows nothing of it",
    async (kind, code) => {
      const { disk, store, fatal } = await begin();
      disk.fault = (call) => (call.kind === kind && call.name.endsWith(".log") ? code : undefined);
      const first = write(store, put("a", "1"));
      const second = write(store, put("b", "2"));
      await failure(() => first, "outcome_unknown");
      await failure(() => second, "outcome_unknown");
      expect(fatal).toHaveLength(1);
      expect(fatal[0]!.message).toContain(code);
      disk.fault = undefined;

      await failure(() => write(store, put("c", "3")), "unavailable");
      await failure(() => store.commit({ checks: [], then: [] }), "unavailable");
      for (const key of ["a", "b", "c"]) {
        const read = await Promise.resolve(store.get(key)).catch(() => undefined);
        expect(read?.entry).toBeUndefined();
      }
      await store.close();
      expect(fatal).toHaveLength(1);
      expect(disk.openFiles).toBe(0);
    },
  );

  test("a transaction that came too late for the write that failed was not applied", async () => {
    const { disk, store } = await begin();
    disk.fault = ({ kind }) => (kind === "sync" ? "EIO" : undefined);
    const first = write(store, put("a", "1"));
    // It looks at a range, for which the key of the first one has to be in the state.
    const ranged = write(store, delRange({ prefix: "a" }));
    const last = write(store, put("b", "1"));
    await failure(() => first, "outcome_unknown");
    await failure(() => ranged, "unavailable");
    await failure(() => last, "unavailable");
    await store.close();
  });

  test("a sync that failed is never tried again", async () => {
    const { disk, store } = await begin();
    let syncs = 0;
    disk.fault = (call) => {
      if (call.kind !== "sync") return undefined;
      syncs++;
      return "EIO";
    };
    await failure(() => write(store, put("a", "1")), "outcome_unknown");
    await failure(() => write(store, put("b", "1")), "unavailable");
    await store.close();
    expect(syncs).toBe(1);
  });

  test("what only looks written after a failed sync is written anew before it is shown", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { disk, store } = await begin();
      disk.fault = (call) => (call.kind === "sync" ? "EIO" : undefined);
      await failure(() => write(store, put("a", "1"), put("b", "2")), "outcome_unknown");
      disk.fault = undefined;
      const restarted = disk.kill();
      const again = await openOn(restarted);
      const shown = await dump(again, 0);
      expect(shown.commits.length).toBe(2);
      const { revision } = await write(again, put("c", "3"));
      const afterCut = await openOn(restarted.powerCut(random(seed)));
      expect((await dump(afterCut, 0)).commits.slice(0, 2)).toEqual(shown.commits);
      expect((await afterCut.status()).revision).toBe(revision);
      await afterCut.close();
    }
  });

  test("what was written anew is cut off where it was by the next start, if this one dies before", async () => {
    const { disk, store } = await begin();
    disk.fault = (call) => (call.kind === "sync" ? "EIO" : undefined);
    await failure(() => write(store, put("a", "1")), "outcome_unknown");
    const first = disk.kill();
    first.fault = (call) => (call.kind === "truncate" ? "EIO" : undefined);
    await expect(openOn(first)).rejects.toThrow("EIO");
    const second = first.kill();
    await (await openOn(second)).close();
    const [before, after] = segmentNames(second).map((name) => second.bytes(name)) as [
      Uint8Array,
      Uint8Array,
    ];
    expect(decodeSegmentHeader(after)).toMatchObject({ previousEnd: before.length });
  });

  test("streams end with the store", async () => {
    const { disk, store } = await begin();
    const waiting = (async () => {
      for await (const _ of store.changes(2));
    })();
    const ended = failure(() => waiting, "unavailable");
    disk.fault = (call) => (call.kind === "sync" ? "EIO" : undefined);
    await failure(() => write(store, put("a", "1")), "outcome_unknown");
    await store.close();
    await ended;
  });
});

describe("a full disk", () => {
  test.each([0, 1, 100, 500])(
    "with %d bytes left refuses a write as storage_full, and nothing of it is applied",
    async (left) => {
      const { disk, store, fatal } = await begin();
      const before = await dump(store, 0);
      disk.capacityBytes = used(disk) + left;
      const large = "x".repeat(1_000);
      await failure(() => write(store, put("a", large)), "storage_full");
      expect(await dump(store, 0)).toEqual(before);
      expect(await textOf(store, "before")).toBe("1");
      expect(fatal).toEqual([]);

      disk.capacityBytes = Number.POSITIVE_INFINITY;
      const { revision } = await write(store, put("a", large));
      expect(revision).toBeGreaterThan(before.status.revision);
      const after = await dump(store, 0);
      const again = await openOn(disk.kill());
      expect(await dump(again, 0)).toEqual(after);
      await again.close();
    },
  );

  test("is told once, and once when there is room again", async () => {
    const disk = new FakeDisk();
    const notices: string[] = [];
    let now = 1_000;
    const store = await openOn(disk, {
      clock: () => now,
      onNotice: (message) => notices.push(message),
    });
    disk.capacityBytes = used(disk) + 500;
    const large = put("a", "x".repeat(1_000));
    await failure(() => write(store, large), "storage_full");
    await write(store, put("b", "small"));
    await failure(() => write(store, large), "storage_full");
    expect(notices).toEqual([expect.stringContaining("the disk is full")]);

    disk.capacityBytes = Number.POSITIVE_INFINITY;
    now += 1_000;
    await write(store, large);
    await write(store, large);
    expect(notices.slice(1)).toEqual(["the disk has room again: writes go on"]);
    await store.close();
  });

  test("refuses every write of a batch, and answers those that change nothing", async () => {
    const { disk, store } = await begin();
    disk.capacityBytes = used(disk) + 300;
    const outcomes = await Promise.allSettled([
      write(store, put("a", "x".repeat(400))),
      store.commit({ checks: [{ key: "a", revision: 0 }], then: [{ op: "get", key: "before" }] }),
      store.commit({ checks: [{ key: "before", revision: 0 }], then: [put("before", "2")] }),
      write(store, put("b", "y".repeat(400))),
    ]);
    const codes = outcomes.map((outcome) =>
      outcome.status === "fulfilled"
        ? [outcome.value.succeeded, outcome.value.revision]
        : (outcome.reason as KvError).code,
    );
    expect(codes).toEqual(["storage_full", [true, 1], [false, 1], "storage_full"]);
    expect(await textOf(store, "before")).toBe("1");
    await store.close();
  });

  test("that took a part of a batch keeps nothing of it, also when the power is cut", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { disk, store } = await begin();
      const before = await dump(store, 0);
      disk.capacityBytes = used(disk) + 1_000;
      const sent = [put("a", "1"), put("b", "2"), put("c", "x".repeat(2_000))];
      await Promise.all(sent.map((one) => failure(() => write(store, one), "storage_full")));
      const next = seed === 0 ? disk.kill() : disk.powerCut(random(seed));
      const again = await openOn(next);
      expect(await dump(again, 0)).toEqual(before);
      await again.close();
    }
  });

  test("in the middle of a new segment refuses the write, and a later one succeeds", async () => {
    const { disk, store } = await begin({ segmentBytesMax: 400 });
    for (let round = 0; round < 12; round++) {
      disk.capacityBytes = used(disk) + round * 40;
      const text = String(round).padEnd(200, "x");
      const outcome = await write(store, put("a", text)).catch((error: unknown) => error);
      if (outcome instanceof Error) expect((outcome as KvError).code).toBe("storage_full");
      disk.capacityBytes = Number.POSITIVE_INFINITY;
      await write(store, put("b", text));
    }
    const right = await dump(store, 0);
    await store.close();
    expect(disk.list().filter((name) => name.endsWith(".tmp"))).toEqual([]);
    const again = await openOn(disk);
    expect(await dump(again, 0)).toEqual(right);
    await again.close();
  });

  test("at any call of a new segment loses nothing that is written after it", async () => {
    for (let fails = 1; fails <= 10; fails++) {
      const { disk, store } = await begin({ segmentBytesMax: 700 });
      await write(store, put("a", "x".repeat(200)));
      const first = disk.calls + fails;
      disk.fault = () => (disk.calls === first ? "ENOSPC" : undefined);
      const rolled = await write(store, put("b", "y".repeat(200))).catch((error: unknown) => error);
      disk.fault = undefined;
      // Fits into the segment that there is; where the store has failed it is refused.
      const small = await write(store, put("c", "z")).catch((error: unknown) => error);
      if (rolled instanceof Error) {
        expect(["storage_full", "outcome_unknown"]).toContain((rolled as KvError).code);
      }
      const there = small instanceof Error ? undefined : "z";
      const again = await openOn(disk.kill());
      if (there !== undefined) expect(await textOf(again, "c")).toBe(there);
      if (!(rolled instanceof Error)) expect(await textOf(again, "b")).toBe("y".repeat(200));
      await write(again, put("d", "x".repeat(500)));
      await again.close();
    }
  });

  test("whose remedy fails leaves the outcome open", async () => {
    const { disk, store, fatal } = await begin();
    disk.capacityBytes = used(disk) + 50;
    disk.fault = ({ kind }) => (kind === "truncate" ? "EIO" : undefined);
    await failure(() => write(store, put("a", "x".repeat(400))), "outcome_unknown");
    expect(fatal).toHaveLength(1);
    await store.close();
  });
});

describe("a slow disk", () => {
  test("nothing is shown before it is durable, and everything is when it is answered", async () => {
    const { disk, store } = await begin();
    let looks = 0;
    disk.fault = (call) => {
      if (call.kind !== "sync") return undefined;
      looks++;
      const { entry, revision } = store.get("a") as Awaited<ReturnType<Store["get"]>>;
      expect([entry, revision]).toEqual([undefined, 1]);
      expect(store.status()).toMatchObject({ revision: 1, keys: 1 });
      return undefined;
    };
    const sent = write(store, put("a", "1"));
    await sent;
    expect(looks).toBe(1);
    expect(await textOf(store, "a")).toBe("1");
    disk.fault = undefined;
    await store.close();
  });

  test("commits that wait together share one sync, and take effect in the order sent", async () => {
    const { disk, store } = await begin();
    let syncs = 0;
    disk.fault = ({ kind }) => void (kind === "sync" && syncs++);
    const sent = Array.from({ length: 200 }, (_, at) => write(store, put(`k${at}`, `${at}`)));
    const revisions = (await Promise.all(sent)).map(({ revision }) => revision);
    expect(revisions).toEqual(Array.from({ length: 200 }, (_, at) => at + 2));
    expect(syncs).toBeLessThanOrEqual(3);
    await store.close();
  });

  test("what waits is written in batches of bounded size", async () => {
    const { disk, store } = await begin();
    const writes: string[] = [];
    disk.fault = ({ kind, name }) =>
      void (kind === "write" && !name.startsWith("CHECKPOINT") && writes.push(name));
    const value = "x".repeat(6 * 1024 * 1024);
    const sent = Array.from({ length: 8 }, (_, at) => write(store, put(`k${at}`, value)));
    expect(new Set((await Promise.all(sent)).map(({ revision }) => revision)).size).toBe(8);
    // To the log and to the mark in turn; 5 values fit into one batch.
    expect(writes).toHaveLength(4);
    await store.close();
  });

  test("a write that the disk takes in parts is whole", async () => {
    const { disk, store } = await begin();
    disk.writeBytesMax = 7;
    await write(store, put("a", "x".repeat(100)), put("b", "y"));
    const right = await dump(store, 0);
    const again = await openOn(disk.kill());
    expect(await dump(again, 0)).toEqual(right);
    await again.close();
  });
});

describe("a start", () => {
  test("that fails at any call leaves a directory that starts later, with all that was there", async () => {
    const { disk, store } = await begin({ segmentBytesMax: 400 });
    for (let round = 0; round < 5; round++) await write(store, put("a", "x".repeat(150)));
    const right = await dump(store, 0);
    const dead = disk.kill();
    for (const code of ["EIO", "ENOSPC"]) {
      for (let fails = 1; ; fails++) {
        const copy = dead.copy();
        copy.fault = () => (copy.calls === fails ? code : undefined);
        const opened = await openOn(copy).catch((error: unknown) => error as Error);
        if (!(opened instanceof Error)) await opened.close().catch(() => undefined);
        const reached = copy.calls >= fails;
        copy.fault = undefined;
        const again = await openOn(copy);
        expect(await dump(again, 0)).toEqual(right);
        await again.close();
        if (!reached) break;
      }
    }
  });

  test("after one that died before it synced the directory makes all names durable", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { disk, store } = await begin({ segmentBytesMax: 300 });
      disk.fault = ({ kind }) => (kind === "syncDirectory" ? "EIO" : undefined);
      await failure(() => write(store, put("a", "x".repeat(200))), "outcome_unknown");
      expect(segmentNames(disk)).toHaveLength(2);
      const second = disk.kill();
      await write(await openOn(second), put("b", "2"));
      const last = await openOn(second.powerCut(random(seed)));
      expect(await textOf(last, "b")).toBe("2");
      await last.close();
    }
  });

  test("writes down only what is durable: the mark is behind the log, never ahead", async () => {
    const { disk, store } = await begin();
    const calls: string[] = [];
    disk.fault = ({ kind, name }) => void calls.push(`${kind} ${name}`);
    await write(store, put("a", "1"));
    const [name] = segmentNames(disk);
    expect(calls).toEqual([`write ${name}`, `sync ${name}`, "write DURABLE"]);
    await store.close();
  });
});

// --- internal ---

/** Bytes that all files take. */
function used(disk: FakeDisk): number {
  return disk.list().reduce((sum, name) => sum + disk.bytes(name).length, 0);
}
