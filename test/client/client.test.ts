/** The SDK against a real server: what each method sends, answers and throws. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type KvClient } from "../../src/client/index.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import { openModel } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";

let server: RunningServer;
let kv: KvClient;

beforeAll(() => {
  server = startServer({ store: openModel(), host: "127.0.0.1", port: 0 });
  kv = connect(server.url);
});

afterAll(async () => {
  await kv.close();
  await server.stop();
});

const LARGE = new Uint8Array(100_000).fill(7);

test("a put value comes back as bytes, text and JSON", async () => {
  const put = await kv.put("doc/a", '{"n":1}');
  expect(put).toEqual({
    key: "doc/a",
    revision: put.revision,
    createRevision: put.revision,
    version: 1,
  });
  const entry = (await kv.get("doc/a"))!;
  expect(entry.text()).toBe('{"n":1}');
  expect(entry.json<{ n: number }>()).toEqual({ n: 1 });
  expect(entry.bytes).toEqual(new TextEncoder().encode('{"n":1}'));
  expect<object>({ ...entry }).toEqual({
    key: "doc/a",
    value: entry.bytes,
    contentType: "text/plain; charset=utf-8",
    revision: put.revision,
    createRevision: put.revision,
    version: 1,
  });
});

test("an absent key is undefined", async () => {
  expect(await kv.get("nothing/here")).toBeUndefined();
});

test("keys and values of every kind survive the way there and back", async () => {
  const keys = [
    "a/b c",
    "ü/€/𝄞",
    "%2F",
    "a+b?x=1#y",
    "-",
    "~",
    "a//b",
    "/",
    "..a",
    "\u0000",
    "\ufeff",
  ];
  for (const key of keys) {
    await kv.put(key, key);
    expect([key, (await kv.get(key))?.text()]).toEqual([key, key]);
  }
  const blob = new Blob([LARGE], { type: "image/png" });
  const values: [string | Uint8Array | Blob, Uint8Array, string][] = [
    ["", new Uint8Array(0), "text/plain; charset=utf-8"],
    ["\ufefftext", new TextEncoder().encode("\ufefftext"), "text/plain; charset=utf-8"],
    [Uint8Array.of(255, 0, 1), Uint8Array.of(255, 0, 1), "application/octet-stream"],
    [LARGE, LARGE, "text/plain; charset=utf-8"],
    [blob, LARGE, "image/png"],
  ];
  for (const [value, bytes, contentType] of values) {
    await kv.put("value", value);
    const entry = await kv.get("value");
    expect([entry?.contentType, entry?.bytes]).toEqual([contentType, bytes]);
  }
});

test("a chosen content type stays, however it is sent", async () => {
  const types = [
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/html",
    "x/y; a=b",
  ];
  for (const contentType of types) {
    for (const value of ["small", LARGE]) {
      await kv.put("typed", value, { contentType });
      expect((await kv.get("typed"))?.contentType).toBe(contentType);
    }
  }
});

for (const [size, value] of [
  ["small", "x"],
  ["large", LARGE],
] as const) {
  test(`a condition on a ${size} put holds or names the key's revision`, async () => {
    const key = `condition/${size}`;
    const created = await kv.put(key, value, { ifAbsent: true });
    const again = await expectFailure(
      kv.put(key, value, { ifAbsent: true }),
      "precondition_failed",
    );
    expect(again.details).toEqual({ revision: created.revision, storeRevision: created.revision });
    const changed = await kv.put(key, value, { ifRevision: created.revision });
    expect(changed).toMatchObject({ createRevision: created.revision, version: 2 });
    await expectFailure(
      kv.put(key, value, { ifRevision: created.revision }),
      "precondition_failed",
    );
    const absent = kv.put(`${key}/absent`, value, { ifRevision: 5 });
    expect((await expectFailure(absent, "precondition_failed")).details.revision).toBe(0);
    expect((await kv.put(`${key}/new`, value, { ifRevision: 0 })).version).toBe(1);
  });
}

test("a content type that cannot be is refused in plain words, and nothing is stored", async () => {
  for (const value of ["x", LARGE]) {
    for (const bad of ["x\ny", " text/plain", "ä"]) {
      const put = { key: "mistyped", value, contentType: bad } as const;
      const why = "the content type must be visible ASCII";
      await expectFailure(kv.put("mistyped", value, { contentType: bad }), "invalid_argument", why);
      await expectFailure(kv.txn({ then: [{ op: "put", ...put }] }), "invalid_argument", why);
    }
    const empty = kv.put("mistyped", value, { contentType: "" });
    await expectFailure(empty, "invalid_argument", "the content type is empty");
  }
  expect(await kv.get("mistyped")).toBeUndefined();
});

test("a delete says whether there was something, and minds its condition", async () => {
  const { revision } = await kv.put("gone", "x");
  const wrong = await expectFailure(
    kv.delete("gone", { ifRevision: revision + 1 }),
    "precondition_failed",
  );
  expect(wrong.details.revision).toBe(revision);
  const gone = await kv.delete("gone", { ifRevision: revision });
  expect(gone).toEqual({ deleted: 1, revision: revision + 1 });
  expect(await kv.delete("gone")).toEqual({ deleted: 0, revision: gone.revision });
  const absent = await expectFailure(
    kv.delete("gone", { ifRevision: revision }),
    "precondition_failed",
  );
  expect(absent.details).toEqual({ revision: 0, storeRevision: gone.revision });
});

test("a get at an older revision shows what was there then", async () => {
  const first = await kv.put("old", "one");
  await kv.put("old", "two");
  expect((await kv.get("old", { revision: first.revision }))?.text()).toBe("one");
  expect(await kv.get("old", { revision: first.revision - 1 })).toBeUndefined();
  const { revision } = await kv.status();
  const above = await expectFailure(kv.get("old", { revision: revision + 1 }), "invalid_argument");
  expect(above.details.revision).toBe(revision);
});

test("a list goes over all pages at the revision of the first", async () => {
  const names = Array.from(
    { length: 2_345 },
    (_, index) => `many/${String(index).padStart(5, "0")}`,
  );
  for (let at = 0; at < names.length; at += 1_000) {
    const then = names
      .slice(at, at + 1_000)
      .map((key) => ({ op: "put", key, value: key }) as const);
    expect((await kv.txn({ then })).succeeded).toBe(true);
  }
  const seen: string[] = [];
  for await (const entry of kv.list({ prefix: "many/" })) {
    if (seen.length === 0) await kv.put("many/99999", "too late for this listing");
    expect(entry.text()).toBe(entry.key);
    seen.push(entry.key);
  }
  expect(seen).toEqual(names);
  await kv.delete("many/99999");
});

test("a list minds its limit, its bounds and keys", async () => {
  await kv.txn({
    then: ["a", "b", "c", "d"].map((name) => ({ op: "put", key: `few/${name}`, value: name })),
  });
  expect(await keysOf({ start: "few/b", end: "few/d" })).toEqual(["few/b", "few/c"]);
  expect(await keysOf({ key: "few/c" })).toEqual(["few/c"]);
  expect(await keysOf({ key: "few/none" })).toEqual([]);
  expect(await keysOf({ prefix: "few/" }, 3)).toEqual(["few/a", "few/b", "few/c"]);
  expect(await keysOf({ prefix: "few/" }, 0)).toEqual([]);
  const [listed] = await Array.fromAsync(kv.list({ key: "few/a" }, { keys: true }));
  expect(listed).not.toHaveProperty("value");
  expect(() => listed!.text()).toThrow("only keys were asked for");
  const page = await kv.page({ prefix: "few/" }, { limit: 3 });
  expect(page).toMatchObject({
    more: true,
    entries: [{ key: "few/a" }, { key: "few/b" }, { key: "few/c" }],
  });
});

test("a transaction takes friendly values and tells which checks failed", async () => {
  const done = await kv.txn({
    checks: [{ key: "txn/a", revision: 0 }],
    then: [
      { op: "put", key: "txn/a", value: "text" },
      { op: "put", key: "txn/b", value: Uint8Array.of(255) },
      { op: "get", key: "txn/a" },
      { op: "get", key: "txn/none" },
      { op: "delete", key: "txn/none" },
    ],
  });
  expect(done.succeeded).toBe(true);
  const [, , found, absent, deleted] = done.results;
  expect(found?.op === "get" && found.entry?.text()).toBe("text");
  expect(absent).toEqual({ op: "get" });
  expect(deleted).toEqual({ op: "delete", deleted: 0 });
  expect((await kv.get("txn/b"))?.bytes).toEqual(Uint8Array.of(255));
  const failed = await kv.txn({
    checks: [
      { key: "txn/a", revision: done.revision },
      { key: "txn/b", revision: 0 },
    ],
    then: [{ op: "delete", key: "txn/a" }],
    else: [{ op: "get", key: "txn/b", keys: true }],
  });
  expect(failed).toMatchObject({ succeeded: false, failed: [1], results: [{ op: "get" }] });
});

test("text of control characters fits, though JSON makes it six times as long", async () => {
  const value = "\u0001".repeat(9 * 1024 * 1024);
  const then = [{ op: "put", key: "control", value }] as const;
  expect((await kv.txn({ then })).succeeded).toBe(true);
  expect((await kv.get("control"))?.bytes.length).toBe(value.length);
});

test("what the server refuses keeps its code and says why in one line", async () => {
  await expectFailure(kv.get(""), "invalid_argument");
  await expectFailure(kv.put("a/../b", "x"), "invalid_argument");
  await expectFailure(kv.put("lone", "\ud800"), "invalid_argument");
  await expectFailure(kv.put("k", 5 as unknown as string), "invalid_argument");
  await expectFailure(kv.put("k".repeat(1_025), "x"), "too_large");
  await expectFailure(kv.put("k", "x", { contentType: "bad\ntype" }), "invalid_argument");
  await expectFailure(kv.put("k", LARGE, { contentType: "" }), "invalid_argument");
  await expectFailure(kv.put("k", "x", { ifAbsent: true, ifRevision: 1 }), "invalid_argument");
  await expectFailure(kv.put("k", "x", { ifRevision: -1 }), "invalid_argument");
  await expectFailure(kv.put("k", LARGE, { ifRevision: -1 }), "invalid_argument");
  await expectFailure(kv.page({}, { limit: 0 }), "invalid_argument");
  await expectFailure(kv.get("k", { revision: 1.5 }), "invalid_argument");
  const big = await expectFailure(kv.put("k", new Uint8Array(16 * 1024 * 1024 + 1)), "too_large");
  expect(big.details.limit).toBe(16 * 1024 * 1024);
  expect(
    (await expectFailure(kv.put("k", new Blob([new Uint8Array(33 * 1024 * 1024)])), "too_large"))
      .details.limit,
  ).toBe(16 * 1024 * 1024);
  expect(await kv.get("k")).toBeUndefined();
});

test("status names the store, its revision and the limits", async () => {
  const status = await kv.status();
  expect(status.store).toBeString();
  expect(status.revision).toBeGreaterThan(0);
  expect(status.limits.keyBytesMax).toBe(1024);
});

test("a closed client refuses every call", async () => {
  const client = connect(server.url);
  await client.put("before", "x");
  await client.close();
  await expectFailure(client.get("before"), "unavailable");
  await expectFailure(client.put("before", "y"), "unavailable");
  await expectFailure(client.status(), "unavailable");
});

test("close waits for what is in flight", async () => {
  const client = connect(server.url);
  let ended = false;
  const put = client.put("in-flight", LARGE).finally(() => (ended = true));
  await client.close();
  expect(ended).toBe(true);
  expect((await put).version).toBe(1);
});

async function keysOf(range: Parameters<KvClient["list"]>[0], limit?: number): Promise<string[]> {
  const entries = await Array.fromAsync(kv.list(range, { limit }));
  return entries.map(({ key }) => key);
}
