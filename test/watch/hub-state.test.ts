/** The hub: watches that begin with the state, or anew with it. */

import { describe, expect, test } from "bun:test";
import { KvError } from "../../src/errors.ts";
import type { Ranges } from "../../src/kv.ts";
import { FRAME_BYTES_MAX } from "../../src/limits.ts";
import type { JsonEntry } from "../../src/json.ts";
import { del, failure, put, write } from "../support/stores.ts";
import { quiet, Rig, type RigConnection } from "./rig.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** The kinds of the frames, with their revisions. */
function kinds({ frames }: RigConnection): string[] {
  return frames.map((frame) =>
    "revision" in frame ? `${frame.type} ${frame.revision}` : frame.type,
  );
}

/** The entries of the state frames since the last reset. */
function entries({ frames }: RigConnection): JsonEntry[] {
  const reset = frames.findLastIndex(({ type }) => type === "reset");
  return frames.slice(reset + 1).flatMap((f) => (f.type === "state" ? f.entries : []));
}

async function fill(rig: Rig, count: number, bytes: number): Promise<string[]> {
  const names = Array.from({ length: count }, (_, at) => `k${String(at).padStart(3, "0")}`);
  for (const name of names) await write(rig.store, put(name, "x".repeat(bytes)));
  return names;
}

/** A connection that is behind, and whose history is forgotten. */
async function stalledBehind(rig: Rig, initial: boolean): Promise<RigConnection> {
  const connection = rig.connect();
  await connection.begin({ range: { prefix: "k" }, initial });
  await quiet();
  connection.stalled = true;
  for (let count = 0; count < 20; count++) await write(rig.store, put("k", "x".repeat(100_000)));
  await quiet();
  await rig.store.compact(20);
  return connection;
}

describe("a watch with the state", () => {
  test("gets it, where it is of, and then the changes", async () => {
    using rig = new Rig();
    await write(rig.store, put("a", "1"), put("b", "2"));
    await write(rig.store, del("b"), put("c", "3"));
    const connection = rig.connect();
    const created = await connection.begin({ range: {}, initial: true });
    expect(created).toMatchObject({ watch: 1, revision: 2 });
    expect(created.frame.id).toBeUndefined();
    await quiet();
    const { store } = rig.store.status();
    expect(connection.frames).toMatchObject([
      {
        type: "state",
        entries: [
          { key: "a", value: "1" },
          { key: "c", revision: 2 },
        ],
      },
      { type: "sync", revision: 2, store },
    ]);
    await write(rig.store, put("a"));
    await quiet();
    expect(kinds(connection)).toEqual(["state", "sync 2", "change 3"]);
    expect(connection.frames.at(-1)?.way).toBe("published");
  });

  test("of what is empty gets no part of it, but is told so", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const connection = rig.connect();
    await connection.begin({ range: { prefix: "b" }, initial: true });
    await quiet();
    expect(kinds(connection)).toEqual(["sync 1"]);
  });

  test("from a revision that is there gets the changes and no state", async () => {
    using rig = new Rig();
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    for (const from of [1, 4]) {
      const connection = rig.connect();
      const { frame } = await connection.begin({ range: {}, initial: true, from });
      expect(frame.id).toBe(from - 1);
      await quiet();
      expect(kinds(connection)).toEqual(from === 1 ? ["change 1", "change 2", "change 3"] : []);
    }
  });

  test("from a revision that is gone, or that never was, is told to begin anew", async () => {
    using rig = new Rig();
    for (let count = 0; count < 5; count++) await write(rig.store, put("a"));
    await rig.store.compact(3);
    for (const from of [0, 1, 3, 7, 1_000]) {
      const connection = rig.connect();
      const created = await connection.begin({ range: {}, initial: true, from });
      expect(created.revision).toBe(5);
      expect(created.frame.id).toBeUndefined();
      await quiet();
      expect(kinds(connection)).toEqual(["reset 5", "state", "sync 5"]);
      const code = from > 3 ? "invalid_argument" : "compacted";
      await failure(() => rig.connect().watch({}, from), code);
    }
    const nonsense = { range: {}, initial: true, from: -1 };
    await failure(() => rig.connect().begin(nonsense), "invalid_argument");
  });

  test("of several ranges gets them in the order of keys, each entry once", async () => {
    using rig = new Rig();
    const names = ["a", "a/1", "a/2", "b", "c", "c/1", "d", "\uE000", "𝄞"];
    await write(rig.store, ...names.toReversed().map((name) => put(name)));
    const range: Ranges = [
      { key: "𝄞" },
      { prefix: "c" },
      { key: "a" },
      { prefix: "a/" },
      { key: "c/1" },
      { key: "none" },
      { key: "\uE000" },
      { prefix: "a/2" },
    ];
    const connection = rig.connect();
    await connection.begin({ range, initial: true });
    await quiet();
    const expected = ["a", "a/1", "a/2", "c", "c/1", "\uE000", "𝄞"];
    expect(entries(connection).map(({ key }) => key)).toEqual(expected);
    expect(kinds(connection)).toEqual(["state", "sync 1"]);
  });

  test("gets it without values where it wants none", async () => {
    using rig = new Rig();
    await write(rig.store, put("a", "1"));
    const connection = rig.connect();
    await connection.begin({ range: {}, initial: true, keys: true });
    await quiet();
    expect(entries(connection)).toMatchObject([{ key: "a", revision: 1, version: 1 }]);
    expect(entries(connection)[0]).not.toHaveProperty("value");
  });

  test("gets it in frames of bounded size, however large it is", async () => {
    using rig = new Rig();
    const names = await fill(rig, 300, 5 * KIB);
    const large = { value: "\u0001".repeat(MIB) };
    await write(rig.store, put("k100", large.value));
    const connection = rig.connect();
    const sizes: number[] = [];
    connection.send = (frame) => {
      sizes.push(Buffer.byteLength(frame.socketText));
      connection.take(frame.socketText, "sent");
    };
    await connection.begin({ range: {}, initial: true });
    await quiet(100);
    expect(entries(connection).map(({ key }) => key)).toEqual(names);
    const [largest, ...others] = sizes.toSorted((a, b) => b - a);
    expect(largest).toBeGreaterThan(6 * MIB);
    expect(others[0]).toBeLessThanOrEqual(FRAME_BYTES_MAX);
    // And not in many small ones.
    expect(sizes.length).toBeLessThan(20);
  });

  test("gets the state of one revision, whatever is written meanwhile", async () => {
    using rig = new Rig();
    await fill(rig, 100, 10 * KIB);
    const connection = rig.connect();
    await connection.watch({ key: "other" });
    await connection.begin({ range: {}, initial: true });
    while (connection.frames.length === 0) await quiet(1);
    // The first part has gone out; the rest is read while everything changes.
    await write(rig.store, put("k000"), del("k099"), put("k050"));
    await write(rig.store, put("new"));
    await quiet(100);
    expect(entries(connection).length).toBe(100);
    expect(entries(connection).every(({ revision }) => revision <= 100)).toBe(true);
    expect(kinds(connection).slice(-3)).toEqual(["sync 100", "change 101", "change 102"]);
  });

  test("begins at what has been answered, also where the hub is behind that", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({ key: "other" });
    rig.feed.close();
    for (let count = 0; count < 3; count++) await write(rig.store, put("a", String(count)));
    await connection.begin({ range: { key: "a" }, initial: true });
    await quiet();
    expect(kinds(connection)).toEqual(["state", "sync 3"]);
    rig.feed.open();
    await write(rig.store, put("a"));
    await quiet();
    expect(kinds(connection)).toEqual(["state", "sync 3", "change 4"]);
  });

  test("is told nothing of how far it has come before all of the state is there", async () => {
    using rig = new Rig({}, 1);
    await fill(rig, 100, 10 * KIB);
    const connection = rig.connect();
    await connection.begin({ range: {}, initial: true });
    while (connection.frames.length === 0) await quiet(1);
    rig.lists.close();
    await write(rig.store, put("new"));
    await Bun.sleep(10);
    expect(new Set(connection.frames.map(({ type }) => type))).toEqual(new Set(["state"]));
    rig.lists.open();
    await quiet(50);
    expect(kinds(connection).at(-1)).toBe("change 101");
  });

  test("that is ended in the middle gets nothing more", async () => {
    using rig = new Rig();
    await fill(rig, 100, 10 * KIB);
    const connection = rig.connect();
    const { watch } = await connection.begin({ range: {}, initial: true });
    while (connection.frames.length === 0) await quiet(1);
    connection.session.unwatch(watch);
    const { length } = connection.frames;
    await quiet(50);
    expect(connection.frames.length).toBe(length);
    expect(rig.hub.watchers).toBe(0);
  });

  test("goes on when the store was away for a moment", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    rig.listErrors.push(new KvError("unavailable", "away"));
    const connection = rig.connect();
    await connection.begin({ range: {}, initial: true });
    while (connection.frames.length < 2) await Bun.sleep(1);
    expect(kinds(connection)).toEqual(["state", "sync 1"]);
  });

  test("takes turns with the others", async () => {
    using rig = new Rig();
    await fill(rig, 200, 10 * KIB);
    const connections = Array.from({ length: 10 }, () => rig.connect());
    for (const one of connections) await one.begin({ range: {}, initial: true });
    const begun = (): number => connections.filter(({ frames }) => frames.length > 0).length;
    while (begun() < 10) await quiet(1);
    // All have something before the first has everything.
    expect(connections.some((one) => kinds(one).includes("sync 200"))).toBe(false);
    await quiet(300);
    for (const one of connections) expect(entries(one).length).toBe(200);
  });
});

describe("a stall in the state", () => {
  test("leaves it where it is, bounded, and the rest follows without a repetition", async () => {
    using rig = new Rig();
    const names = await fill(rig, 500, 10 * KIB);
    const connection = rig.connect();
    connection.stalled = true;
    await connection.begin({ range: {}, initial: true });
    await quiet(100);
    expect(connection.unsent).toBeGreaterThan(MIB);
    expect(connection.unsent).toBeLessThan(MIB + FRAME_BYTES_MAX);
    await write(rig.store, put("k000"), put("z"));
    connection.drain();
    await quiet(200);
    expect(entries(connection).map(({ key }) => key)).toEqual(names);
    expect(kinds(connection).slice(-2)).toEqual(["sync 500", "change 501"]);
  });

  test("that compaction passes begins the state anew", async () => {
    using rig = new Rig();
    const names = await fill(rig, 300, 10 * KIB);
    const connection = rig.connect();
    connection.stalled = true;
    await connection.begin({ range: {}, initial: true });
    await quiet(100);
    await write(rig.store, del("k000"));
    await write(rig.store, put("k299", "late"));
    await rig.store.compact(302);
    connection.drain();
    await quiet(200);
    const frames = kinds(connection);
    expect(frames.filter((kind) => kind !== "state")).toEqual(["reset 302", "sync 302"]);
    expect(entries(connection).map(({ key }) => key)).toEqual(names.slice(1));
    expect(entries(connection).at(-1)).toMatchObject({ value: "late" });
  });

  test("that compaction only reaches goes on", async () => {
    using rig = new Rig();
    await fill(rig, 300, 10 * KIB);
    const connection = rig.connect();
    connection.stalled = true;
    await connection.begin({ range: {}, initial: true });
    await quiet(100);
    await write(rig.store, put("z"));
    await rig.store.compact(300);
    connection.drain();
    await quiet(200);
    const frames = kinds(connection).filter((kind) => kind !== "state");
    expect(frames).toEqual(["sync 300", "change 301"]);
  });
});

describe("a watch that compaction passes while it is behind", () => {
  test("begins anew with the state where it asked for that", async () => {
    using rig = new Rig();
    const connection = await stalledBehind(rig, true);
    const before = connection.frames.length;
    connection.drain();
    await quiet(50);
    expect(kinds(connection).slice(before)).toEqual(["reset 20", "state", "sync 20"]);
    await write(rig.store, put("k"));
    await quiet();
    expect(kinds(connection).at(-1)).toBe("change 21");
  });

  test("ends where it did not", async () => {
    using rig = new Rig();
    const connection = await stalledBehind(rig, false);
    connection.drain();
    await quiet(50);
    expect(connection.frames.at(-1)).toMatchObject({ type: "end", reason: "compacted" });
    expect(rig.hub.watchers).toBe(0);
  });

  test("in the middle of a commit in parts drops the part", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.begin({ range: {}, initial: true });
    await quiet();
    connection.stalled = true;
    const names = Array.from({ length: 30 }, (_, at) => `k${at}`);
    await write(rig.store, ...names.map((name) => put(name, "x".repeat(100_000))));
    await write(rig.store, put("z"));
    await quiet();
    expect(connection.frames.at(-1)).toMatchObject({ type: "change", revision: 1, more: true });
    await rig.store.compact(2);
    connection.drain();
    await quiet(100);
    expect(entries(connection).length).toBe(31);
    expect(kinds(connection).at(-1)).toBe("sync 2");
    await write(rig.store, put("z"));
    await quiet();
    expect(connection.frames.at(-1)).toMatchObject({ revision: 3, events: [{ key: "z" }] });
  });

  test("begins anew also when the feed of the hub has lost its place", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.begin({ range: {}, initial: true });
    await quiet();
    rig.feed.close();
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    rig.feedErrors.push(new KvError("compacted", "forgotten", { oldest: 4 }));
    await rig.store.compact(3);
    rig.feed.open();
    await quiet(50);
    expect(kinds(connection)).toEqual(["sync 0", "reset 3", "state", "sync 3"]);
  });
});
