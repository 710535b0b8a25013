/** Transactions of the SDK: every check and operation in its friendly form, and what it answers. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type KvClient, type KvOperation } from "../../src/client/index.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import { openModel } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";

const NOW = 1_000_000;

let server: RunningServer;
let kv: KvClient;

beforeAll(() => {
  const store = openModel({ clock: () => NOW });
  server = startServer({ store, host: "127.0.0.1", port: 0 });
  kv = connect(server.url);
});

afterAll(async () => {
  await kv.close();
  await server.stop();
});

test("every operation sees those before it, and answers what it did", async () => {
  await kv.put("t/old", "1");
  const done = await kv.txn({
    then: [
      { op: "put", key: "t/a", value: "text", ttl: "10s" },
      { op: "incr", key: "t/n", by: 2n ** 60n, ttl: 5_000 },
      { op: "incr", key: "t/n" },
      { op: "incr", key: "t/n", by: -1 },
      { op: "touch", key: "t/a", ttl: "1m" },
      { op: "get", key: "t/a" },
      { op: "list", range: { prefix: "t/" }, reverse: true, keys: true, limit: 2 },
      { op: "list", range: { prefix: "t/" }, count: true },
      { op: "deleteRange", range: { prefix: "t/o" } },
      { op: "delete", key: "t/old" },
    ],
  });
  const { revision } = done;
  const created = { revision, createRevision: revision, version: 1 };
  const [put, first, second, third, touch, get, list, count, deleted, absent] = done.results;
  expect(put).toEqual({ op: "put", key: "t/a", ...created, expiresAt: NOW + 10_000 });
  const incr = { op: "incr", key: "t/n", ...created, expiresAt: NOW + 5_000 } as const;
  expect(first).toEqual({ ...incr, value: 2n ** 60n });
  expect(second).toEqual({ ...incr, value: 2n ** 60n + 1n });
  expect(third).toEqual({ ...incr, value: 2n ** 60n });
  expect(touch).toEqual({ op: "touch", key: "t/a", ...created, expiresAt: NOW + 60_000 });
  expect(get?.op === "get" && [get.entry?.text(), get.entry?.expiresAt]).toEqual([
    "text",
    NOW + 60_000,
  ]);
  expect(list?.op === "list" && list.entries.map(({ key }) => key)).toEqual(["t/old", "t/n"]);
  expect(list).toMatchObject({ more: true });
  expect(count).toMatchObject({ op: "list", count: 3 });
  expect(deleted).toEqual({ op: "deleteRange", deleted: 1, more: false });
  expect(absent).toEqual({ op: "delete", deleted: 0 });
});

test("a check can be on the revision, the version or the value, and be turned around", async () => {
  const { revision } = await kv.put("c/a", "text");
  await kv.put("c/b", Uint8Array.of(255));
  const { succeeded } = await kv.txn({
    checks: [
      { key: "c/a", revision: [revision, 1] },
      { key: "c/a", version: 1 },
      { key: "c/a", value: "text" },
      { key: "c/b", value: Uint8Array.of(255) },
      { key: "c/b", value: "text", not: true },
      { key: "c/none", version: 0 },
      { key: "c/none", value: "", not: true },
    ],
  });
  expect(succeeded).toBe(true);
  const failed = await kv.txn({
    checks: [
      { key: "c/a", version: [2, 3] },
      { key: "c/a", value: "text" },
      { key: "c/a", value: "text", not: true },
      { key: "c/none", value: "" },
    ],
    then: [{ op: "delete", key: "c/a" }],
    else: [{ op: "list", range: { prefix: "c/" }, delimiter: "a" }],
  });
  if (failed.succeeded) throw new Error("checks that do not hold have failed");
  expect(failed.failed).toEqual([0, 2, 3]);
  const [list] = failed.results;
  expect(list?.op === "list" && [list.folders, list.entries[0]?.bytes]).toEqual([
    ["c/a"],
    Uint8Array.of(255),
  ]);
});

test("an operation that fails is named by its index, and nothing is done", async () => {
  await kv.put("f/text", "many");
  const before = await kv.status();
  const first = { op: "put", key: "f/a", value: "x" } as const;
  const conflict = await expectFailure(
    kv.txn({ then: [first, { op: "incr", key: "f/text" }] }),
    "conflict",
  );
  expect(conflict.details.index).toBe(1);
  const checks = [{ key: "f/a", revision: 5 }];
  const absent = { op: "touch", key: "f/none", ttl: "1s" } as const;
  const missing = await expectFailure(
    kv.txn({ checks, else: [first, first, absent] }),
    "not_found",
  );
  expect(missing.details.index).toBe(2);
  expect((await kv.status()).revision).toBe(before.revision);
});

test("what cannot be is refused before or by the server, and nothing is done", async () => {
  const { revision } = await kv.status();
  const refused: KvOperation[] = [
    { op: "incr", key: "r", by: 0.5 },
    { op: "incr", key: "r", by: 2n ** 64n },
    { op: "incr", key: "r", ttl: "keep" },
    { op: "touch", key: "r", ttl: "soon" },
    { op: "put", key: "r", value: "\ud800" },
    { op: "deleteRange", range: { prefix: "r" }, limit: 0 },
    { op: "deleteRange", range: { prefix: "r", start: "r" } as never },
    { op: "list", range: { prefix: "r" }, count: true, limit: 1 },
    { op: "list", range: {}, delimiter: "" },
    { op: "unknown", key: "r" } as never,
  ];
  for (const operation of refused) {
    await expectFailure(kv.txn({ then: [operation] }), "invalid_argument");
  }
  const check = kv.txn({ checks: [{ key: "r", value: 5 as never }] });
  await expectFailure(check, "invalid_argument", "a value is");
  const both = kv.txn({ checks: [{ key: "r", value: "5", revision: 5 } as never] });
  await expectFailure(both, "invalid_argument", "exactly one");
  expect((await kv.status()).revision).toBe(revision);
});

test("values of control characters fit with their time to live, though JSON makes them long", async () => {
  const value = "\u0001".repeat(9 * 1024 * 1024);
  const txn = { then: [{ op: "put", key: "control", value, ttl: "1h" }] } as const;
  const [put] = (await kv.txn(txn)).results;
  expect(put).toMatchObject({ expiresAt: NOW + 3_600_000 });
  const same = await kv.txn({ checks: [{ key: "control", value }] });
  expect(same.succeeded).toBe(true);
});
