/** Watches over HTTP streams: the server says exactly what a test wants. */

import { expect, test } from "bun:test";
import { filterOf } from "../../src/client/filter.ts";
import type { Watcher, WatcherOptions } from "../../src/client/watcher.ts";
import type { Watches, WatchesOptions } from "../../src/client/watches.ts";
import type { KvError } from "../../src/errors.ts";
import type { WatchFrame } from "../../src/messages.ts";
import { expectFailure } from "./expect-failure.ts";
import { startCuttingProxy, startOddServer, unusedPort } from "./odd-server.ts";
import { pullChanges, quickWatches } from "./quick-watches.ts";
import { startScriptedStreams } from "./scripted-streams.ts";
import { until } from "./until.ts";

const ALL = filterOf({});

function streaming(url: string, options: WatchesOptions = {}): Watches {
  return quickWatches(url, { transport: "http", ...options });
}

function created(revision: number): WatchFrame {
  return { type: "created", revision, store: "s" };
}

function change(revision: number, key = "k"): WatchFrame {
  return { type: "change", revision, events: [{ type: "delete", key, revision }] };
}

function progress(revision: number): WatchFrame {
  return { type: "progress", revision };
}

function refuse(status: number, code: string, details = {}): () => Response {
  return () => Response.json({ error: { code, message: "no", ...details } }, { status });
}

async function revisions(watcher: Watcher, count: number): Promise<number[]> {
  const seen: number[] = [];
  while (seen.length < count) {
    seen.push(...(await pullChanges(watcher)).map(({ revision }) => revision));
  }
  return seen;
}

test("what is asked for stands in the address", async () => {
  await using server = startScriptedStreams();
  const watches = streaming(server.url);
  const asked: [Omit<WatcherOptions, "filter">, WatcherOptions["filter"], string][] = [
    [{}, ALL, ""],
    [{ from: 7 }, filterOf({ key: "a b&ü/€" }), "key=a%20b%26%C3%BC/%E2%82%AC&from=7"],
    [{ initial: true }, filterOf({ start: "a", end: "b" }), "start=a&end=b&initial=true"],
    [
      {},
      filterOf([{ key: "b" }, { prefix: "c" }, { key: "a" }], {
        prev: true,
        keys: true,
        latest: true,
      }),
      "key=a&key=b&prefix=c&prev=true&keys=true&latest=true",
    ],
  ];
  for (const [index, [options, filter, query]] of asked.entries()) {
    watches.watch({ ...options, filter });
    expect((await server.stream(index)).query).toBe(query);
  }
  watches.close();
});

test("each filter has a request of its own, and equal ones share it", async () => {
  await using server = startScriptedStreams();
  const watches = streaming(server.url);
  const first = watches.watch({ filter: ALL });
  const same = watches.watch({ filter: ALL });
  const other = watches.watch({ filter: filterOf({ key: "a" }) });
  (await server.stream(0)).send(created(4), change(5));
  (await server.stream(1)).send(created(4), change(5, "a"));
  for (const watcher of [first, same, other]) expect(await revisions(watcher, 1)).toEqual([5]);
  // One that comes later asks what now is, and takes what is above that.
  server.revision = 6;
  const later = watches.watch({ filter: ALL });
  await until(() => server.questions === 1);
  expect((await later.started).revision).toBe(6);
  server.streams[0]!.send(change(6), change(7));
  expect(await revisions(later, 1)).toEqual([7]);
  expect(server.streams.length).toBe(2);
  watches.close();
  await until(() => server.streams.every(({ isCancelled }) => isCancelled));
});

test("lines may come in any pieces, and empty ones between them", async () => {
  await using server = startScriptedStreams();
  const watcher = streaming(server.url).watch({ filter: ALL });
  const stream = await server.stream(0);
  const frames = [created(1), change(2, "ü€𝄞"), progress(3), change(4, "\ufeff")];
  const bytes = Buffer.from(frames.map((frame) => `${JSON.stringify(frame)}\n\n`).join(""));
  for (const byte of bytes) {
    stream.write(Uint8Array.of(byte));
    if (byte > 127) await Bun.sleep(1);
  }
  const seen: string[] = [];
  while (seen.length < 2) {
    const changes = await pullChanges(watcher);
    seen.push(...changes.flatMap(({ events }) => events.map(({ key }) => key)));
  }
  expect(seen).toEqual(["ü€𝄞", "\ufeff"]);
  watcher.stop();
});

for (const how of ["ended", "cut"] as const) {
  test(`a stream that is ${how} is asked for again from where it was`, async () => {
    await using server = startScriptedStreams();
    await using proxy = await startCuttingProxy(server.port);
    const log: string[] = [];
    const watcher = streaming(proxy.url).watch({
      filter: ALL,
      onDisconnect: ({ code }) => log.push(code),
      onReconnect: () => log.push("back"),
    });
    const first = await server.stream(0);
    first.send(created(4), change(6), progress(9));
    first.write('{"type":"change","revision":12,"events":[{"type":"del');
    expect(await revisions(watcher, 1)).toEqual([6]);
    await until(() => watcher.need.type === "from" && watcher.need.revision === 10);
    if (how === "ended") first.end();
    else proxy.cut();
    const second = await server.stream(1);
    expect(second.query).toBe("from=10");
    second.send(created(9), change(12));
    expect(await revisions(watcher, 1)).toEqual([12]);
    expect(log).toEqual(["unavailable", "back"]);
    watcher.stop();
    await until(() => second.isCancelled);
  });
}

test("a server that stops is come back to; one that ends the watch is asked again at once", async () => {
  await using server = startScriptedStreams();
  const watcher = streaming(server.url).watch({ filter: ALL, from: 3 });
  for (const [index, reason] of (["shutdown", "too_slow", "compacted"] as const).entries()) {
    const stream = await server.stream(index);
    expect(stream.query).toBe("from=3");
    stream.send(created(2), { type: "end", reason });
    stream.end();
  }
  (await server.stream(3)).send(created(2), { type: "end", reason: "unauthorized" });
  await expectFailure(watcher.pull(), "permission_denied");
});

test("what the server refuses ends the watch, or is tried again, by its code", async () => {
  await using server = startScriptedStreams(refuse(410, "compacted", { oldest: 9 }));
  const gone = streaming(server.url).watch({ filter: ALL, from: 3 });
  expect((await expectFailure(gone.pull(), "compacted", "no")).details.oldest).toBe(9);

  let refusals = 0;
  const busy = refuse(503, "unavailable");
  await using flaky = startScriptedStreams(() => (refusals++ % 3 > 0 ? busy() : undefined));
  const started = streaming(flaky.url).watch({ filter: ALL, from: 3 });
  const first = await flaky.stream(0);
  first.send(created(2));
  await started.started;
  first.end();
  const second = await flaky.stream(1);
  expect([second.query, refusals]).toEqual(["from=3", 4]);
  const fresh = streaming(flaky.url).watch({ filter: ALL });
  await expectFailure(fresh.pull(), "unavailable", "no");
  started.stop();
});

test("where no kv answers, a new watch says what is wrong", async () => {
  const nobody = streaming(`:${await unusedPort()}`).watch({ filter: ALL });
  await expectFailure(nobody.pull(), "unavailable", "no server listens at");
  const answers = [
    () => new Response("<html>"),
    () => Response.json({}),
    () => new Response(null, { status: 204 }),
  ];
  for (const answer of answers) {
    await using other = startScriptedStreams(answer);
    const foreign = streaming(other.url).watch({ filter: ALL });
    await expectFailure(foreign.pull(), "unavailable", "does not answer like kv");
  }
  await using stalled = await startOddServer(() => {});
  const late = streaming(stalled.url, { timeoutMs: 20 }).watch({ filter: ALL });
  await expectFailure(late.pull(), "unavailable", "within 0.02 s");
});

test("lines that are none of kv's break the stream and are no changes", async () => {
  const bad = ["hello", "null", "5", '{"type":"change","revision":2}', '{"type":"state"}', "\xff"];
  await using server = startScriptedStreams();
  const log: string[] = [];
  let times = 0;
  const watcher = streaming(server.url).watch({
    filter: ALL,
    onDisconnect: ({ message }) => log.push(message),
    onReconnect: () => times++,
  });
  for (const [index, line] of bad.entries()) {
    const stream = await server.stream(index);
    stream.send(created(1));
    await until(() => watcher.isStarted && times === index);
    stream.write(Buffer.from(`${line}\n`, "latin1"));
  }
  await server.stream(bad.length);
  expect(log).toHaveLength(bad.length);
  for (const message of log) expect(message).toContain("does not answer like kv");
  watcher.stop();
});

test("a silent stream stays while it has all, and is replaced when it owes something", async () => {
  await using server = startScriptedStreams();
  server.revision = 4;
  const lost = Promise.withResolvers<KvError>();
  const watcher = streaming(server.url, { heartbeatMs: 10 }).watch({
    filter: ALL,
    onDisconnect: lost.resolve,
  });
  (await server.stream(0)).send(created(4));
  await until(() => server.questions > 5);
  expect(server.streams.length).toBe(1);
  server.revision = 5;
  expect((await lost.promise).message).toContain("is silent for 0.04 s");
  const second = await server.stream(1);
  expect(second.query).toBe("from=5");
  // A stream that says something is not asked after, however long it takes.
  second.send(created(4));
  const { questions } = server;
  for (let count = 0; count < 10; count++) {
    second.write("\n");
    await Bun.sleep(4);
  }
  expect(server.questions - questions).toBeLessThan(3);
  watcher.stop();
});

test("a silent stream of a server that does not answer is given up", async () => {
  await using server = startScriptedStreams();
  server.revision = undefined;
  const lost = Promise.withResolvers<KvError>();
  const options = { heartbeatMs: 10, timeoutMs: 30 };
  const watcher = streaming(server.url, options).watch({ filter: ALL, onDisconnect: lost.resolve });
  (await server.stream(0)).send(created(4));
  expect((await lost.promise).message).toContain("within 0.03 s");
  watcher.stop();
});

test("a watch that is given up before its answer leaves nothing behind", async () => {
  await using server = startScriptedStreams();
  const watches = streaming(server.url);
  const watcher = watches.watch({ filter: ALL });
  const stream = await server.stream(0);
  watcher.stop();
  await until(() => stream.isCancelled);
  expect(watches.connections).toBe(0);
});

test("a platform without WebSocket watches over streams, without being told", async () => {
  await using server = startScriptedStreams();
  const own = globalThis.WebSocket;
  globalThis.WebSocket = undefined as unknown as typeof WebSocket;
  try {
    const watcher = quickWatches(server.url).watch({ filter: ALL });
    (await server.stream(0)).send(created(4), change(5));
    expect(await revisions(watcher, 1)).toEqual([5]);
    watcher.stop();
  } finally {
    globalThis.WebSocket = own;
  }
});

test("a watch without room lets go of its stream, and asks for another when it has some", async () => {
  await using server = startScriptedStreams();
  const watches = streaming(server.url, { bytesMax: 100 });
  const watcher = watches.watch({ filter: ALL });
  const first = await server.stream(0);
  first.send(created(4), change(5, "k".repeat(100)), change(6), change(7));
  await until(() => first.isCancelled);
  expect(watches.connections).toBe(1);
  expect(await revisions(watcher, 1)).toEqual([5]);
  const next = revisions(watcher, 2);
  const second = await server.stream(1);
  expect(second.query).toBe("from=6");
  second.send(created(5), change(6), change(7));
  expect(await next).toEqual([6, 7]);
  watcher.stop();
});
