/**
 * Time limits of a connection, as they are handed to the platform (none while a write waits for the
 * store, the usual one again behind it, a new count with each piece of a large body), and what the
 * platform does with them.
 */

import { describe, expect, test } from "bun:test";
import { KvError } from "../../src/errors.ts";
import {
  BODY_PIECE_BYTES_MAX,
  CONNECTION_IDLE_SECONDS,
  STREAM_IDLE_SECONDS,
} from "../../src/limits.ts";
import { openHandlerBench } from "../support/handler-bench.ts";
import { rawRequest, untilClosed } from "../support/raw-http.ts";
import { put, write } from "../support/stores.ts";
import { startTestServer } from "../support/test-server.ts";

const NDJSON = "Accept: application/x-ndjson";

const WRITES: readonly [name: string, path: string, init: RequestInit][] = [
  ["a put", "/v1/kv/a", { method: "PUT", body: "x", headers: { "Content-Length": "1" } }],
  ["a delete", "/v1/kv/a", { method: "DELETE" }],
  ["an increment", "/v1/incr/a", { method: "POST" }],
  ["a touch", "/v1/touch/a", { method: "POST", headers: { "KV-TTL": "1h" } }],
  ["the deletion of a range", "/v1/kv?prefix=a", { method: "DELETE" }],
  ["a compaction", "/v1/compact?revision=0", { method: "POST" }],
  ["a transaction", "/v1/txn", { method: "POST", body: "{}", headers: { "Content-Length": "2" } }],
];

test.each(WRITES)("%s has no limit while it waits for the store", async (_, path, init) => {
  const { store, answer, limits } = openHandlerBench();
  const gate = Promise.withResolvers<void>();
  store.gate = gate.promise;
  const answered = answer(path, init);
  while (limits.length === 0) await Bun.sleep(0);
  expect(limits).toEqual([0]);
  gate.resolve();
  await answered;
  expect(limits).toEqual([0, CONNECTION_IDLE_SECONDS]);
});

test.each(WRITES)("%s that fails has the usual limit again", async (_, path, init) => {
  const { store, answer, limits } = openHandlerBench();
  store.fault = new KvError("storage_full", "the disk is full");
  expect((await answer(path, init))?.status).toBe(507);
  expect(limits).toEqual([0, CONNECTION_IDLE_SECONDS]);
});

test("each piece of a large body starts the count anew", async () => {
  const { answer, limits } = openHandlerBench();
  const pieces = [1, 2, 3].map(() => new Uint8Array(BODY_PIECE_BYTES_MAX));
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces.pop();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
  expect((await answer("/v1/kv/a", { method: "PUT", body }))?.status).toBe(201);
  const idle = CONNECTION_IDLE_SECONDS;
  expect(limits).toEqual([idle, idle, idle, 0, idle]);
});

test("a read has the usual limit throughout", async () => {
  const { answer, limits } = openHandlerBench();
  await answer("/v1/kv/a");
  await answer("/v1/kv");
  await answer("/v1/history/a");
  expect(limits).toEqual([]);
});

test("a blocking read has no limit while it waits", async () => {
  const { answer, limits } = openHandlerBench();
  expect((await answer("/v1/kv/a?wait=0&timeout=1ms"))?.status).toBe(304);
  expect(limits).toEqual([0, CONNECTION_IDLE_SECONDS]);
});

test("a stream begins a count of its own with each piece that it has", async () => {
  const { store, answer, limits } = openHandlerBench();
  await write(store, ...["1", "2", "3"].map((key) => put(key, "x".repeat(200_000))));
  const response = await answer("/v1/kv", { headers: { Accept: "application/x-ndjson" } });
  expect(limits).toEqual([]);
  await response!.text();
  const piece = [0, STREAM_IDLE_SECONDS];
  expect(limits).toEqual([...piece, ...piece, ...piece, 0, CONNECTION_IDLE_SECONDS]);
});

const HEAD = "PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length:";

/** What is sent on a connection that then says no more, and what is answered before it is cut. */
const SILENCES: readonly [name: string, sent: string, answers: RegExp][] = [
  ["in the middle of a small body", `${HEAD} 9\r\n\r\nhalf`, /^$/],
  ["in the middle of a large body", `${HEAD} 99999\r\n\r\nhalf`, /^$/],
  ["after a read", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", /^HTTP\/1\.1 200 /],
  ["after a write", `${HEAD} 4\r\n\r\nhalf`, /^HTTP\/1\.1 201 /],
];

describe.concurrent("a connection", () => {
  test("that waits for a change is not cut", async () => {
    await using server = await startTestServer({ idleSeconds: 1 });
    const { revision } = await write(server.store, put("key"));
    // The platform looks every four seconds.
    const target = `/v1/kv/key?wait=${revision}&timeout=5s`;
    expect((await server.raw(rawRequest("GET", target)))?.status).toBe(304);
  }, 15_000);

  test("of which nothing of a stream is taken is cut", async () => {
    await using server = await startTestServer({ streamIdleSeconds: 1 });
    const values = Array.from({ length: 30 }, (_, at) => put(`k${at}`, "x".repeat(800_000)));
    await write(server.store, ...values);
    // What the system keeps for the connection is less than the 24 MB.
    const request = rawRequest("GET", "/v1/kv", [NDJSON]);
    const received = await untilClosed(server.port, request, Bun.sleep(5_000));
    expect(received.startsWith("HTTP/1.1 200 OK\r\n")).toBe(true);
    expect(received.endsWith("\r\n0\r\n\r\n")).toBe(false);
  }, 15_000);

  test.each(SILENCES)(
    "that is silent %s is cut",
    async (name, sent, answers) => {
      await using server = await startTestServer({ idleSeconds: 1 });
      expect(await untilClosed(server.port, sent)).toMatch(answers);
      const { entry } = await server.store.get("a");
      expect(entry !== undefined).toBe(name === "after a write");
    },
    15_000,
  );
});
