/** The hub: several ranges, what was there before, keys alone, and who watches what. */

import { describe, expect, test } from "bun:test";
import type { Range } from "../../src/kv.ts";
import { FRAME_BYTES_MAX } from "../../src/limits.ts";
import { del, failure, put, write } from "../support/stores.ts";
import { quiet, Rig } from "./rig.ts";

function before(value: string) {
  return { key: "a", value, revision: 1, version: 1 };
}

function thousand(name: number): Range[] {
  return Array.from({ length: 1_000 }, (_, at) => ({ key: `${name}/${at}` }));
}

describe("several keys and prefixes", () => {
  test("are one watch, live and in the past, and each event comes once", async () => {
    using rig = new Rig();
    const range = [{ prefix: "a/" }, { key: "b" }, { key: "a/1" }, { prefix: "a/1" }, { key: "c" }];
    const [live, past] = [rig.connect(), rig.connect()];
    await live.watch(range);
    for (const key of ["a/1", "a/2", "a", "b", "bb", "c"]) await write(rig.store, put(key));
    await write(rig.store, put("a/1"), put("x"), del("c"));
    await past.watch(range, 1);
    await quiet();
    for (const { frames, revisions } of [live, past]) {
      expect(revisions).toEqual([1, 2, 4, 6, 7]);
      const events = [{ key: "a/1" }, { type: "delete", key: "c" }];
      expect(frames.at(-1)).toMatchObject({ events });
    }
    expect(live.frames.every(({ way }) => way === "published")).toBe(true);
  });

  test("have one number and one encoding, however they are written", async () => {
    using rig = new Rig();
    const [one, other] = [rig.connect(), rig.connect()];
    const first = await one.watch([{ key: "b" }, { prefix: "a/" }, { key: "a/1" }]);
    const second = await other.watch([{ prefix: "a/2" }, { prefix: "a/" }, { key: "b" }]);
    expect(second.watch).toBe(first.watch);
    await failure(() => one.watch([{ prefix: "a/" }, { key: "b" }]), "conflict");
    await write(rig.store, put("b"));
    await quiet();
    expect(rig.published.length).toBe(1);
    // One key is one key, alone or in a list; every key is every key.
    const alone = await one.watch({ key: "b" });
    expect((await other.watch([{ key: "b" }, { key: "b" }])).watch).toBe(alone.watch);
    const all = await one.watch({});
    expect((await other.watch([{ key: "b" }, { prefix: "" }])).watch).toBe(all.watch);
  });

  test("that are none, too many, or go together with a start are refused", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await failure(() => connection.watch([]), "invalid_argument");
    await failure(() => connection.watch([{ key: "a" }, { start: "b" }]), "invalid_argument");
    await failure(() => connection.watch([{ key: "a" }, { key: "" }]), "invalid_argument");
    const many = Array.from({ length: 1_001 }, (_, at) => ({ key: `k${at}` }));
    await failure(() => connection.watch(many), "too_large");
    await connection.watch(many.slice(1));
    await write(rig.store, put("k0"), put("k1"), put("k1000"));
    await quiet();
    expect(connection.frames).toMatchObject([{ events: [{ key: "k1" }, { key: "k1000" }] }]);
  });
});

test("a connection watches a bounded number of keys and prefixes", async () => {
  using rig = new Rig();
  const connection = rig.connect();
  for (let watch = 0; watch < 50; watch++) await connection.watch(thousand(watch));
  const error = await failure(() => connection.watch({ key: "a" }), "too_many_requests");
  expect(error.details).toEqual({ limit: 50_000 });
  // Of which some thousands are shown together.
  expect(rig.hub.describeWatchers(100).length).toBe(10);
  connection.session.unwatch(7);
  await connection.watch(thousand(50));
  await failure(() => connection.watch({ key: "a" }), "too_many_requests");
});

test("the same range with other options is another watch on the same connection", async () => {
  using rig = new Rig();
  const connection = rig.connect();
  const options = [
    {},
    { prev: true },
    { keys: true },
    { latest: true },
    { prev: true, keys: true },
  ];
  const numbers = new Set<number>();
  for (const option of options) {
    numbers.add((await connection.begin({ range: {}, ...option })).watch);
  }
  expect(numbers.size).toBe(5);
  // Where it begins is no part of what it shows.
  await failure(() => connection.begin({ range: {}, initial: true }), "conflict");
  await failure(() => connection.begin({ range: {}, from: 1, keys: false }), "conflict");
});

describe("what was there before", () => {
  test("stands beside each event, live and in the past", async () => {
    using rig = new Rig();
    const [live, past] = [rig.connect(), rig.connect()];
    await live.begin({ range: {}, prev: true });
    await write(rig.store, put("a", "one"));
    await write(rig.store, put("a", "two"), put("b", "1"));
    await write(rig.store, del("a"));
    await write(rig.store, put("a", "three"));
    await past.begin({ range: {}, prev: true, from: 1 });
    await quiet();
    for (const { frames } of [live, past]) {
      expect(frames).toMatchObject([
        { revision: 1, events: [{ key: "a", value: "one" }] },
        { revision: 2, events: [{ value: "two", prev: before("one") }, { key: "b" }] },
        { revision: 3, events: [{ type: "delete", prev: { value: "two", version: 2 } }] },
        { revision: 4, events: [{ value: "three", version: 1 }] },
      ]);
      const events = frames.flatMap((frame) => (frame.type === "change" ? frame.events : []));
      expect(events.map(({ prev }) => prev !== undefined)).toEqual([
        false,
        true,
        false,
        true,
        false,
      ]);
    }
    expect(live.frames.every(({ way }) => way === "published")).toBe(true);
  });

  test("is what was there before the commit, where a key was deleted and put in one", async () => {
    using rig = new Rig();
    await write(rig.store, put("a", "old"));
    const [live, past] = [rig.connect(), rig.connect()];
    await live.begin({ range: {}, prev: true });
    await write(rig.store, del("a"), put("a", "new"));
    await past.begin({ range: {}, prev: true, from: 2 });
    await quiet();
    const events = [{ value: "new", version: 1, createRevision: 2, prev: before("old") }];
    for (const { frames } of [live, past]) expect(frames).toMatchObject([{ events }]);
  });

  test("has no value where none is wanted", async () => {
    using rig = new Rig();
    await write(rig.store, put("a", "one"));
    const connection = rig.connect();
    await connection.begin({ range: {}, prev: true, keys: true });
    await write(rig.store, put("a", "two"));
    await quiet();
    const [frame] = connection.frames;
    expect(frame).toMatchObject({ events: [{ key: "a", prev: { key: "a", revision: 1 } }] });
    expect(JSON.stringify(frame)).not.toContain('"value"');
  });

  test("comes from the changes where the store cannot say at once", async () => {
    using rig = new Rig();
    rig.getsLater = true;
    await write(rig.store, put("a", "one"));
    const [connection, plain] = [rig.connect(), rig.connect()];
    await connection.begin({ range: {}, prev: true });
    await plain.begin({ range: {} });
    for (const value of ["two", "three"]) {
      await write(rig.store, put("a", value));
      await quiet();
    }
    expect(connection.frames).toMatchObject([
      { way: "sent", revision: 2, events: [{ prev: { value: "one" } }] },
      { way: "sent", revision: 3, events: [{ prev: { value: "two" } }] },
    ]);
    expect(plain.frames.every(({ way }) => way === "published")).toBe(true);
  });

  test("that makes a frame too large leaves it to the log, and other watches as they are", async () => {
    using rig = new Rig();
    await write(rig.store, put("a", "x".repeat(FRAME_BYTES_MAX - 1_000)));
    const [connection, plain] = [rig.connect(), rig.connect()];
    await connection.begin({ range: {}, prev: true });
    await plain.begin({ range: {} });
    await write(rig.store, put("a", "y".repeat(2_000)));
    await quiet();
    expect(connection.frames).toMatchObject([{ way: "sent", revision: 2 }]);
    expect(plain.frames).toMatchObject([{ way: "published", revision: 2 }]);
  });

  test("that is forgotten ends a watch, or begins it anew, instead of being left out", async () => {
    using rig = new Rig();
    await write(rig.store, put("a", "one"));
    const [plain, anew] = [rig.connect(), rig.connect()];
    await plain.begin({ range: {}, prev: true });
    await anew.begin({ range: {}, prev: true, initial: true });
    await quiet();
    rig.feed.close();
    await write(rig.store, put("a", "two"));
    await quiet();
    // The hub has the commit in its hand, and the state before it cannot be read any more.
    await rig.store.compact(2);
    rig.feed.open();
    await quiet(50);
    expect(plain.frames).toMatchObject([{ type: "end", reason: "compacted" }]);
    const kinds = anew.frames.map(({ type }) => type);
    expect(kinds).toEqual(["state", "sync", "reset", "state", "sync"]);
  });
});

describe("the list of watchers", () => {
  test("says what each watches, how, and where it stands", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const [one, slow] = [rig.connect(), rig.connect()];
    await one.watch({});
    await one.begin({ range: [{ key: "k" }, { prefix: "p" }, { key: "q" }], prev: true });
    await slow.begin({ range: { start: "a", end: "b" }, keys: true, latest: true });
    await rig.hub.openStream("sse", { range: { key: "a" } });
    slow.unsent = 5_000_000;
    slow.session.sent();
    for (let count = 0; count < 2; count++) await write(rig.store, put("a"));
    await quiet();
    const live = {
      transport: "ws" as const,
      state: "live" as const,
      position: 3,
      lag: 0,
      unsentBytes: 0,
    };
    const [stream] = rig.hub.describeWatchers(10).slice(-1);
    expect(rig.hub.describeWatchers(10).slice(0, -1)).toEqual([
      { ...live, filter: {} },
      { ...live, filter: { key: ["k", "q"], prefix: "p", prev: true } },
      {
        filter: { start: "a", end: "b", keys: true, latest: true },
        transport: "ws",
        state: "stalled",
        position: 1,
        lag: 2,
        unsentBytes: 5_000_000,
      },
    ]);
    expect(stream).toMatchObject({ transport: "sse", filter: { key: "a" }, state: "live" });
    expect(stream!.unsentBytes).toBeGreaterThan(100);
    expect(rig.hub.describeWatchers(2).length).toBe(2);
    expect(rig.hub.watchers).toBe(4);
  });

  test("shows who is sent the state, and who searches the past", async () => {
    using rig = new Rig({ chunkCommitsMax: 1 });
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    rig.lists.close();
    rig.pulls.close();
    const [initial, behind] = [rig.connect(), rig.connect()];
    await initial.begin({ range: {}, initial: true });
    await behind.watch({}, 2);
    await quiet();
    expect(rig.hub.describeWatchers(10)).toMatchObject([
      { state: "initial", position: 0, lag: 3 },
      { state: "behind", position: 1, lag: 2 },
    ]);
    rig.lists.open();
    rig.pulls.open();
  });
});
