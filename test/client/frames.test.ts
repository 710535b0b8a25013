/** What a watch of the SDK brings, each way of asking for it, over both transports. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type KvClient, type KvFrame, type KvWatch } from "../../src/client/index.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";

for (const transport of ["websocket", "http"] as const) {
  describe(`over ${transport}`, () => {
    let store: ModelStore;
    let server: RunningServer;
    let kv: KvClient;

    beforeAll(() => {
      store = openModel();
      server = startServer({ store, host: "127.0.0.1", port: 0, progressMs: 10 });
      kv = connect(server.url, { transport });
    });

    afterAll(async () => {
      await kv.close();
      await server.stop();
    });

    test("a change says that it is one, and has all events of its revision", async () => {
      const watch = kv.watch({ prefix: "plain/" });
      await watch.started;
      const { revision } = await kv.put("plain/a", "1");
      const { value } = await watch.next();
      expect(value).toEqual({ type: "change", revision, events: [expect.anything()] });
      expect(watch.revision).toBe(revision);
      watch.close();
    });

    test("`initial` begins with what is there, then says so, then follows", async () => {
      await kv.put("initial/a", "1");
      const { revision } = await kv.put("initial/b", "2");
      const watch = kv.watch({ prefix: "initial/" }, { initial: true });
      expect(await watch.started).toEqual({ revision, store: store.status().store });
      const state = await watch.next();
      expect(watch.revision).toBeUndefined();
      const frames = [state.value!, ...(await take(watch, 1))];
      expect(watch.revision).toBe(revision);
      const last = await kv.delete("initial/a");
      frames.push(...(await take(watch, 1)));
      expect(frames.flatMap(shown)).toEqual([
        "initial/a=1",
        "initial/b=2",
        `sync ${revision}`,
        `${last.revision}: delete initial/a`,
      ]);
      watch.close();
    });

    test("`initial` of nothing is whole at once", async () => {
      const watch = kv.watch({ key: "initial/none" }, { initial: true });
      expect(await take(watch, 1)).toEqual([{ type: "sync", ...(await watch.started) }]);
      watch.close();
    });

    test("`initial` with `from` brings history alone, while there is that history", async () => {
      const { revision } = await kv.put("both/a", "1");
      const watch = kv.watch({ prefix: "both/" }, { initial: true, from: revision });
      expect((await take(watch, 1)).flatMap(shown)).toEqual([`${revision}: both/a=1`]);
      watch.close();
    });

    test("`initial` with `from` resets where that history is gone, or never was", async () => {
      const own = openModel({ revision: 10 });
      const front = startServer({ store: own, host: "127.0.0.1", port: 0 });
      await using client = connect(front.url, { transport });
      for (const from of [3, 50]) {
        const range = { prefix: `${from}/` };
        const watch = client.watch(range, { initial: true, from });
        const at = { revision: own.status().revision, store: own.status().store };
        expect(await watch.started).toEqual(at);
        expect(await take(watch, 2)).toEqual([
          { type: "reset", ...at },
          { type: "sync", ...at },
        ]);
        await client.put(`${from}/k`, "v");
        expect((await take(watch, 1)).flatMap(shown)).toEqual([`${at.revision + 1}: ${from}/k=v`]);
        watch.close();
        await expectFailure(
          client.watch({}, { from }).next(),
          from === 3 ? "compacted" : "invalid_argument",
        );
      }
      await client.close();
      await front.stop();
    });

    test("`prev` shows what was there before", async () => {
      const watch = kv.watch({ prefix: "prev/" }, { prev: true });
      await watch.started;
      await kv.put("prev/a", "1");
      await kv.put("prev/a", "2");
      await kv.delete("prev/a");
      const before = (await take(watch, 3)).map((frame) => {
        return frame.type === "change" ? frame.events[0]?.prev?.text() : "?";
      });
      expect(before).toEqual([undefined, "1", "2"]);
      watch.close();
    });

    test("`keys` leaves values out, and says so to whoever reads one", async () => {
      await kv.put("keys/a", "1");
      const watch = kv.watch({ prefix: "keys/" }, { keys: true, prev: true, initial: true });
      await watch.started;
      await kv.put("keys/a", "2");
      const [state, , change] = await take(watch, 3);
      const entry = state?.type === "state" ? state.entries[0] : undefined;
      const event = change?.type === "change" ? change.events[0] : undefined;
      expect(entry).toMatchObject({ key: "keys/a", version: 1 });
      expect(event).toMatchObject({ type: "put", version: 2, prev: { version: 1 } });
      for (const one of [entry, event?.type === "put" ? event : undefined, event?.prev]) {
        expect(one).not.toHaveProperty("value");
        expect(() => one!.text()).toThrow("only keys were asked for");
      }
      watch.close();
    });

    test("keys and prefixes together are one watch, and their events one change", async () => {
      const ranges = [{ key: "several/b" }, { prefix: "several/x/" }, { key: "several/a" }];
      const watch = kv.watch(ranges, { initial: true });
      await watch.started;
      const keys = ["several/a", "several/b", "several/c", "several/x/1"];
      const { revision } = await kv.txn({
        then: keys.map((key) => ({ op: "put", key, value: key })),
      });
      const seen = (await take(watch, 2)).flatMap(shown);
      const at = `${revision}: `;
      expect(seen.slice(1)).toEqual([
        `${at}several/a=several/a`,
        `${at}several/b=several/b`,
        `${at}several/x/1=several/x/1`,
      ]);
      watch.close();
      const again = kv.watch(ranges.toReversed(), { initial: true });
      expect((await take(again, 2)).flatMap(shown)).toEqual([
        ...["a=several/a", "b=several/b", "x/1=several/x/1"].map((end) => `several/${end}`),
        `sync ${revision}`,
      ]);
      again.close();
      expect(() => kv.watch([{ start: "a" }, { key: "b" }])).toThrow("one of several");
      expect(() => kv.watch([])).toThrow("no key and no prefix");
    });

    test("a loop that is behind gets the newest of each key with `latest`, and else everything", async () => {
      const all = kv.watch({ prefix: "latest/" });
      const latest = kv.watch({ prefix: "latest/" }, { latest: true });
      await Promise.all([all.started, latest.started]);
      const puts = [];
      for (const [key, value] of ["a1", "b1", "a2", "a3", "b2", "c1"]) {
        puts.push(await kv.put(`latest/${key}`, value!));
      }
      const { revision } = puts.at(-1)!;
      while ((all.revision ?? 0) < revision) await all.next();
      const newest = new Map<string, string>();
      let [skipped, events] = [0, 0];
      while ((latest.revision ?? 0) < revision) {
        for (const change of await take(latest, 1)) {
          if (change.type !== "change") throw new Error(change.type);
          for (const event of change.events) {
            if (event.type === "put") newest.set(event.key, event.text());
          }
          events += change.events.length;
          skipped += change.skipped ?? 0;
        }
      }
      // The last ones may have come while the first were looked at.
      expect(skipped).toBeGreaterThan(0);
      expect(events + skipped).toBe(puts.length);
      expect([...newest]).toEqual([
        ["latest/a", "3"],
        ["latest/b", "2"],
        ["latest/c", "1"],
      ]);
      const next = await kv.put("latest/a", "4");
      expect(await take(latest, 1)).toMatchObject([{ revision: next.revision, events: [{}] }]);
      for (const watch of [all, latest]) watch.close();
    });

    test("the revision of a watch moves on where nothing that is watched happens", async () => {
      const watch = kv.watch({ key: "quiet" });
      await watch.started;
      const next = watch.next();
      const { revision } = await kv.put("loud", "x");
      while ((watch.revision ?? 0) < revision) await Bun.sleep(2);
      watch.close();
      expect(await next).toEqual({ done: true, value: undefined });
    });
  });
}

test("an address that would be too long for a stream is refused with the way out", async () => {
  const server = startServer({ store: openModel(), host: "127.0.0.1", port: 0 });
  const ranges = Array.from({ length: 40 }, (_, index) => ({ key: `${index}${"k".repeat(900)}` }));
  await using streams = connect(server.url, { transport: "http" });
  const part = "over WebSocket they would";
  expect((await expectFailure(streams.watch(ranges).next(), "too_large", part)).details.limit).toBe(
    14_336,
  );
  await using socket = connect(server.url);
  await socket.watch(ranges).started;
  await socket.close();
  await streams.close();
  await server.stop();
});

// --- internal ---

async function take(watch: KvWatch<KvFrame>, count: number): Promise<KvFrame[]> {
  const frames: KvFrame[] = [];
  while (frames.length < count) {
    const { value, done } = await watch.next();
    if (done === true) throw new Error(`ended after ${frames.length} frames`);
    frames.push(value);
  }
  return frames;
}

/** A frame as texts that compare and read well. */
function shown(frame: KvFrame): string[] {
  if (frame.type === "state") return frame.entries.map((entry) => `${entry.key}=${entry.text()}`);
  if (frame.type !== "change") return [`${frame.type} ${frame.revision}`];
  return frame.events.map((event) => {
    const what =
      event.type === "put" ? `${event.key}=${event.text()}` : `${event.type} ${event.key}`;
    return `${frame.revision}: ${what}`;
  });
}
