/** The hub: how a watch starts, is live, stalls, and gets a large commit. */

import { describe, expect, test } from "bun:test";
import { FRAME_BYTES_MAX, WATCHER_UNSENT_BYTES_MAX } from "../../src/limits.ts";
import { del, failure, put, write } from "../support/stores.ts";
import { quiet, Rig } from "./rig.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

describe("the start of a watch", () => {
  test("without a revision it begins above what has been answered, and is live at once", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const connection = rig.connect();
    expect(await connection.watch({})).toMatchObject({ watch: 1, revision: 1 });
    expect(connection.topics.size).toBe(1);
    await write(rig.store, put("b"));
    await quiet();
    expect(connection.frames).toMatchObject([{ way: "published", revision: 2 }]);
  });

  test("from a past revision history comes first and new changes follow without a hole", async () => {
    using rig = new Rig({ chunkCommitsMax: 2 });
    for (let count = 0; count < 7; count++) await write(rig.store, put("a"));
    const connection = rig.connect();
    expect(await connection.watch({ key: "a" }, 3)).toMatchObject({ revision: 2 });
    await quiet();
    await write(rig.store, put("a"));
    await quiet();
    expect(connection.revisions).toEqual([3, 4, 5, 6, 7, 8]);
    expect(connection.frames.at(-1)?.way).toBe("published");
  });

  test("from the next revision nothing is replayed", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const connection = rig.connect();
    expect(await connection.watch({}, 2)).toMatchObject({ revision: 1 });
    await write(rig.store, put("b"));
    await quiet();
    expect(connection.revisions).toEqual([2]);
  });

  test("a forgotten revision is refused and the oldest possible one named", async () => {
    using rig = new Rig();
    for (let count = 0; count < 5; count++) await write(rig.store, put("a"));
    rig.store.compact(3);
    const connection = rig.connect();
    const error = await failure(() => connection.watch({}, 3), "compacted");
    expect(error.details).toEqual({ oldest: 4 });
    expect(await connection.watch({}, 4)).toMatchObject({ revision: 3 });
  });

  test("a revision beyond the next one is refused and the store's named", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const error = await failure(() => rig.connect().watch({}, 3), "invalid_argument");
    expect(error.details).toEqual({ revision: 1 });
  });

  test("the same range twice on a connection is a conflict, however it is written", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({});
    await failure(() => connection.watch({ prefix: "" }), "conflict");
    await failure(() => connection.watch({ start: "" }), "conflict");
    await connection.watch({ prefix: "a" });
    await connection.watch({ key: "a" });
    await connection.watch({ start: "a" });
    expect(rig.hub.watchers).toBe(4);
  });

  test("of two same watches asked for at once one is a conflict", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    const outcomes = await Promise.allSettled([connection.watch({}), connection.watch({})]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("a watch that was ended can be begun again", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    const { watch } = await connection.watch({});
    expect(connection.session.unwatch(watch)).toBe(true);
    expect(connection.session.unwatch(watch)).toBe(false);
    await connection.watch({});
    expect(rig.hub.watchers).toBe(1);
  });
});

describe("live watchers", () => {
  test("share one number and one encoding for each distinct filter", async () => {
    using rig = new Rig();
    const connections = [rig.connect(), rig.connect(), rig.connect()];
    const watches = [];
    for (const connection of connections) watches.push(await connection.watch({ prefix: "a" }));
    const other = await connections[0]!.watch({ key: "a1" });
    expect(new Set(watches.map(({ watch }) => watch)).size).toBe(1);
    expect(other.watch).not.toBe(watches[0]!.watch);
    await write(rig.store, put("a1"), put("b"));
    await quiet();
    expect(rig.published.length).toBe(2);
    expect(connections[1]!.frames).toMatchObject([{ events: [{ key: "a1" }] }]);
    expect(connections[0]!.frames.length).toBe(2);
  });

  test("get the matching events of a commit and nothing of others", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    const { watch } = await connection.watch({ start: "b", end: "d" });
    await write(rig.store, put("a"), put("b"), put("c/1"), put("d"));
    await write(rig.store, put("a"));
    await write(rig.store, del("b"));
    await quiet();
    expect(connection.frames).toMatchObject([
      { watch, revision: 1, events: [{ key: "b" }, { key: "c/1" }] },
      { watch, revision: 3, events: [{ type: "delete", key: "b" }] },
    ]);
  });

  test("with too much unsent go on from the log when the socket has drained", async () => {
    using rig = new Rig();
    const slow = rig.connect();
    const healthy = rig.connect();
    await slow.watch({});
    await healthy.watch({});
    slow.stalled = true;
    for (let count = 0; count < 60; count++)
      await write(rig.store, put("a", "x".repeat(100 * KIB)));
    await quiet();
    expect(healthy.revisions.length).toBe(60);
    expect(healthy.frames.every(({ way }) => way === "published")).toBe(true);
    // One megabyte, what is published between two looks, and a frame.
    expect(slow.unsent).toBeLessThan(MIB + 256 * KIB + 2 * 101 * KIB);
    expect(slow.topics.size).toBe(0);

    slow.drain();
    await quiet(200);
    expect(slow.revisions).toEqual(healthy.revisions);
    await write(rig.store, put("a"));
    await quiet();
    expect(slow.frames.at(-1)).toMatchObject({ way: "published", revision: 61 });
  });

  test("stay away until the socket is under half of the limit", async () => {
    using rig = new Rig();
    const slow = rig.connect();
    await slow.watch({});
    slow.stalled = true;
    for (let count = 0; count < 20; count++)
      await write(rig.store, put("a", "x".repeat(100 * KIB)));
    await quiet();
    const before = slow.frames.length;
    slow.drain(WATCHER_UNSENT_BYTES_MAX / 2 + 1);
    await quiet();
    expect(slow.frames.length).toBe(before);
    slow.drain(WATCHER_UNSENT_BYTES_MAX / 2);
    await quiet(100);
    expect(slow.revisions).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test("of a connection with many watches leave together, though each topic had little", async () => {
    using rig = new Rig();
    const slow = rig.connect();
    for (let count = 0; count < 100; count++) await slow.watch({ prefix: "a".repeat(count) });
    slow.stalled = true;
    // Each topic gets 200 KiB, less than is published between two looks at it.
    for (let count = 0; count < 20; count++) {
      await write(rig.store, put("a".repeat(100), "x".repeat(10 * KIB)));
    }
    await quiet();
    expect(slow.topics.size).toBe(0);
    expect(slow.unsent).toBeLessThan(6 * MIB);
    slow.drain();
    await quiet(1_000);
    expect(slow.revisions.length).toBe(100 * 20);
    expect(slow.topics.size).toBe(100);
  });

  test("leave their topics when the connection was sent something large", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({});
    connection.unsent = 60 * MIB;
    connection.session.sent();
    await write(rig.store, put("a"));
    await quiet();
    expect(connection.frames).toEqual([]);
    connection.drain();
    await quiet();
    expect(connection.revisions).toEqual([1]);
  });
});

describe("a large commit", () => {
  test("is split between events, marked, and joins whole; smaller filters get it live", async () => {
    using rig = new Rig();
    const all = rig.connect();
    const one = rig.connect();
    await all.watch({});
    await one.watch({ key: "k3" });
    const names = Array.from({ length: 10 }, (_, i) => `k${i}`);
    await write(rig.store, ...names.map((name) => put(name, "x".repeat(100 * KIB))));
    await write(rig.store, put("z"));
    await quiet();
    expect(one.frames).toMatchObject([{ way: "published", events: [{ key: "k3" }] }]);
    const parts = all.frames.slice(0, -1);
    expect(parts.map(({ way }) => way)).toEqual(["sent", "sent", "sent", "sent", "sent"]);
    expect(parts.map((frame) => frame.type === "change" && (frame.more ?? false))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
    const keys = parts.flatMap((f) => (f.type === "change" ? f.events.map(({ key }) => key) : []));
    expect(keys).toEqual(names);
    expect(all.frames.at(-1)).toMatchObject({ revision: 2 });
  });

  test("of one event is one frame, and is not published", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({});
    await write(rig.store, put("a", "x".repeat(FRAME_BYTES_MAX)));
    await write(rig.store, put("a", "\u0001".repeat(FRAME_BYTES_MAX / 4)));
    await quiet();
    expect(connection.frames).toMatchObject([
      { way: "sent", revision: 1 },
      { way: "sent", revision: 2 },
    ]);
    expect(connection.frames.some((frame) => "more" in frame)).toBe(false);
    expect(rig.published).toEqual([]);
  });

  test("no published frame passes the limit, and what fits is published", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({});
    for (let length = FRAME_BYTES_MAX - 400; length < FRAME_BYTES_MAX; length += 40) {
      for (const value of ["x".repeat(length), "ä".repeat(length / 2)]) {
        await write(rig.store, put("a", value));
        await quiet();
      }
    }
    const sizes = rig.published.map((text) => Buffer.byteLength(text));
    expect(Math.max(...sizes)).toBeGreaterThan(FRAME_BYTES_MAX - 200);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(FRAME_BYTES_MAX);
    expect(connection.revisions).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test("that stalls in the middle goes on there, also ahead of the hub", async () => {
    for (const step of [1, 3]) {
      using rig = new Rig({ step });
      await write(rig.store, put("a"));
      const connection = rig.connect();
      await connection.watch({}, 1);
      await quiet();
      rig.feed.close();
      const names = Array.from({ length: 30 }, (_, i) => `k${i}`);
      const puts = names.map((name) => put(name, "x".repeat(100 * KIB)));
      const { revision } = await write(rig.store, ...puts);
      // A second watch pulls what the hub has not published yet, and stalls in the middle of it.
      connection.stalled = true;
      const { watch } = await connection.watch({ prefix: "k" }, 2);
      await quiet();
      const frames = () =>
        connection.frames.filter((f) => f.type === "change" && f.watch === watch);
      connection.drain();
      await quiet();
      rig.feed.open();
      await quiet(100);
      const events = frames().flatMap((f) => (f.type === "change" ? f.events : []));
      expect(events.map(({ key }) => key)).toEqual(names);
      expect(frames().every((f) => f.type === "change" && f.revision === revision)).toBe(true);
      expect(connection.failures).toEqual([]);
    }
  });
});
