/**
 * The API description against the running server, both ways: every described answer is brought about
 * and is as described, and everything the server takes and sends is described.
 */

import Ajv2020 from "ajv/dist/2020.js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { KvError, type ErrorCode } from "../../src/errors.ts";
import { ROUTES } from "../../src/http/routes.ts";
import { describe as describeApi } from "../../src/http/openapi.ts";
import { PATHS } from "../../src/protocol.ts";
import { openFaulty, type FaultyStore } from "../support/faulty-store.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { rawRequest, type RawAnswer } from "../support/raw-http.ts";
import { put, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

interface Described {
  description: string;
  headers?: Record<string, unknown>;
  content?: Record<string, { schema?: { $ref: string } }>;
}

interface Operation {
  operationId: string;
  parameters: { name: string; in: string; schema: Record<string, unknown> }[];
  requestBody?: { content: Record<string, { schema?: { $ref: string } }> };
  responses: Record<string, Described>;
}

interface Description {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

const description = JSON.parse(JSON.stringify(describeApi(ROUTES, "1.2.3"))) as Description;

const METHODS = ["get", "head", "put", "post", "delete"];

const OPERATIONS = Object.entries(description.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => method in item).map((method) => ({
    path,
    method: method.toUpperCase(),
    operation: item[method]!,
  })),
);

const ajv = new Ajv2020({
  strict: true,
  strictTypes: false,
  discriminator: true,
  formats: { "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ },
});
ajv.addSchema({
  $id: "api",
  $defs: JSON.parse(localRefs(JSON.stringify(description.components.schemas))) as object,
});

let model: ModelStore;
let store: FaultyStore;
let server: TestServer;

beforeAll(async () => {
  model = openModel();
  store = openFaulty(model);
  server = await startTestServer({ store });
  await write(store, put("a"), put("gone"));
  await write(store, put("key", "one"), put("b"), { op: "delete", key: "gone" });
  await write(store, put("key", "two"));
  model.compact(2);
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

const TXN = '{"then":[{"op":"put","key":"t","value":"1"},{"op":"delete","key":"t0"}]}';

/** By status; what brings a status about on every operation comes first. */
const ANYWHERE: Record<string, Example> = {
  400: { path: "?nonsense" },
  403: { headers: ["Host: evil.com"] },
  500: { fault: "internal" },
  503: { fault: "unavailable" },
};

const LONG_KEY = `/v1/kv/${"a".repeat(1025)}`;

const reads: Record<string, Example> = {
  200: { path: "/v1/kv/key?meta" },
  304: { path: "/v1/kv/key?meta", headers: ["If-None-Match: *"] },
  404: { path: "/v1/kv/absent" },
  410: { path: "/v1/kv/key?revision=1" },
  412: { headers: ["If-Match: 999"] },
  413: { path: LONG_KEY },
};

const lists: Record<string, Example> = {
  200: { path: "?limit=1" },
  304: { headers: ["If-None-Match: *"] },
  410: { path: "?revision=1" },
  412: { headers: ["If-Match: 999"] },
  413: { path: `?prefix=${"a".repeat(1025)}` },
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
    413: { path: LONG_KEY },
    415: { headers: ["Content-Encoding: gzip"] },
    507: { fault: "storage_full" },
  },
  deleteValue: {
    200: { path: "/v1/kv/a" },
    404: { path: "/v1/kv/absent" },
    412: { headers: ["If-Match: 999"] },
    413: { path: LONG_KEY },
    507: { fault: "storage_full" },
  },
  commitTransaction: {
    200: { body: TXN },
    413: { body: `{"then":[{"op":"delete","key":"${"a".repeat(1025)}"}]}` },
    415: { headers: ["Content-Encoding: gzip"] },
    500: { body: TXN, fault: "outcome_unknown" },
    503: { body: TXN, fault: "unavailable" },
    507: { body: TXN, fault: "storage_full" },
  },
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
  const answer = await server.raw(rawRequest(method, target, lines) + (body ?? ""));
  return answer!;
}

/** Headers of any answer, which no operation describes. */
const COMMON_HEADERS = new Set(["date", "connection", "content-length", "content-type"]);

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
        const [[type, { schema }]] = Object.entries(as.content) as [
          [string, (typeof as.content)[string]],
        ];
        if (type !== "*/*") expect(answer.headers.get("content-type")).toBe(type);
        if (schema !== undefined) {
          expect(schemaFaults(schema.$ref, JSON.parse(answer.body))).toEqual([]);
          expect(answer.body.endsWith("}\n")).toBe(true);
        }
      },
    );

    test("takes the parameters that are described and no others", async () => {
      const names = operation.parameters.filter((each) => each.in === "query");
      for (const { name, schema } of names) {
        const sample =
          schema["type"] === "integer" ? "3" : schema["type"] === "boolean" ? "true" : "a";
        const answer = await provoke(method, path, { path: `?${name}=${sample}` });
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
    expect(described).toEqual([...Object.values(PATHS), "/v1/kv/{key}"].sort());
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

describe("a described transaction is one that the server takes", () => {
  const one = '{"op":"put","key":"k","value":"v"}';
  test.each([
    [true, "{}"],
    [true, TXN],
    [true, `{"checks":[{"key":"k","revision":[0,1],"not":true}],"then":[${one}],"else":[]}`],
    [true, '{"then":[{"op":"get","key":"k","keys":true}]}'],
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

function schemaFaults(reference: string, value: unknown): unknown[] {
  const validate = ajv.getSchema(`api${localRefs(reference)}`)!;
  validate(value);
  return validate.errors ?? [];
}

/** References as JSON Schema has them within one schema. */
function localRefs(text: string): string {
  return text.replaceAll("#/components/schemas/", "#/$defs/");
}
