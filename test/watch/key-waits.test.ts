/** Waiting for the next change of a key: one stream for all, and nothing lost before or within it. */

import { describe, expect, test } from "bun:test";
import { KvError } from "../../src/errors.ts";
import type { Changes, ChangesOptions, Store } from "../../src/kv.ts";
import { KeyWaits, type WaitOptions } from "../../src/watch/key-waits.ts";
import { altered } from "../support/altered-store.ts";
import { openModel, type ModelOptions } from "../support/model-store.ts";
import { failure, put, write } from "../support/stores.ts";
import { Gate, quiet } from "./rig.ts";

const LONG: WaitOptions = { timeoutMs: 60_000 };

/** A model whose streams are counted; the chunks of each pass a gate of its own. */
function rig(options: ModelOptions = {}, countMax?: number) {
  const store = openModel(options);
  const gates = [new Gate(), new Gate(), new Gate()];
  const streams = { begun: 0, running: 0, most: 0, from: [] as number[] };
  async function* counted(from: number, options?: ChangesOptions): AsyncGenerator<Changes> {
    const gate = gates[streams.begun++];
    streams.from.push(from);
    streams.most = Math.max(streams.most, ++streams.running);
    try {
      for await (const chunk of store.changes(from, options)) {
        await gate?.pass();
        yield chunk;
      }
    } finally {
      streams.running--;
    }
  }
  const waits = new KeyWaits(altered(store, { changes: counted }), countMax);
  return { store, gates, streams, waits };
}

describe("a wait", () => {
  test("ends with the first change of its key, and with no change of another", async () => {
    const { store, waits } = rig();
    using wait = waits.begin("a", 0, LONG);
    let woken: string | undefined;
    void wait.next(0).then((why) => (woken = why));
    await write(store, put("b"), put("aa"));
    await quiet();
    expect(woken).toBeUndefined();
    await write(store, put("a"));
    await quiet();
    expect(woken).toBe("changed");
  });

  test("sees what came between the read and the waiting", async () => {
    const { store, waits } = rig();
    using wait = waits.begin("a", 0, LONG);
    await write(store, put("a"));
    await quiet();
    expect(await wait.next(0)).toBe("changed");
  });

  test("sees what came between the read and its own beginning", async () => {
    const { store, waits } = rig();
    await write(store, put("a"));
    await write(store, put("b"));
    using wait = waits.begin("a", 0, LONG);
    expect(await wait.next(0)).toBe("changed");
  });

  test("that begins behind the stream says that it cannot know, and then waits", async () => {
    const { store, waits } = rig();
    using other = waits.begin("b", 0, LONG);
    await write(store, put("a"));
    await quiet();
    // The stream has passed revision 1, which this one has not read.
    using wait = waits.begin("a", 0, LONG);
    expect(await wait.next(0)).toBe("unsure");
    const next = wait.next(1);
    await write(store, put("a"));
    expect(await next).toBe("changed");
    expect(await Promise.race([other.next(1), quiet()])).toBeUndefined();
  });

  test("goes on above a change that was looked at", async () => {
    const { store, waits } = rig();
    using wait = waits.begin("a", 0, LONG);
    await write(store, put("a"));
    expect(await wait.next(0)).toBe("changed");
    const next = wait.next(1);
    expect(await Promise.race([next, quiet()])).toBeUndefined();
    await write(store, put("a"));
    expect(await next).toBe("changed");
  });

  test("ends at its timeout, counted from its beginning", async () => {
    const { store, waits } = rig();
    using wait = waits.begin("a", 0, { timeoutMs: 30 });
    await write(store, put("a"));
    expect(await wait.next(0)).toBe("changed");
    await Bun.sleep(40);
    // What has happened is told before that the time is over.
    expect(await wait.next(0)).toBe("changed");
    expect(await wait.next(1)).toBe("timeout");
  });

  test("that ends at its timeout claims nothing that came after it", async () => {
    const ends = new Set<string>();
    // The change comes in every one of the steps around the answer.
    for (let steps = 0; steps < 20; steps++) {
      const { store, waits, gates } = rig();
      using wait = waits.begin("a", 0, { timeoutMs: 1 });
      gates[0]!.close();
      await write(store, put("a"));
      await Bun.sleep(3);
      gates[0]!.open();
      for (let step = 0; step < steps; step++) await Promise.resolve();
      const woken = await wait.next(0);
      ends.add(woken);
      if (woken === "timeout")
        expect({ steps, through: wait.through }).toEqual({ steps, through: 0 });
    }
    expect([...ends].toSorted()).toEqual(["changed", "timeout"]);
  });

  test("ends when its signal aborts, also before and between two calls", async () => {
    const { waits, streams } = rig();
    const during = new AbortController();
    const between = new AbortController();
    using first = waits.begin("a", 0, { ...LONG, signal: during.signal });
    using second = waits.begin("a", 0, { ...LONG, signal: between.signal });
    const next = first.next(0);
    during.abort();
    await failure(() => next, "unavailable");
    between.abort();
    await failure(() => second.next(0), "unavailable");
    await failure(() => waits.begin("a", 0, { ...LONG, signal: during.signal }), "unavailable");
    await quiet();
    expect({ size: waits.size, running: streams.running }).toEqual({ size: 0, running: 0 });
  });
});

describe("the stream", () => {
  test("is one for all who wait, from the first to the last", async () => {
    const { store, waits, streams } = rig();
    await write(store, put("z"));
    const all = Array.from({ length: 100 }, (_, at) => waits.begin(`k${at % 10}`, 1, LONG));
    await quiet();
    expect(streams).toMatchObject({ begun: 1, running: 1, from: [2] });
    for (const wait of all.slice(1)) wait[Symbol.dispose]();
    await quiet();
    expect(streams.running).toBe(1);
    all[0]![Symbol.dispose]();
    all[0]![Symbol.dispose]();
    await quiet();
    expect({ size: waits.size, running: streams.running }).toEqual({ size: 0, running: 0 });
    waits.begin("a", 1, LONG)[Symbol.dispose]();
    await quiet();
    expect(streams).toMatchObject({ begun: 2, running: 0, most: 1 });
  });

  test("of those before takes nothing back from those who come after its end", async () => {
    const { store, waits, gates } = rig();
    const before = waits.begin("a", 0, LONG);
    gates[0]!.close();
    await write(store, put("a"));
    await quiet();
    before[Symbol.dispose]();
    using after = waits.begin("a", 1, LONG);
    await write(store, put("a"));
    await quiet();
    gates[0]!.open();
    await quiet();
    expect(await after.next(1)).toBe("changed");
    using later = waits.begin("a", 1, LONG);
    expect(await later.next(1)).toBe("unsure");
  });

  test("that ten thousand wait on for one key wakes them all", async () => {
    const { store, waits } = rig();
    const all = Array.from({ length: 10_000 }, () => waits.begin("a", 0, LONG));
    const woken = Promise.all(all.map((wait) => wait.next(0)));
    await write(store, put("a"));
    expect(new Set(await woken)).toEqual(new Set(["changed"]));
    for (const wait of all) wait[Symbol.dispose]();
    expect(waits.size).toBe(0);
  });

  test("whose place is forgotten goes on, and everybody has to look", async () => {
    const { store, waits, gates, streams } = rig({ chunkCommitsMax: 1 });
    using wait = waits.begin("a", 0, LONG);
    using other = waits.begin("b", 0, LONG);
    gates[0]!.close();
    for (const key of ["x", "a", "x", "x"]) await write(store, put(key));
    await quiet();
    await store.compact(4);
    gates[0]!.open();
    expect(await wait.next(0)).toBe("unsure");
    expect(await other.next(0)).toBe("unsure");
    expect(streams).toMatchObject({ begun: 2, running: 1, from: [1, 5] });
    const next = other.next(4);
    await write(store, put("b"));
    expect(await next).toBe("changed");
  });

  test("that fails ends everybody's wait, and the next one begins another", async () => {
    for (const error of [new KvError("internal", "damaged"), new Error("a bug")]) {
      const model = openModel();
      let broken = true;
      const changes = async function* (...args: Parameters<Store["changes"]>) {
        await quiet(1);
        if (broken) throw error;
        yield* model.changes(...args);
      };
      const waits = new KeyWaits(altered(model, { changes }));
      const all = [waits.begin("a", 0, LONG), waits.begin("b", 0, LONG)];
      const outcomes = await Promise.allSettled(all.map((wait) => wait.next(0)));
      const rejected = { status: "rejected" as const, reason: error };
      expect(outcomes).toEqual([rejected, rejected]);
      expect(waits.size).toBe(0);
      broken = false;
      using wait = waits.begin("a", 0, LONG);
      await write(model, put("a"));
      expect(await wait.next(0)).toBe("changed");
    }
  });

  test("that ends with its store ends everybody's wait", async () => {
    const { store, waits } = rig();
    const wait = waits.begin("a", 0, LONG);
    const next = wait.next(0);
    await quiet();
    await store.close();
    await failure(() => next, "unavailable");
    await failure(() => wait.next(0), "unavailable");
    expect(waits.size).toBe(0);
  });
});

describe("the end", () => {
  test("of the server ends everybody's wait, and refuses new ones", async () => {
    const { waits, streams } = rig();
    const next = waits.begin("a", 0, LONG).next(0);
    waits.stop();
    await failure(() => next, "unavailable");
    await failure(() => waits.begin("a", 0, LONG), "unavailable");
    await quiet();
    expect({ size: waits.size, running: streams.running }).toEqual({ size: 0, running: 0 });
  });
});

test("more waits than allowed are refused until one has ended", async () => {
  const { waits } = rig({}, 2);
  const [first] = [waits.begin("a", 0, LONG), waits.begin("b", 0, LONG)];
  const error = await failure(() => waits.begin("c", 0, LONG), "too_many_requests");
  expect(error.details).toEqual({ limit: 2 });
  first[Symbol.dispose]();
  waits.begin("c", 0, LONG);
  expect(waits.size).toBe(2);
  waits.stop();
});
