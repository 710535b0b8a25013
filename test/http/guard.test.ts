/** Who may use the server: names in Host, origins of web pages, and CORS for those let in. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { failure, put, write } from "../support/stores.ts";
import { rawRequest, type RawAnswer } from "../support/raw-http.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

const APP = "https://app.example.com";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({
    allowedHosts: ["kv.example.com", "Shop.Example.com:8443"],
    allowedOrigins: [APP, "http://localhost:3000", "https://Port.example.com:443"],
  });
  await write(server.store, put("key", "value"));
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

function get(target: string, ...headers: string[]): Promise<RawAnswer | undefined> {
  return server.raw(rawRequest("GET", target, headers));
}

describe("Host", () => {
  test.each([
    "localhost",
    "LOCALHOST:5000",
    "127.0.0.1",
    "127.0.0.1:5000",
    "10.1.2.3:80",
    "255.255.255.255",
    "[::1]",
    "[::1]:5000",
    "[fe80::1]",
    "kv",
    "kv_1",
    "kv:5000",
    "a.localhost",
    "nas.local",
    "kv.internal",
    "kv.lan",
    "kv.home.arpa",
    "kv.default.svc",
    "kv.test",
    "kv.test.",
    "KV.Example.Com",
    "kv.example.com:1",
    "kv.example.com.",
    "shop.example.com:8443",
  ])("%s is let in", async (host) => {
    expect((await get("/v1/kv/key", `Host: ${host}`))?.status).toBe(200);
    expect((await get("/", `Host: ${host}`))?.status).toBe(200);
  });

  test.each([
    "evil.com",
    "evil.com:5000",
    "localhost.evil.com",
    "127.0.0.1.evil.com",
    "127.0.0.1.nip.io",
    "1.2.3",
    "256.0.0.1",
    "01.0.0.1",
    "kv.localhost.com",
    "notlocal.com",
    "a.xlocal",
    "kv.cluster.local.com",
    "x.kv.example.com",
    "kv.example.com.evil.com",
    "shop.example.com",
    "shop.example.com:8444",
  ])("%s is not, and the answer names the flag", async (host) => {
    for (const target of ["/", "/v1/kv/key", "/v1/status", "/v1/openapi.json", "/v1/ws", "/nope"]) {
      await expectRefusal(server, () => get(target, `Host: ${host}`), {
        status: 403,
        code: "permission_denied",
        message: "start it with --allowed-hosts",
      });
    }
    const write = rawRequest("PUT", "/v1/kv/key", [`Host: ${host}`, "Content-Length: 1"]);
    await expectRefusal(server, () => server.raw(`${write}x`), {
      status: 403,
      code: "permission_denied",
      message: "--allowed-hosts",
    });
  });

  test("is no matter on health", async () => {
    expect((await get("/livez", "Host: evil.com"))?.status).toBe(200);
    expect((await get("/readyz", "Host: evil.com"))?.status).toBe(200);
  });

  test("that was let in does not let the next one in", async () => {
    await get("/v1/kv/key", "Host: localhost");
    expect((await get("/v1/kv/key", "Host: evil.com"))?.status).toBe(403);
    expect((await get("/v1/kv/key", "Host: evil.com"))?.status).toBe(403);
  });

  test.each([
    "a b",
    "a/b",
    "a?b",
    "u@localhost",
    "[::1",
    "::1",
    "localhost:port",
    "caf\xe9",
    "a\\b",
  ])("%s is no host", async (host) => {
    await expectRefusal(server, () => get("/v1/kv/key", `Host: ${host}`), {
      status: 400,
      code: "invalid_argument",
      message: "is no host and port",
    });
  });

  test("given twice is no host", async () => {
    const answer = await get("/v1/kv/key", "Host: localhost", "Host: evil.com");
    expect(answer?.status).toBe(400);
  });

  test("may be missing in HTTP/1.0 and empty in HTTP/1.1", async () => {
    for (const head of [
      "GET /v1/kv/key HTTP/1.0\r\n\r\n",
      rawRequest("GET", "/v1/kv/key", ["Host:"]),
    ]) {
      expect(await server.raw(head)).toMatchObject({ status: 200, body: "value" });
    }
    const moved = await server.raw("GET /v1/kv/a/../key?meta HTTP/1.0\r\n\r\n");
    expect(moved?.status).toBe(200);
    const out = await server.raw("DELETE /v1/kv/../key HTTP/1.0\r\n\r\n");
    expect(out?.status).toBe(400);
    const root = await server.raw("GET / HTTP/1.0\r\n\r\n");
    expect(root?.body).toContain(`curl http://127.0.0.1:${server.port}/v1/kv`);
    const missing = await server.raw("GET /v1/kv/key HTTP/1.1\r\n\r\n");
    expect(missing?.status).toBe(400);
  });
});

describe("Origin", () => {
  test.each([
    ["localhost:5000", "http://localhost:5000"],
    ["LocalHost:5000", "http://localhost:5000"],
    ["kv.example.com", "https://kv.example.com"],
    ["kv.example.com", "http://kv.example.com"],
    ["kv.example.com:443", "https://kv.example.com"],
    ["kv.example.com:80", "http://kv.example.com"],
    ["[::1]:5000", "http://[::1]:5000"],
  ])("of the server itself, at %s, is let in without CORS", async (host, origin) => {
    const answer = await get("/v1/kv/key", `Host: ${host}`, `Origin: ${origin}`);
    expect(answer?.status).toBe(200);
    expect([...answer!.headers.keys()].some((name) => name.startsWith("access-control"))).toBe(
      false,
    );
  });

  test.each([
    ["localhost:5000", "http://localhost:5001"],
    ["localhost:5000", "http://localhost"],
    ["localhost:5000", "http://127.0.0.1:5000"],
    ["localhost:5000", "http://localhost:5000.evil.com"],
    ["localhost:5000", "http://evil.com"],
    ["localhost:5000", "null"],
    ["localhost:5000", ""],
    ["localhost:5000", "file://"],
    ["localhost:5000", "chrome-extension://abcdef"],
    ["localhost:5000", "http://localhost:5000, https://app.example.com"],
    ["kv.example.com:80", "https://kv.example.com"],
    ["localhost:3000", "https://app.example.com.evil.com"],
    ["localhost:3000", "http://app.example.com"],
    ["localhost:5000", "https://app.example.com:8443"],
    ["localhost:5000", "http://localhost:5000/"],
  ])("at %s, %s is refused on everything under /v1", async (host, origin) => {
    const headers = [`Host: ${host}`, `Origin: ${origin}`];
    const requests = [
      rawRequest("GET", "/v1/kv/key", headers),
      rawRequest("GET", "/v1/kv", headers),
      rawRequest("GET", "/v1/status", headers),
      rawRequest("GET", "/v1/openapi.json", headers),
      rawRequest("GET", "/v1/nowhere", headers),
      rawRequest("DELETE", "/v1/kv/key", headers),
      rawRequest("OPTIONS", "/v1/kv/key", headers),
      rawRequest("GET", "/v1/ws", [...headers, ...UPGRADE]),
      `${rawRequest("PUT", "/v1/kv/key", [...headers, "Content-Length: 1"])}x`,
      `${rawRequest("POST", "/v1/txn", [...headers, "Content-Length: 2"])}{}`,
    ];
    for (const request of requests) {
      const send = () => server.raw(request);
      const message = "--allowed-origins";
      await expectRefusal(server, send, { status: 403, code: "permission_denied", message });
    }
    expect((await get("/livez", ...headers))?.status).toBe(200);
    expect((await get("/", ...headers))?.status).toBe(200);
  });
});

const UPGRADE = [
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

describe("CORS", () => {
  test.each([APP, "http://localhost:3000", "https://port.example.com"])(
    "lets %s read values, listings, errors and refusals of methods",
    async (origin) => {
      const requests: [string, number][] = [
        [rawRequest("GET", "/v1/kv/key", [`Origin: ${origin}`]), 200],
        [rawRequest("GET", "/v1/kv/key", [`Origin: ${origin}`, "If-None-Match: *"]), 304],
        [rawRequest("GET", "/v1/kv", [`Origin: ${origin}`]), 200],
        [rawRequest("GET", "/v1/kv", [`Origin: ${origin}`, "Accept: application/x-ndjson"]), 200],
        [rawRequest("GET", "/v1/history/key", [`Origin: ${origin}`]), 200],
        [rawRequest("GET", "/v1/kv/key?wait=0", [`Origin: ${origin}`]), 200],
        [rawRequest("POST", "/v1/incr/number", [`Origin: ${origin}`]), 200],
        [rawRequest("POST", "/v1/incr/key", [`Origin: ${origin}`]), 409],
        [rawRequest("POST", "/v1/touch/key", [`Origin: ${origin}`]), 400],
        [rawRequest("DELETE", "/v1/kv?prefix=x", [`Origin: ${origin}`]), 200],
        [rawRequest("GET", "/v1/kv/absent", [`Origin: ${origin}`]), 404],
        [rawRequest("GET", "/v1/kv/%ff", [`Origin: ${origin}`]), 400],
        [rawRequest("GET", "/v1/nowhere", [`Origin: ${origin}`]), 404],
        [rawRequest("PATCH", "/v1/kv/key", [`Origin: ${origin}`]), 405],
        [`${rawRequest("PUT", "/v1/kv/cors", [`Origin: ${origin}`, "Content-Length: 1"])}x`, 201],
        [rawRequest("DELETE", "/v1/kv/cors", [`Origin: ${origin}`]), 200],
      ];
      for (const [request, status] of requests) {
        const answer = await server.raw(request);
        expect(answer?.status).toBe(status);
        expect(answer!.headers.get("access-control-allow-origin")).toBe(origin);
        expect(answer!.headers.get("vary")).toMatch(/^(Accept, )?Origin$/);
        expect(answer!.headers.get("access-control-expose-headers")).toBe(
          "ETag, Retry-After, Allow, KV-Create-Revision, KV-Version, KV-Expires-At, " +
            "KV-Store-Revision, KV-Store-Id",
        );
        expect(answer!.headers.has("access-control-allow-credentials")).toBe(false);
      }
    },
  );

  test("answers a preflight with the methods and headers of the path", async () => {
    const asked = [
      `Origin: ${APP}`,
      "Access-Control-Request-Method: PUT",
      "Access-Control-Request-Headers: if-match,content-type",
    ];
    const answer = await server.raw(rawRequest("OPTIONS", "/v1/kv/key", asked));
    expect(answer?.status).toBe(204);
    expect(Object.fromEntries(answer!.headers)).toMatchObject({
      "access-control-allow-origin": APP,
      "access-control-allow-methods": "GET, HEAD, PUT, DELETE, OPTIONS",
      "access-control-allow-headers":
        "Content-Type, If-Match, If-None-Match, Last-Event-ID, Accept, KV-TTL",
      "access-control-max-age": "600",
      vary: "Origin",
    });
    for (const [path, methods, headers] of [
      ["/v1/kv", "GET, HEAD, DELETE, OPTIONS", "Content-Type, If-Match, If-None-Match, Accept"],
      ["/v1/incr/key", "POST, OPTIONS", "Content-Type, If-Match, If-None-Match, KV-TTL"],
      ["/v1/touch/key", "POST, OPTIONS", "Content-Type, If-Match, If-None-Match, KV-TTL"],
      ["/v1/history/key", "GET, HEAD, OPTIONS", "Content-Type, If-Match, If-None-Match"],
      ["/v1/compact", "POST, OPTIONS", "Content-Type"],
      ["/v1/txn", "POST, OPTIONS", "Content-Type"],
    ] as const) {
      const other = await server.raw(rawRequest("OPTIONS", path, asked));
      expect(other?.headers.get("access-control-allow-methods")).toBe(methods);
      expect(other?.headers.get("access-control-allow-headers")).toBe(headers);
    }
  });

  test("is not spoken to requests without an origin", async () => {
    const answer = await get("/v1/kv/key");
    expect([...answer!.headers.keys()].some((name) => name.startsWith("access-control"))).toBe(
      false,
    );
  });

  test("lets an allowed page open a WebSocket, and no other", async () => {
    expect((await get("/v1/ws", `Origin: ${APP}`, ...UPGRADE))?.status).toBe(101);
    expect((await get("/v1/ws", "Origin: https://evil.com", ...UPGRADE))?.status).toBe(403);
  });
});

describe("a server does not start with", () => {
  test.each([
    ["an allowed host that is a URL", { allowedHosts: ["https://kv.example.com"] }],
    ["an allowed host that is a pattern", { allowedHosts: ["*.example.com"] }],
    ["an empty allowed host", { allowedHosts: [""] }],
    ["an allowed origin without a scheme", { allowedOrigins: ["app.example.com"] }],
    ["an allowed origin with a path", { allowedOrigins: ["https://app.example.com/x"] }],
    ["an allowed origin with a slash at its end", { allowedOrigins: ["https://app.example.com/"] }],
    ["an allowed origin that is a pattern", { allowedOrigins: ["*"] }],
    ["an allowed origin with a pattern", { allowedOrigins: ["https://*.example.com"] }],
  ])("%s", async (_, options) => {
    const start = () => startTestServer(options);
    const error = await failure(start, "invalid_argument");
    expect(error.message).toMatch(/an allowed (host|origin) (is a name|looks) like .*not "/);
  });
});
