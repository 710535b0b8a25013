/** Single calls of the same turn: which of them go together, and that nobody notices but by the time. */

import { expect, spyOn, test } from "bun:test";
import { connect, type KvClient } from "../../src/client/index.ts";
import {
  CLIENT_FRAMES_IDLE_MS,
  CLIENT_FRAMES_MAX,
  CLIENT_GATHERED_MIN,
  CLIENT_TIMEOUT_MS,
} from "../../src/limits.ts";
import { expectFailure } from "./expect-failure.ts";
import { startFrameServer, type Fate, type FrameServer } from "./frame-server.ts";
import { until } from "./until.ts";

const MANY = CLIENT_GATHERED_MIN;

function keys(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `k${at}`);
}

/** Makes a call that changes nothing until it goes in a frame. */
async function untilShared(server: FrameServer, call: () => Promise<unknown>): Promise<void> {
  for (const before = server.frames.length; server.frames.length === before;) await call();
}

/** Makes calls until they go in frames; forgets what was sent for that. */
async function warmUp(server: FrameServer, kv: KvClient): Promise<void> {
  await Promise.all(keys(MANY).map((key) => kv.get(key)));
  await Promise.all(keys(MANY).map((key) => kv.put(key, "old")));
  await untilShared(server, () => kv.get("none"));
  await untilShared(server, () => kv.delete("none"));
  (server.frames as number[]).length = 0;
  (server.requests as string[]).length = 0;
}

test("few calls, and calls one after the other, open no connection", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  for (let turn = 0; turn < 20; turn++) {
    await Promise.all(keys(MANY - 1).map((key) => kv.get(key)));
    await kv.put("a", "one");
  }
  expect([server.made, server.requests.length]).toEqual([0, 20 * MANY]);
});

test("many calls open one, which they do not wait for, and the next ones share it", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  const first = await Promise.all(keys(MANY).map((key) => kv.put(key, key)));
  expect(first.map(({ key }) => key)).toEqual(keys(MANY));
  expect(server.requests.length).toBe(MANY);
  await untilShared(server, () => kv.delete("none"));
  const [frames, requests] = [server.frames.length, server.requests.length];
  const puts = [
    kv.put("a", "one"),
    kv.put("b", "two", { ttl: "1h", contentType: "text/css" }),
    kv.delete("k0"),
    kv.delete("none"),
    kv.put("a", "three"),
  ];
  const [one, two, deleted, none, three] = await Promise.all(puts);
  expect(one).toEqual({ key: "a", revision: MANY + 1, createRevision: MANY + 1, version: 1 });
  expect(two).toMatchObject({ key: "b", version: 1, expiresAt: expect.any(Number) as number });
  expect(deleted).toEqual({ deleted: 1, revision: MANY + 3 });
  expect(none).toEqual({ deleted: 0, revision: MANY + 3 });
  expect(three).toMatchObject({ version: 2, revision: MANY + 4 });
  expect(server.frames.slice(frames)).toEqual([5]);
  expect(server.requests.length).toBe(requests);
  await using single = connect(server.url);
  expect((await single.get("b"))!.contentType).toBe("text/css");
});

test("a get that goes with others answers what it answers alone", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  await using alone = connect(server.url, { transport: "http" });
  await warmUp(server, kv);
  await kv.put("brief", new Uint8Array([255]), { ttl: "1h" });
  for (const key of ["brief", "k1", "none"]) {
    expect(await kv.get(key)).toEqual((await alone.get(key)) as never);
  }
  for (const key of ["", "a/../b", "x".repeat(1_025)]) {
    const expected = await alone.get(key).catch((error: unknown) => error);
    expect(await kv.get(key).catch((error: unknown) => error)).toEqual(expected as never);
  }
  expect(server.frames).toEqual([1, 1, 1, 1]);
});

test("what a frame cannot say goes by itself", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  await warmUp(server, kv);
  await kv.put("k1", "new", { ttl: "keep" });
  await kv.put("k1", "new", { ifPresent: true });
  await kv.put("k1", "new", { timeoutMs: 1_000 });
  await kv.put("large", new Uint8Array(64 * 1024));
  await kv.get("k1", { revision: 1 });
  await kv.get("k1", { timeoutMs: 1_000 });
  await kv.delete("k1", { ifPresent: true });
  await expectFailure(kv.put("k1", "new", { retry: true }), "invalid_argument");
  await expectFailure(kv.put("k1", "new", { contentType: "ä" }), "invalid_argument");
  expect(server.frames).toEqual([]);
  expect(server.requests.length).toBe(7);
  // What was left out is no option.
  await kv.get("k1", { revision: undefined, signal: undefined });
  expect(server.frames).toEqual([1]);
});

test("one that fails fails alone", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  await warmUp(server, kv);
  const { get } = server.store;
  server.store.get = (key) => {
    if (key === "bad") throw new Error("a fault");
    return get.call(server.store, key);
  };
  const all = ["k0", "bad", "k1"].map((key) => kv.get(key).catch((error: Error) => error));
  expect(await Promise.all(all)).toMatchObject([
    { key: "k0" },
    { code: "internal" },
    { key: "k1" },
  ]);
  expect(server.frames).toEqual([3]);
});

test("where the connection breaks, gets are asked for again and writes are unknown", async () => {
  const fates: Fate[] = [];
  await using server = startFrameServer({ fate: () => fates.shift() ?? "answer" });
  await using kv = connect(server.url);
  await warmUp(server, kv);
  fates.push("break");
  expect(await Promise.all([kv.get("k0"), kv.get("k1")])).toMatchObject([
    { key: "k0" },
    { key: "k1" },
  ]);
  fates.push("lose");
  const writes = [kv.put("a", "one"), kv.delete("k0")];
  await Promise.all(writes.map((write) => expectFailure(write, "outcome_unknown")));
  // What was done before the answer was lost.
  expect((await kv.get("a"))?.version).toBe(1);
});

test("a connection that nobody uses is closed, and opened again when it is needed", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  await warmUp(server, kv);
  const from = performance.now();
  await until(() => server.open === 0);
  expect(performance.now() - from).toBeGreaterThan(CLIENT_FRAMES_IDLE_MS / 2);
  expect((await kv.get("k0"))!.text()).toBe("old");
  expect(server.frames).toEqual([]);
  await Promise.all(keys(MANY).map((key) => kv.get(key)));
  await untilShared(server, () => kv.get("k0"));
  expect(server.open).toBe(1);
});

test("where no connection can be opened, that is not tried with every call", async () => {
  await using server = startFrameServer({ protocol: "chat" });
  await using kv = connect(server.url);
  for (let turn = 0; turn < 5; turn++) {
    await Promise.all(keys(MANY).map((key) => kv.get(key)));
    await Bun.sleep(5);
  }
  expect([server.made, server.frames.length]).toEqual([1, 0]);
  expect(server.requests.length).toBe(5 * MANY);
});

test("an upgrade that is never answered is not waited for again soon", async () => {
  await using server = startFrameServer({ protocol: "late" });
  const own = globalThis.WebSocket;
  let made = 0;
  globalThis.WebSocket = class extends own {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      made++;
    }
  } as typeof WebSocket;
  try {
    await using kv = connect(server.url, { timeoutMs: 400 });
    for (let call = 0; call < 3; call++) expect(await kv.getMany(["a"])).toEqual([undefined]);
    expect([made, server.requests.length]).toEqual([1, 3]);
  } finally {
    globalThis.WebSocket = own;
  }
});

test("a call with less time than an upgrade may take is done without it", async () => {
  await using server = startFrameServer({ protocol: "late" });
  await using kv = connect(server.url);
  expect(await kv.getMany(["a"], { timeoutMs: 400 })).toEqual([undefined]);
  expect(server.requests.length).toBe(1);
});

test("an upgrade is not waited for without end, where requests are", async () => {
  await using server = startFrameServer({ protocol: "none" });
  await using kv = connect(server.url, { timeoutMs: Infinity });
  const timing = spyOn(globalThis, "setTimeout");
  const failing = kv.getMany(["a"]);
  const times = timing.mock.calls.map(([, milliseconds]) => milliseconds);
  timing.mockRestore();
  expect(await failing).toEqual([undefined]);
  // Of each frame that the call would send at once, and of the connection.
  const half = times.filter((milliseconds) => milliseconds === CLIENT_TIMEOUT_MS / 2);
  expect(half).toHaveLength(CLIENT_FRAMES_MAX + 1);
});

test("a close waits for what was sent together, and leaves no connection", async () => {
  await using server = startFrameServer();
  const sockets: WebSocket[] = [];
  const own = globalThis.WebSocket;
  globalThis.WebSocket = class extends own {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  } as typeof WebSocket;
  try {
    const kv = connect(server.url);
    await warmUp(server, kv);
    const reading = Promise.all(keys(3).map((key) => kv.get(key)));
    await kv.close();
    expect(sockets.map(({ readyState }) => readyState >= own.CLOSING)).toEqual([true, true]);
    expect(await reading).toMatchObject([{ key: "k0" }, { key: "k1" }, { key: "k2" }]);
    await expectFailure(kv.get("k0"), "unavailable", "closed");
  } finally {
    globalThis.WebSocket = own;
  }
});

test("an abort of the client ends what was sent together, with its reason", async () => {
  const fates: Fate[] = [];
  await using server = startFrameServer({ fate: () => fates.shift() ?? "answer" });
  const controller = new AbortController();
  const kv = connect(server.url, { signal: controller.signal });
  await warmUp(server, kv);
  fates.push("silence");
  const reading = [kv.get("k0"), kv.get("k1")].map((get) => get.catch((error: unknown) => error));
  await until(() => server.frames.length === 1);
  const reason = new Error("enough");
  controller.abort(reason);
  expect(await Promise.all(reading)).toEqual([reason, reason]);
  await until(() => server.open === 0);
});
