/** `POST /v1/txn`: what it does, and every body that is none. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-http.ts";
import { put, write } from "../support/stores.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
  await write(server.store, put("present", "1"));
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

function send(
  body: string | Uint8Array<ArrayBuffer>,
  type = "application/json",
): Promise<Response> {
  return server.fetch("/v1/txn", { method: "POST", body, headers: { "Content-Type": type } });
}

async function run(txn: unknown): Promise<Record<string, unknown>> {
  const answer = await send(JSON.stringify(txn));
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

test("everything takes effect at one revision, and later operations see earlier ones", async () => {
  const answer = await run({
    then: [
      { op: "put", key: "t/1", value: "one" },
      { op: "put", key: "t/2", base64: "/wA=", contentType: "image/png" },
      { op: "get", key: "t/1" },
      { op: "get", key: "t/2", keys: true },
      { op: "get", key: "t/3" },
      { op: "delete", key: "t/1" },
      { op: "delete", key: "t/3" },
    ],
  });
  const { revision } = await server.store.status();
  const created = { revision, createRevision: revision, version: 1 };
  expect(answer).toMatchObject({ succeeded: true, revision });
  const results = answer["results"] as unknown[];
  expect(results[1]).toEqual({ op: "put", key: "t/2", ...created });
  expect(results[2]).toMatchObject({ op: "get", entry: { key: "t/1", value: "one" } });
  expect(results[3]).toEqual({
    op: "get",
    entry: { key: "t/2", contentType: "image/png", ...created },
  });
  expect(results.slice(4)).toEqual([
    { op: "get", entry: null },
    { op: "delete", deleted: 1 },
    { op: "delete", deleted: 0 },
  ]);
  expect((await server.store.get("t/1")).entry).toBeUndefined();
});

test("every kind of check decides, and with not the other way round", async () => {
  const { revision } = await write(server.store, put("checked", "v"), put("bytes", BYTES));
  await write(server.store, put("checked", "v"));
  const holding = [
    { key: "checked", revision: revision + 1 },
    { key: "checked", version: 2 },
    { key: "checked", version: [7, 2] },
    { key: "checked", value: "v" },
    { key: "bytes", base64: "/wA=" },
    { key: "missing", revision: 0 },
    { key: "missing", version: 0 },
    { key: "checked", revision, not: true },
    { key: "checked", version: [0, 1], not: true },
    { key: "checked", value: "w", not: true },
    { key: "missing", value: "", not: true },
  ];
  expect(await run({ checks: holding })).toMatchObject({ succeeded: true });
  const opposite: unknown[] = [];
  for (const check of holding) opposite.push({ ...check, not: !("not" in check) });
  const failed = opposite.map((_, at) => at);
  expect(await run({ checks: opposite })).toMatchObject({ succeeded: false, failed });
});

test("every kind of operation answers what it did", async () => {
  await write(server.store, put("o/d/1"), put("o/d/2"), put("o/d/3"), put("o/n", "40"));
  const answer = await run({
    then: [
      { op: "put", key: "o/t", value: "x", ttl: "1h" },
      { op: "incr", key: "o/n", by: "2" },
      { op: "incr", key: "o/new", ttl: "1h" },
      { op: "touch", key: "o/t", ttl: "none" },
      { op: "deleteRange", prefix: "o/d/", limit: 2 },
      { op: "list", prefix: "o/", delimiter: "/", keys: true, limit: 2 },
      { op: "list", prefix: "o/", reverse: true, limit: 1 },
      { op: "list", start: "o/", end: "o/o", count: true },
    ],
  });
  const { revision } = answer as { revision: number };
  const created = { revision, createRevision: revision, version: 1 };
  const expiresAt = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;
  const results = answer["results"] as Record<string, unknown>[];
  expect(results[0]).toEqual({ op: "put", key: "o/t", ...created, expiresAt });
  expect(results[1]).toMatchObject({ op: "incr", key: "o/n", value: "42", version: 2 });
  expect(results[1]).not.toHaveProperty("expiresAt");
  expect(results[2]).toEqual({ op: "incr", key: "o/new", value: "1", ...created, expiresAt });
  expect(results[3]).toEqual({ op: "touch", key: "o/t", ...created });
  expect(results[4]).toEqual({ op: "deleteRange", deleted: 2, more: true });
  expect(results[5]).toMatchObject({ op: "list", folders: ["o/d/"], more: true });
  expect(results[5]!["entries"]).toMatchObject([{ key: "o/n", version: 2 }]);
  expect(results[6]).toMatchObject({
    op: "list",
    entries: [{ key: "o/t", value: "x" }],
    more: true,
  });
  expect(results[7]).toEqual({ op: "list", count: 3 });
});

test("an operation that fails fails all of it, and is named by its index", async () => {
  await write(server.store, put("f/text", "no number"), put("f/max", "9223372036854775807"));
  const first = { op: "put", key: "f/no", value: "1" };
  for (const [operation, status, code] of [
    [{ op: "incr", key: "f/text" }, 409, "conflict"],
    [{ op: "incr", key: "f/max" }, 409, "conflict"],
    [{ op: "incr", key: "f/no", by: "9223372036854775807" }, 409, "conflict"],
    [{ op: "touch", key: "f/missing", ttl: "1h" }, 404, "not_found"],
  ] as const) {
    for (const txn of [
      { then: [first, operation] },
      { checks: [{ key: "f/no", version: 1 }], then: [], else: [first, operation] },
    ]) {
      const request = () => send(JSON.stringify(txn));
      const error = await expectRefusal(server, request, { status, code, message: /./ });
      expect(error.index).toBe(1);
    }
  }
});

test("a time to live in a header is refused, for it would be ignored", async () => {
  const request = () =>
    server.fetch("/v1/txn", { method: "POST", body: "{}", headers: { "KV-TTL": "1h" } });
  const message = 'times to live in the body, as "ttl"; leave KV-TTL out';
  await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
});

test("a failed check is an answer that names it, and runs else", async () => {
  const before = (await server.store.status()).revision;
  const answer = await run({
    checks: [
      { key: "present", revision: [1, 2, 3] },
      { key: "present", revision: 999 },
      { key: "present", revision: 0, not: true },
      { key: "missing", revision: 0, not: true },
    ],
    then: [{ op: "delete", key: "present" }],
    else: [{ op: "get", key: "present", keys: true }],
  });
  expect(answer).toMatchObject({ succeeded: false, failed: [1, 3], revision: before });
  expect(answer["results"]).toMatchObject([{ op: "get", entry: { key: "present" } }]);
  expect(await run({ checks: [{ key: "missing", revision: 7 }] })).toEqual({
    succeeded: false,
    revision: before,
    results: [],
    failed: [0],
  });
});

test("a transaction of nothing is answered with the store's revision", async () => {
  const { revision } = await server.store.status();
  expect(await run({})).toEqual({ succeeded: true, revision, results: [] });
});

test("what is JSON is taken whatever type it claims, as curl -d claims a form", async () => {
  for (const type of ["application/x-www-form-urlencoded", "text/plain", "application/json"]) {
    const answer = await send('\n {"then": []} \n', type);
    expect(answer.status).toBe(200);
  }
});

test("of fields with the same name in one object the last one counts", async () => {
  const first = '[{"op":"put","key":"twice/1","value":"x"}]';
  const last = '[{"op":"put","key":"twice/1","key":"twice/2","value":"x","value":"y"}]';
  expect((await send(`{"then":${first},"then":${last}}`)).status).toBe(200);
  const { entries } = await server.store.list({ prefix: "twice/" });
  expect(entries.map(({ key, value }) => [key, value?.toString()])).toEqual([
    ["twice/2", new TextEncoder().encode("y").toString()],
  ]);
});

test("a value without a type gets one from its bytes", async () => {
  await run({
    then: [
      { op: "put", key: "untyped/1", value: "x" },
      { op: "put", key: "untyped/2", base64: "/w==" },
      { op: "put", key: "untyped/3", base64: "eA==" },
    ],
  });
  const { entries } = await server.store.list({ prefix: "untyped/" });
  expect(entries.map(({ contentType }) => contentType)).toEqual([
    "text/plain; charset=utf-8",
    "application/octet-stream",
    "text/plain; charset=utf-8",
  ]);
});

const BYTES = new Uint8Array([0xff, 0]);

const put1 = '{"op":"put","key":"no","value":"1"}';

const REFUSED: readonly [body: string, message: RegExp | string][] = [
  ["", "the body is empty; it must be a JSON object"],
  [" \n", "the body is empty"],
  ["{", "the body is not JSON"],
  ['{"then":[]', "the body is not JSON"],
  ["{'then':[]}", "the body is not JSON"],
  ["then=1", "the body is not JSON"],
  ['{"then":[]} x', "the body is not JSON"],
  ["\ufeff{}", "the body is not JSON"],
  ["[".repeat(200_000), "the body is not JSON"],
  ["null", "the body must be an object, not null"],
  ["[]", "the body must be an object, not array"],
  ["1", "the body must be an object, not 1"],
  ["{\n\u0001x", "the body is not JSON ("],
  ['{"than":[]}', 'the body has an unknown field "than"; did you mean "then"?'],
  ['{"__proto__":1}', 'unknown field "__proto__"'],
  ['{"then":{}}', "then must be a list, not object"],
  ['{"then":null}', "then must be a list, not null"],
  ['{"then":[1]}', "then[0] must be an object, not 1"],
  [
    `{"then":[${put1},{}]}`,
    'then[1] lacks the field "op" (one of put, delete, deleteRange, incr, touch, get, list)',
  ],
  [
    `{"then":[${put1},{"op":"del","key":"a"}]}`,
    'then[1] has an unknown op "del"; did you mean "delete"?',
  ],
  [`{"then":[${put1},{"op":1,"key":"a"}]}`, "that is no string"],
  [`{"then":[${put1},{"op":"delete"}]}`, 'then[1] lacks the field "key"'],
  [`{"then":[${put1},{"op":"delete","key":""}]}`, "then[1].key is empty"],
  [`{"then":[${put1},{"op":"delete","key":"a/../b"}]}`, "the then[1].key has"],
  [`{"then":[${put1},{"op":"delete","key":"\\ud800"}]}`, "lone surrogate"],
  [
    `{"then":[${put1},{"op":"delete","key":"a","value":"x"}]}`,
    'then[1] has an unknown field "value"',
  ],
  [`{"then":[${put1},{"op":"put","key":"a"}]}`, 'needs exactly one of "value"'],
  [`{"then":[${put1},{"op":"put","key":"a","value":"1","base64":""}]}`, "needs exactly one of"],
  [`{"then":[${put1},{"op":"put","key":"a","value":1}]}`, "then[1].value must be a string, not 1"],
  [`{"then":[${put1},{"op":"put","key":"a","value":"\\udc00"}]}`, "lone surrogate"],
  [`{"then":[${put1},{"op":"put","key":"a","base64":"/w"}]}`, "not padded standard base64"],
  [`{"then":[${put1},{"op":"put","key":"a","base64":"_w=="}]}`, "not padded standard base64"],
  [`{"then":[${put1},{"op":"put","key":"a","base64":"/x=="}]}`, "not padded standard base64"],
  [`{"then":[${put1},{"op":"put","key":"a","base64":" /w=="}]}`, "not padded standard base64"],
  [`{"then":[${put1},{"op":"put","key":"a","value":"","contentType":""}]}`, "contentType is empty"],
  [
    `{"then":[${put1},{"op":"put","key":"a","value":"","contentType":"a\\nb"}]}`,
    "contentType cannot be",
  ],
  [`{"then":[${put1},{"op":"get","key":"a","keys":1}]}`, "keys must be true or false"],
  [`{"then":[${put1}],"else":[{"op":"x"}]}`, 'else[0] has an unknown op "x"'],
  [`{"checks":[{"key":"a"}],"then":[${put1}]}`, "checks[0] needs exactly one of"],
  [`{"checks":[{"key":"a","revision":1,"version":1}],"then":[${put1}]}`, "exactly one of"],
  [`{"checks":[{"key":"a","revision":1,"value":""}],"then":[${put1}]}`, "exactly one of"],
  [`{"checks":[{"key":"a","value":"","base64":""}],"then":[${put1}]}`, "exactly one of"],
  [`{"checks":[{"key":"a","version":-1}],"then":[${put1}]}`, "the smallest allowed is 0"],
  [`{"checks":[{"key":"a","base64":"!"}],"then":[${put1}]}`, "checks[0].base64 is not padded"],
  [`{"then":[${put1},{"op":"put","key":"a","value":"","ttl":"1"}]}`, "then[1].ttl cannot be"],
  [`{"then":[${put1},{"op":"put","key":"a","value":"","ttl":"none"}]}`, "or keep"],
  [`{"then":[${put1},{"op":"put","key":"a","value":"","ttl":30}]}`, "then[1].ttl must be a string"],
  [`{"then":[${put1},{"op":"touch","key":"a"}]}`, 'then[1] lacks the field "ttl"'],
  [`{"then":[${put1},{"op":"touch","key":"a","ttl":""}]}`, "then[1].ttl is empty"],
  [`{"then":[${put1},{"op":"incr","key":"a","by":1}]}`, "then[1].by must be a string"],
  [`{"then":[${put1},{"op":"incr","key":"a","by":"1.5"}]}`, "then[1].by cannot be"],
  [`{"then":[${put1},{"op":"incr","key":"a","ttl":"keep"}]}`, "then[1].ttl cannot be"],
  [`{"then":[${put1},{"op":"deleteRange"}]}`, "then[1]: the range is every key"],
  [`{"then":[${put1},{"op":"deleteRange","prefix":"a","all":true}]}`, "then[1]: all=true is for"],
  [`{"then":[${put1},{"op":"deleteRange","prefix":"a","limit":0}]}`, "smallest allowed is 1"],
  [`{"then":[${put1},{"op":"list","prefix":"a","start":"b"}]}`, "then[1]: "],
  [`{"then":[${put1},{"op":"list","limit":10001}]}`, "the largest allowed is 10000"],
  [`{"then":[${put1},{"op":"list","count":true,"keys":true}]}`, "count and keys exclude"],
  [`{"then":[${put1},{"op":"list","cursor":"x"}]}`, 'has an unknown field "cursor"'],
  [`{"checks":[{"key":"a","revision":-1}],"then":[${put1}]}`, "the smallest allowed is 0"],
  [`{"checks":[{"key":"a","revision":1.5}],"then":[${put1}]}`, "must be"],
  [`{"checks":[{"key":"a","revision":"1"}],"then":[${put1}]}`, "must be integer or array"],
  [`{"checks":[{"key":"a","revision":[]}],"then":[${put1}]}`, "at least 1 are needed"],
  [`{"checks":[{"key":"a","revision":9007199254740993}],"then":[${put1}]}`, "within 2^53"],
  [`{"checks":[{"key":"a","revision":1,"not":1}],"then":[${put1}]}`, "not must be true or false"],
];

test.each(REFUSED.map(([body, message]) => [body.slice(0, 100), body, message] as const))(
  "%j is refused whole",
  async (_, body, message) => {
    const refusal = { status: 400, code: "invalid_argument", message } as const;
    await expectRefusal(server, () => send(body), refusal);
  },
);

test("what is not UTF-8 is refused", async () => {
  const body = Buffer.from(`{"then":[${put1.replace("no", "\xff")}]}`, "latin1");
  await expectRefusal(server, () => send(body as Uint8Array<ArrayBuffer>), {
    status: 400,
    code: "invalid_argument",
    message: "the body is not UTF-8",
  });
});

describe("past a limit", () => {
  test.each([
    ["operations", `{"then":[${Array.from({ length: 10_001 }, () => put1).join()}]}`, 10_000],
    [
      "checks",
      `{"checks":[${Array.from({ length: 10_001 }, () => '{"key":"a","revision":0}').join()}]}`,
      10_000,
    ],
    ["key bytes", `{"then":[{"op":"put","key":"${"é".repeat(513)}","value":""}]}`, 1024],
    [
      "type characters",
      `{"then":[{"op":"put","key":"a","value":"","contentType":"${"a".repeat(256)}"}]}`,
      255,
    ],
  ])("of %s it is refused with the limit", async (_, body, limit) => {
    const refusal = { status: 413, code: "too_large", message: "allowed" } as const;
    expect((await expectRefusal(server, () => send(body), refusal)).limit).toBe(limit);
  });

  test("of a value or of all values it is refused with the limit", async () => {
    const mib = 1024 * 1024;
    const refusal = { status: 413, code: "too_large", message: /allowed|more than/ } as const;
    const one = await expectRefusal(server, () => send(putsOf(16 * mib + 1)), refusal);
    expect(one.limit).toBe(16 * mib);
    const all = await expectRefusal(server, () => send(putsOf(16 * mib, 16 * mib)), refusal);
    expect(all.limit).toBe(32 * mib);
  });
});

test("the body's own limit stands above any transaction that fits a commit", async () => {
  const bytes = 64 * 1024 * 1024;
  const head = rawRequest("POST", "/v1/txn", [`Content-Length: ${bytes}`]);
  const error = await expectRefusal(server, () => server.raw(head), {
    status: 413,
    code: "too_large",
    message: `the body has ${bytes} bytes; at most`,
  });
  expect(error.limit).toBeGreaterThan((32 * 1024 * 1024 * 4) / 3);
});

// --- internal ---

/** A transaction that puts a value of each size. */
function putsOf(...sizes: number[]): string {
  const then = sizes.map((size, at) => ({ op: "put", key: `k${at}`, value: "a".repeat(size) }));
  return JSON.stringify({ then });
}
