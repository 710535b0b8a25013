/** Paths and methods: what is where, what it takes, and what is said about everything else. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openRemoteStore } from "../../src/client/remote-store.ts";
import { altered } from "../support/altered-store.ts";
import { schemaFaults } from "../support/api-description.ts";
import { openModel } from "../support/model-store.ts";
import { rawRequest } from "../support/raw-http.ts";
import { put, write } from "../support/stores.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
  await write(server.store, put("key", "value"));
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

const ALLOWED: Readonly<Record<string, string>> = {
  "/v1/kv/key": "GET, HEAD, PUT, DELETE, OPTIONS",
  "/v1/kv": "GET, HEAD, DELETE, OPTIONS",
  "/v1/incr/key": "POST, OPTIONS",
  "/v1/touch/key": "POST, OPTIONS",
  "/v1/history/key": "GET, HEAD, OPTIONS",
  "/v1/compact": "POST, OPTIONS",
  "/v1/txn": "POST, OPTIONS",
  "/v1/status": "GET, HEAD, OPTIONS",
  "/v1/openapi.json": "GET, HEAD, OPTIONS",
  "/v1/ws": "GET, OPTIONS",
  "/": "GET, HEAD, OPTIONS",
  "/livez": "GET, HEAD, OPTIONS",
  "/readyz": "GET, HEAD, OPTIONS",
};

/** All methods that the platform passes on, and CONNECT, whose target is no path elsewhere. */
const METHODS = [
  "GET",
  "HEAD",
  "PUT",
  "DELETE",
  "POST",
  "PATCH",
  "TRACE",
  "CONNECT",
  "PROPFIND",
].concat(["M-SEARCH", "LOCK", "COPY", "SUBSCRIBE"]);

describe.each(Object.entries(ALLOWED))("%s", (path, allow) => {
  const others = METHODS.filter((method) => !allow.split(", ").includes(method));

  test.each(others)("does not take %s", async (method) => {
    let allowed: string | undefined;
    const send = async () => {
      const answer = await server.raw(rawRequest(method, path));
      allowed = answer?.headers.get("allow");
      return answer;
    };
    if (method === "HEAD") {
      expect(await send()).toMatchObject({ status: 405, body: "" });
    } else {
      const message = `does not take ${method}; it takes ${allow}`;
      await expectRefusal(server, send, { status: 405, code: "method_not_allowed", message });
    }
    expect(allowed).toBe(allow);
  });

  test("says by OPTIONS what it takes", async () => {
    const answer = await server.raw(rawRequest("OPTIONS", path));
    expect(answer).toMatchObject({ status: 204, body: "" });
    expect(answer?.headers.get("allow")).toBe(allow);
  });
});

test("HEAD answers the headers of GET and no body", async () => {
  const heads = Object.keys(ALLOWED).filter((path) => ALLOWED[path]!.includes("HEAD"));
  for (const path of heads) {
    const [head, get] = await Promise.all([
      server.raw(rawRequest("HEAD", path)),
      server.raw(rawRequest("GET", `${path}${path === "/v1/kv/key" ? "?meta" : ""}`)),
    ]);
    expect(head).toMatchObject({ status: 200, body: "" });
    expect([...head!.headers.keys()].sort()).toEqual(
      [...get!.headers.keys()].filter((name) => name !== "date" || head!.headers.has(name)).sort(),
    );
    for (const name of ["content-type", "etag", "cache-control"]) {
      expect(head!.headers.get(name)).toBe(get!.headers.get(name)!);
    }
  }
});

describe("nothing is at", () => {
  test.each([
    ["/v1/kvs", '; did you mean "/v1/kv"?'],
    ["/v1/incr", '; did you mean "/v1/incr/{key}"?'],
    ["/v1/history", '; did you mean "/v1/history/{key}"?'],
    ["/v1/compact/x", "there is nothing at"],
    ["/v1/txn/", '; did you mean "/v1/txn"?'],
    ["/v1/kv/../../livezz", "leads out of"],
    ["/v1/stats", '; did you mean "/v1/status"?'],
    ["/V1/STATUS", '; did you mean "/v1/status"?'],
    ["/health", "there is nothing at"],
    ["/v1", "there is nothing at"],
    ["/v1/", "there is nothing at"],
    ["/v2/kv/a", "there is nothing at"],
    ["/favicon.ico", "there is nothing at"],
    ["/index.html", "there is nothing at"],
    ["//", "there is nothing at"],
    [`/${"a".repeat(5000)}`, "there is nothing at"],
  ])("%s", async (target, message) => {
    const moved = message === "leads out of";
    await expectRefusal(server, () => server.raw(rawRequest("GET", target)), {
      status: moved ? 400 : 404,
      code: moved ? "invalid_argument" : "unknown_path",
      message,
    });
  });
});

test("an absolute target is its path", async () => {
  const answer = await server.raw(rawRequest("GET", "http://localhost/v1/kv/key"));
  expect(answer).toMatchObject({ status: 200, body: "value" });
});

test("CONNECT to a host is refused", async () => {
  const answer = await server.raw(rawRequest("CONNECT", "localhost:80"));
  expect(answer?.status).toBe(400);
});

test("what is no HTTP is refused or dropped, and the server lives on", async () => {
  const nonsense = [
    "\x16\x03\x01\x02\x00",
    "FOO /v1/kv/key HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "get /v1/kv/key HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /v1/kv/key HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /v1/kv/a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "PUT /v1/kv/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "PUT /v1/kv/key HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "PUT /v1/kv/key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  ];
  const before = await server.store.status();
  for (const bytes of nonsense) {
    const answer = await server.raw(bytes);
    expect(answer?.status ?? 400).toBeGreaterThanOrEqual(400);
  }
  expect(await server.store.status()).toEqual(before);
  expect((await server.fetch("/livez")).status).toBe(200);
});

test("the welcome names the version, the revision and three lines that work", async () => {
  const answer = await server.raw(rawRequest("GET", "/", ["Host: kv.local:5000"]));
  const { revision } = await server.store.status();
  expect(answer?.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  expect(answer?.body).toBe(
    [
      `kv 1.2.3, revision ${revision}`,
      "",
      "curl -X PUT http://kv.local:5000/v1/kv/greeting -d hello",
      "curl http://kv.local:5000/v1/kv/greeting",
      "curl http://kv.local:5000/v1/kv",
      "",
    ].join("\n"),
  );
});

test("status tells the state and the limits", async () => {
  const answer = await server.fetch("/v1/status");
  const { store, revision, keys, bytes } = await server.store.status();
  expect(await answer.json()).toEqual({
    store,
    revision,
    oldest: expect.any(Number),
    keys,
    bytes,
    engine: expect.any(String),
    durability: expect.any(String),
    version: "1.2.3",
    uptimeSeconds: expect.any(Number),
    watchers: 0,
    limits: { ...server.store.limits },
    capabilities: { history: true, snapshot: true },
  });
});

test("status says what is not on disk yet, where a write is answered before it is", async () => {
  const lag = { revisions: 2, bytes: 300, ms: 40 };
  const inner = openModel();
  const status = async () => ({ ...(await inner.status()), durability: "interval:100", lag });
  await using own = await startTestServer({ store: altered(inner, { status }) });
  const answer: unknown = await (await own.fetch("/v1/status")).json();
  expect(answer).toMatchObject({ durability: "interval:100", lag });
  expect(schemaFaults("#/components/schemas/Status", answer)).toEqual([]);
  const remote = await openRemoteStore(own.url);
  expect(await remote.status()).toMatchObject({ durability: "interval:100", lag });
  await remote.close();
});

test("status counts the watches that are open", async () => {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/v1/ws`);
  const messages = new Promise((resolve) => {
    socket.addEventListener("message", resolve, { once: true });
  });
  await new Promise((resolve) => {
    socket.addEventListener("open", resolve, { once: true });
  });
  socket.send('{"id":1,"op":"watch"}');
  await messages;
  const status = (await (await server.fetch("/v1/status")).json()) as { watchers: number };
  expect(status.watchers).toBe(1);
  socket.close();
});
