/** The hub and keys whose time runs out, and history that is forgotten under its watchers. */

import { describe, expect, test } from "bun:test";
import { EXPIRE_EVENTS_MAX, FRAME_BYTES_MAX } from "../../src/limits.ts";
import { put, write } from "../support/stores.ts";
import { quiet, Rig, type RigConnection } from "./rig.ts";

const KIB = 1024;

/** A rig whose store's clock stands until it is moved. */
function timed() {
  const time = { now: Date.UTC(2030, 0, 1) };
  const rig = new Rig({ clock: () => time.now });
  const expire = async (ms: number): Promise<void> => {
    time.now += ms;
    rig.store.status();
    await quiet(50);
  };
  return { rig, expire };
}

function lasting(key: string, ttl: number, value = "") {
  return { ...put(key, value), ttl };
}

function longName(at: number): string {
  return `${10_000 + at}/${"x".repeat(1_000)}`;
}

function eventsOf(connection: RigConnection) {
  return connection.frames.flatMap((frame) => (frame.type === "change" ? frame.events : []));
}

describe("a key whose time runs out", () => {
  test("reaches live watchers and those in the past alike, with its deadline and its end", async () => {
    const { rig, expire } = timed();
    using _ = rig;
    const live = rig.connect();
    await live.watch({ prefix: "a" });
    await write(rig.store, lasting("a", 1_500));
    await expire(1_500);
    await write(rig.store, put("a"));
    const past = rig.connect();
    await past.watch({ prefix: "a" }, 1);
    await quiet();
    expect(eventsOf(live)).toMatchObject([
      { type: "put", key: "a", revision: 1, expiresAt: "2030-01-01T00:00:01.500Z" },
      { type: "expire", key: "a", revision: 2 },
      { type: "put", key: "a", revision: 3, version: 1, createRevision: 3 },
    ]);
    expect(eventsOf(live)[1]).toEqual({ type: "expire", key: "a", revision: 2 });
    expect(eventsOf(live)[2]).not.toHaveProperty("expiresAt");
    expect(eventsOf(past)).toEqual(eventsOf(live));
  });

  test("is told to those who watch it, and not to others", async () => {
    const { rig, expire } = timed();
    using _ = rig;
    const connections = [rig.connect(), rig.connect(), rig.connect()];
    await connections[0]!.watch({ key: "b" });
    await connections[1]!.watch({ start: "a", end: "b" });
    await connections[2]!.watch({});
    await write(rig.store, lasting("a", 10), lasting("b", 10), put("c"));
    await expire(10);
    const ends = connections.map((connection) =>
      eventsOf(connection)
        .filter(({ type }) => type === "expire")
        .map(({ key }) => key),
    );
    expect(ends).toEqual([["b"], ["a"], ["a", "b"]]);
  });
});

describe("many keys that run out at once", () => {
  test("are one frame of a commit, as far as they fit in one", async () => {
    const { rig, expire } = timed();
    using _ = rig;
    const connection = rig.connect();
    await connection.watch({ prefix: "k" });
    const keys = Array.from({ length: EXPIRE_EVENTS_MAX }, (_, at) => `k${10_000 + at}`);
    for (let at = 0; at < keys.length; at += 500) {
      await write(rig.store, ...keys.slice(at, at + 500).map((key) => lasting(key, 10_000)));
    }
    await quiet(50);
    const before = connection.frames.length;
    await expire(10_000);
    const frames = connection.frames.slice(before);
    expect(frames).toMatchObject([{ way: "published", type: "change" }]);
    expect(
      eventsOf(connection)
        .slice(-keys.length)
        .map(({ key }) => key),
    ).toEqual(keys);
  });

  test("with long names are split between events, and still one commit", async () => {
    const { rig, expire } = timed();
    using _ = rig;
    const connection = rig.connect();
    const one = rig.connect();
    const keys = Array.from({ length: EXPIRE_EVENTS_MAX }, (_, at) => longName(at));
    await write(rig.store, ...keys.map((key) => lasting(key, 10_000)));
    await connection.watch({});
    await one.watch({ key: longName(1_234) });
    await expire(10_000);
    const { frames } = connection;
    expect(new Set(frames.map((frame) => frame.type === "change" && frame.revision)).size).toBe(1);
    expect(frames.map((frame) => frame.type === "change" && (frame.more ?? false))).toEqual([
      ...Array.from({ length: frames.length - 1 }, () => true),
      false,
    ]);
    expect(eventsOf(connection).map(({ key }) => key)).toEqual(keys);
    const sizes = frames.map((frame) => JSON.stringify(frame).length);
    expect(Math.max(...sizes)).toBeLessThan(FRAME_BYTES_MAX + 20);
    expect(one.frames).toMatchObject([{ way: "published", events: [{ key: longName(1_234) }] }]);
  });
});

describe("compaction", () => {
  test("that passes a watch while it is behind ends it; others go on", async () => {
    using rig = new Rig({ chunkCommitsMax: 1 });
    const [behind, live] = [rig.connect(), rig.connect()];
    await live.watch({});
    for (let count = 0; count < 5; count++) await write(rig.store, put("a"));
    await quiet();
    rig.pulls.close();
    const { watch } = await behind.watch({ key: "a" }, 2);
    await quiet();
    await rig.store.compact(4);
    rig.pulls.open();
    await quiet();
    // The chunk that was under way is still whole; what comes behind it is gone.
    expect(behind.revisions).toEqual([2]);
    expect(behind.frames.at(-1)).toMatchObject({ watch, type: "end", reason: "compacted" });
    expect(rig.hub.watchers).toBe(1);
    await write(rig.store, put("a"));
    await quiet();
    expect(behind.revisions).toEqual([2]);
    expect(live.revisions).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("up to just below what a watch wants next leaves it alone", async () => {
    using rig = new Rig({ chunkCommitsMax: 1 });
    for (let count = 0; count < 5; count++) await write(rig.store, put("a"));
    const connection = rig.connect();
    rig.pulls.close();
    await connection.watch({ key: "a" }, 3);
    await quiet();
    await rig.store.compact(3);
    rig.pulls.open();
    await quiet();
    expect(connection.revisions).toEqual([3, 4, 5]);
  });

  test("in the middle of a commit that comes in parts ends the watch without its last part", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({ key: "now" });
    await write(
      rig.store,
      ...Array.from({ length: 30 }, (_, at) => put(`k${at}`, "x".repeat(100 * KIB))),
    );
    connection.stalled = true;
    const { watch } = await connection.watch({ prefix: "k" }, 1);
    await quiet();
    expect(connection.frames.at(-1)).toMatchObject({ watch, more: true });
    await write(rig.store, put("other"));
    await rig.store.compact(2);
    connection.drain();
    await quiet(100);
    // Its parts before have said that there is more: nobody takes them for the whole.
    const frames = connection.frames.filter((frame) => frame.watch === watch);
    expect(frames.at(-1)).toMatchObject({ type: "end", reason: "compacted" });
    expect(frames.at(-2)).toMatchObject({ type: "change", more: true });
    expect(connection.failures).toEqual([]);
  });

  test("up to the newest revision leaves live watches alone", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({});
    await write(rig.store, put("a"));
    await quiet();
    await rig.store.compact(1);
    await write(rig.store, put("a"));
    await quiet();
    expect(connection.revisions).toEqual([1, 2]);
    expect(connection.frames.every(({ way }) => way === "published")).toBe(true);
  });

  test("that passes the hub itself ends the watches that had something to see, or may have", async () => {
    using rig = new Rig({ chunkCommitsMax: 1 });
    const connection = rig.connect();
    const { watch } = await connection.watch({ key: "a" });
    rig.feed.close();
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    await quiet();
    await rig.store.compact(3);
    rig.feed.open();
    await quiet(50);
    // The first chunk was under way; where the next one begins is forgotten.
    expect(connection.revisions).toEqual([1]);
    expect(connection.frames.at(-1)).toMatchObject({ watch, type: "end", reason: "compacted" });
    await connection.watch({ key: "a" });
    await write(rig.store, put("a"));
    await quiet();
    expect(connection.revisions).toEqual([1, 4]);
  });
});
