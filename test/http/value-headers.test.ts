/** Headers are made once and used by many answers: none may show what belongs to another one. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { headersOf } from "../../src/http/value-headers.ts";
import type { Entry } from "../../src/kv.ts";
import { CONTENT_TYPES_KEPT_MAX } from "../../src/limits.ts";
import { rawRequest } from "../support/raw-http.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

const APP = "https://app.example.com";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ allowedOrigins: [APP] });
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

async function put(key: string): Promise<string> {
  const answer = await server.fetch(`/v1/kv/${key}`, { method: "PUT", body: "x" });
  return answer.headers.get("etag")!;
}

async function plain(): Promise<Record<string, string>> {
  const answer = await server.raw(rawRequest("GET", "/v1/kv/plain"));
  return Object.fromEntries(answer!.headers);
}

function entry(contentType: string, revision: number): Entry {
  const value = new Uint8Array();
  return { key: "key", value, contentType, revision, createRevision: 1, version: 1 };
}

describe("a value's headers", () => {
  test("are on no other answer, whatever was asked for before", async () => {
    const tag = await put("plain");
    const first = await plain();
    expect(first).toMatchObject({ etag: tag, "content-type": "text/plain; charset=utf-8" });
    const other = await put("other");
    for (const [method, path, ...headers] of [
      ["GET", "/v1/kv/other?meta"],
      ["HEAD", "/v1/kv/other"],
      ["GET", "/v1/kv/other", `If-None-Match: ${other}`],
      ["GET", `/v1/kv/other?wait=${other.slice(1, -1)}&timeout=1ms`],
      ["GET", "/v1/kv/other", `Origin: ${APP}`],
      ["POST", "/v1/touch/other", "KV-TTL: 1h", `Origin: ${APP}`],
    ] as const) {
      const answer = await server.raw(rawRequest(method, path, headers));
      expect([200, 304]).toContain(answer!.status);
      expect(await plain()).toEqual(first);
    }
  });

  test("are its own among many that are asked for at once", async () => {
    const keys = Array.from({ length: 50 }, (_, at) => `many-${at}`);
    const tags = await Promise.all(keys.map(put));
    expect(new Set(tags).size).toBe(keys.length);
    const answers = await Promise.all(keys.map((key) => server.fetch(`/v1/kv/${key}`)));
    expect(answers.map((answer) => answer.headers.get("etag"))).toEqual(tags);
  });

  test("are right for more content types than are kept", () => {
    const types = Array.from({ length: CONTENT_TYPES_KEPT_MAX + 10 }, (_, at) => `text/x-${at}`);
    for (const revision of [1, 2]) {
      for (const type of [...types, "text/plain", "image/png", "text/html"]) {
        const headers = headersOf(entry(type, revision));
        expect(headers.get("content-type")).toBe(type);
        expect(headers.get("etag")).toBe(`"${revision}"`);
        const isInert = type === "text/plain" || type === "image/png";
        expect(headers.has("content-security-policy")).toBe(!isInert);
      }
    }
  });
});
