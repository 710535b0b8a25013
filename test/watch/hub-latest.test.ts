/** The hub: watches that get only the newest event of each key while they are behind. */

import { describe, expect, test } from "bun:test";
import type { Event, Range } from "../../src/kv.ts";
import { FRAME_BYTES_MAX } from "../../src/limits.ts";
import { NewestEvents } from "../../src/watch/newest-events.ts";
import { openModel } from "../support/model-store.ts";
import { changesBetween, del, put, write } from "../support/stores.ts";
import { quiet, Rig, type RigConnection } from "./rig.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

function changes({ frames }: RigConnection) {
  return frames.flatMap((frame) => (frame.type === "change" ? [frame] : []));
}

/** A connection whose watch was live, and has stalled. */
async function stalled(rig: Rig, range: Range = {}): Promise<RigConnection> {
  const connection = rig.connect();
  await connection.begin({ range, latest: true });
  connection.unsent = 2 * MIB;
  connection.session.sent();
  return connection;
}

describe("a watch of the newest", () => {
  test("gets every change as long as it keeps up", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.begin({ range: {}, latest: true });
    for (let count = 0; count < 5; count++) await write(rig.store, put("a", String(count)));
    await quiet();
    expect(connection.revisions).toEqual([1, 2, 3, 4, 5]);
    expect(connection.frames.some((frame) => "skipped" in frame)).toBe(false);
  });

  test("gets one event of each key when it was behind, and how many it did not get", async () => {
    using rig = new Rig({ chunkCommitsMax: 3 });
    const connection = await stalled(rig);
    for (let count = 0; count < 50; count++) {
      await write(rig.store, put("a", `a${count}`), put("b", `b${count}`));
      await write(rig.store, put("c", `c${count}`));
    }
    await write(rig.store, del("a"));
    await write(rig.store, put("d", "d"));
    await quiet();
    connection.drain();
    await quiet(200);
    expect(changes(connection)).toMatchObject([
      {
        revision: 102,
        events: [
          { type: "put", key: "b", value: "b49", revision: 99, version: 50 },
          { type: "put", key: "c", value: "c49", revision: 100 },
          { type: "delete", key: "a", revision: 101 },
          { type: "put", key: "d", revision: 102 },
        ],
        skipped: 148,
      },
    ]);
    await write(rig.store, put("a"));
    await quiet();
    expect(connection.frames.at(-1)).toMatchObject({ way: "published", revision: 103 });
  });

  test("begins in the past with the newest of it", async () => {
    using rig = new Rig();
    for (let count = 0; count < 9; count++) await write(rig.store, put("a", String(count)));
    const connection = rig.connect();
    await connection.begin({ range: {}, latest: true, from: 3 });
    await quiet();
    expect(changes(connection)).toMatchObject([
      { revision: 9, events: [{ value: "8", revision: 9 }], skipped: 6 },
    ]);
  });

  test("says 0 where it got everything of several commits, and nothing of a single one", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    await write(rig.store, put("b"));
    await write(rig.store, put("c"), put("d"));
    const [both, single] = [rig.connect(), rig.connect()];
    await both.begin({ range: {}, latest: true, from: 1 });
    await single.begin({ range: { start: "c" }, latest: true, from: 1 });
    await quiet();
    expect(changes(both)).toMatchObject([{ revision: 3, skipped: 0 }]);
    expect(changes(both)[0]!.events.map(({ key }) => key)).toEqual(["a", "b", "c", "d"]);
    expect(changes(single)).toMatchObject([{ revision: 3, events: [{ key: "c" }, { key: "d" }] }]);
    expect(changes(single)[0]).not.toHaveProperty("skipped");
  });

  test("that finds nothing is told how far it has come", async () => {
    using rig = new Rig();
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    const connection = rig.connect();
    await connection.begin({ range: { key: "quiet" }, latest: true, from: 1 });
    await quiet();
    expect(connection.frames).toMatchObject([{ type: "progress", revision: 3 }]);
  });

  test("shows what was there before each event that it shows", async () => {
    using rig = new Rig();
    for (const value of ["one", "two", "three"]) await write(rig.store, put("a", value));
    const connection = rig.connect();
    await connection.begin({ range: {}, latest: true, prev: true, from: 1 });
    await quiet();
    const events = [{ value: "three", prev: { value: "two", revision: 2 } }];
    expect(changes(connection)).toMatchObject([{ events, skipped: 2 }]);
  });

  test("gets what it gets in parts of bounded size that make one change", async () => {
    using rig = new Rig();
    const connection = await stalled(rig);
    const names = Array.from({ length: 40 }, (_, at) => `k${at}`);
    for (let count = 0; count < 5; count++) {
      for (const name of names) await write(rig.store, put(name, `${count}`.repeat(20 * KIB)));
    }
    await quiet();
    connection.drain();
    await quiet(500);
    const parts = changes(connection);
    expect(parts.length).toBeGreaterThan(2);
    expect(parts.map(({ revision }) => revision)).toEqual(parts.map(() => 200));
    const [last, ...others] = parts.toReversed();
    expect(others.every(({ more, skipped }) => more === true && skipped === undefined)).toBe(true);
    expect(last).toMatchObject({ skipped: 160 });
    expect(last).not.toHaveProperty("more");
    const events = parts.flatMap((part) => part.events);
    expect(events.map(({ key }) => key)).toEqual(names);
    for (const part of parts) {
      expect(JSON.stringify(part).length).toBeLessThan(FRAME_BYTES_MAX + 200);
    }
  });

  test("that stalls among the parts goes on with the same ones, whatever was written", async () => {
    using rig = new Rig({ chunkCommitsMax: 7 });
    const connection = await stalled(rig);
    const names = Array.from({ length: 30 }, (_, at) => `k${at}`);
    for (let count = 0; count < 2; count++) {
      for (const name of names) await write(rig.store, put(name, `${count}`.repeat(100 * KIB)));
    }
    await quiet();
    connection.stalled = true;
    connection.unsent = 0;
    connection.session.drained();
    await quiet(200);
    expect(connection.unsent).toBeGreaterThan(MIB);
    expect(connection.unsent).toBeLessThan(MIB + 2 * FRAME_BYTES_MAX);
    expect(changes(connection).at(-1)).toMatchObject({ revision: 60, more: true });
    for (const name of names) await write(rig.store, put(name, "later"));
    await quiet();
    connection.drain();
    await quiet(500);
    const first = changes(connection).filter(({ revision }) => revision === 60);
    expect(first.flatMap(({ events }) => events.map(({ key }) => key))).toEqual(names);
    expect(first.at(-1)).toMatchObject({ skipped: 30 });
    expect(first.at(-1)).not.toHaveProperty("more");
    const last = changes(connection).at(-1);
    expect(last).toMatchObject({ revision: 90, skipped: 0 });
    expect(last!.events.length).toBe(30);
  });

  test("gathers with a few others at the same time, and all have their turn", async () => {
    using rig = new Rig({ chunkCommitsMax: 2 });
    const names = Array.from({ length: 60 }, (_, at) => `k${at}`);
    for (const name of [...names, ...names]) await write(rig.store, put(name));
    const connections = names.map(() => rig.connect());
    for (const [at, name] of names.entries()) {
      await connections[at]!.begin({ range: { key: name }, latest: true, from: 1 });
    }
    // Of those that wait for their turn one goes and one stalls.
    connections[50]!.session.close();
    connections[55]!.unsent = 2 * MIB;
    connections[55]!.session.sent();
    let most = 0;
    const done = () => connections.filter(({ frames }) => frames.length > 0).length;
    while (done() < 58) {
      await quiet(1);
      most = Math.max(most, rig.pulled.size - done());
    }
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThanOrEqual(16);
    connections[55]!.drain();
    await quiet(200);
    for (const [at, one] of connections.entries()) {
      const expected = at === 50 ? [] : [{ revision: 61 + at, skipped: 1 }];
      expect(changes(one)).toMatchObject(expected);
    }
  });

  test("is sent no more the longer it sleeps", async () => {
    using rig = new Rig({ chunkCommitsMax: 50 });
    const sent: number[] = [];
    for (const commits of [100, 1_000]) {
      const connection = await stalled(rig, { key: `of ${commits}` });
      for (let count = 0; count < commits; count++) await write(rig.store, put(`of ${commits}`));
      await quiet();
      connection.drain();
      await quiet(200);
      sent.push(changes(connection).flatMap(({ events }) => events).length);
    }
    expect(sent).toEqual([1, 1]);
  });
});

describe("the newest events", () => {
  test("are those of the changes up to a target, wherever chunks end", async () => {
    const store = openModel({ step: 3 });
    for (let count = 0; count < 20; count++) {
      await write(store, put(`k${count % 3}`), ...(count % 4 === 0 ? [del("k1")] : []));
    }
    const all = await changesBetween(store, 1, 60);
    for (let target = 3; target <= 60; target += 3) {
      const newest = new Map<string, Event>();
      const within = all.filter(({ revision }) => revision <= target);
      for (const event of within.flatMap(({ events }) => events)) {
        newest.delete(event.key);
        newest.set(event.key, event);
      }
      for (let size = 1; size <= 20; size += 6) {
        const gathered = new NewestEvents(1, target);
        for (let at = 0; !gathered.isWhole; at += size) {
          const commits = all.slice(at, at + size);
          gathered.add({ commits, through: commits.at(-1)!.revision + 1 });
        }
        const frames = [];
        const plain = { number: 1, keys: true, prev: false };
        for await (const { frame, end } of gathered.frames(store, plain, 0)) {
          frames.push(frame);
          expect(end).toBe(newest.size);
        }
        expect(frames.length).toBe(1);
        const { events, revision } = JSON.parse(frames[0]!.socketText) as {
          events: Event[];
          revision: number;
        };
        const shown = events.map(({ type, key, revision }) => ({ type, key, revision }));
        const wanted = [...newest.values()].map(({ type, key, revision }) => ({
          type,
          key,
          revision,
        }));
        expect({ target, size, shown }).toEqual({ target, size, shown: wanted });
        expect(revision).toBe(within.at(-1)!.revision);
        expect(gathered.next).toBe(target + 1);
      }
    }
  });

  test("end behind the commit with which they are enough", async () => {
    const store = openModel();
    for (let count = 0; count < 50; count++) await write(store, put(`k${count}`), put(`l${count}`));
    const commits = await changesBetween(store, 1, 50);
    const gathered = new NewestEvents(1, 50, 1_000);
    gathered.add({ commits, through: 50 });
    expect(gathered.isWhole).toBe(true);
    expect(gathered.next).toBe(gathered.lastRevision + 1);
    expect(gathered.lastRevision).toBeGreaterThan(2);
    expect(gathered.lastRevision).toBeLessThan(10);
  });
});
