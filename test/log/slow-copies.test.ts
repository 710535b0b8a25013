/** Copies that are read slowly, or not on: how long they keep the room of replaced segments. */

import { expect, test } from "bun:test";
import { PIN_MS_MAX } from "../../src/limits.ts";
import { leave, openFilling, ROOM_AGAIN, type Filling } from "../support/full-disk.ts";
import { failure, put, write } from "../support/stores.ts";

const LARGE = "x".repeat(2_000);

interface Begun extends Filling {
  /** The pieces of a copy, of which one was read. */
  readonly pieces: AsyncIterator<Uint8Array>;
  /** Open files without the copy. */
  readonly openBefore: number;
}

/** A store with some segments, and a copy of it that was begun. */
async function begin(): Promise<Begun> {
  const filling = await openFilling();
  const { disk, store } = filling;
  for (let round = 0; round < 300; round++) await write(store, put("a", `${round} ${LARGE}`));
  await store.maintained();
  const openBefore = disk.openFiles;
  const pieces = store.snapshot()[Symbol.asyncIterator]();
  expect((await pieces.next()).done).toBe(false);
  expect(disk.openFiles).toBeGreaterThan(openBefore + 1);
  return { ...filling, pieces, openBefore };
}

/** Merges all that the copy holds. */
async function replaceAll({ store }: Begun): Promise<void> {
  await store.compact(store.status().revision);
  await store.maintained();
}

async function rest(pieces: AsyncIterator<Uint8Array>): Promise<number> {
  let bytes = 0;
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
    bytes += next.value.length;
  }
  return bytes;
}

test("after ten minutes what was replaced is let go of, also when nobody reads on", async () => {
  const begun = await begin();
  const { disk, store, time, notices, pieces, look } = begun;
  const before = disk.openFiles;
  await replaceAll(begun);
  time.now += PIN_MS_MAX - 2_000;
  await look();
  expect(notices).toEqual([]);
  const held = disk.openFiles;
  time.now += 2_000;
  await look();
  expect(disk.openFiles).toBeLessThan(held);
  expect(disk.openFiles).toBeLessThan(before);
  expect(notices).toEqual([expect.stringContaining("a backup was ended: it took too long")]);
  const { message } = await failure(() => rest(pieces), "unavailable");
  expect(message).toContain("the backup was ended: it took too long");
  expect((await pieces.next()).done).toBe(true);
  await store.close();
  expect(disk.openFiles).toBe(0);
});

test("a copy of which nothing was replaced may take any time", async () => {
  const { disk, store, time, pieces, look, openBefore } = await begin();
  await write(store, put("b", "1"));
  time.now += 10 * PIN_MS_MAX;
  await look();
  expect(await rest(pieces)).toBeGreaterThan(300_000);
  expect(disk.openFiles).toBe(openBefore);
  await store.close();
});

test("one that is ended leaves a younger one alone", async () => {
  const begun = await begin();
  const { store, time, pieces, look } = begun;
  time.now += PIN_MS_MAX;
  const younger = store.snapshot()[Symbol.asyncIterator]();
  await younger.next();
  await replaceAll(begun);
  time.now += 1_000;
  await look();
  await failure(() => rest(pieces), "unavailable");
  expect(await rest(younger)).toBeGreaterThan(300_000);
  await store.close();
});

test("nor does a merge end one that takes less", async () => {
  const begun = await begin();
  await replaceAll(begun);
  begun.time.now += PIN_MS_MAX / 2;
  await begun.look();
  expect(await rest(begun.pieces)).toBeGreaterThan(300_000);
  await begun.store.close();
});

test("a full disk lets go of it at once, and what was replaced meanwhile", async () => {
  const begun = await begin();
  const { disk, store, notices, pieces, look } = begun;
  await replaceAll(begun);
  const held = disk.openFiles;
  leave(disk, 300);
  await failure(() => write(store, put("b", LARGE)), "storage_full");
  await store.maintained();
  expect(disk.openFiles).toBeLessThan(held);
  expect(notices.join("\n")).toContain("a backup was ended: the disk is full");
  const { message } = await failure(() => rest(pieces), "unavailable");
  expect(message).toContain("the disk is full, and needs the room");
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  await look();
  expect(notices.at(-1)).toBe(ROOM_AGAIN);
  await store.close();
});

test("on a full disk a copy is ended once a merge replaces what it holds", async () => {
  const begun = await begin();
  const { disk, store, notices, pieces } = begun;
  leave(disk, 300);
  await failure(() => write(store, put("b", LARGE)), "storage_full");
  // History yields, and is merged.
  await store.maintained();
  await begun.look();
  expect(notices.join("\n")).toContain("a backup was ended: the disk is full");
  await failure(() => rest(pieces), "unavailable");
  await store.close();
  expect(disk.openFiles).toBe(0);
});
