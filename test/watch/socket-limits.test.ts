/** What a connection takes at once, how much of it waits, and how the server ends it. */

import { describe, expect, test } from "bun:test";
import { LIMITS, SOCKET_ANSWER_BYTES_MAX, SOCKET_REQUESTS_MAX } from "../../src/limits.ts";
import { openModel } from "../support/model-store.ts";
import { openRawSocket, type RawSocket } from "../support/raw-socket.ts";
import { openSocket } from "../support/socket-client.ts";
import { startSocketServer } from "../support/socket-server.ts";
import { put, write } from "../support/stores.ts";
import { answerOf, holdCommits, isAnswered, until } from "./socket-rig.ts";

describe("reading from a connection", () => {
  test("pauses at the limit of unanswered requests, and goes on", async () => {
    const { store, calls, release } = holdCommits();
    await using server = startSocketServer(store);
    const raw = await openRawSocket(server.url);
    const count = 4_000;
    const value = "x".repeat(10_000);
    for (let id = 1; id <= count; id++) raw.send({ id, op: "put", key: `k${id % 7}`, value });
    await until(() => calls.length === SOCKET_REQUESTS_MAX);
    await settled(() => raw.unsentBytes());
    expect(calls.length).toBe(SOCKET_REQUESTS_MAX);
    // Of 40 MB a quarter has begun; some more fits into the kernel's buffers.
    expect(raw.unsentBytes()).toBeGreaterThan(15_000_000);
    const releasing = setInterval(release, 0);
    await raw.until(() => raw.texts.length === count);
    clearInterval(releasing);
    expect(idsOf(raw)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    expect(raw.texts.every((text) => text.includes('"result"'))).toBe(true);
  });

  test("pauses while answers are unsent, so that they do not pile up", async () => {
    const store = openModel();
    const size = 64 * 1024;
    await write(store, put("big", "x".repeat(size)));
    let reads = 0;
    const get = store.get.bind(store);
    store.get = (key, options) => {
      reads++;
      return get(key, options);
    };
    await using server = startSocketServer(store);
    const raw = await openRawSocket(server.url);
    raw.pause();
    const count = 1_000;
    for (let id = 1; id <= count; id++) raw.send({ id, op: "get", key: "big" });
    await settled(() => reads);
    // What the limit lets through, and what the kernel takes on both sides.
    expect(reads * size).toBeLessThan(SOCKET_ANSWER_BYTES_MAX + 16 * 1024 * 1024);
    raw.resume();
    await raw.until(() => raw.texts.length === count);
    expect(idsOf(raw)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  });

  test("an answer far above every limit arrives, with everything behind it and the watches", async () => {
    const store = openModel();
    // Each byte of the value takes six in JSON: 60 MiB, while the platform closes at 16 MiB unsent.
    await write(store, put("big", "\u0001".repeat(10 * 1024 * 1024)));
    await using server = startSocketServer(store);
    const raw = await openRawSocket(server.url);
    raw.send({ id: 1, op: "watch", key: "a" });
    await raw.until(() => raw.texts.length === 1);
    raw.pause();
    raw.send({ id: 2, op: "put", key: "a", value: "1" });
    raw.send({ id: 3, op: "get", key: "big" });
    raw.send({ id: 4, op: "get", key: "big" });
    for (let id = 5; id < 100; id++) raw.send({ id, op: "put", key: "a", value: `${id}` });
    await Bun.sleep(50);
    for (let count = 0; count < 100; count++) await write(store, put("a", "x".repeat(100_000)));
    raw.resume();
    await raw.until(() => raw.texts.length >= 1 + 1 + 2 + 95 + 1 + 95 + 100);
    const changes = raw.texts.filter((text) => text.includes('"change"'));
    expect(changes.length).toBe(196);
    const revisions = changes.map((text) => Number(/"revision":(\d+)/.exec(text)![1]));
    expect(revisions).toEqual(revisions.map((_, index) => index + 2));
    expect(server.errors).toEqual([]);
  }, 20_000);
});

describe("the stop of a server", () => {
  test("answers what has begun, refuses the rest, ends the watches and closes with 1001", async () => {
    const { store, calls, release } = holdCommits();
    await using server = startSocketServer(store);
    const client = await openSocket(server.url);
    await client.request({ op: "watch" });
    client.send({ id: 1, op: "put", key: "a", value: "1" });
    client.send({ id: 2, op: "get", key: "a" });
    await until(() => calls.length === 1);
    await Bun.sleep(5);
    const stopped = server.stop();
    expect(await client.until(({ type }) => type === "end")).toMatchObject({ reason: "shutdown" });
    expect(await answerOf(client, 2)).toMatchObject({ error: { code: "unavailable" } });
    client.send({ id: 3, op: "put", key: "b", value: "1" });
    expect(await answerOf(client, 3)).toMatchObject({ error: { code: "unavailable" } });
    expect(isAnswered(client, 1)).toBe(false);
    release();
    expect(await answerOf(client, 1)).toMatchObject({ type: "result", revision: 1 });
    expect(await client.closed).toEqual({ code: 1001, reason: "the server is stopping" });
    await stopped;
    expect(calls.length).toBe(1);
  });

  test("lets a slow client have all that was sent to it", async () => {
    const store = openModel();
    await write(store, put("big", "x".repeat(12 * 1024 * 1024)));
    const server = startSocketServer(store);
    const raw = await openRawSocket(server.url);
    raw.send({ id: 1, op: "watch" });
    await raw.until(() => raw.texts.length === 1);
    raw.pause();
    const get = store.get.bind(store);
    const read = Promise.withResolvers<void>();
    store.get = (key) => {
      read.resolve();
      return get(key);
    };
    raw.send({ id: 2, op: "get", key: "big" });
    await read.promise;
    const stopped = server.stop();
    await Bun.sleep(50);
    raw.resume();
    expect(await raw.closed).toBe(1001);
    await stopped;
    expect(raw.texts.length).toBe(3);
    expect(raw.texts[2]).toContain('"reason":"shutdown"');
  });

  test("does not wait for ever for a client that takes nothing", async () => {
    const store = openModel();
    await write(store, put("big", "x".repeat(8 * 1024 * 1024)));
    await using server = startSocketServer(store, { closeMs: 100 });
    const raw = await openRawSocket(server.url);
    raw.pause();
    for (let id = 1; id < 10; id++) raw.send({ id, op: "get", key: "big" });
    await Bun.sleep(50);
    const started = Date.now();
    await server.stop();
    expect(Date.now() - started).toBeLessThan(2_000);
  });
});

test("values of every limit go both ways", async () => {
  await using server = startSocketServer(openModel());
  const client = await openSocket(server.url);
  const base64 = Buffer.alloc(LIMITS.valueBytesMax, 0xff).toString("base64");
  expect(await client.request({ op: "put", key: "k", base64 })).toMatchObject({ revision: 1 });
  const answer = await client.request({ op: "get", key: "k" });
  expect((answer["entry"] as { base64: string }).base64 === base64).toBe(true);
});

/** Resolves when a number has stopped growing for a while. */
async function settled(count: () => number): Promise<void> {
  let last = -1;
  while (count() !== last) {
    last = count();
    await Bun.sleep(50);
  }
}

function idsOf(raw: RawSocket): number[] {
  return raw.texts.map((text) => Number(/"id":(\d+)/.exec(text)![1]));
}
