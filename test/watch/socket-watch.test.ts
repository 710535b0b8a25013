/** Watches over real connections: every filter and start, cuts and resumes under writers. */

import { describe, expect, test } from "bun:test";
import type { Commit, Range, Store } from "../../src/kv.ts";
import type { SocketFrame } from "../../src/messages.ts";
import { openModel } from "../support/model-store.ts";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { openSocket, type Received, type SocketClient } from "../support/socket-client.ts";
import { startSocketServer } from "../support/socket-server.ts";
import { changesBetween, del, put, write } from "../support/stores.ts";
import { temporaryLog } from "../support/temporary-log.ts";
import { WatchChecker } from "../support/watch-checker.ts";

const KEYS = ["a", "a/1", "a/2", "b", "ä"];

function isChange(revision: number) {
  return (message: Received): boolean =>
    message.type === "change" && message["revision"] === revision;
}

function changed(client: SocketClient, watch: unknown): number[] {
  const changes = client.messages.filter((m) => m.type === "change" && m["watch"] === watch);
  return changes.map((message) => message["revision"] as number);
}

describe("a watch", () => {
  const filters: [string, Range, number[]][] = [
    ["of all keys", {}, [3, 4, 5, 6, 7]],
    ["of one key", { key: "a" }, [3, 7]],
    ["of a prefix", { prefix: "a/" }, [4, 5]],
    ["of a range", { start: "a/2", end: "ä" }, [5, 6]],
  ];
  for (const [name, range, expected] of filters) {
    test(`${name} from now on, from the past and from the next revision gets the same`, async () => {
      const store = openModel();
      for (const key of ["a", "b"]) await write(store, put(key));
      await using server = startSocketServer(store);
      const now = await openSocket(server.url);
      const past = await openSocket(server.url);
      const next = await openSocket(server.url);
      const created = await now.request({ op: "watch", ...range });
      expect(created).toMatchObject({ type: "created", revision: 2 });
      expect(created["store"]).toBe((await store.status()).store);
      await next.request({ op: "watch", ...range, from: 3 });
      for (const key of ["a", "a/1", "a/2", "b"]) await write(store, put(key));
      await write(store, del("a"));
      await past.request({ op: "watch", ...range, from: 3 });
      for (const client of [now, past, next]) {
        await client.until(isChange(expected.at(-1)!));
        expect(changed(client, created["watch"])).toEqual(expected);
      }
    });
  }

  test("has the same number on every connection, and another for another range", async () => {
    await using server = startSocketServer(openModel());
    const one = await openSocket(server.url);
    const two = await openSocket(server.url);
    const numbers = [];
    for (const client of [one, two]) {
      numbers.push((await client.request({ op: "watch", prefix: "a" }))["watch"]);
    }
    expect(numbers[0]).toBe(numbers[1]);
    expect((await one.request({ op: "watch", key: "a" }))["watch"]).not.toBe(numbers[0]);
  });

  test("twice on one connection is a conflict; after unwatch it is not", async () => {
    await using server = startSocketServer(openModel());
    const client = await openSocket(server.url);
    const { watch } = await client.request({ op: "watch", prefix: "a" });
    const again = await client.request({ op: "watch", prefix: "a", from: 1 });
    expect(again).toMatchObject({ type: "error", error: { code: "conflict" } });
    await client.request({ op: "unwatch", watch });
    expect(await client.request({ op: "watch", prefix: "a" })).toMatchObject({ type: "created" });
  });

  test("that was ended gets no frame behind the answer", async () => {
    const store = openModel();
    await using server = startSocketServer(store);
    const client = await openSocket(server.url);
    const { watch } = await client.request({ op: "watch" });
    const writing = (async () => {
      for (let count = 0; count < 300; count++) {
        await write(store, put("a", String(count)));
        if (count % 10 === 0) await Bun.sleep(0);
      }
    })();
    await client.until(isChange(50));
    const answer = await client.request({ op: "unwatch", watch });
    await writing;
    await client.request({ op: "list" });
    const behind = client.messages.slice(client.messages.indexOf(answer) + 1);
    expect(behind.map(({ type }) => type)).toEqual(["result"]);
    expect(server.hub.watchers).toBe(0);
  });

  test("of a large commit gets it in several frames that join whole", async () => {
    const store = openModel();
    await using server = startSocketServer(store);
    const client = await openSocket(server.url);
    const { watch, revision } = await client.request({ op: "watch" });
    const puts = Array.from({ length: 20 }, (_, i) => put(`k${i}`, `${i}`.repeat(50_000)));
    await write(store, ...puts);
    await write(store, put("z"));
    await client.until(isChange(2));
    const checker = new WatchChecker({}, revision as number);
    const frames = client.messages.filter((message) => message["watch"] === watch).slice(1);
    for (const frame of frames) checker.receive(frame as SocketFrame);
    checker.compare(await changesBetween(store, 1, 2), 2);
    expect(checker.splits).toBeGreaterThan(2);
  });

  test("that is silent is told how far the store has come", async () => {
    const store = openModel();
    await using server = startSocketServer(store, { progressMs: 5 });
    const client = await openSocket(server.url);
    const { watch } = await client.request({ op: "watch", key: "quiet" });
    await write(store, put("a"));
    const progress = await client.until(({ type }) => type === "progress");
    expect(progress).toEqual({ watch, type: "progress", revision: 1 });
  });

  test("whose connection breaks leaves nothing behind", async () => {
    await using server = startSocketServer(openModel());
    const client = await openSocket(server.url);
    await client.request({ op: "watch" });
    await client.close();
    while (server.hub.watchers > 0) await Bun.sleep(1);
  });

  test("beyond the most that a connection may have is refused", async () => {
    await using server = startSocketServer(openModel());
    const client = await openSocket(server.url);
    for (let id = 0; id <= 5_000; id++) client.send({ id, op: "watch", key: `k${id}` });
    const last = await client.until((message) => message["id"] === 5_000);
    expect(last).toMatchObject({ error: { code: "too_many_requests", limit: 5_000 } });
    expect(server.hub.watchers).toBe(5_000);
  });
});

test(
  "watches from anywhere, cut at any moment and resumed, see every change exactly once",
  async () => {
    await withSeed(randomSeed(), async (random) => {
      await using temporary = await temporaryLog({ recentBytesMax: 200_000 });
      const { store } = temporary;
      for (let count = 0; count < 100; count++) await write(store, ...operations(random));
      await using server = startSocketServer(store, { progressMs: 20 });
      const writing = new AbortController();
      const writers = [1, 2, 3].map(() => writeUntil(store, random, writing.signal));
      const ranges: Range[] = [{}, { prefix: "a" }, { key: "ä" }, { start: "a/1", end: "b" }, {}];
      const followers = ranges.map((range) => follow(server.url, range, random, rounds(15)));
      const seen = await Promise.all(followers);
      writing.abort();
      await Promise.all(writers);
      const { revision } = await store.status();
      const log: Commit[] = await changesBetween(store, 1, revision);
      for (const checker of seen) checker.compare(log);
      expect(seen.some(({ commits }) => commits.length > 100)).toBe(true);
      expect(server.errors).toEqual([]);
    });
  },
  RANDOM_MS_MAX,
);

/** One to four operations, now and then with a value that has to be sent in a frame of its own. */
function operations({ pick, below, oneIn }: Random) {
  return Array.from({ length: 1 + below(4) }, () => {
    if (oneIn(4)) return del(pick(KEYS));
    return put(pick(KEYS), "x".repeat(oneIn(20) ? 200_000 : below(50)));
  });
}

async function writeUntil(store: Store, random: Random, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await write(store, ...operations(random));
    if (random.oneIn(3)) await Bun.sleep(1);
  }
}

/** Watches from the start over `cuts` connections, each of which is cut after a few frames. */
async function follow(
  url: string,
  range: Range,
  random: Random,
  cuts: number,
): Promise<WatchChecker> {
  const whole = new WatchChecker(range, 0);
  for (let cut = 0; cut < cuts; cut++) {
    const client = await openSocket(url);
    const created = await client.request({ op: "watch", ...range, from: whole.through + 1 });
    expect(created).toMatchObject({ type: "created", revision: whole.through });
    const wanted = random.below(60);
    await client.until(() => client.messages.length > wanted);
    await client.close();
    // What came of a split commit without its last frame does not count: it comes again.
    const part = new WatchChecker(range, whole.through);
    for (const message of client.messages.slice(1)) part.receive(message as SocketFrame);
    whole.commits.push(...part.commits);
    whole.through = part.through;
  }
  return whole;
}
