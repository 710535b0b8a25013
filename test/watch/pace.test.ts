/** When the hub publishes again, and that nobody loses anything by it. */

import { expect, test } from "bun:test";
import { PUBLISH_WAIT_MS_MAX } from "../../src/limits.ts";
import { Hub } from "../../src/watch/hub.ts";
import { Pace } from "../../src/watch/pace.ts";
import { openModel } from "../support/model-store.ts";
import { put, write } from "../support/stores.ts";
import { quiet, Rig } from "./rig.ts";

/** Between two frames of progress. */
const NEVER_MS = 1_000_000;

/** A pace on a clock that a test moves. */
function clocked() {
  const time = { now: 1_000 };
  return { time, pace: new Pace(() => time.now) };
}

test("few connections are always published to at once", async () => {
  const { pace } = clocked();
  for (let turn = 0; turn < 3; turn++) {
    pace.publishedTo(499);
    expect(pace.waitMs()).toBe(0);
    await quiet(1);
    expect(pace.waitMs()).toBe(0);
  }
});

test("many wait half as long as a turn takes, when one has just been, and not within it", async () => {
  const { time, pace } = clocked();
  expect(pace.waitMs()).toBe(0);
  pace.publishedTo(2_000);
  expect(pace.waitMs()).toBe(0);
  await quiet(1);
  expect(pace.waitMs()).toBe(2);
  // What goes to nobody is no turn.
  pace.publishedTo(0);
  expect(pace.waitMs()).toBe(2);
  time.now += 23;
  expect(pace.waitMs()).toBe(2);
  time.now += 1;
  expect(pace.waitMs()).toBe(0);
});

test("a turn counts what went to most, and no wait is longer than the longest", async () => {
  const { pace } = clocked();
  pace.publishedTo(500);
  await quiet(1);
  expect(pace.waitMs()).toBe(1);
  for (const connections of [600, 3_000, 700]) pace.publishedTo(connections);
  await quiet(1);
  expect(pace.waitMs()).toBe(3);
  pace.publishedTo(1_000_000);
  await quiet(1);
  expect(pace.waitMs()).toBe(PUBLISH_WAIT_MS_MAX);
});

test("what comes while it waits is published in the same turn, to who was there and who came", async () => {
  let waitMs = 20;
  using rig = new Rig({}, NEVER_MS, { waitMs: () => waitMs, publishedTo: () => (waitMs = 0) });
  const early = rig.connect();
  await early.watch({});
  await write(rig.store, put("a"));
  await write(rig.store, put("a"));
  const late = rig.connect();
  await late.watch({});
  const past = rig.connect();
  await past.watch({}, 1);
  expect(early.frames).toEqual([]);
  while (early.frames.length === 0) await quiet(1);
  await quiet();
  await write(rig.store, put("a"));
  await quiet();
  expect(early.revisions).toEqual([1, 2, 3]);
  expect(late.revisions).toEqual([3]);
  expect(past.revisions).toEqual([1, 2, 3]);
});

test("nothing is published behind the end, also when it was waited for", async () => {
  const rig = new Rig({}, NEVER_MS, { waitMs: () => 1, publishedTo: () => {} });
  const connection = rig.connect();
  await connection.watch({});
  await write(rig.store, put("a"));
  await quiet();
  rig.hub.stop();
  await Bun.sleep(5);
  expect(rig.published).toEqual([]);
  expect(connection.frames).toMatchObject([{ type: "end", reason: "shutdown" }]);
});

test("the hub tells its pace how many connections a commit goes to", async () => {
  const told: number[] = [];
  const store = openModel();
  const hub = new Hub({
    store,
    pace: { waitMs: () => 0, publishedTo: (count) => told.push(count) },
  });
  const frames: string[] = [];
  hub.publishThrough({ publish: (_, frame) => frames.push(frame.type) });
  for (const range of [{}, {}, { prefix: "a" }]) {
    const subscriber = { ...SILENT };
    await hub.connect(subscriber).watch({ range, created: () => {} });
  }
  await write(store, put("a"));
  await write(store, put("b"));
  await quiet();
  expect(told).toEqual([3, 2]);
  hub.stop();
});

const SILENT = {
  transport: "ws" as const,
  send: () => {},
  together: (run: () => void) => run(),
  unsentBytes: () => 0,
  subscribe: () => {},
  unsubscribe: () => {},
  fail: (error: unknown) => expect.unreachable(String(error)),
};
