/** How a watch over HTTP stays alive, and everything that ends it: the client, the server, a fault. */

import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
import { SOCKET_CLOSE_MS, STOP_MS } from "../../src/limits.ts";
import { openFaulty } from "../support/faulty-store.ts";
import { openHandlerBench } from "../support/handler-bench.ts";
import { openModel } from "../support/model-store.ts";
import { rawRequest, untilClosed } from "../support/raw-http.ts";
import { put, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";
import { openWatchStream, type StreamTransport } from "../support/watch-stream.ts";

const TRANSPORTS: readonly StreamTransport[] = ["sse", "ndjson"];
const ACCEPT = { sse: "Accept: text/event-stream", ndjson: "Accept: application/x-ndjson" };

async function watchers(server: TestServer): Promise<number> {
  const status = (await (await server.fetch("/v1/status")).json()) as { watchers: number };
  return status.watchers;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await Bun.sleep(1);
}

/** A client that sends a request, and takes nothing until it is told to. */
async function openStalled(port: number, target: string, accept: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.pause();
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n${accept}\r\n\r\n`);
  return socket;
}

/** Writes until what is unsent for a client that takes nothing is more than the system keeps. */
async function fill(store: Store, commits = 60): Promise<void> {
  for (let at = 0; at < commits; at++) {
    await write(store, put("k", "x".repeat(200_000)));
  }
}

describe("a watch that has nothing to say", () => {
  test("repeats as a line of JSON how far it has come", async () => {
    await using server = await startTestServer({ heartbeatMs: 20 });
    const { revision } = await write(server.store, put("a"));
    for (const query of ["", "?initial", `?from=${revision}`]) {
      await using stream = await openWatchStream(`${server.url}/v1/watch${query}`, "ndjson");
      await stream.until(({ type }) => type === "progress");
      expect(await stream.next()).toEqual({ type: "progress", revision });
      expect(await stream.next()).toEqual({ type: "progress", revision });
    }
  });

  test("is told that the store moves, with an id to resume from", async () => {
    await using server = await startTestServer({ progressMs: 20 });
    for (const transport of TRANSPORTS) {
      await using stream = await openWatchStream(`${server.url}/v1/watch?key=none`, transport);
      const { revision } = await write(server.store, put("other"));
      const frames = await stream.until((frame) => frame.revision === revision);
      const id = transport === "sse" ? { id: revision } : {};
      expect(frames.at(-1)).toEqual({ type: "progress", revision, ...id });
    }
  });
});

// These wait for the platform, which looks every four seconds.
describe.concurrent("in the long run", () => {
  test("a watch that has nothing to say says so by a comment, and is not cut", async () => {
    await using server = await startTestServer({ heartbeatMs: 20, idleSeconds: 1 });
    await using stream = await openWatchStream(`${server.url}/v1/watch`, "sse");
    const next = stream.until(({ type }) => type === "change");
    // The platform looks every four seconds for connections that are silent.
    await until(() => stream.comments.length > 250);
    expect(stream.comments.slice(0, 3)).toEqual(["retry: 1000", ":", ":"]);
    await write(server.store, put("a"));
    expect((await next).map(({ type }) => type)).toEqual(["created", "change"]);
  }, 20_000);

  test("a watch is not cut where it is silent altogether", async () => {
    await using server = await startTestServer({ idleSeconds: 1, streamIdleSeconds: 1 });
    await using stream = await openWatchStream(`${server.url}/v1/watch`, "ndjson");
    await stream.next();
    // The platform looks every four seconds.
    await Bun.sleep(5_500);
    const { revision } = await write(server.store, put("a"));
    expect(await stream.next()).toMatchObject({ type: "change", revision });
  }, 20_000);

  test.each(TRANSPORTS)(
    "a client as %s that takes nothing for too long is cut",
    async (transport) => {
      await using server = await startTestServer({ streamIdleSeconds: 1 });
      const client = await openStalled(server.port, "/v1/watch", ACCEPT[transport]);
      await until(async () => (await watchers(server)) === 1);
      await fill(server.store);
      await until(async () => (await watchers(server)) === 0);
      client.destroy();
      expect(server.errors).toEqual([]);
    },
    20_000,
  );

  test("a watch that cannot begin does not hold up the stop", async () => {
    const store = openFaulty(openModel());
    const server = await startTestServer({ store });
    store.gate = new Promise(() => {});
    const client = await openStalled(server.port, "/v1/watch", ACCEPT.sse);
    await server.fetch("/livez");
    const began = Date.now();
    await server.stop();
    expect(Date.now() - began).toBeLessThan(STOP_MS);
    client.destroy();
  }, 20_000);

  test("a client that takes nothing does not hold up the stop", async () => {
    const server = await startTestServer();
    const client = await openStalled(server.port, "/v1/watch", ACCEPT.sse);
    await until(async () => (await watchers(server)) === 1);
    await fill(server.store);
    const began = Date.now();
    await server.stop();
    const took = Date.now() - began;
    expect(took).toBeGreaterThanOrEqual(SOCKET_CLOSE_MS - 1);
    expect(took).toBeLessThan(SOCKET_CLOSE_MS + STOP_MS);
    client.destroy();
    expect(server.errors).toEqual([]);
  }, 20_000);
});

describe.each(TRANSPORTS)("a client of a watch as %s", (transport) => {
  test("that goes away is forgotten at once", async () => {
    await using server = await startTestServer();
    const streams = await Promise.all(
      [1, 2, 3].map(() => openWatchStream(`${server.url}/v1/watch`, transport)),
    );
    expect(await watchers(server)).toBe(3);
    for (const stream of streams) stream.close();
    await until(async () => (await watchers(server)) === 0);
    await write(server.store, put("a"));
    expect(server.errors).toEqual([]);
  });

  test("that goes away before its watch has begun is forgotten too", async () => {
    const store = openFaulty(openModel());
    await using server = await startTestServer({ store });
    const gate = Promise.withResolvers<void>();
    store.gate = gate.promise;
    const client = await openStalled(server.port, "/v1/watch", ACCEPT[transport]);
    await server.fetch("/livez");
    client.destroy();
    await server.fetch("/livez");
    gate.resolve();
    store.gate = Promise.resolve();
    // Now it begins, for nobody.
    await server.fetch("/livez");
    await server.fetch("/livez");
    await until(async () => (await watchers(server)) === 0);
    expect(server.errors).toEqual([]);
  });

  test("that goes away while much is unsent is forgotten too", async () => {
    await using server = await startTestServer();
    const client = await openStalled(server.port, "/v1/watch", ACCEPT[transport]);
    await until(async () => (await watchers(server)) === 1);
    await fill(server.store);
    client.destroy();
    await until(async () => (await watchers(server)) === 0);
    expect(server.errors).toEqual([]);
  });

  test("that was slow gets everything once, in order, when it reads again", async () => {
    await using server = await startTestServer();
    const opened = Promise.withResolvers<void>();
    const request = rawRequest("GET", "/v1/watch?keys", [ACCEPT[transport]]);
    const received = untilClosed(server.port, request, opened.promise);
    await until(async () => (await watchers(server)) === 1);
    const revisions: number[] = [];
    for (let at = 0; at < 40; at++) {
      const keys = Array.from({ length: 1_000 }, (_, key) => put(`${"long/".repeat(20)}${key}`));
      revisions.push((await write(server.store, ...keys)).revision);
    }
    const { watching } = (await (await server.fetch("/v1/status?watchers")).json()) as {
      watching: { state: string; transport: string; lag: number; unsentBytes: number }[];
    };
    expect(watching).toHaveLength(1);
    expect(watching[0]).toMatchObject({ transport, state: "stalled" });
    expect(watching[0]!.lag).toBeGreaterThan(0);
    expect(watching[0]!.unsentBytes).toBeLessThan(3_000_000);
    opened.resolve();
    await until(async () => {
      const status = await (await server.fetch("/v1/status?watchers")).json();
      return (status as { watching: { state: string }[] }).watching[0]?.state === "live";
    });
    await server.stop();
    const text = unchunked(await received);
    const seen = [...text.matchAll(/"revision":(\d+),"events"/g)].map((found) => Number(found[1]));
    expect([...new Set(seen)]).toEqual(revisions);
    expect(text.match(/"type":"put"/g)).toHaveLength(40_000);
    expect(text).toMatch(/"reason":"shutdown"\}\n+$/);
  }, 20_000);
});

describe("when the server stops", () => {
  test.each(TRANSPORTS)("a watch as %s ends with its reason, and whole", async (transport) => {
    const server = await startTestServer();
    const stream = await openWatchStream(`${server.url}/v1/watch?initial`, transport);
    await stream.until(({ type }) => type === "sync");
    const { revision } = await write(server.store, put("a"));
    expect(await stream.next()).toMatchObject({ type: "change", revision });
    const began = Date.now();
    const stopped = server.stop();
    expect(await stream.next()).toEqual({ type: "end", reason: "shutdown" });
    expect(await stream.next()).toBeUndefined();
    await stopped;
    expect(Date.now() - began).toBeLessThan(SOCKET_CLOSE_MS);
    expect(server.errors).toEqual([]);
  });

  test("a browser that has just come is told to come again, others get a status", async () => {
    const { answer, context } = openHandlerBench({ stopping: () => true });
    context.hub.stop();
    const event = await answer("/v1/watch", { headers: { Accept: "text/event-stream" } });
    expect(event!.status).toBe(200);
    expect(event!.headers.get("content-type")).toBe("text/event-stream");
    const goodbye = 'retry: 1000\n\nevent: end\ndata: {"reason":"shutdown"}\n\n';
    expect(await event!.text()).toBe(goodbye);
    const line = await answer("/v1/watch");
    expect(line!.status).toBe(503);
    expect(line!.headers.get("retry-after")).toBe("1");
    const refused = await answer("/v1/watch?from=0", { headers: { Accept: "text/event-stream" } });
    expect(refused!.status).toBe(400);
  });
});

describe("a watch that cannot go on breaks the connection", () => {
  test.each(TRANSPORTS)("as %s, and the fault is reported", async (transport) => {
    const inner = openModel();
    const fault = new KvError("internal", "a block does not read back");
    const broken: Store = {
      ...openFaulty(inner),
      changes(from, options) {
        // The hub's own stream has no range.
        if (options?.range === undefined) return inner.changes(from, options);
        return (async function* () {
          yield await Promise.reject(fault);
        })();
      },
    };
    await using server = await startTestServer({ store: broken });
    await write(inner, put("a"));
    await write(inner, put("b"));
    const text = await untilClosed(
      server.port,
      rawRequest("GET", "/v1/watch?from=1&prefix=", [ACCEPT[transport]]),
    );
    expect(text).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(text).not.toContain("\r\n0\r\n\r\n");
    expect(server.errors).toEqual([fault]);
    expect(await watchers(server)).toBe(0);
  });
});

test("a slow watch that asks for the latest is sent each key once, and how much was left out", async () => {
  await using server = await startTestServer();
  const opened = Promise.withResolvers<void>();
  const request = rawRequest("GET", "/v1/watch?latest", [ACCEPT.ndjson]);
  const received = untilClosed(server.port, request, opened.promise);
  await until(async () => (await watchers(server)) === 1);
  const commits = 120;
  await fill(server.store, commits);
  opened.resolve();
  await until(async () => {
    const status = await (await server.fetch("/v1/status?watchers")).json();
    return (status as { watching: { state: string }[] }).watching[0]?.state === "live";
  });
  await server.stop();
  const frames = unchunked(await received)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string; revision: number; skipped?: number });
  const changes = frames.filter(({ type }) => type === "change");
  const skipped = changes.reduce((sum, frame) => sum + (frame.skipped ?? 0), 0);
  expect(skipped).toBeGreaterThan(0);
  expect(changes.length + skipped).toBe(commits);
  expect(changes.at(-1)!.revision).toBe(commits);
}, 20_000);

test("history that goes while a slow watch needs it ends the watch, or begins it anew", async () => {
  await using server = await startTestServer();
  const opened = Promise.withResolvers<void>();
  const texts = ["", "?initial"].map((query) =>
    untilClosed(
      server.port,
      rawRequest("GET", `/v1/watch${query}`, [ACCEPT.ndjson]),
      opened.promise,
    ),
  );
  await until(async () => (await watchers(server)) === 2);
  await fill(server.store);
  const { revision } = await write(server.store, put("last", "one"));
  await server.store.compact(revision);
  opened.resolve();
  expect(unchunked((await texts[0])!)).toEndWith('{"type":"end","reason":"compacted"}\n');
  await until(async () => {
    const status = await (await server.fetch("/v1/status?watchers")).json();
    return (status as { watching: { state: string }[] }).watching[0]?.state === "live";
  });
  await server.stop();
  const kinds = [...unchunked((await texts[1])!).matchAll(/^\{"type":"(\w+)"/gm)].map(
    ([, type]) => type,
  );
  const begun = kinds.lastIndexOf("change") + 1;
  expect(kinds.slice(0, 3)).toEqual(["created", "sync", "change"]);
  expect(kinds.slice(begun)).toEqual(["reset", "state", "sync", "end"]);
}, 20_000);

// --- internal ---

/** The body of an answer in chunks, however many have come whole. */
function unchunked(answer: string): string {
  let rest = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  let body = "";
  for (;;) {
    const line = /^([0-9a-f]+)\r\n/i.exec(rest.slice(0, 20));
    if (line === null) return body;
    const start = line[0].length;
    const end = start + Number.parseInt(line[1]!, 16);
    body += rest.slice(start, end);
    rest = rest.slice(end + 2);
  }
}
