/** Starts on a full disk, after any end: what they write takes its room from the reserve. */

import { expect, test } from "bun:test";
import type { Durability } from "../../src/durability.ts";
import type { Store } from "../../src/kv.ts";
import { openLog } from "../../src/log/engine.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { expectTidy, leave, openFilling, reserved, used } from "../support/full-disk.ts";
import { flipped } from "../support/logs.ts";
import { del, failure, listAll, put, shown, write } from "../support/stores.ts";
import { turns } from "../support/turns.ts";

const RESERVE_BYTES = 40_000;

/** The disk of a process that died when all of its writes were answered. */
async function died(durability: Durability = { mode: "sync" }): Promise<FakeDisk> {
  const { disk, store, look } = await openFilling({ reserveBytes: RESERVE_BYTES, durability });
  for (let round = 0; round < 4; round++) await write(store, put(`k${round}`, "x".repeat(700)));
  // Where there is an interval, it goes by.
  if (durability.mode === "interval") await look();
  await turns();
  return disk.kill();
}

/** The same, where `DURABLE` knows less than there is: the last bytes look suspect. */
async function suspect(): Promise<FakeDisk> {
  const { disk, store } = await openFilling({ reserveBytes: RESERVE_BYTES });
  await write(store, put("k0", "x".repeat(700)));
  const old = disk.bytes("DURABLE").slice();
  for (let round = 1; round < 4; round++) await write(store, put(`k${round}`, "x".repeat(700)));
  const killed = disk.kill();
  killed.place("DURABLE", old);
  return killed;
}

/** The last batch is torn in the middle, and nobody had been answered. */
async function torn(): Promise<FakeDisk> {
  const { disk, store } = await openFilling({ reserveBytes: RESERVE_BYTES });
  await write(store, put("k0", "x".repeat(700)));
  const old = disk.bytes("DURABLE").slice();
  await write(store, put("k1", "x".repeat(3_000)));
  const killed = disk.kill();
  killed.place("DURABLE", old);
  return flipped(killed, "0000000001.log", 8 * (killed.bytes("0000000001.log").length - 100));
}

async function withoutDurable(): Promise<FakeDisk> {
  const disk = await died();
  disk.remove("DURABLE");
  return disk;
}

const ends: [string, () => Promise<FakeDisk>][] = [
  ["whose log was synced to its end", () => died()],
  ["whose last bytes are suspect", suspect],
  ["whose last batch is torn", torn],
  ["that left no DURABLE", withoutDurable],
  ["that answered before it synced", () => died({ mode: "os" })],
  ["that answered before it synced, and then did", () => died({ mode: "interval", ms: 500 })],
];

test.each(ends)("a start after an end %s works with any room", async (_, end) => {
  const without = await end();
  const right = await shownOn(without.copy());
  for (let room = 0; room < 6_000; room += room < 400 ? 20 : 300) {
    const disk = without.copy();
    leave(disk, room);
    const { store, fatal } = await openFilling({ reserveBytes: RESERVE_BYTES }, disk, false);
    expect([await shownBy(store), fatal]).toEqual([right, []]);
    await write(store, del("k0"));
    expectTidy(disk);
    await store.close();
    expect(disk.openFiles).toBe(0);
  }
});

test.each(ends)("a start after an end %s without a reserve fails, or works", async (_, end) => {
  const without = await end();
  const right = await shownOn(without.copy());
  let code: string | void = "";
  for (let room = 0; room < 20_000; room += room < 400 ? 20 : 500) {
    const disk = without.copy();
    disk.remove("RESERVE");
    leave(disk, room);
    code = await openLog({ directory: disk.directory, disk }).then(
      (store) => store.close(),
      (error: { code: string }) => error.code,
    );
    expect([undefined, "ENOSPC"]).toContain(code as undefined);
    expect(disk.openFiles).toBe(0);
    // With room it starts, and nothing is lost.
    expect(await shownOn(disk.copy())).toEqual(right);
  }
  expect(code).toBeUndefined();
});

test("a start that needs no room leaves the reserve as it is", async () => {
  const disk = await died();
  leave(disk, 0);
  const { store } = await openFilling({ reserveBytes: RESERVE_BYTES }, disk, false);
  expect(reserved(disk)).toBe(RESERVE_BYTES);
  await failure(() => write(store, put("a", "1")), "storage_full");
  expect(reserved(disk)).toBe(0);
  expect(used(disk)).toBeGreaterThan(0);
  await store.close();
});

// --- internal ---

/** What a start with all the room that it wants shows. */
async function shownOn(disk: FakeDisk) {
  const { store } = await openFilling({ reserveBytes: RESERVE_BYTES }, disk, false);
  const shown = await shownBy(store);
  await store.close();
  return shown;
}

/** History may have yielded meanwhile. */
async function shownBy(store: Store) {
  const { store: id, revision, keys } = await store.status();
  const entries = await listAll(store, {});
  return { id, revision, keys, entries: entries.map(shown) };
}
