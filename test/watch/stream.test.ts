/** Watches that are pulled: what is read, what waits, and how they share frames with the others. */

import { describe, expect, test } from "bun:test";
import type { JsonEvent } from "../../src/json.ts";
import { STREAM_PIECE_BYTES, WATCHER_UNSENT_BYTES_MAX } from "../../src/limits.ts";
import type { WatchFrame } from "../../src/messages.ts";
import { Hub } from "../../src/watch/hub.ts";
import type { WatchStream } from "../../src/watch/stream-subscriber.ts";
import { failure, put, write } from "../support/stores.ts";
import { openModel } from "../support/model-store.ts";
import { quiet, Rig } from "./rig.ts";

const KIB = 1024;
const SOON_MS = 1;

/** Every frame that is there now. */
async function readAll(stream: WatchStream): Promise<WatchFrame[]> {
  const frames: WatchFrame[] = [];
  for (;;) {
    const piece = await stream.read(SOON_MS);
    if (piece === "idle" || piece === "end") return frames;
    const lines = Buffer.from(piece).toString().trimEnd().split("\n");
    frames.push(...lines.map((line) => JSON.parse(line) as WatchFrame));
  }
}

function revisions(frames: readonly WatchFrame[]): number[] {
  return frames.flatMap((frame) => (frame.type === "change" ? [frame.revision] : []));
}

describe("a stream", () => {
  test("begins with created, and has every kind of frame in its order", async () => {
    using rig = new Rig();
    await write(rig.store, put("a", "1"));
    const { store } = rig.store.status();
    const stream = await rig.hub.openStream("ndjson", { range: {}, initial: true });
    await quiet();
    await write(rig.store, put("a", "2"));
    await quiet();
    rig.hub.stop();
    const [created, state, sync, change, end] = await readAll(stream);
    expect(created).toEqual({ type: "created", revision: 1, store });
    expect(state).toMatchObject({ type: "state", entries: [{ key: "a", value: "1" }] });
    expect(sync).toEqual({ type: "sync", revision: 1, store });
    expect(change).toMatchObject({ type: "change", revision: 2 });
    expect(end).toEqual({ type: "end", reason: "shutdown" });
    expect(await stream.read(SOON_MS)).toBe("end");
  });

  test("of server-sent events has an id where a reader may resume, and nowhere else", async () => {
    using rig = new Rig();
    await write(rig.store, put("a", "1"));
    const stream = await rig.hub.openStream("sse", { range: {}, initial: true });
    await quiet();
    const names = Array.from({ length: 5 }, (_, at) => put(`k${at}`, "x".repeat(100 * KIB)));
    await write(rig.store, ...names);
    await quiet(50);
    let text = "";
    for (;;) {
      const piece = await stream.read(SOON_MS);
      if (typeof piece === "string") break;
      text += Buffer.from(piece).toString();
    }
    const heads = text.split("\n\n").map((event) => event.slice(0, event.indexOf("\ndata")));
    expect(heads.slice(0, -1)).toEqual([
      "event: created",
      "event: state",
      "id: 1\nevent: sync",
      "event: change",
      "event: change",
      "id: 2\nevent: change",
    ]);
    stream.close();
  });

  test("waits for the next frame, says when it has waited, and ends when it is closed", async () => {
    using rig = new Rig();
    const stream = await rig.hub.openStream("ndjson", { range: {} });
    await readAll(stream);
    expect(await stream.read(SOON_MS)).toBe("idle");
    const waiting = stream.read(60_000);
    await write(rig.store, put("a"));
    expect(Buffer.from((await waiting) as Uint8Array).toString()).toContain('"revision":1');
    const last = stream.read(60_000);
    stream.close();
    expect(await last).toBe("end");
    expect(rig.hub.watchers).toBe(0);
    await write(rig.store, put("a"));
    await quiet();
    expect(await stream.read(SOON_MS)).toBe("end");
    // Closing twice does nothing.
    stream.close();
  });

  test("is refused as any watch, and leaves nothing behind then", async () => {
    using rig = new Rig();
    for (let count = 0; count < 3; count++) await write(rig.store, put("a"));
    await rig.store.compact(2);
    await failure(() => rig.hub.openStream("sse", { range: {}, from: 1 }), "compacted");
    await failure(() => rig.hub.openStream("sse", { range: {}, from: 9 }), "invalid_argument");
    await failure(() => rig.hub.openStream("sse", { range: { key: "" } }), "invalid_argument");
    expect(rig.hub.watchers).toBe(0);
    rig.hub.stop();
    await failure(() => rig.hub.openStream("sse", { range: {} }), "unavailable");
  });

  test("gets pieces of whole frames, of bounded size", async () => {
    using rig = new Rig();
    const stream = await rig.hub.openStream("ndjson", { range: {} });
    for (let count = 0; count < 300; count++) await write(rig.store, put("a", "x".repeat(KIB)));
    await write(rig.store, put("a", "x".repeat(200 * KIB)));
    await quiet();
    const sizes: number[] = [];
    for (;;) {
      const piece = await stream.read(SOON_MS);
      if (typeof piece === "string") break;
      expect(piece.at(-1)).toBe(10);
      sizes.push(piece.length);
    }
    expect(sizes.pop()).toBeGreaterThan(200 * KIB);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(STREAM_PIECE_BYTES);
    expect(sizes.length).toBeLessThan(10);
  });

  test("that is not read holds a bounded amount, and goes on from the log without a hole", async () => {
    using rig = new Rig();
    const slow = await rig.hub.openStream("ndjson", { range: {} });
    const healthy = await rig.hub.openStream("ndjson", { range: {} });
    const seen: WatchFrame[] = [];
    for (let count = 0; count < 60; count++) {
      await write(rig.store, put("a", "x".repeat(100 * KIB)));
      await quiet(2);
      seen.push(...(await readAll(healthy)));
    }
    expect(revisions(seen)).toEqual(Array.from({ length: 60 }, (_, at) => at + 1));
    const [described] = rig.hub.describeWatchers(1);
    expect(described).toMatchObject({ state: "stalled" });
    expect(described!.unsentBytes).toBeGreaterThan(WATCHER_UNSENT_BYTES_MAX);
    expect(described!.unsentBytes).toBeLessThan(WATCHER_UNSENT_BYTES_MAX + 500 * KIB);
    const frames: WatchFrame[] = [];
    while (revisions(frames).length < 60) {
      frames.push(...(await readAll(slow)));
      await quiet(5);
    }
    expect(revisions(frames)).toEqual(revisions(seen));
    await write(rig.store, put("a"));
    await quiet();
    expect(rig.hub.describeWatchers(2)).toMatchObject([{ state: "live" }, { state: "live" }]);
    expect(revisions(await readAll(slow))).toEqual([61]);
  });

  test("behind something large is not published to before it is read", async () => {
    using rig = new Rig();
    const stream = await rig.hub.openStream("ndjson", { range: {} });
    await write(rig.store, put("a", "x".repeat(2 * WATCHER_UNSENT_BYTES_MAX)));
    await quiet();
    for (let count = 0; count < 5; count++) await write(rig.store, put("a"));
    await quiet();
    expect(rig.hub.describeWatchers(1)).toMatchObject([{ state: "stalled", lag: 5 }]);
    const first = await readAll(stream);
    await quiet();
    expect(revisions([...first, ...(await readAll(stream))])).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test("breaks with what its watch fails with", async () => {
    using rig = new Rig();
    await write(rig.store, put("a"));
    const damage = new Error("damaged");
    rig.pullErrors.push(damage);
    const stream = await rig.hub.openStream("ndjson", { range: {}, from: 1 });
    await quiet();
    await expect(stream.read(SOON_MS)).rejects.toBe(damage);
    stream.close();
    expect(rig.hub.watchers).toBe(0);
  });
});

describe("streams and connections together", () => {
  test("get the same frames, which are made once for a filter", async () => {
    using rig = new Rig();
    const connection = rig.connect();
    const { watch } = await connection.watch({ prefix: "a" });
    const streams = await Promise.all(
      ["sse", "sse", "ndjson", "ndjson"].map((transport) =>
        rig.hub.openStream(transport as "sse", { range: { prefix: "a" } }),
      ),
    );
    for (const stream of streams) await stream.read(SOON_MS);
    await write(rig.store, put("a", "1"));
    await quiet();
    const pieces = await Promise.all(streams.map((stream) => stream.read(SOON_MS)));
    // The very same bytes.
    expect(pieces[0]).toBe(pieces[1]!);
    expect(pieces[2]).toBe(pieces[3]!);
    expect(rig.published.length).toBe(1);
    expect(connection.frames).toMatchObject([{ watch, revision: 1 }]);
    const [line] = Buffer.from(pieces[2] as Uint8Array)
      .toString()
      .split("\n");
    const { events } = JSON.parse(line!) as { events: JsonEvent[] };
    expect(events).toEqual((connection.frames[0] as unknown as { events: JsonEvent[] }).events);
  });

  test("come and go without disturbing each other", async () => {
    const store = openModel();
    const hub = new Hub({ store });
    const first = await hub.openStream("ndjson", { range: {} });
    const second = await hub.openStream("ndjson", { range: {} });
    await write(store, put("a"));
    await quiet();
    first.close();
    await write(store, put("a"));
    await quiet();
    expect(revisions(await readAll(second))).toEqual([1, 2]);
    second.close();
    const third = await hub.openStream("ndjson", { range: {}, from: 1 });
    await write(store, put("a"));
    await quiet();
    expect(revisions(await readAll(third))).toEqual([1, 2, 3]);
    hub.stop();
  });
});
