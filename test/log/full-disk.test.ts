/** A full disk: what is refused, what goes on, and how writes come to go on again by themselves. */

import { describe, expect, test } from "bun:test";
import type { KvError } from "../../src/errors.ts";
import { BACKGROUND_RETRY_MS, BACKGROUND_SYNC_BYTES, FULL_DISK_LOOK_MS } from "../../src/limits.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import {
  expectTidy,
  leave,
  openFilling,
  reserved,
  ROOM_AGAIN,
  used,
  type Filling,
} from "../support/full-disk.ts";
import { HeldDisk } from "../support/held-disk.ts";
import {
  changesBetween,
  del,
  delRange,
  dump,
  failure,
  incr,
  put,
  putFor,
  textOf,
  touch,
  write,
} from "../support/stores.ts";
import { turns } from "../support/turns.ts";

const LARGE = "x".repeat(2_000);

/** A store on a disk without room that has met that already. */
async function beginFull(): Promise<Filling> {
  const filling = await openFilling();
  const { disk, store } = filling;
  await write(store, put("a", "1"), put("b", "2"), putFor("due", "v", 5_000));
  leave(disk, 300);
  await failure(() => write(store, put("c", LARGE)), "storage_full");
  // History has yielded.
  await store.maintained();
  return filling;
}

describe("the first write without room", () => {
  test("gives up the reserve, is refused, and the operator is told once", async () => {
    const { disk, store, notices } = await openFilling();
    expect([reserved(disk), notices]).toEqual([40_000, []]);
    await write(store, put("a", "1"));
    await store.compact(1);
    leave(disk, 300);
    const before = await dump(store, 1);
    const error = await failure(() => write(store, put("b", LARGE)), "storage_full");
    expect(error.message).toMatch(/disk is full \(ENOSPC.*nothing was changed; .*delete/);
    await failure(() => write(store, put("b", "2")), "storage_full");
    expect(reserved(disk)).toBe(0);
    expect(await dump(store, 1)).toEqual(before);
    expect(notices).toEqual([expect.stringMatching(/^the disk is full \(ENOSPC.*deletes.*go on/)]);
    await store.close();
  });

  test("refuses only what puts in its batch; the rest is done, in order", async () => {
    const { disk, store } = await openFilling();
    await write(store, put("a", "1"), put("b", "2"));
    leave(disk, 300);
    const outcomes = await Promise.allSettled([
      write(store, put("c", LARGE)),
      write(store, del("a")),
      write(store, put("a", "new")),
      write(store, { op: "get", key: "a" }),
      store.compact(1),
      write(store, del("b")),
    ]);
    const seen = outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? "done" : (outcome.reason as KvError).code,
    );
    expect(seen).toEqual(["storage_full", "done", "storage_full", "done", "done", "done"]);
    expect(await textOf(store, "a")).toBeUndefined();
    expect((await store.status()).keys).toBe(0);
    await store.close();
  });

  test.each(["EDQUOT", "EFBIG"])("can meet %s: it is the same", async (code) => {
    const { disk, store } = await openFilling();
    await write(store, put("a", "1"));
    disk.fault = ({ kind, bytes }) =>
      kind === "write" && bytes!.length > 1_000 ? code : undefined;
    await failure(() => write(store, put("b", LARGE)), "storage_full");
    expect(reserved(disk)).toBe(0);
    await write(store, del("a"));
    await store.close();
  });

  test("can be one that begins a segment", async () => {
    for (let room = 0; room < 400; room += 20) {
      const { disk, store, fatal } = await openFilling({ segmentBytesMax: 300 });
      await write(store, put("a", "x".repeat(200)));
      leave(disk, room);
      await failure(() => write(store, put("b", LARGE)), "storage_full");
      await write(store, del("a"));
      expect(fatal).toEqual([]);
      expectTidy(disk);
      await store.close();
    }
  });

  test("has the room that is made for it before the reserve is made again", async () => {
    const disk = new HeldDisk();
    // So small a reserve is there again at once.
    const { store, notices, look } = await openFilling({ reserveBytes: 4_096 }, disk);
    const keys = Array.from({ length: 30 }, (_, at) => `k${at}`);
    await write(store, ...keys.map((key) => put(key, "x")));
    // When it was given up there is enough for it again, and a little more; not for the records.
    leave(disk, 300);
    disk.isHeld = true;
    const deleted = write(store, ...keys.map((key) => del(key)));
    await turns();
    // Of the tail that was cut off; the next one is of what there is room for.
    await disk.release();
    await turns();
    expect([reserved(disk), reserved(disk, ".tmp")]).toEqual([0, 0]);
    disk.isHeld = false;
    await disk.release();
    await deleted;
    disk.capacityBytes = Infinity;
    await look();
    expect(reserved(disk)).toBe(4_096);
    expect(notices.at(-1)).toBe(ROOM_AGAIN);
    expectTidy(disk);
    await store.close();
  });

  test("takes the room of a reserve that is just being made, and goes through", async () => {
    const bytes = 3 * BACKGROUND_SYNC_BYTES;
    const disk = new FakeDisk();
    const { store, time, notices } = await openFilling({ reserveBytes: bytes }, disk, false);
    leave(disk, bytes * 1.1);
    const inTheMiddle = Promise.withResolvers<void>();
    disk.fault = ({ kind, name }) => {
      if (name === "RESERVE.tmp" && kind === "sync") inTheMiddle.resolve();
      return undefined;
    };
    time.now += FULL_DISK_LOOK_MS;
    time.fire();
    await inTheMiddle.promise;
    await write(store, put("large", "x".repeat(bytes - 100_000)));
    expect([reserved(disk), reserved(disk, ".tmp")]).toEqual([0, 0]);
    await store.maintained();
    expect(notices).toEqual([expect.stringContaining("no room to keep some")]);
    await store.close();
  });
});

describe("while the disk is full", () => {
  test("nothing with a put touches the disk", async () => {
    const { disk, store } = await beginFull();
    const { calls } = disk;
    await failure(() => write(store, put("a")), "storage_full");
    await failure(() => write(store, put("new", "")), "storage_full");
    await failure(() => write(store, touch("a", "none")), "storage_full");
    await failure(() => write(store, incr("count")), "storage_full");
    await failure(() => write(store, del("a"), put("b", "")), "storage_full");
    const checks = [{ key: "a", revision: 99 }];
    await failure(() => store.commit({ checks, then: [], else: [put("a")] }), "storage_full");
    expect(disk.calls).toBe(calls);
    expect(await textOf(store, "a")).toBe("1");
    await store.close();
  });

  test("what fails or changes nothing answers as ever", async () => {
    const { disk, store } = await beginFull();
    const { calls } = disk;
    const { revision } = await store.status();
    const checks = [{ key: "a", revision: 99 }];
    expect((await store.commit({ checks, then: [put("a")] })).succeeded).toBe(false);
    const undone = await write(store, put("new", "1"), del("new"));
    expect([undone.succeeded, undone.revision]).toEqual([true, revision]);
    expect((await write(store, del("absent"))).results).toEqual([{ op: "delete", deleted: 0 }]);
    await failure(() => write(store, touch("absent", "none")), "not_found");
    await failure(() => write(store, incr("a"), incr("b"), put("a", "x"), incr("a")), "conflict");
    expect(disk.calls).toBe(calls);
    await store.close();
  });

  test("deletes, expiries, compactions, reads and watches go on", async () => {
    const { store, time } = await beginFull();
    const { revision } = await store.status();
    const unpin = store.pin(revision);
    const watched = changesBetween(store, revision + 1, revision + 2);
    await write(store, del("a"));
    time.now += 5_000;
    time.fire();
    expect((await watched).flatMap(({ events }) => events)).toMatchObject([
      { type: "delete", key: "a" },
      { type: "expire", key: "due" },
    ]);
    expect(await textOf(store, "due")).toBeUndefined();
    expect(await textOf(store, "a", revision)).toBe("1");
    unpin();
    await store.compact(revision + 1);
    await write(store, delRange({ prefix: "" }));
    expect((await store.status()).keys).toBe(0);
    await store.close();
  });

  test("deletes are refused, too, when all that was kept is used; reads go on", async () => {
    const { disk, store } = await beginFull();
    disk.capacityBytes = used(disk);
    const error = await failure(() => write(store, del("a")), "storage_full");
    expect(error.message).toContain("nothing was changed");
    expect(await textOf(store, "a")).toBe("1");
    leave(disk, 200);
    await write(store, del("a"));
    await store.close();
  });
});

describe("writes go on by themselves", () => {
  test("as soon as somebody makes room, and no more history is forgotten for it", async () => {
    const { disk, store, look, notices } = await beginFull();
    await write(store, del("a"));
    const { oldest, revision } = await store.status();
    const before = await dump(store, oldest);
    expect(oldest).toBeLessThan(revision);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await look();
    expect(notices.at(-1)).toBe(ROOM_AGAIN);
    expect(await dump(store, oldest)).toEqual(before);
    await write(store, put("c", LARGE));
    expect(reserved(disk)).toBe(40_000);
    await store.close();
  });

  test("not before there is room for the reserve and a little more, and all say how much", async () => {
    const { disk, store, look, notices } = await openFilling({ mergeBytesMin: 1_000_000 });
    await write(store, put("a", "1"));
    leave(disk, 300);
    const until = "41.5 KiB are free";
    const first = await failure(() => write(store, put("c", LARGE)), "storage_full");
    expect(first.message).toEndWith(`: writes go on by themselves when ${until}`);
    expect(notices).toEqual([expect.stringContaining(`writes are refused until ${until};`)]);
    leave(disk, 42_000);
    await look();
    const later = await failure(() => write(store, put("a", "2")), "storage_full");
    expect(later.message).toEndWith(`: writes go on by themselves when ${until}`);
    leave(disk, 43_000);
    await look();
    await write(store, put("a", "2"));
    await store.close();
  });

  test("since history yields, half of it at first, and what it took is freed", async () => {
    const { disk, store, look, notices } = await openFilling();
    for (let round = 0; round < 60; round++) await write(store, put("a", `${round} ${LARGE}`));
    leave(disk, 100);
    await failure(() => write(store, put("b", LARGE)), "storage_full");
    const { revision } = await store.status();
    for (let round = 0; round < 3; round++) await look();
    expect(notices.at(-1)).toBe(ROOM_AGAIN);
    expect(notices.join("\n")).toMatch(/forgot the history below revision \d+/);
    const { oldest } = await store.status();
    expect(oldest).toBeGreaterThan(1);
    await write(store, put("b", LARGE));
    expect(await textOf(store, "a")).toBe(`59 ${LARGE}`);
    expect(await textOf(store, "b")).toBe(LARGE);
    expect(revision).toBe(60);
    await store.close();
  });

  test("when keys are deleted: they and their history make room", async () => {
    const { disk, store, look, notices } = await openFilling();
    for (let key = 0; key < 40; key++) await write(store, put(`k${key}`, LARGE));
    leave(disk, 100);
    await failure(() => write(store, put("b", LARGE)), "storage_full");
    for (let round = 0; round < 3; round++) await look();
    // All of it is live: nothing can go by itself.
    await failure(() => write(store, put("b", LARGE)), "storage_full");
    await write(store, delRange({ prefix: "k1" }));
    await write(store, delRange({ prefix: "k2" }));
    await write(store, delRange({ prefix: "k3" }));
    for (let round = 0; round < 5; round++) await look();
    expect(notices.at(-1)).toBe(ROOM_AGAIN);
    await write(store, put("b", LARGE));
    expect((await store.status()).keys).toBe(7 + 1);
    await store.close();
  });

  test("but never at the cost of a revision that a reader has pinned", async () => {
    const { disk, store, look } = await openFilling();
    for (let round = 0; round < 60; round++) await write(store, put("a", `${round} ${LARGE}`));
    const unpin = store.pin(1);
    leave(disk, 100);
    await failure(() => write(store, put("b", LARGE)), "storage_full");
    for (let round = 0; round < 5; round++) await look();
    expect((await store.status()).oldest).toBeLessThanOrEqual(1);
    expect(await textOf(store, "a", 1)).toBe(`0 ${LARGE}`);
    await failure(() => write(store, put("b", LARGE)), "storage_full");
    unpin();
    for (let round = 0; round < 5; round++) await look();
    await write(store, put("b", LARGE));
    await store.close();
  });
});

test("a checkpoint is the last thing that needs room: a full disk gets none", async () => {
  const { disk, store, look } = await openFilling({ checkpointBytesMin: 1 });
  for (let at = 0; at < 20; at++) await write(store, put(`k${at}`, "x".repeat(300)));
  await store.maintained();
  const before = disk.bytes("CHECKPOINT").slice();
  leave(disk, 300);
  await failure(() => write(store, put("c", LARGE)), "storage_full");
  for (let at = 0; at < 20; at++) await write(store, del(`k${at}`));
  await store.maintained();
  expect(disk.bytes("CHECKPOINT")).toEqual(before);
  disk.capacityBytes = Infinity;
  await look();
  await look();
  expect(disk.bytes("CHECKPOINT")).not.toEqual(before);
  await store.close();
});

test("history yields once for each look, and where that fails it is tried at the next", async () => {
  const { disk, store, look, notices } = await openFilling();
  const history = () => notices.filter((notice) => notice.includes("forgot the history")).length;
  for (let round = 0; round < 60; round++) await write(store, put("a", `${round} ${LARGE}`));
  leave(disk, -40_000);
  await failure(() => write(store, put("b", LARGE)), "storage_full");
  disk.capacityBytes = used(disk);
  for (let round = 0; round < 3; round++) await look();
  expect([history(), (await store.status()).oldest]).toEqual([0, 0]);
  leave(disk, 300);
  await look();
  expect(history()).toBe(1);
  await store.close();
});

describe("a start on a disk that was full", () => {
  test("keeps what the reserve has left for deletes, and resumes when there is room", async () => {
    const { disk } = await beginFull();
    const killed = disk.kill();
    leave(killed, 20_000);
    const again = await openFilling({}, killed, false);
    expect(again.notices).toEqual([expect.stringContaining("the disk was full when the store")]);
    await failure(() => write(again.store, put("a", "2")), "storage_full");
    await write(again.store, del("a"));
    again.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await again.look();
    await write(again.store, put("a", "3"));
    expect(again.notices.at(-1)).toBe(ROOM_AGAIN);
    await again.store.close();
  });

  test("resumes also with a reserve that could never fit: it is a part of the disk then", async () => {
    const { disk } = await beginFull();
    const killed = disk.kill();
    killed.totalBytes = 60_000;
    killed.capacityBytes = used(killed) + 10_000;
    const again = await openFilling({ reserveBytes: 64_000 }, killed, false);
    const error = await failure(() => write(again.store, put("a", "2")), "storage_full");
    expect(error.message).toEndWith("when 15.6 KiB are free");
    leave(killed, 16_000);
    await again.look();
    await write(again.store, put("a", "2"));
    expect(reserved(killed)).toBe(15_000);
    expect(again.notices.at(-1)).toBe(ROOM_AGAIN);
    await again.store.close();
  });
});

describe("a disk on which there is never room for the reserve", () => {
  test("is told once; the store works, and each write tries for itself", async () => {
    const disk = new FakeDisk();
    disk.capacityBytes = 20_000;
    const { store, notices, look, time } = await openFilling({}, disk);
    expect(notices).toEqual([expect.stringContaining("no room to keep some")]);
    await write(store, put("a", "1"));
    time.now += BACKGROUND_RETRY_MS;
    await look();
    expect(notices).toHaveLength(1);
    leave(disk, 300);
    await failure(() => write(store, put("b", LARGE)), "storage_full");
    await write(store, put("b", "small"));
    expectTidy(disk);
    await store.close();
  });

  test("gets one when there is room later", async () => {
    const disk = new FakeDisk();
    disk.capacityBytes = 20_000;
    const { store, look, time } = await openFilling({}, disk);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    time.now += BACKGROUND_RETRY_MS;
    await look();
    expect(reserved(disk)).toBe(40_000);
    await store.close();
  });
});
