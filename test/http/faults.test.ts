/** What a client learns when the store fails: a status, a code, when to come again; no more. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { KvError, type ErrorCode } from "../../src/errors.ts";
import type { JsonError } from "../../src/json.ts";
import { openFaulty, type FaultyStore } from "../support/faulty-store.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

let store: FaultyStore;
let server: TestServer;

beforeEach(async () => {
  store = openFaulty();
  server = await startTestServer({ store });
});

afterEach(() => server.stop());

const REQUESTS: readonly [path: string, init: RequestInit][] = [
  ["/v1/kv/key", { method: "GET" }],
  ["/v1/kv/key?wait=0", { method: "GET" }],
  ["/v1/kv/key", { method: "PUT", body: "value" }],
  ["/v1/kv/key", { method: "DELETE" }],
  ["/v1/kv", { method: "GET" }],
  ["/v1/kv", { method: "GET", headers: { Accept: "application/x-ndjson" } }],
  ["/v1/kv?prefix=a", { method: "DELETE" }],
  ["/v1/incr/key", { method: "POST" }],
  ["/v1/touch/key", { method: "POST", headers: { "KV-TTL": "none" } }],
  ["/v1/history/key", { method: "GET" }],
  ["/v1/compact?revision=0", { method: "POST" }],
  ["/v1/txn", { method: "POST", body: '{"then":[]}' }],
  ["/v1/status", { method: "GET" }],
  ["/readyz", { method: "GET" }],
  ["/", { method: "GET" }],
];

const CODES: readonly [code: ErrorCode, status: number][] = [
  ["conflict", 409],
  ["compacted", 410],
  ["too_large", 413],
  ["too_many_requests", 429],
  ["outcome_unknown", 500],
  ["unavailable", 503],
  ["storage_full", 507],
];

describe.each(CODES)("%s", (code, status) => {
  test.each(REQUESTS)(`is ${status} on %s %j`, async (path, init) => {
    store.fault = new KvError(code, "what is wrong", { oldest: 7, limit: 8, index: 9 });
    const answer = await server.fetch(path, init);
    expect(answer.status).toBe(status);
    const index = isSingleWrite(path, init) ? "" : ',"index":9';
    expect(await answer.text()).toBe(
      `{"error":{"code":"${code}","message":"what is wrong","oldest":7,"limit":8${index}}}\n`,
    );
    const comesAgain = code === "unavailable" || code === "too_many_requests";
    expect(answer.headers.get("retry-after")).toBe(comesAgain ? "1" : null);
    expect(server.errors).toEqual([]);
  });
});

describe("a bug", () => {
  const secret = "/secret/path of the machine";

  test.each(REQUESTS)("on %s %j is internal, told to the log alone", async (path, init) => {
    store.fault = new TypeError(secret);
    const answer = await server.fetch(path, init);
    expect(answer.status).toBe(500);
    const text = await answer.text();
    expect((JSON.parse(text) as JsonError).error.code).toBe("internal");
    expect(text).not.toContain("secret");
    expect(text).not.toMatch(/\.ts|at \w/);
    expect(server.errors).toEqual([store.fault]);
  });

  test("that throws something strange is internal too", async () => {
    for (const fault of ["a text", null, { code: "not_found" }, new Error("")]) {
      store.fault = fault;
      expect((await server.fetch("/v1/kv/key")).status).toBe(500);
    }
    expect(server.errors.length).toBe(4);
  });

  test("that the store reports as internal reaches the log", async () => {
    store.fault = new KvError("internal", "a block does not read back");
    const answer = await server.fetch("/v1/kv/key");
    expect(((await answer.json()) as JsonError).error.message).toBe("a block does not read back");
    expect(server.errors).toEqual([store.fault]);
  });
});

test("the process is alive while the store is not ready", async () => {
  store.fault = new KvError("unavailable", "the store is closed");
  expect((await server.fetch("/livez")).status).toBe(200);
  const ready = await server.fetch("/readyz");
  expect(ready.status).toBe(503);
  expect(ready.headers.get("retry-after")).toBe("1");
  store.fault = undefined;
  expect(await (await server.fetch("/readyz")).text()).toBe("ok\n");
});

// --- internal ---

/** Is there one operation only, so that its index says nothing? */
function isSingleWrite(path: string, { method }: RequestInit): boolean {
  return method !== "GET" && path !== "/v1/txn" && !path.startsWith("/v1/compact");
}
