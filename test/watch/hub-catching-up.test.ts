/** The hub: watchers that catch up, progress, faults of the store, and the end. */

import { describe, expect, test } from "bun:test";
import { KvError } from "../../src/errors.ts";
import type { ChangesOptions } from "../../src/kv.ts";
import type { Frame } from "../../src/watch/frames.ts";
import { Hub } from "../../src/watch/hub.ts";
import { failure, put, write } from "../support/stores.ts";
import { altered } from "../support/altered-store.ts";
import { openModel } from "../support/model-store.ts";
import { quiet, Rig, RigConnection } from "./rig.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** Takes half a millisecond for each frame, and counts those of one turn. */
class SlowConnection extends RigConnection {
  readonly framesATurn = new Map<number, number>();
  #turn = 0;

  override send(frame: Frame): void {
    for (const begun = performance.now(); performance.now() < begun + 0.5;);
    const count = this.framesATurn.get(this.#turn) ?? 0;
    if (count === 0) setImmediate(() => this.#turn++);
    this.framesATurn.set(this.#turn, count + 1);
    super.send(frame);
  }
}

describe("catching up", () => {
  test("a watcher that is ahead of the hub joins without a duplicate", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({ key: "other" });
    rig.feed.close();
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    await connection.watch({ prefix: "a" });
    const behind = rig.connect();
    await behind.watch({ prefix: "a" }, 1);
    await quiet();
    rig.feed.open();
    await quiet();
    await write(rig.store, put("a"));
    await quiet();
    expect(connection.revisions).toEqual([4]);
    expect(behind.revisions).toEqual([1, 2, 3, 4]);
  });

  test("a watcher that is ahead when its connection stalls is not published to", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({ key: "other" });
    rig.feed.close();
    await write(rig.store, put("a"));
    await connection.watch({});
    connection.unsent = 2 * MIB;
    connection.session.sent();
    rig.feed.open();
    await write(rig.store, put("a"));
    await quiet();
    expect(connection.frames).toEqual([]);
    connection.drain();
    await quiet();
    expect(connection.revisions).toEqual([2]);
  });

  test("a watcher that joins between two commits and leaves at once wants nothing older", async () => {
    using rig = new Rig({ step: 3 });
    const connection = rig.connect();
    await connection.watch({ key: "other" });
    rig.feed.close();
    // One chunk with both, the second of which is too large to be published.
    await Promise.all([
      write(rig.store, put("a")),
      write(rig.store, put("a", "x".repeat(300 * KIB))),
    ]);
    await connection.watch({}, 5);
    await rig.store.compact(4);
    rig.feed.open();
    await quiet();
    expect(connection.frames).toMatchObject([{ type: "change", revision: 6, way: "sent" }]);
  });

  test("a few watchers pull at the same time, and the others get their turn", async () => {
    using rig = new Rig({ chunkCommitsMax: 5 });
    for (let count = 0; count < 20; count++) await write(rig.store, put("a"));
    const connections = Array.from({ length: 50 }, () => rig.connect());
    for (const connection of connections) await connection.watch({ key: "a" }, 1);
    await quiet(400);
    expect(rig.pullsMost).toBeGreaterThan(1);
    expect(rig.pullsMost).toBeLessThanOrEqual(4);
    expect(connections.every(({ revisions }) => revisions.length === 20)).toBe(true);
  });

  test("ended while its pull is under way it gets nothing more", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const connection = rig.connect();
    const closing = rig.connect();
    rig.pulls.close();
    const { watch } = await connection.watch({}, 1);
    await closing.watch({}, 1);
    await quiet();
    connection.session.unwatch(watch);
    closing.session.close();
    // The same watch again, while the pull of the first one is still to come.
    await connection.watch({}, 1);
    rig.pulls.open();
    await quiet();
    expect(connection.revisions).toEqual([1]);
    expect(closing.frames).toEqual([]);
    expect(rig.hub.watchers).toBe(1);
  });

  test("a long piece of the past is sent in slices, between which others have their turn", async () => {
    using rig = new Rig();
    for (let count = 0; count < 100; count++) await write(rig.store, put("a"));
    const connection = new SlowConnection(rig.hub);
    await connection.watch({}, 1);
    await quiet(400);
    expect(connection.revisions).toEqual(Array.from({ length: 100 }, (_, at) => at + 1));
    // The time is looked at after every 8 commits, and is over each time.
    expect(Math.max(...connection.framesATurn.values())).toBe(8);
  });

  test("ended between two slices of a piece it gets nothing more", async () => {
    using rig = new Rig();
    for (let count = 0; count < 100; count++) await write(rig.store, put("a"));
    const connection = new SlowConnection(rig.hub);
    const { watch } = await connection.watch({}, 1);
    while (connection.frames.length < 16) await quiet(1);
    connection.session.unwatch(watch);
    await quiet();
    expect(connection.revisions).toEqual(Array.from({ length: 16 }, (_, at) => at + 1));
    // And the same watch begun again has all of it once more.
    connection.frames.length = 0;
    await connection.watch({}, 1);
    await quiet(400);
    expect(connection.revisions).toHaveLength(100);
  });

  test("a watcher whose history is forgotten meanwhile is told, and can begin again", async () => {
    using rig = new Rig({ chunkCommitsMax: 1 });
    const connection = rig.connect();
    await connection.watch({ key: "b" });
    for (let count = 0; count < 9; count++) await write(rig.store, put("a", "x".repeat(300 * KIB)));
    connection.stalled = true;
    const { watch } = await connection.watch({ prefix: "a" }, 1);
    await quiet();
    const before = connection.revisions;
    rig.store.compact(9);
    connection.drain();
    await quiet();
    expect(connection.revisions).toEqual(before);
    expect(before.length).toBeLessThan(9);
    expect(connection.frames.at(-1)).toMatchObject({ watch, type: "end", reason: "compacted" });
    expect(await connection.watch({ prefix: "a" })).toMatchObject({ revision: 9 });
  });

  test("a store that is away for a moment is asked again", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const connection = rig.connect();
    rig.pullErrors.push(new KvError("unavailable", "away"));
    rig.feedErrors.push(new KvError("unavailable", "away"));
    await connection.watch({}, 1);
    await write(rig.store, put("a"));
    while (connection.revisions.length < 2) await Bun.sleep(1);
    expect(connection.revisions).toEqual([1, 2]);
    expect(connection.failures).toEqual([]);
  });

  test("a feed that has lost its place loses nobody's events", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({});
    rig.feedErrors.push(new KvError("compacted", "forgotten", { oldest: 3 }));
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    await quiet();
    await write(rig.store, put("a"));
    await quiet();
    expect(connection.revisions).toEqual([1, 2, 3, 4]);
  });

  test("a watch that cannot be served breaks its connection instead of going silent", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const connection = rig.connect();
    const damage = new KvError("internal", "damaged");
    rig.pullErrors.push(damage);
    await connection.watch({}, 1);
    await quiet();
    expect(connection.failures).toEqual([damage]);
  });
});

describe("progress", () => {
  test("tells a silent watch how far the store has come, and only when it has", async () => {
    using rig = new Rig({}, 5);
    const connection = rig.connect();
    const { watch } = await connection.watch({ key: "quiet" });
    await Bun.sleep(20);
    expect(connection.frames).toEqual([]);
    await write(rig.store, put("a"));
    await write(rig.store, put("a"));
    await Bun.sleep(40);
    expect(connection.frames).toEqual([{ way: "published", watch, type: "progress", revision: 2 }]);
  });

  test("covers revisions that no commit has", async () => {
    const model = openModel();
    const store = altered(model, {
      status: () => ({ ...model.status(), revision: 0 }),
      async *changes(_from: number, { signal }: ChangesOptions) {
        yield { commits: [], through: 7 };
        await new Promise((resolve) => signal?.addEventListener("abort", resolve));
      },
    });
    const hub = new Hub({ store, progressMs: 1 });
    const connection = new RigConnection(hub);
    hub.publishThrough({
      publish: (_topic, { socketText }) => connection.take(socketText, "published"),
    });
    const { watch } = await connection.watch({});
    while (connection.frames.length === 0) await Bun.sleep(1);
    expect(connection.frames).toEqual([{ way: "published", watch, type: "progress", revision: 7 }]);
    hub.stop();
  });

  test("comes at once when a watch has caught up and found nothing, and only then", async () => {
    using rig = new Rig({}, 5);
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    const connection = rig.connect();
    const { watch: silent } = await connection.watch({ key: "quiet" }, 1);
    await connection.watch({ key: "a" }, 1);
    await connection.watch({ key: "now" });
    await connection.watch({ key: "next" }, 4);
    await Bun.sleep(20);
    const progress = connection.frames.filter(({ type }) => type === "progress");
    expect(progress).toEqual([{ way: "sent", watch: silent, type: "progress", revision: 3 }]);
    await write(rig.store, put("quiet"));
    await quiet();
    expect(connection.revisions.at(-1)).toBe(4);
  });

  test("that fills the connection again leaves the watch to the log", async () => {
    using rig = new Rig();
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    const connection = rig.connect();
    await connection.watch({ key: "now" });
    rig.pulls.close();
    await connection.watch({ key: "quiet" }, 1);
    await quiet();
    connection.unsent = 2 * MIB;
    const send = connection.send.bind(connection);
    connection.send = (frame) => {
      send(frame);
      connection.session.sent();
    };
    rig.pulls.open();
    await quiet();
    expect(connection.topics.size).toBe(0);
    await write(rig.store, put("quiet"));
    connection.drain();
    await quiet();
    expect(connection.revisions).toEqual([4]);
  });

  test("reaches a watcher that searches a long history in silence", async () => {
    using rig = new Rig({ chunkCommitsMax: 2 }, 1);
    for (let count = 0; count < 200; count++) await write(rig.store, put("a"));
    const connection = rig.connect();
    const { watch } = await connection.watch({ key: "quiet" }, 1);
    while (connection.frames.at(-1)?.type !== "progress") await Bun.sleep(1);
    expect(connection.frames[0]).toMatchObject({ watch, type: "progress", way: "sent" });
    const reached = () => (connection.frames.at(-1) as { revision: number }).revision;
    while (reached() < 200) await Bun.sleep(1);
  });
});

describe("the end", () => {
  test("of the hub ends every watch with a reason, and refuses new ones", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const connection = rig.connect();
    await connection.watch({});
    rig.pulls.close();
    await connection.watch({ prefix: "a" }, 1);
    rig.hub.stop();
    expect(connection.frames).toMatchObject([
      { watch: 1, type: "end", reason: "shutdown" },
      { watch: 2, type: "end", reason: "shutdown" },
    ]);
    await failure(() => connection.watch({}), "unavailable");
    rig.pulls.open();
    await write(rig.store, put("a"));
    await quiet();
    expect(connection.frames.length).toBe(2);
  });

  test("of a connection leaves nothing of it behind", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    await connection.watch({});
    connection.session.close();
    expect(rig.hub.watchers).toBe(0);
    await write(rig.store, put("a"));
    await quiet();
    expect(rig.published).toEqual([]);
    await failure(() => connection.watch({}), "unavailable");
  });
});
