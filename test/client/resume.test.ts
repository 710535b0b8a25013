/** Watches that outlive their connections: restarts, silence, another store, slow consumers. */

import { expect, test } from "bun:test";
import {
  connect,
  type KvChange,
  type KvError,
  type WatchTransport,
} from "../../src/client/index.ts";
import { filterOf } from "../../src/client/filter.ts";
import type { Change } from "../../src/client/parts.ts";
import type { Store } from "../../src/kv.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import { openModel } from "../support/model-store.ts";
import { changesBetween, put, write } from "../support/stores.ts";
import { expectFailure } from "./expect-failure.ts";
import { startCuttingProxy, startOddServer, unusedPort } from "./odd-server.ts";
import { pullChanges, quickWatches } from "./quick-watches.ts";
import { shownCommit } from "./shown-commit.ts";
import { startScriptedServer } from "./scripted-server.ts";
import { until } from "./until.ts";

function serve(store: Store, port = 0): RunningServer {
  return startServer({ store, host: "127.0.0.1", port, progressMs: 10 });
}

const TRANSPORTS: WatchTransport[] = ["websocket", "http"];

for (const transport of TRANSPORTS) {
  test(`over ${transport} a watch goes on over restarts under writes: nothing lost, nothing twice`, async () => {
    const store = openModel();
    let server = serve(store);
    const { port } = server;
    const log: string[] = [];
    await using kv = connect(server.url, { transport });
    const watch = kv.watch(
      { prefix: "a/" },
      {
        onDisconnect: ({ code }) => log.push(code),
        onReconnect: () => log.push("back"),
      },
    );
    const { revision: start } = await watch.started;
    const enough = new AbortController();
    const writer = (async () => {
      for (let count = 0; !enough.signal.aborted; count++) {
        await write(store, put(`${count % 3 === 0 ? "b" : "a"}/${count % 7}`, `${count}`));
        if (count % 10 === 0) await Bun.sleep(1);
      }
    })();
    const seen: KvChange[] = [];
    const reader = (async () => {
      for await (const commit of watch) seen.push(commit);
    })();
    for (let round = 0; round < 3; round++) {
      const before = seen.length;
      await until(() => seen.length > before + 20);
      await server.stop();
      await Bun.sleep(5);
      server = serve(store, port);
    }
    const before = seen.length;
    await until(() => seen.length > before + 20);
    enough.abort();
    await writer;
    const last = store.status().revision;
    const expected = await changesBetween(store, start + 1, last, { range: { prefix: "a/" } });
    await until(() => seen.length >= expected.length);
    watch.close();
    await reader;
    expect(seen.map(shownCommit)).toEqual(expected.map(shownCommit));
    expect(log).toEqual(["unavailable", "back", "unavailable", "back", "unavailable", "back"]);
    await kv.close();
    await server.stop();
  });
}

test("a first connection that is refused ends the watch, unless it is told to wait", async () => {
  const port = await unusedPort();
  const kv = connect(`:${port}`);
  const hasty = kv.watch();
  await expectFailure(hasty.next(), "unavailable", "no server listens at");
  await expectFailure(hasty.started, "unavailable", "no server listens at");

  const log: string[] = [];
  const patient = kv.watch(
    {},
    {
      waitForServer: true,
      onDisconnect: ({ code }: KvError) => log.push(code),
      onReconnect: () => log.push("back"),
    },
  );
  await until(() => log.length > 0);
  const store = openModel();
  const server = serve(store, port);
  await patient.started;
  const { revision } = await write(store, put("k", "v"));
  expect((await patient.next()).value?.revision).toBe(revision);
  expect(log).toEqual(["unavailable", "back"]);
  await kv.close();
  await server.stop();
});

test("a server that falls silent is found out", async () => {
  const store = openModel();
  const server = serve(store);
  const proxy = await startCuttingProxy(server.port);
  const watches = quickWatches(proxy.url, { heartbeatMs: 20 });
  const lost = Promise.withResolvers<KvError>();
  const watcher = watches.watch({ filter: filterOf({}), onDisconnect: lost.resolve });
  await watcher.started;
  // Idle, but alive: the heartbeat is answered.
  await Bun.sleep(100);
  expect(proxy.count).toBe(1);
  proxy.freeze();
  expect((await lost.promise).message).toContain("is silent for 0.04 s");
  watcher.stop();
  await proxy.stop();
  await server.stop();
});

test("a connection that does not open in time is given up", async () => {
  await using stalled = await startOddServer(() => {});
  const watches = quickWatches(stalled.url, {
    timeoutMs: 20,
    diagnose: async (error) => error,
  });
  await expectFailure(
    watches.watch({ filter: filterOf({}) }).pull(),
    "unavailable",
    "within 0.02 s",
  );
});

test("a server that has no WebSocket of kv is named as such", async () => {
  const page = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("<html>") });
  const foreign = connect(`:${page.port}`).watch();
  await expectFailure(foreign.next(), "unavailable", "does not answer like kv");
  const status = { store: "s", revision: 1, limits: {} };
  const plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json(status) });
  const blocked = connect(`:${plain.port}`).watch();
  await expectFailure(blocked.next(), "unavailable", "no WebSocket can be opened");
  await page.stop(true);
  await plain.stop(true);
  await using silent = startScriptedServer();
  const unheard = quickWatches(silent.url, { heartbeatMs: 10 }).watch({ filter: filterOf({}) });
  await expectFailure(unheard.pull(), "unavailable", "is silent");
});

test("messages that are none of kv's break the connection and are no changes", async () => {
  const bad = [
    "hello",
    "[]",
    "null",
    '{"type":"change","watch":1,"revision":2}',
    '{"type":"change","watch":1,"revision":"2","events":[]}',
    '{"type":"change","watch":1,"revision":2,"events":[{"type":"put","key":"k","base64":"?"}]}',
    '{"id":77,"type":"result"}',
    '{"id":null,"type":"error","error":{"code":"internal","message":"m"}}',
    new Uint8Array(3),
  ];
  let turn = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      const headers = { "Sec-WebSocket-Protocol": "kv.v1" };
      return server.upgrade(request, { headers }) ? undefined : new Response();
    },
    websocket: {
      message(socket, text) {
        const { id } = JSON.parse(text as string) as { id: number };
        socket.send(JSON.stringify({ id, type: "created", watch: 1, revision: 1, store: "s" }));
        socket.send(bad[turn++ % bad.length]!);
      },
    },
  });
  const watches = quickWatches(`:${server.port}`);
  const log: string[] = [];
  const watcher = watches.watch({
    filter: filterOf({}),
    onDisconnect: ({ message }) => log.push(message),
  });
  await until(() => log.length > bad.length);
  for (const message of log) expect(message).toContain("does not answer like kv");
  watcher.stop();
  expect(await watcher.pull()).toBeUndefined();
  await server.stop(true);
});

test("a consumer that does not pull holds a bounded part, and gets all when it does", async () => {
  const store = openModel();
  const server = serve(store);
  const bytesMax = 100_000;
  const watches = quickWatches(server.url, { bytesMax });
  const watcher = watches.watch({ filter: filterOf({ prefix: "a/" }) });
  const other = watches.watch({ filter: filterOf({ prefix: "b/" }) });
  const { revision: start } = await watcher.started;
  await other.started;
  const value = "x".repeat(5_000);
  for (let count = 0; count < 200; count++) await write(store, put(`a/${count}`, value));
  // It has given its watch back; the connection stays for the other one.
  await until(async () => (await connect(server.url).status()).watchers === 1);
  const first = await pullChanges(watcher);
  expect(first.length).toBeLessThan((bytesMax / value.length) * 1.1);
  const seen = [...first];
  while (seen.length < 200) seen.push(...(await pullChanges(watcher)));
  const expected = await changesBetween(store, start + 1, store.status().revision);
  expect(seen.map(shownCommit)).toEqual(expected.map(shownCommit));
  await write(store, put("b/1", "x"));
  let changes: readonly Change[] = [];
  while (changes.length === 0) changes = await pullChanges(other);
  expect(changes.map(({ revision }) => revision)).toEqual([store.status().revision]);
  watches.close();
  await server.stop();
});

test("a slow consumer does not hold up another one of the same range", async () => {
  const store = openModel();
  const server = serve(store);
  const watches = quickWatches(server.url, { bytesMax: 10_000 });
  const slow = watches.watch({ filter: filterOf({}) });
  const quick = watches.watch({ filter: filterOf({}) });
  await slow.started;
  await quick.started;
  const seen: Change[] = [];
  for (let count = 0; count < 300; count++) {
    await write(store, put("k", "x".repeat(1_000)));
    seen.push(...(await pullChanges(quick)));
  }
  expect(seen).toHaveLength(300);
  const late: Change[] = [];
  while (late.length < 300) late.push(...(await pullChanges(slow)));
  expect(late.map(shownCommit)).toEqual(seen.map(shownCommit));
  watches.close();
  await server.stop();
});
