/**
 * The API description against the running server, both ways: every described answer is brought about
 * and is as described, and everything the server takes and sends is described.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { KvError, type ErrorCode } from "../../src/errors.ts";
import { ROUTES } from "../../src/http/routes.ts";
import { PATHS } from "../../src/protocol.ts";
import { DURATION } from "../../src/ttl.ts";
import { METHODS, OPERATIONS, description, schemaFaults } from "../support/api-description.ts";
import { altered } from "../support/altered-store.ts";
import { openFaulty, type FaultyStore } from "../support/faulty-store.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { rawRequest, sendUntil, type RawAnswer } from "../support/raw-http.ts";
import { bytes, put, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

let model: ModelStore;
let store: FaultyStore;
let server: TestServer;

beforeAll(async () => {
  model = openModel();
  const copied = altered(model, {
    capabilities: { history: true, snapshot: true },
    async *snapshot() {
      yield bytes("a copy");
    },
  });
  store = openFaulty(copied);
  server = await startTestServer({ store });
  await write(store, put("a"), put("gone"));
  await write(store, put("key", "one"), put("b"), { op: "delete", key: "gone" });
  await write(store, put("key", "two"));
  await write(server.store, put("n", "1"), put("huge", "9223372036854775807"));
  await model.compact(2);
});

beforeEach(async () => {
  store.fault = undefined;
});

afterAll(() => server.stop());

/** How to bring an answer about: what to add to the request, and what the store fails with. */
interface Example {
  path?: string;
  headers?: string[];
  body?: string;
  fault?: ErrorCode;
}

const TXN = JSON.stringify({
  checks: [{ key: "t", version: 0 }],
  then: [
    { op: "put", key: "t", value: "1", ttl: "1h" },
    { op: "delete", key: "t0" },
    { op: "deleteRange", prefix: "t1/", limit: 3 },
    { op: "incr", key: "t2", by: "-2", ttl: "1h" },
    { op: "touch", key: "t", ttl: "none" },
    { op: "get", key: "t", keys: true },
    { op: "list", prefix: "t", reverse: true, delimiter: "/", limit: 1 },
    { op: "list", start: "t", count: true },
    { op: "delete", key: "t" },
  ],
});

/** By status; what brings a status about on every operation comes first. */
const ANYWHERE: Record<string, Example> = {
  400: { path: "?nonsense" },
  403: { headers: ["Host: evil.com"] },
  500: { fault: "internal" },
  503: { fault: "unavailable" },
};

const LONG = "a".repeat(1025);
const TTL = "KV-TTL: 1h";

const reads: Record<string, Example> = {
  200: { path: "/v1/kv/key?meta" },
  304: { path: "/v1/kv/key?meta", headers: ["If-None-Match: *"] },
  404: { path: "/v1/kv/absent" },
  410: { path: "/v1/kv/key?revision=1" },
  412: { headers: ["If-Match: 999"] },
  413: { path: `/v1/kv/${LONG}` },
  429: { path: "?wait=0", fault: "too_many_requests" },
};

const lists: Record<string, Example> = {
  200: { path: "?limit=1" },
  304: { headers: ["If-None-Match: *"] },
  410: { path: "?revision=1" },
  412: { headers: ["If-Match: 999"] },
  413: { path: `?prefix=${LONG}` },
  429: { fault: "too_many_requests" },
};

const histories: Record<string, Example> = {
  200: { path: "/v1/history/gone" },
  304: { headers: ["If-None-Match: *"] },
  410: { path: "?before=1" },
  412: { headers: ["If-Match: 999"] },
  413: { path: `/v1/history/${LONG}` },
};

const watches: Record<string, Example> = {
  410: { path: "?from=1" },
  413: { path: `?prefix=${LONG}` },
  429: { fault: "too_many_requests" },
};

const copies: Record<string, Example> = {
  410: { fault: "compacted" },
  415: { fault: "unsupported" },
  429: { fault: "too_many_requests" },
};

const BY_OPERATION: Record<string, Record<string, Example>> = {
  getValue: reads,
  headValue: reads,
  listEntries: lists,
  headEntries: lists,
  putValue: {
    200: { path: "/v1/kv/b", body: "x" },
    201: { path: "/v1/kv/new", body: "x" },
    412: { headers: ["If-Match: 999"] },
    413: { path: `/v1/kv/${LONG}` },
    415: { headers: ["Content-Encoding: gzip"] },
    507: { fault: "storage_full" },
  },
  deleteValue: {
    200: { path: "/v1/kv/a" },
    404: { path: "/v1/kv/absent" },
    412: { headers: ["If-Match: 999"] },
    413: { path: `/v1/kv/${LONG}` },
    507: { fault: "storage_full" },
  },
  getHistory: histories,
  headHistory: histories,
  deleteRange: {
    200: { path: "?prefix=x/&limit=1" },
    413: { path: `?prefix=${LONG}` },
    500: { path: "?prefix=x/", fault: "outcome_unknown" },
    503: { path: "?prefix=x/", fault: "unavailable" },
    507: { path: "?prefix=x/", fault: "storage_full" },
  },
  incrementValue: {
    200: { path: "/v1/incr/n?by=5" },
    409: { path: "/v1/incr/huge" },
    412: { headers: ["If-Match: 999"] },
    413: { path: `/v1/incr/${LONG}` },
    507: { fault: "storage_full" },
  },
  touchValue: {
    200: { path: "/v1/touch/b", headers: [TTL] },
    404: { path: "/v1/touch/absent", headers: [TTL] },
    412: { headers: ["If-Match: 999", TTL] },
    413: { path: `/v1/touch/${LONG}`, headers: [TTL] },
    500: { headers: [TTL], fault: "internal" },
    503: { headers: [TTL], fault: "unavailable" },
    507: { headers: [TTL], fault: "storage_full" },
  },
  compact: {
    200: { path: "?revision=2" },
    410: { path: "?revision=1" },
    500: { path: "?revision=2", fault: "outcome_unknown" },
    503: { path: "?revision=2", fault: "unavailable" },
    507: { path: "?revision=2", fault: "storage_full" },
  },
  commitTransaction: {
    200: { body: TXN },
    404: { body: '{"then":[{"op":"touch","key":"absent","ttl":"1h"}]}' },
    409: { body: '{"then":[{"op":"get","key":"a"},{"op":"incr","key":"huge"}]}' },
    413: { body: `{"then":[{"op":"delete","key":"${LONG}"}]}` },
    415: { headers: ["Content-Encoding: gzip"] },
    500: { body: TXN, fault: "outcome_unknown" },
    503: { body: TXN, fault: "unavailable" },
    507: { body: TXN, fault: "storage_full" },
  },
  getSnapshot: copies,
  headSnapshot: copies,
  watchKeys: watches,
  headKeys: watches,
  openSocket: {
    101: {
      headers: [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ],
    },
  },
};

async function provoke(method: string, path: string, example: Example): Promise<RawAnswer> {
  const place = path.replace("{key}", "key");
  const target = example.path?.startsWith("/") ? example.path : `${place}${example.path ?? ""}`;
  const { body, headers = [], fault } = example;
  const lines = body === undefined ? headers : [...headers, `Content-Length: ${body.length}`];
  if (fault !== undefined) store.fault = new KvError(fault, "as told", { index: 0 });
  const request = rawRequest(method, target, lines) + (body ?? "");
  // The stream of a watch has no end; its first frame is enough.
  const isStream = method === "GET" && path === PATHS.watch;
  const answer = isStream
    ? await sendUntil(server.port, request, (text) => text.endsWith("\n"))
    : await server.raw(request);
  return answer!;
}

/** Headers of any answer, which no operation describes. */
const COMMON_HEADERS = new Set([
  "date",
  "connection",
  "content-length",
  "transfer-encoding",
  "content-type",
]);

describe.each(OPERATIONS.map((item) => [item.method, item.path, item.operation] as const))(
  "%s %s",
  (method, path, operation) => {
    const examples = { ...ANYWHERE, ...BY_OPERATION[operation.operationId] };

    test.each(Object.entries(operation.responses))(
      "answers %s as described",
      async (status, as) => {
        const answer = await provoke(method, path, examples[status] ?? {});
        expect(answer.status).toBe(Number(status));
        const sent = [...answer.headers.keys()].filter((name) => !COMMON_HEADERS.has(name));
        const known = new Set(Object.keys(as.headers ?? {}).map((name) => name.toLowerCase()));
        if (status !== "101") expect(sent.filter((name) => !known.has(name))).toEqual([]);
        if (as.content === undefined) return expect(answer.body).toBe("");
        const types = Object.keys(as.content);
        const type = types[0] === "*/*" ? "*/*" : answer.headers.get("content-type")!;
        expect(types).toContain(type);
        const { schema } = as.content[type]!;
        if (schema === undefined) return;
        expect(schemaFaults(schema.$ref, JSON.parse(answer.body))).toEqual([]);
        expect(answer.body.endsWith("}\n")).toBe(true);
      },
    );

    test("takes the parameters that are described and no others", async () => {
      const names = operation.parameters.filter((each) => each.in === "query");
      for (const { name, schema } of names) {
        // Parameters are read before the store is asked, which so stays as it is.
        const example = { path: `?${name}=${sampleOf(schema)}`, fault: "unavailable" } as const;
        const answer = await provoke(method, path, example);
        expect(answer.body).not.toContain("has no parameter");
      }
      const known = new Set(names.map(({ name }) => name));
      for (const name of [
        "prefix",
        "start",
        "limit",
        "cursor",
        "keys",
        "revision",
        "meta",
        "ttl",
        "all",
        "before",
        "by",
        "count",
        "delimiter",
        "reverse",
        "timeout",
        "wait",
      ]) {
        if (known.has(name)) continue;
        expect((await provoke(method, path, { path: `?${name}=1` })).status).toBe(400);
      }
    });
  },
);

describe("everything of the server is described:", () => {
  test("each path, with exactly the methods it allows", async () => {
    for (const [path, item] of Object.entries(description.paths)) {
      const answer = await server.raw(rawRequest("OPTIONS", path.replace("{key}", "key")));
      const allowed = answer!.headers
        .get("allow")!
        .split(", ")
        .filter((name) => name !== "OPTIONS");
      const described = METHODS.filter((method) => method in item).map((name) =>
        name.toUpperCase(),
      );
      expect(allowed.sort()).toEqual(described.sort());
    }
  });

  test("each path that client and server share", () => {
    const described = Object.keys(description.paths).sort();
    const withKey = new Set<string>([PATHS.incr, PATHS.touch, PATHS.history]);
    const shared = Object.values(PATHS).map((path) => (withKey.has(path) ? `${path}/{key}` : path));
    expect(described).toEqual([...shared, `${PATHS.kv}/{key}`].sort());
  });

  test("each route of the table, by a name of its own", () => {
    const ids = OPERATIONS.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const route of ROUTES) expect(ids).toContain(route.id);
  });
});

test("the server answers the description with its version", async () => {
  const answer = await server.fetch("/v1/openapi.json");
  expect(answer.headers.get("content-type")).toBe("application/json");
  expect(await answer.json()).toEqual(description);
  expect(description).toMatchObject({ openapi: "3.1.0", info: { version: "1.2.3" } });
});

describe("a described request header is one that the server reads:", () => {
  const sent = OPERATIONS.flatMap(({ method, path, operation }) =>
    operation.parameters
      .filter((parameter) => parameter.in === "header")
      .map(({ name }) => [name, method, path] as const),
  ).filter(([name]) => name !== "Sec-WebSocket-Protocol");

  test.each(sent)("%s of %s %s", async (name, method, path) => {
    const accept = name === "Last-Event-ID" ? "text/event-stream" : "*/*";
    const others = [`Accept: ${accept}`, ...(name === "KV-TTL" ? [] : [TTL])];
    const headers = [`${name}: no such thing`, ...others];
    const answer = await provoke(method, path, { headers });
    expect(answer.status).toBe(400);
    if (method !== "HEAD") expect(answer.body).toContain(name);
  });
});

test("an answer as NDJSON is as described, line by line", async () => {
  const answer = await server.fetch("/v1/kv?keys", { headers: { Accept: "application/x-ndjson" } });
  const { content, headers } = description.paths["/v1/kv"]!["get"]!.responses["200"]!;
  const type = answer.headers.get("content-type")!;
  const known = new Set(Object.keys(headers!).map((name) => name.toLowerCase()));
  const others = [...answer.headers.keys()].filter((name) => !COMMON_HEADERS.has(name));
  expect(others.filter((name) => !known.has(name))).toEqual([]);
  const lines = (await answer.text()).trimEnd().split("\n");
  expect(lines.length).toBeGreaterThan(2);
  for (const line of lines) {
    expect(schemaFaults(content![type]!.schema!.$ref, JSON.parse(line))).toEqual([]);
  }
});

test.each([
  ["/v1/kv?delimiter=/", "Page"],
  ["/v1/kv?count", "Page"],
  ["/v1/kv?reverse&limit=1", "Page"],
  ["/v1/history/b?limit=1", "History"],
  ["/v1/history/huge", "History"],
])("what %s answers is a %s", async (path, name) => {
  const answer = await server.fetch(path);
  expect(schemaFaults(`#/components/schemas/${name}`, await answer.json())).toEqual([]);
});

describe("a described transaction is one that the server takes", () => {
  const one = '{"op":"put","key":"k","value":"v"}';
  test.each([
    [true, "{}"],
    [true, TXN],
    [true, `{"checks":[{"key":"k","revision":[0,1],"not":true}],"then":[${one}],"else":[]}`],
    [true, '{"then":[{"op":"get","key":"k","keys":true}]}'],
    [true, '{"checks":[{"key":"k","version":[0,1],"not":true}]}'],
    [true, '{"checks":[{"key":"k","value":"v"},{"key":"k","base64":"AA=="}]}'],
    [true, '{"then":[{"op":"list","prefix":"a","count":true}]}'],
    [true, '{"then":[{"op":"deleteRange","start":"y","end":"z","limit":1}]}'],
    [false, '{"checks":[{"key":"k","version":"1"}]}'],
    [false, '{"then":[{"op":"incr","key":"k","by":1}]}'],
    [false, '{"then":[{"op":"touch","key":"k"}]}'],
    [false, '{"then":[{"op":"list","limit":0}]}'],
    [false, '{"then":[{"op":"deleteRange","all":1}]}'],
    [false, "[]"],
    [false, '{"then":[{"op":"nope","key":"k"}]}'],
    [false, '{"then":[{"op":"delete"}]}'],
    [false, '{"then":[{"op":"delete","key":""}]}'],
    [false, '{"checks":[{"key":"k","revision":-1}]}'],
    [false, '{"checks":[{"key":"k","revision":[]}]}'],
    [false, '{"checks":[{"key":"k","revision":1.5}]}'],
    [false, '{"more":1}'],
  ])("%p: %s", async (isTaken, body) => {
    const { $ref } =
      description.paths[PATHS.txn]!["post"]!.requestBody!.content["application/json"]!.schema!;
    expect(schemaFaults($ref, JSON.parse(body)).length === 0).toBe(isTaken);
    const answer = await provoke("POST", PATHS.txn, { body });
    expect(answer.status).toBe(isTaken ? 200 : 400);
  });
});

// --- internal ---

/** A value of a parameter that is read as what it is. */
function sampleOf({ type, pattern }: Record<string, unknown>): string {
  const samples: Record<string, string> = { integer: "3", boolean: "true" };
  if (pattern === DURATION.source) return "1ms";
  return samples[type as string] ?? "a";
}
