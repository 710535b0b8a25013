/** Watches of the SDK against a real server that stays up. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type KvClient, type KvWatch } from "../../src/client/index.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import type { PutOperation } from "../../src/kv.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";
import { startCuttingProxy } from "./odd-server.ts";
import { until } from "./until.ts";

let store: ModelStore;
let server: RunningServer;
let kv: KvClient;

beforeAll(() => {
  store = openModel();
  server = startServer({ store, host: "127.0.0.1", port: 0, progressMs: 10 });
  kv = connect(server.url);
});

afterAll(async () => {
  await kv.close();
  await server.stop();
});

/** The next `count` commits as `revision:key=value,…`; a deletion as `-key`. */
async function take(watch: KvWatch, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const { value } = await watch.next();
    const events = value!.events.map((event) =>
      event.type === "put" ? `${event.key}=${event.text()}` : `-${event.key}`,
    );
    seen.push(`${value!.revision}:${events.join(",")}`);
  }
  return seen;
}

test("a watch without `from` shows what changes after it began, and nothing before", async () => {
  await kv.put("now/before", "x");
  const watch = kv.watch({ prefix: "now/" });
  const start = await watch.started;
  expect(start).toEqual({ revision: store.status().revision, store: store.status().store });
  const { revision } = await kv.put("now/a", "1");
  await kv.put("other", "x");
  await kv.delete("now/a");
  expect(await take(watch, 2)).toEqual([`${revision}:now/a=1`, `${revision + 2}:-now/a`]);
  watch.close();
});

test("a watch from a revision shows history first, then what comes", async () => {
  const first = await kv.put("from/a", "1");
  await kv.put("from/a", "2");
  const watch = kv.watch({ key: "from/a" }, { from: first.revision });
  expect(await watch.started).toMatchObject({ revision: first.revision - 1 });
  const at = first.revision;
  expect(await take(watch, 2)).toEqual([`${at}:from/a=1`, `${at + 1}:from/a=2`]);
  await kv.put("from/a", "3");
  expect(await take(watch, 1)).toEqual([`${at + 2}:from/a=3`]);
  watch.close();
});

test("a transaction arrives as one commit with its events of the range", async () => {
  const watch = kv.watch({ start: "txn/b", end: "txn/d" });
  await watch.started;
  const { revision } = await kv.txn({
    then: ["a", "b", "c", "d"].map((name) => ({ op: "put", key: `txn/${name}`, value: name })),
  });
  expect(await take(watch, 1)).toEqual([`${revision}:txn/b=b,txn/c=c`]);
  watch.close();
});

test("a commit that comes in several frames arrives as one", async () => {
  const watch = kv.watch({ prefix: "split/" });
  await watch.started;
  const value = new Uint8Array(100_000).fill(200);
  const names = Array.from({ length: 20 }, (_, index) => `split/${index}`);
  await kv.txn({ then: names.map((key) => ({ op: "put", key, value })) });
  const { value: commit } = await watch.next();
  expect(commit!.events.map(({ key }) => key)).toEqual(names);
  for (const event of commit!.events) {
    expect(event.type === "put" && Buffer.from(event.bytes).equals(value)).toBe(true);
  }
  watch.close();
});

test("leaving the loop ends the watch", async () => {
  const { watchers } = await kv.status();
  const watch = kv.watch({ prefix: "leave/" });
  await watch.started;
  await kv.put("leave/a", "x");
  for await (const { events } of watch) {
    expect(events).toHaveLength(1);
    break;
  }
  expect(await watch.next()).toEqual({ done: true, value: undefined });
  await until(async () => (await kv.status()).watchers === watchers);
});

test("`close`, the signal and the client's end each end the loop without an error", async () => {
  const controller = new AbortController();
  const client = connect(server.url);
  const whole = new AbortController();
  const bound = connect(server.url, { signal: whole.signal });
  const cases: [KvWatch, () => unknown][] = [];
  const closed = kv.watch({ prefix: "end/" });
  cases.push([closed, () => closed.close()]);
  cases.push([kv.watch({}, { signal: controller.signal }), () => controller.abort()]);
  cases.push([client.watch(), () => client.close()]);
  cases.push([bound.watch(), () => whole.abort()]);
  for (const [watch, end] of cases) {
    const loop = Array.fromAsync(watch);
    await watch.started;
    await end();
    expect(await loop).toEqual([]);
  }
  const aborted = kv.watch({}, { signal: AbortSignal.abort() });
  expect(await Array.fromAsync(aborted)).toEqual([]);
  expect(() => client.watch()).toThrow("the client is closed");
});

test("what a watch cannot be had for is told by the loop, and by `started`", async () => {
  const own = openModel({ revision: 10 });
  const front = startServer({ store: own, host: "127.0.0.1", port: 0 });
  const client = connect(front.url);
  const forgotten = client.watch({}, { from: 10 });
  expect((await expectFailure(forgotten.next(), "compacted")).details.oldest).toBe(11);
  await expectFailure(forgotten.started, "compacted");
  const ahead = client.watch({}, { from: 12 });
  expect((await expectFailure(ahead.next(), "invalid_argument")).details.revision).toBe(10);
  expect(() => client.watch({ prefix: "\ud800" })).toThrow("well-formed");
  expect(() => client.watch({}, { from: 0 })).toThrow("cannot begin at revision 0");
  expect(() => client.watch({}, { from: 1.5 })).toThrow("cannot begin at revision 1.5");
  await client.close();
  await front.stop();
});

test("nothing keeps hold of a signal that outlives what it was for", async () => {
  const { signal } = new AbortController();
  let held = 0;
  const { addEventListener, removeEventListener } = signal;
  Object.assign(signal, {
    addEventListener(...parts: Parameters<typeof addEventListener>) {
      held++;
      addEventListener.apply(signal, parts);
    },
    removeEventListener(...parts: Parameters<typeof removeEventListener>) {
      held--;
      removeEventListener.apply(signal, parts);
    },
  });
  const client = connect(server.url, { signal });
  await client.put("signal", "x", { signal });
  expect(held).toBe(1);
  const looped = client.watch({}, { from: 1, signal });
  for await (const { revision } of looped) if (revision > 0) break;
  const ahead = client.watch({}, { from: 1_000_000, signal });
  await expectFailure(ahead.next(), "invalid_argument");
  expect(held).toBe(1);
  await client.close();
  expect(held).toBe(0);
});

test("watches of different ranges share one connection", async () => {
  await using proxy = await startCuttingProxy(server.port);
  await using client = connect(proxy.url);
  const watches = Array.from({ length: 50 }, (_, index) => client.watch({ key: `share/${index}` }));
  for (const watch of watches) await watch.started;
  for (let index = 0; index < 50; index++) await kv.put(`share/${index}`, `${index}`);
  for (const [index, watch] of watches.entries()) {
    expect((await take(watch, 1))[0]).toEndWith(`:share/${index}=${index}`);
  }
  expect(proxy.count).toBe(1);
});

test("watches of the same range from now on share one watch of the server", async () => {
  await using proxy = await startCuttingProxy(server.port);
  await using client = connect(proxy.url);
  const { watchers } = await kv.status();
  const early = [client.watch({ prefix: "same/" }), client.watch({ prefix: "same/" })];
  for (const watch of early) await watch.started;
  const first = await kv.put("same/a", "1");
  const late = client.watch({ prefix: "same/" });
  const start = await late.started;
  expect(start.revision).toBeGreaterThanOrEqual(first.revision);
  const second = await kv.put("same/a", "2");
  const both = [`${first.revision}:same/a=1`, `${second.revision}:same/a=2`];
  for (const watch of early) expect(await take(watch, 2)).toEqual(both);
  expect(await take(late, 1)).toEqual(both.slice(1));
  expect((await kv.status()).watchers).toBe(watchers + 1);
  expect(proxy.count).toBe(1);
});

test("watches that begin while the same one is asked for see nothing from before", async () => {
  await using proxy = await startCuttingProxy(server.port);
  await using client = connect(proxy.url);
  const opener = client.watch({ key: "opener" });
  await opener.started;
  const first = client.watch({ prefix: "asked/" });
  const put = await store.commit({ checks: [], then: [operation("asked/a", "before")] });
  const second = client.watch({ prefix: "asked/" });
  expect((await second.started).revision).toBeGreaterThanOrEqual(put.revision);
  const { revision } = await kv.put("asked/a", "after");
  expect(await take(second, 1)).toEqual([`${revision}:asked/a=after`]);
  expect((await take(first, 1))[0]).toEndWith("asked/a=after");
  expect(proxy.count).toBe(1);
});

test("a second watch of the same range that needs older changes gets them all", async () => {
  await using client = connect(server.url);
  const now = client.watch({ prefix: "old/" });
  const { revision } = await now.started;
  const puts = [await kv.put("old/a", "1"), await kv.put("old/a", "2")];
  const all = puts.map((put, index) => `${put.revision}:old/a=${index + 1}`);
  expect(await take(now, 2)).toEqual(all);
  const old = client.watch({ prefix: "old/" }, { from: revision + 1 });
  const last = client.watch({ prefix: "old/" }, { from: puts[1]!.revision });
  expect(await take(old, 2)).toEqual(all);
  expect(await take(last, 1)).toEqual(all.slice(1));
  const third = await kv.put("old/a", "3");
  for (const watch of [now, old, last]) {
    expect(await take(watch, 1)).toEqual([`${third.revision}:old/a=3`]);
  }
});

test("the connection is closed with the last watch, and opened again for the next", async () => {
  await using proxy = await startCuttingProxy(server.port);
  await using client = connect(proxy.url);
  for (let round = 0; round < 3; round++) {
    const watch = client.watch({ prefix: "again/" });
    await watch.started;
    const { revision } = await kv.put("again/a", `${round}`);
    expect(await take(watch, 1)).toEqual([`${revision}:again/a=${round}`]);
    watch.close();
    await until(() => proxy.open === 0);
  }
  expect(proxy.count).toBe(3);
});

function operation(key: string, value: string): PutOperation {
  const bytes = new TextEncoder().encode(value);
  return { op: "put", key, value: bytes, contentType: "text/plain" };
}
