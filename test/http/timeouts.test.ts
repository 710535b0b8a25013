/**
 * Time limits of a connection, as they are handed to the platform (none while a write waits for the
 * store, the usual one again behind it, a new count with each piece of a large body), and what the
 * platform does with them.
 */

import { describe, expect, test } from "bun:test";
import { makeGuard } from "../../src/http/guard.ts";
import { makeHandler, type Handler } from "../../src/http/handler.ts";
import type { HttpServer } from "../../src/http/route.ts";
import { KvError } from "../../src/errors.ts";
import {
  BODY_PIECE_BYTES_MAX,
  CONNECTION_IDLE_SECONDS,
  STREAM_IDLE_SECONDS,
} from "../../src/limits.ts";
import { KeyWaits } from "../../src/watch/key-waits.ts";
import { openFaulty, type FaultyStore } from "../support/faulty-store.ts";
import { startTestServer } from "../support/test-server.ts";

interface Bench {
  readonly store: FaultyStore;
  readonly handler: Handler;
  readonly server: HttpServer;
  /** Seconds, as they were set; 0 = none. */
  readonly limits: number[];
}

function bench(): Bench {
  const store = openFaulty();
  const limits: number[] = [];
  const server = { timeout: (_: Request, seconds: number) => limits.push(seconds) };
  const context = {
    store,
    version: "1.2.3",
    startedAt: 0,
    idleSeconds: CONNECTION_IDLE_SECONDS,
    streamIdleSeconds: STREAM_IDLE_SECONDS,
    bodies: { bytes: 0 },
    streams: { count: 0 },
    waits: new KeyWaits(store),
    watchers: () => 0,
    upgrade: () => undefined,
    stopping: () => false,
    onError: () => undefined,
  };
  const handler = makeHandler({ context, guard: makeGuard([], []) });
  return { store, handler, server: server as unknown as HttpServer, limits };
}

const WRITES: readonly [name: string, path: string, init: RequestInit][] = [
  ["a put", "/v1/kv/a", { method: "PUT", body: "x", headers: { "Content-Length": "1" } }],
  ["a delete", "/v1/kv/a", { method: "DELETE" }],
  ["a transaction", "/v1/txn", { method: "POST", body: "{}", headers: { "Content-Length": "2" } }],
];

test.each(WRITES)("%s has no limit while it waits for the store", async (_, path, init) => {
  const { store, handler, server, limits } = bench();
  const gate = Promise.withResolvers<void>();
  store.gate = gate.promise;
  const answer = handler(new Request(`http://localhost${path}`, init), server);
  while (limits.length === 0) await Bun.sleep(0);
  expect(limits).toEqual([0]);
  gate.resolve();
  await answer;
  expect(limits).toEqual([0, CONNECTION_IDLE_SECONDS]);
});

test.each(WRITES)("%s that fails has the usual limit again", async (_, path, init) => {
  const { store, handler, server, limits } = bench();
  store.fault = new KvError("storage_full", "the disk is full");
  const answer = await handler(new Request(`http://localhost${path}`, init), server);
  expect(answer?.status).toBe(507);
  expect(limits).toEqual([0, CONNECTION_IDLE_SECONDS]);
});

test("each piece of a large body starts the count anew", async () => {
  const { handler, server, limits } = bench();
  const pieces = [1, 2, 3].map(() => new Uint8Array(BODY_PIECE_BYTES_MAX));
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces.pop();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
  const request = new Request("http://localhost/v1/kv/a", { method: "PUT", body });
  expect((await handler(request, server))?.status).toBe(201);
  const idle = CONNECTION_IDLE_SECONDS;
  expect(limits).toEqual([idle, idle, idle, 0, idle]);
});

test("a read has the usual limit throughout", async () => {
  const { handler, server, limits } = bench();
  await handler(new Request("http://localhost/v1/kv/a"), server);
  await handler(new Request("http://localhost/v1/kv"), server);
  expect(limits).toEqual([]);
});

const HEAD = "PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length:";

/** What is sent on a connection that then says no more, and what is answered before it is cut. */
const SILENCES: readonly [name: string, sent: string, answers: RegExp][] = [
  ["in the middle of a small body", `${HEAD} 9\r\n\r\nhalf`, /^$/],
  ["in the middle of a large body", `${HEAD} 99999\r\n\r\nhalf`, /^$/],
  ["after a read", "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", /^HTTP\/1\.1 200 /],
  ["after a write", `${HEAD} 4\r\n\r\nhalf`, /^HTTP\/1\.1 201 /],
];

describe.concurrent("a connection that is silent is cut", () => {
  test.each(SILENCES)(
    "%s",
    async (name, sent, answers) => {
      await using server = await startTestServer({ idleSeconds: 1 });
      expect(await untilCut(server.port, sent)).toMatch(answers);
      const { entry } = await server.store.get("a");
      expect(entry !== undefined).toBe(name === "after a write");
    },
    15_000,
  );
});

// --- internal ---

/** Sends on a connection and waits for the server to close it; resolves with what came. */
async function untilCut(port: number, sent: string): Promise<string> {
  const cut = Promise.withResolvers<void>();
  let received = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(sent),
      data: (_, data) => void (received += data.toString()),
      close: () => cut.resolve(),
    },
  });
  await cut.promise;
  return received;
}
