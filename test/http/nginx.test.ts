/** kv behind nginx: with the recipe of the documents, and with nothing but the address of the server. */

import { describe, expect } from "bun:test";
import { LIMITS } from "../../src/limits.ts";
import { testWithTool } from "../support/needs.ts";
import { NGINX_RECIPE, startNginx, type Proxy } from "../support/nginx.ts";
import { rawRequest, sendRaw } from "../support/raw-http.ts";
import { openSocket } from "../support/socket-client.ts";
import { put, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";
import { openWatchStream, type StreamTransport } from "../support/watch-stream.ts";

const DEFAULT = "location / { proxy_pass http://127.0.0.1:5000; }";

interface Pair extends AsyncDisposable {
  readonly server: TestServer;
  readonly proxy: Proxy;
}

/** A server with nginx in front of it. */
async function start(settings: string): Promise<Pair> {
  const server = await startTestServer();
  const proxy = await startNginx(settings, server.url);
  return {
    server,
    proxy,
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await server.stop();
      expect(server.errors).toEqual([]);
    },
  };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await Bun.sleep(1);
}

describe.each([
  ["the recipe of the documents", NGINX_RECIPE],
  ["default settings", DEFAULT],
])("behind nginx with %s", (_, settings) => {
  testWithTool("nginx", "keys are what they are without it", async () => {
    await using pair = await start(settings);
    const { server, proxy } = pair;
    for (const [path, key] of [
      ["a%2Fb", "a/b"],
      ["a//b", "a//b"],
      ["a%2F%2Fb/", "a//b/"],
      ["%2Fa", "/a"],
      ["users/42%20%E2%9C%93", "users/42 ✓"],
      ["100%25", "100%"],
      ["a+b", "a+b"],
      ["a%3Fb%23c", "a?b#c"],
      ["a%5Cb%0A", "a\\b\n"],
      ["%252F", "%2F"],
    ]) {
      const url = `/v1/kv/${path}`;
      const request = `${rawRequest("PUT", url, ["Content-Length: 1"])}x`;
      const answer = await sendRaw(proxy.port, request);
      expect(JSON.parse(answer!.body)).toMatchObject({ key });
      const back = await sendRaw(proxy.port, rawRequest("GET", url));
      expect(back).toMatchObject({ status: 200, body: "x" });
      expect((await server.store.get(key!)).entry).toBeDefined();
    }
    for (const bad of ["a%2F..%2Fb", "%ff", "%2e%2e/status", "nul%00"]) {
      const answer = await sendRaw(proxy.port, rawRequest("GET", `/v1/kv/${bad}`));
      expect(answer!.status).toBe(400);
    }
  });

  testWithTool(
    "nginx",
    "reads, writes, conditions, HEAD, transactions and listings work",
    async () => {
      await using pair = await start(settings);
      const { proxy } = pair;
      const url = `${proxy.url}/v1/kv/key`;
      const page = '{"text":"<p>text</p>"}'.repeat(100);
      const created = await fetch(url, {
        method: "PUT",
        body: page,
        headers: { "Content-Type": "application/json" },
      });
      expect([created.status, created.headers.get("etag")]).toEqual([201, '"1"']);
      const value = await fetch(url);
      expect(await value.text()).toBe(page);
      const head = await fetch(url, { method: "HEAD" });
      expect(head.headers.get("etag")).toBe('"1"');
      expect(head.headers.get("kv-version")).toBe("1");
      const failed = await fetch(url, { method: "PUT", body: "x", headers: { "If-Match": '"9"' } });
      expect(failed.status).toBe(412);
      const same = await fetch(url, { headers: { "If-None-Match": '"1"' } });
      expect(same.status).toBe(304);
      const txn = await fetch(`${proxy.url}/v1/txn`, {
        method: "POST",
        body: '{"then":[{"op":"put","key":"other","value":"1"}]}',
      });
      expect(await txn.json()).toMatchObject({ succeeded: true, revision: 2 });
      const list = await fetch(`${proxy.url}/v1/kv?keys`);
      expect(await list.json()).toMatchObject({ entries: [{ key: "key" }, { key: "other" }] });
      const stream = await fetch(`${proxy.url}/v1/kv`, {
        headers: { Accept: "application/x-ndjson" },
      });
      expect((await stream.text()).trimEnd().split("\n")).toHaveLength(2);
      const gone = await fetch(url, { method: "DELETE" });
      expect(await gone.json()).toMatchObject({ deleted: 1 });
    },
  );

  testWithTool("nginx", "a body of a megabyte that comes in chunks is stored whole", async () => {
    await using pair = await start(settings);
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    const body = new ReadableStream({
      async start(controller) {
        for (let at = 0; at < 15; at++) controller.enqueue(bytes);
        controller.close();
      },
    });
    const answer = await fetch(`${pair.proxy.url}/v1/kv/key`, { method: "PUT", body });
    expect(answer.status).toBe(201);
    const back = await fetch(`${pair.proxy.url}/v1/kv/key`);
    const value = new Uint8Array(await back.arrayBuffer());
    expect(Bun.hash(value)).toBe(Bun.hash(Buffer.concat(Array.from({ length: 15 }, () => bytes))));
  });

  testWithTool("nginx", "a wait is answered when the key changes", async () => {
    await using pair = await start(settings);
    const { server, proxy } = pair;
    const { revision } = await write(server.store, put("key", "old"));
    const waiting = fetch(`${proxy.url}/v1/kv/key?wait=${revision}`);
    const timed = await fetch(`${proxy.url}/v1/kv/key?wait=${revision}&timeout=50ms`);
    expect(timed.status).toBe(304);
    await write(server.store, put("key", "new"));
    expect(await (await waiting).text()).toBe("new");
  });

  for (const transport of ["sse", "ndjson"] as StreamTransport[]) {
    testWithTool("nginx", `a watch as ${transport} gets each change as it comes`, async () => {
      await using pair = await start(settings);
      const { server, proxy } = pair;
      await write(server.store, put("a/0"));
      const url = `${proxy.url}/v1/watch?prefix=a/&initial`;
      const stream = await openWatchStream(url, transport, { "Accept-Encoding": "gzip" });
      await stream.until(({ type }) => type === "sync");
      for (let at = 1; at < 20; at++) {
        const { revision } = await write(server.store, put(`a/${at}`, "x".repeat(at)));
        expect(await stream.next()).toMatchObject({ type: "change", revision });
      }
      const large = await write(server.store, put("a/large", "x".repeat(200_000)));
      expect(await stream.next()).toMatchObject({ type: "change", revision: large.revision });
      stream.close();
      // The proxy hands on that the client has gone.
      await until(async () => {
        const status = (await (await server.fetch("/v1/status")).json()) as { watchers: number };
        return status.watchers === 0;
      });
    });

    testWithTool("nginx", `a watch as ${transport} ends with its reason`, async () => {
      await using pair = await start(settings);
      const { server, proxy } = pair;
      await using stream = await openWatchStream(`${proxy.url}/v1/watch`, transport);
      await stream.next();
      const stopped = server.stop();
      expect(await stream.next()).toEqual({ type: "end", reason: "shutdown" });
      expect(await stream.next()).toBeUndefined();
      await stopped;
    });
  }
});

testWithTool("nginx", "the recipe carries WebSockets", async () => {
  await using pair = await start(NGINX_RECIPE);
  const { server, proxy } = pair;
  const client = await openSocket(proxy.url, ["kv.v1"]);
  expect(client.protocol).toBe("kv.v1");
  const watch = await client.request({ op: "watch", prefix: "a/" });
  expect(watch.type).toBe("created");
  const { revision } = await write(server.store, put("a/1"));
  const change = await client.until(({ type }) => type === "change");
  expect(change["revision"]).toBe(revision);
  await client.close();
});

testWithTool("nginx", "the recipe carries values and keys of the largest size", async () => {
  await using pair = await start(NGINX_RECIPE);
  const value = new Uint8Array(LIMITS.valueBytesMax).fill(65);
  const url = `${pair.proxy.url}/v1/kv/${"%C3%A9".repeat(LIMITS.keyBytesMax / 2)}`;
  const answer = await fetch(url, { method: "PUT", body: value });
  expect(answer.status).toBe(201);
  const back = await fetch(url);
  expect((await back.arrayBuffer()).byteLength).toBe(value.length);
  const large = await fetch(url, { method: "PUT", body: new Uint8Array(value.length + 1) });
  expect(large.status).toBe(413);
  expect(await large.json()).toMatchObject({ error: { code: "too_large" } });
});

testWithTool(
  "nginx",
  "the recipe keeps tags strong, and tells the server's own pages",
  async () => {
    await using pair = await start(NGINX_RECIPE);
    const { server, proxy } = pair;
    await write(server.store, put("page", "<p>text</p>".repeat(1_000), "text/html"));
    const answer = await fetch(`${proxy.url}/v1/kv/page`, {
      headers: { "Accept-Encoding": "gzip", Origin: proxy.url },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("etag")).toBe('"1"');
    const foreign = await fetch(`${proxy.url}/v1/kv/page`, {
      headers: { Origin: "http://elsewhere.test" },
    });
    expect(foreign.status).toBe(403);
  },
);

testWithTool("nginx", "while kv is away, the recipe has a browser come again", async () => {
  await using pair = await start(NGINX_RECIPE);
  const { server, proxy } = pair;
  await server.stop();
  const event = await fetch(`${proxy.url}/v1/watch`, {
    headers: { Accept: "text/event-stream", Origin: "https://app.example.com" },
  });
  expect(event.status).toBe(200);
  expect(event.headers.get("content-type")).toBe("text/event-stream");
  expect(event.headers.get("access-control-allow-origin")).toBe("https://app.example.com");
  expect(await event.text()).toBe("retry: 1000\n\n");
  for (const path of ["/v1/watch", "/v1/kv/a", "/readyz"]) {
    expect((await fetch(proxy.url + path)).status).toBe(502);
  }
});

testWithTool("nginx", "default settings lack what the documents say", async () => {
  await using pair = await start(DEFAULT);
  const { server, proxy } = pair;
  const upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
  const socket = await sendRaw(proxy.port, rawRequest("GET", "/v1/ws", upgrade));
  expect(socket!.status).toBe(400);
  const body = new Uint8Array(1_048_577);
  const large = await fetch(`${proxy.url}/v1/kv/a`, { method: "PUT", body });
  expect(large.status).toBe(413);
  expect(large.headers.get("content-type")).toBe("text/html");
  const own = await fetch(`${proxy.url}/v1/kv`, { headers: { Origin: proxy.url } });
  expect(own.status).toBe(403);
  await write(server.store, put("page", "<p>text</p>".repeat(1_000), "text/html"));
  const page = await fetch(`${proxy.url}/v1/kv/page`, { headers: { "Accept-Encoding": "gzip" } });
  expect(page.headers.get("etag")).toBe('W/"1"');
  await server.stop();
  const event = await fetch(`${proxy.url}/v1/watch`, { headers: { Accept: "text/event-stream" } });
  expect(event.status).toBe(502);
});
