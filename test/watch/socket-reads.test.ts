/** Every operation that reads, and compaction, over one connection; and keys that expire there. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { EXPIRE_EVENTS_MAX } from "../../src/limits.ts";
import { openSocket } from "../support/socket-client.ts";
import { startSocketServer } from "../support/socket-server.ts";
import { put, write } from "../support/stores.ts";
import { temporaryLog } from "../support/temporary-log.ts";
import { openSocketRig, type SocketRig } from "./socket-rig.ts";

let rig: SocketRig;

beforeEach(async () => {
  rig = await openSocketRig();
});

afterEach(async () => await rig.end());

test("the subprotocol is selected", () => {
  expect(rig.client.protocol).toBe("kv.v1");
});

describe("list", () => {
  beforeEach(async () => {
    await write(rig.store, ...["a", "b/1", "b/2", "c/1/x", "c/2", "d"].map((key) => put(key, key)));
  });

  test("goes both ways, page by page, at the revision of the first page", async () => {
    for (const reverse of [false, true]) {
      const { revision } = await rig.store.status();
      const expected = keysOf(await rig.result({ op: "list", reverse }));
      const found: string[] = [];
      let page = await rig.result({ op: "list", reverse, limit: 2, keys: true });
      await write(rig.store, put("bb"), put("e"));
      while (true) {
        expect(page["revision"]).toBe(revision);
        found.push(...keysOf(page));
        if (page["cursor"] === undefined) break;
        page = await rig.result({ op: "list", cursor: page["cursor"], limit: 2 });
      }
      expect(found).toEqual(expected);
      if (reverse) expect(expected[0]).toBe("e");
    }
  });

  test("shows folders, which count for the limit, and goes on behind them", async () => {
    const first = await rig.result({ op: "list", delimiter: "/", limit: 2, keys: true });
    expect(first).toMatchObject({ revision: 1, entries: [{ key: "a" }], folders: ["b/"] });
    expect(await rig.result({ op: "list", cursor: first["cursor"] })).toEqual({
      revision: 1,
      entries: [expect.objectContaining({ key: "d" })],
      folders: ["c/"],
    });
    expect(await rig.result({ op: "list", prefix: "c/", delimiter: "/" })).toMatchObject({
      entries: [{ key: "c/2" }],
      folders: ["c/1/"],
    });
  });

  test("counts, also at an older revision, and takes nothing beside it", async () => {
    await write(rig.store, put("b/3"));
    expect(await rig.result({ op: "list", count: true, prefix: "b/" })).toEqual({
      revision: 2,
      count: 3,
    });
    expect(await rig.result({ op: "list", count: true, revision: 1 })).toEqual({
      revision: 1,
      count: 6,
    });
    const page = await rig.result({ op: "list", limit: 1 });
    const others = [
      { limit: 1 },
      { keys: true },
      { reverse: true },
      { delimiter: "/" },
      { cursor: page["cursor"] },
    ];
    for (const other of others) {
      expect(await rig.error({ op: "list", count: true, ...other })).toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining("exclude each other"),
      });
    }
  });

  test("ends a page past its bytes of values", async () => {
    await write(rig.store, put("b/1", "x".repeat(2_000)));
    const page = await rig.result({ op: "list", prefix: "b/" });
    expect(keysOf(page)).toEqual(["b/1"]);
    expect(keysOf(await rig.result({ op: "list", cursor: page["cursor"] }))).toEqual(["b/2"]);
  });

  test("refuses a cursor that is another listing's, or compacted, or made up", async () => {
    const { cursor } = await rig.result({ op: "list", prefix: "b/", limit: 1 });
    const wrong = [{ prefix: "c" }, { start: "b/" }, { reverse: true }, { delimiter: "/" }];
    for (const fields of [...wrong, { revision: 0 }]) {
      expect(await rig.error({ op: "list", cursor, ...fields })).toMatchObject({
        code: "invalid_argument",
      });
    }
    expect(await rig.error({ op: "list", cursor: `${cursor as string}x` })).toMatchObject({
      code: "invalid_argument",
    });
    await write(rig.store, put("e"));
    await rig.store.compact(2);
    expect(await rig.error({ op: "list", cursor })).toMatchObject({ code: "compacted", oldest: 2 });
  });
});

describe("history", () => {
  test("tells the changes of a key, newest first, page by page", async () => {
    await rig.result({ op: "put", key: "a", value: "1" });
    await rig.result({ op: "put", key: "b", value: "" });
    await rig.result({ op: "put", key: "a", value: "2", ttl: "1s" });
    rig.now += 1_000;
    await rig.result({ op: "put", key: "a", value: "3" });
    await rig.result({ op: "delete", key: "a" });
    const history = { op: "history", key: "a" };
    const first = await rig.result({ ...history, limit: 2, keys: true });
    expect(first).toEqual({
      revision: 6,
      entries: [
        { type: "delete", key: "a", revision: 6 },
        {
          type: "put",
          key: "a",
          contentType: "text/plain; charset=utf-8",
          revision: 5,
          createRevision: 5,
          version: 1,
        },
      ],
      more: true,
    });
    const second = await rig.result({ ...history, before: 5 });
    expect(second).toMatchObject({
      revision: 6,
      entries: [
        { type: "expire", revision: 4 },
        { type: "put", value: "2", revision: 3, expiresAt: "2030-01-01T12:00:01.000Z" },
        { type: "put", value: "1", revision: 1 },
      ],
    });
    expect(second).not.toHaveProperty("more");
    expect(await rig.result({ op: "history", key: "never" })).toEqual({ revision: 6, entries: [] });
  });

  test("reaches back to the oldest revision", async () => {
    for (let count = 0; count < 4; count++) await rig.result({ op: "put", key: "a", value: "" });
    await rig.store.compact(3);
    const { entries } = await rig.result({ op: "history", key: "a", keys: true });
    expect((entries as { revision: number }[]).map(({ revision }) => revision)).toEqual([4, 3]);
    expect(await rig.error({ op: "history", key: "a", before: 3 })).toMatchObject({
      code: "compacted",
      oldest: 4,
    });
  });
});

describe("compact", () => {
  test("forgets what is older, and says what it cannot", async () => {
    for (let count = 0; count < 4; count++) await rig.result({ op: "put", key: "a", value: "" });
    expect(await rig.result({ op: "compact", revision: 3 })).toEqual({ oldest: 3 });
    expect(await rig.result({ op: "compact", revision: 3 })).toEqual({ oldest: 3 });
    expect(await rig.error({ op: "compact", revision: 2 })).toMatchObject({
      code: "compacted",
      oldest: 3,
    });
    expect(await rig.error({ op: "compact", revision: 5 })).toMatchObject({
      code: "invalid_argument",
      revision: 4,
    });
    expect(await rig.error({ op: "get", key: "a", revision: 2 })).toMatchObject({
      code: "compacted",
      oldest: 3,
    });
    expect(await rig.error({ op: "watch", from: 3 })).toMatchObject({
      code: "compacted",
      oldest: 4,
    });
    expect(await rig.client.request({ op: "watch", from: 4 })).toMatchObject({ type: "created" });
  });
});

test("a commit of many keys that expire reaches a watch on the socket whole", async () => {
  const count = EXPIRE_EVENTS_MAX;
  const puts = Array.from({ length: count }, (_, at) => ({ ...put(`k${at}`), ttl: 1_000 }));
  await write(rig.store, ...puts);
  const { revision } = await rig.client.request({ op: "watch", prefix: "k" });
  expect(revision).toBe(1);
  rig.now += 1_000;
  expect(await rig.result({ op: "list", count: true })).toEqual({ revision: 2, count: 0 });
  await rig.client.until(({ type, more }) => type === "change" && more === undefined);
  const frames = rig.client.messages.filter(({ type }) => type === "change");
  const events = frames.flatMap((frame) => frame["events"] as { type: string; key: string }[]);
  expect(new Set(events.map(({ type }) => type))).toEqual(new Set(["expire"]));
  expect(new Set(events.map(({ key }) => key)).size).toBe(count);
  expect(events.length).toBe(count);
});

test("over the log a key expires by itself, for its watchers and for reads behind them", async () => {
  await using log = await temporaryLog();
  await using server = startSocketServer(log.store);
  const client = await openSocket(server.url);
  await client.request({ op: "watch" });
  await client.request({ op: "put", key: "a", value: "", ttl: "20ms" });
  const change = await client.until((message) => JSON.stringify(message).includes('"expire"'));
  expect(change).toMatchObject({
    revision: 2,
    events: [{ type: "expire", key: "a", revision: 2 }],
  });
  expect(await client.request({ op: "get", key: "a" })).toMatchObject({
    error: { code: "not_found", storeRevision: 2 },
  });
});

function keysOf(page: Record<string, unknown>): string[] {
  return (page["entries"] as { key: string }[]).map(({ key }) => key);
}
