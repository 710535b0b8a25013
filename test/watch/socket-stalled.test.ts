/** Readers that stop reading: what they cost, and how they go on. */

import { expect, test } from "bun:test";
import { TOPIC_CHECK_BYTES, WATCHER_UNSENT_BYTES_MAX } from "../../src/limits.ts";
import type { SocketFrame } from "../../src/messages.ts";
import type { Subscriber } from "../../src/watch/subscriber.ts";
import { openRawSocket, type RawSocket } from "../support/raw-socket.ts";
import { openSocket } from "../support/socket-client.ts";
import { startSocketServer, type SocketServer } from "../support/socket-server.ts";
import { changesBetween, put, write } from "../support/stores.ts";
import { temporaryLog } from "../support/temporary-log.ts";
import { WatchChecker } from "../support/watch-checker.ts";

const COMMITS = 250;
const VALUE_BYTES = 100_000;

/** The server's ends of connections in the order they are made. */
function subscribersOf({ hub }: SocketServer): Subscriber[] {
  const subscribers: Subscriber[] = [];
  const connect = hub.connect.bind(hub);
  hub.connect = (subscriber) => {
    subscribers.push(subscriber);
    return connect(subscriber);
  };
  return subscribers;
}

async function watchAll(raw: RawSocket, from?: number): Promise<void> {
  raw.send({ id: 1, op: "watch", ...(from === undefined ? undefined : { from }) });
  await raw.until(() => raw.texts.length > 0);
}

function revisionsOf(texts: readonly string[]): number[] {
  const frames = texts.map((text) => JSON.parse(text) as SocketFrame);
  return frames.flatMap((frame) => (frame.type === "change" ? [frame.revision] : []));
}

test("stalled readers cost a bounded amount, disturb nobody, and go on without a hole", async () => {
  await using log = await temporaryLog();
  const { store } = log;
  await using server = startSocketServer(store);
  const subscribers = subscribersOf(server);
  const stalled = await Promise.all(Array.from({ length: 12 }, () => openRawSocket(server.url)));
  for (const raw of stalled) {
    await watchAll(raw);
    raw.pause();
  }
  const healthy = await openSocket(server.url);
  await healthy.request({ op: "watch" });
  const value = "x".repeat(VALUE_BYTES);
  let most = 0;
  for (let revision = 1; revision <= COMMITS; revision++) {
    await write(store, put(`k${revision % 5}`, value));
    if (revision % 5 === 0) await healthy.until((m) => m["revision"] === revision);
    for (const subscriber of subscribers) most = Math.max(most, subscriber.unsentBytes());
  }
  expect(revisionsOf(healthy.texts)).toEqual(range(1, COMMITS));
  // The limit, what is published between two looks, and a frame at the end of each.
  expect(most).toBeGreaterThan(WATCHER_UNSENT_BYTES_MAX);
  expect(most).toBeLessThan(WATCHER_UNSENT_BYTES_MAX + TOPIC_CHECK_BYTES + 2 * VALUE_BYTES + 1_000);

  // One after the other reads again while writes go on.
  const commits = changesBetween(store, 1, COMMITS + stalled.length);
  for (const raw of stalled) {
    raw.resume();
    await write(store, put("late"));
  }
  for (const raw of stalled) {
    await raw.until(() => raw.texts.length === 1 + COMMITS + stalled.length);
    const checker = new WatchChecker({}, 0);
    for (const text of raw.texts.slice(1)) checker.receive(JSON.parse(text) as SocketFrame);
    checker.compare(await commits, COMMITS + stalled.length);
    raw.destroy();
  }
  expect(server.errors).toEqual([]);
}, 20_000);

test("a reader of history that stalls holds no more than a reader of news", async () => {
  await using log = await temporaryLog();
  const { store } = log;
  const value = "x".repeat(VALUE_BYTES);
  for (let count = 0; count < COMMITS; count++) await write(store, put("a", value));
  await using server = startSocketServer(store);
  const subscribers = subscribersOf(server);
  const raw = await openRawSocket(server.url);
  await watchAll(raw, 1);
  raw.pause();
  let most = 0;
  for (let turn = 0; turn < 50; turn++) {
    await Bun.sleep(2);
    most = Math.max(most, subscribers[0]!.unsentBytes());
  }
  expect(raw.texts.length).toBeLessThan(COMMITS);
  expect(most).toBeLessThan(WATCHER_UNSENT_BYTES_MAX + VALUE_BYTES + 1_000);
  raw.resume();
  await raw.until(() => raw.texts.length === 1 + COMMITS);
  expect(revisionsOf(raw.texts)).toEqual(range(1, COMMITS));
  raw.destroy();
});

test("a stalled reader that breaks off is forgotten", async () => {
  await using log = await temporaryLog();
  const { store } = log;
  await using server = startSocketServer(store);
  const raw = await openRawSocket(server.url);
  await watchAll(raw);
  raw.pause();
  for (let count = 0; count < 100; count++) await write(store, put("a", "x".repeat(VALUE_BYTES)));
  raw.destroy();
  while (server.hub.watchers > 0) await Bun.sleep(1);
  await write(store, put("a"));
  expect(server.errors).toEqual([]);
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
