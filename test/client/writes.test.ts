/** Increments, new deadlines, times to live and conditions of the SDK, against a real server. */

import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { connect, type Conditions, type KvClient } from "../../src/client/index.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import { openModel } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";

const START = Date.UTC(2030, 0, 1);
const MINUTE = 60_000;
const LARGE = new Uint8Array(100_000).fill(7);

let now = START;
let server: RunningServer;
let kv: KvClient;

beforeAll(() => {
  const store = openModel({ clock: () => now });
  server = startServer({ store, host: "127.0.0.1", port: 0 });
  kv = connect(server.url);
});

beforeEach(() => {
  now = START;
});

afterAll(async () => {
  await kv.close();
  await server.stop();
});

test("an increment counts from 0, by one or by what is said, up and down", async () => {
  const first = await kv.incr("count/a");
  const { revision } = first;
  const info = { key: "count/a", revision, createRevision: revision, version: 1 };
  expect(first).toEqual({ ...info, value: 1n });
  expect((await kv.incr("count/a", 41)).value).toBe(42n);
  expect(await kv.incr("count/a", -50n)).toMatchObject({ value: -8n, version: 3 });
  expect((await kv.get("count/a"))?.text()).toBe("-8");
});

test("an increment keeps all 64 bits, and refuses what has more", async () => {
  const max = 2n ** 63n - 1n;
  expect((await kv.incr("count/wide", max)).value).toBe(max);
  const over = await expectFailure(kv.incr("count/wide"), "conflict");
  expect(over.details.index).toBeUndefined();
  expect((await kv.incr("count/wide", -max)).value).toBe(0n);
  for (const by of [2n ** 63n, 0.5, 2 ** 53, Number.NaN, "5" as unknown as number]) {
    await expectFailure(kv.incr("count/wide", by), "invalid_argument", "by");
  }
  expect((await kv.get("count/wide"))?.version).toBe(2);
});

test("an increment of a text is a conflict, and changes nothing", async () => {
  const { revision } = await kv.put("count/text", "many");
  await expectFailure(kv.incr("count/text"), "conflict");
  expect((await kv.get("count/text"))?.revision).toBe(revision);
});

test("a time to live counts for an increment when it creates the key, and then stays", async () => {
  const first = await kv.incr("rate/a", 1, { ttl: "1m" });
  expect(first.expiresAt).toBe(START + MINUTE);
  now += 30_000;
  const second = await kv.incr("rate/a", 1, { ttl: "1m" });
  expect(second).toMatchObject({ value: 2n, expiresAt: START + MINUTE });
  now = START + MINUTE;
  expect(await kv.incr("rate/a", 1)).not.toHaveProperty("expiresAt");
});

for (const [size, value] of [
  ["small", "x"],
  ["large", LARGE],
] as const) {
  test(`a ${size} put takes a time to live as text and as milliseconds, and keeps one`, async () => {
    const key = `ttl/${size}`;
    expect(await kv.put(key, value, { ttl: "30s" })).toMatchObject({ expiresAt: START + 30_000 });
    expect(await kv.put(key, value, { ttl: 1_500 })).toMatchObject({ expiresAt: START + 1_500 });
    expect(await kv.put(key, value, { ttl: "keep" })).toMatchObject({ expiresAt: START + 1_500 });
    expect((await kv.get(key))?.expiresAt).toBe(START + 1_500);
    expect((await Array.fromAsync(kv.list({ key })))[0]?.expiresAt).toBe(START + 1_500);
    expect(await kv.put(key, value)).not.toHaveProperty("expiresAt");
    expect(await kv.get(key)).not.toHaveProperty("expiresAt");
    await kv.put(key, value, { ttl: 1 });
    now += 1;
    expect(await kv.get(key)).toBeUndefined();
  });

  test(`a ${size} put minds each condition, and all of them together`, async () => {
    await expectConditions(`put/${size}`, (key, conditions) => kv.put(key, value, conditions));
  });

  test(`a ${size} put refuses a time to live that is none, and stores nothing`, async () => {
    for (const ttl of ["none", "30", "1.5s", "", "-1s", "3651d", 0, -1, 1.5, Number.NaN, 1e15]) {
      await expectFailure(kv.put("ttl/bad", value, { ttl }), "invalid_argument");
      const txn = { then: [{ op: "put", key: "ttl/bad", value, ttl }] } as const;
      await expectFailure(kv.txn(txn), "invalid_argument");
    }
    expect(await kv.get("ttl/bad")).toBeUndefined();
  });
}

test("a touch moves the deadline, keeps it or takes it away, and leaves the value", async () => {
  const { revision } = await kv.put("lease/a", "mine", { ttl: "10s", contentType: "x/y" });
  now += 9_000;
  const touched = await kv.touch("lease/a", "10s");
  expect(touched).toEqual({
    key: "lease/a",
    revision: revision + 1,
    createRevision: revision,
    version: 2,
    expiresAt: now + 10_000,
  });
  expect(await kv.touch("lease/a", "keep")).toMatchObject({ version: 3, expiresAt: now + 10_000 });
  expect(await kv.touch("lease/a", 500)).toMatchObject({ expiresAt: now + 500 });
  expect(await kv.touch("lease/a", "none")).not.toHaveProperty("expiresAt");
  const entry = await kv.get("lease/a");
  expect([entry?.text(), entry?.contentType]).toEqual(["mine", "x/y"]);
  for (const ttl of ["30", 0, undefined as unknown as string]) {
    await expectFailure(kv.touch("lease/a", ttl), "invalid_argument");
  }
});

test("a touch of a key that is absent or has expired is not_found", async () => {
  const { revision } = await kv.put("lease/gone", "mine", { ttl: "10s" });
  now += 10_000;
  const late = await expectFailure(kv.touch("lease/gone", "10s"), "not_found", '"lease/gone"');
  expect(late.details).toEqual({ storeRevision: revision + 1 });
  await expectFailure(kv.touch("lease/none", "10s", { ifPresent: true }), "not_found");
});

test("an increment, a touch and a delete mind each condition", async () => {
  await expectConditions("incr", (key, conditions) => kv.incr(key, 1, conditions));
  await expectConditions("touch", (key, conditions) => kv.touch(key, "1m", conditions));
  await expectConditions("delete", (key, conditions) => kv.delete(key, conditions));
});

/** What holds of a key at `revision`, and what does not. */
function conditionsAt(revision: number): { met: Conditions[]; failed: Conditions[] } {
  return {
    met: [
      { ifRevision: revision },
      { ifRevision: [revision - 1, revision] },
      { ifNotRevision: revision - 1 },
      { ifNotRevision: [0, revision - 1] },
      { ifPresent: true },
      { ifPresent: true, ifNotRevision: revision + 1 },
      { ifRevision: [revision, 0], ifNotRevision: [0] },
    ],
    failed: [
      { ifRevision: revision - 1 },
      { ifRevision: [0, revision + 1] },
      { ifNotRevision: revision },
      { ifNotRevision: [revision, revision + 1] },
      { ifAbsent: true },
      { ifPresent: true, ifNotRevision: revision },
      { ifRevision: [revision, revision + 1], ifNotRevision: [revision, 0] },
    ],
  };
}

async function expectConditions(
  name: string,
  write: (key: string, conditions: Conditions) => Promise<{ readonly revision: number }>,
): Promise<void> {
  const key = `conditions/${name}`;
  let { revision } = await kv.put(key, "1");
  const { failed, met } = conditionsAt(revision);
  for (const conditions of failed) {
    const error = await expectFailure(write(key, conditions), "precondition_failed", key);
    expect([conditions, error.details]).toEqual([
      conditions,
      { revision, storeRevision: (await kv.status()).revision },
    ]);
  }
  for (const index of met.keys()) {
    ({ revision } = await kv.put(key, "1"));
    const conditions = conditionsAt(revision).met[index]!;
    expect((await write(key, conditions)).revision).toBe(revision + 1);
  }
  await kv.delete(key);
  const absent = write(key, { ifRevision: revision, ifNotRevision: 0 });
  const code = name === "touch" ? "not_found" : "precondition_failed";
  await expectFailure(absent, code, key);
  const both = write(key, { ifAbsent: true, ifPresent: true });
  await expectFailure(both, "invalid_argument", "exclude each other");
}
