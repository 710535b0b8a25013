/** The hub: the revision of a state that is being sent is not forgotten before it is sent. */

import { expect, test } from "bun:test";
import { FRAME_BYTES_MAX } from "../../src/limits.ts";
import { put, write } from "../support/stores.ts";
import { quiet, Rig } from "./rig.ts";

async function filled(): Promise<Rig> {
  const rig = new Rig();
  for (let at = 0; at < 100; at++) {
    await write(rig.store, put(`k${at}`, "x".repeat(FRAME_BYTES_MAX / 20)));
  }
  return rig;
}

test("it is pinned from the beginning of the watch to the end of the state", async () => {
  using rig = await filled();
  const connection = rig.connect();
  rig.lists.close();
  await connection.begin({ range: {}, initial: true });
  expect(rig.pinned).toEqual([100]);
  rig.lists.open();
  await quiet(200);
  expect(connection.frames.at(-1)).toMatchObject({ type: "sync", revision: 100 });
  expect(rig.pinned).toEqual([]);
});

test("it stays pinned while the reader stalls", async () => {
  using rig = await filled();
  const connection = rig.connect();
  connection.stalled = true;
  await connection.begin({ range: {}, initial: true });
  await quiet(200);
  expect(rig.pinned).toEqual([100]);
  connection.drain();
  await quiet(200);
  expect(rig.pinned).toEqual([]);
});

test("each of several watches has its own, and takes none of another's away", async () => {
  using rig = await filled();
  const [one, two] = [rig.connect(), rig.connect()];
  rig.lists.close();
  const { watch } = await one.begin({ range: {}, initial: true });
  await write(rig.store, put("later"));
  await two.begin({ range: {}, initial: true });
  expect(rig.pinned).toEqual([100, 101]);
  one.session.unwatch(watch);
  expect(rig.pinned).toEqual([101]);
  two.session.close();
  expect(rig.pinned).toEqual([]);
});

test("the end of the server lets go of all", async () => {
  const rig = await filled();
  rig.lists.close();
  await rig.connect().begin({ range: {}, initial: true });
  rig.hub.stop();
  expect(rig.pinned).toEqual([]);
});

test("a state that begins anew is pinned where it does", async () => {
  using rig = await filled();
  const connection = rig.connect();
  connection.stalled = true;
  await connection.begin({ range: {}, initial: true });
  await quiet(200);
  await write(rig.store, put("later"));
  // Pins are bounded: history goes after some time all the same.
  await rig.store.compact(101);
  rig.lists.close();
  connection.drain();
  await quiet();
  rig.lists.open();
  while (!connection.frames.some(({ type }) => type === "reset")) await quiet(1);
  expect(rig.pinned).toEqual([101]);
  await quiet(200);
  expect(connection.frames.at(-1)).toMatchObject({ type: "sync", revision: 101 });
  expect(rig.pinned).toEqual([]);
});

test("a watch without a state pins nothing", async () => {
  using rig = await filled();
  await rig.connect().begin({ range: {}, from: 1 });
  expect(rig.pinned).toEqual([]);
  await quiet(100);
  expect(rig.pinned).toEqual([]);
});
