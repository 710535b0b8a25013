/** Values over HTTP: bytes both ways, content types, headers, older revisions, answers to writes. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-http.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

const TEXT = "text/plain; charset=utf-8";
const FORM = "application/x-www-form-urlencoded";

function put(
  key: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return server.fetch(`/v1/kv/${key}`, { method: "PUT", body, headers });
}

function bytesOf(answer: Response): Promise<Buffer> {
  return answer.arrayBuffer().then((buffer) => Buffer.from(buffer));
}

describe("a put", () => {
  test("answers 201 with the new revision, and 200 when it replaces", async () => {
    const created = await put("answers", "1");
    const { revision } = await server.store.status();
    expect(created.status).toBe(201);
    expect(created.headers.get("etag")).toBe(`"${revision}"`);
    expect(created.headers.get("content-type")).toBe("application/json");
    expect(await created.text()).toBe(
      `{"key":"answers","revision":${revision},"createRevision":${revision},"version":1}\n`,
    );
    const replaced = await put("answers", "1");
    expect(replaced.status).toBe(200);
    expect(await replaced.json()).toEqual({
      key: "answers",
      revision: revision + 1,
      createRevision: revision,
      version: 2,
    });
  });

  test("of a deleted key creates it anew", async () => {
    await put("anew", "1");
    await server.fetch("/v1/kv/anew", { method: "DELETE" });
    const answer = await put("anew", "2");
    expect(answer.status).toBe(201);
    const { revision, createRevision, version } = (await answer.json()) as Record<string, number>;
    expect({ createRevision, version }).toEqual({ createRevision: revision!, version: 1 });
  });

  const every = new Uint8Array(256).map((_, index) => index);
  const random = crypto.getRandomValues(new Uint8Array(65_536));
  test.each([
    ["nothing", new Uint8Array(0)],
    ["every byte", every],
    ["line ends", Buffer.from("\r\n\n\r a=b&c \r\n")],
    ["a byte order mark", Buffer.from("\ufefftext")],
    ["64 KiB", random],
    ["64 KiB and a byte", Buffer.concat([random, every.subarray(0, 1)])],
    ["half a MiB", Buffer.concat(Array.from({ length: 8 }, () => random))],
  ])("keeps %s byte for byte", async (_, value) => {
    await put("exact", value as Uint8Array<ArrayBuffer>);
    expect((await bytesOf(await server.fetch("/v1/kv/exact"))).equals(value)).toBe(true);
  });

  test("in chunks keeps its bytes", async () => {
    const chunks = Array.from({ length: 50 }, (_, at) => Buffer.alloc(at * 37, at));
    const wire = chunks
      .filter((chunk) => chunk.length > 0)
      .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk.toString("latin1")}\r\n`);
    const head = rawRequest("PUT", "/v1/kv/chunks", ["Transfer-Encoding: chunked"]);
    const answer = await server.raw(head, ...wire, "0\r\n\r\n");
    expect(answer?.status).toBe(201);
    const { entry } = await server.store.get("chunks");
    expect(Buffer.concat(chunks).equals(entry!.value)).toBe(true);
  });

  test("without a body stores nothing, as a value", async () => {
    const answer = await server.raw(rawRequest("PUT", "/v1/kv/bodiless"));
    expect(answer?.status).toBe(201);
    expect((await server.store.get("bodiless")).entry?.value.length).toBe(0);
  });
});

describe("the content type", () => {
  const types: [
    name: string,
    given: string | undefined,
    body: string | Uint8Array,
    stored: string,
  ][] = [
    ["none, and text", undefined, "é", TEXT],
    ["none, and nothing", undefined, "", TEXT],
    ["none, and bytes", undefined, new Uint8Array([0xff]), "application/octet-stream"],
    ["the form type of curl -d, and text", FORM, "a=b", TEXT],
    [
      "the form type of curl -d, and bytes",
      FORM,
      new Uint8Array([0xc0, 0x80]),
      "application/octet-stream",
    ],
    ["the form type in capitals", FORM.toUpperCase(), "a=b", TEXT],
    ["a form type that somebody chose", `${FORM};charset=UTF-8`, "a=b", `${FORM};charset=UTF-8`],
    ["text that says so itself", "text/plain", "x", "text/plain"],
    ["a list", "text/plain, text/html", "x", "text/plain, text/html"],
    ["no type at all", "whatever", "x", "whatever"],
    ["255 characters", `a/${"b".repeat(253)}`, "x", `a/${"b".repeat(253)}`],
  ];
  test.each(types)("%s", async (_, given, body, stored) => {
    const lines = given === undefined ? [] : [`Content-Type: ${given}`];
    const bytes = Buffer.from(body);
    const head = rawRequest("PUT", "/v1/kv/typed", [...lines, `Content-Length: ${bytes.length}`]);
    await server.raw(head, bytes);
    const answer = await server.raw(rawRequest("GET", "/v1/kv/typed"));
    expect(answer?.headers.get("content-type")).toBe(stored);
    expect(answer?.bytes).toEqual(bytes);
  });

  test("past 255 characters is refused", async () => {
    const type = `a/${"b".repeat(254)}`;
    const error = await expectRefusal(server, () => put("typed", "x", { "Content-Type": type }), {
      status: 413,
      code: "too_large",
      message: "Content-Type has 256 characters; at most 255 are allowed",
    });
    expect(error.limit).toBe(255);
  });

  test("with other than visible ASCII is refused", async () => {
    const request = rawRequest("PUT", "/v1/kv/typed", ["Content-Type: caf\xe9/x"]);
    await expectRefusal(server, () => server.raw(request), {
      status: 400,
      code: "invalid_argument",
      message: /Content-Type cannot be/,
    });
  });
});

describe("a browser", () => {
  const inert = [TEXT, "text/plain", "application/json", "image/png", "application/octet-stream"];
  test.each(inert)("may show %s", async (type) => {
    await put("shown", "x", { "Content-Type": type });
    const { headers } = await server.fetch("/v1/kv/shown");
    expect(headers.get("content-security-policy")).toBeNull();
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  });

  test.each([
    "text/html",
    "TEXT/HTML",
    "image/svg+xml",
    "application/xhtml+xml",
    "text/xml",
    "application/pdf",
    "text/javascript",
    "multipart/x-mixed-replace; boundary=x",
    "text/plain, text/html",
    "text/plain; x=y, text/html",
    "text/plain;,text/html",
    "text/plain; charset=utf-8,text/html",
    "whatever",
  ])("may not run %s", async (type) => {
    // Multipart is refused over PUT; a transaction can store it.
    const then = [{ op: "put", key: "shown", value: "x", contentType: type }];
    await server.fetch("/v1/txn", { method: "POST", body: JSON.stringify({ then }) });
    const { headers } = await server.fetch("/v1/kv/shown");
    expect(headers.get("content-type")).toBe(type);
    expect(headers.get("content-security-policy")).toBe("sandbox; default-src 'none'");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  });
});

describe("a read", () => {
  test("has the headers of a value, and the others only with meta", async () => {
    await put("read", "a");
    const { revision, createRevision } = (await (await put("read", "b")).json()) as {
      revision: number;
      createRevision: number;
    };
    await put("other", "x");
    const plain = await server.raw(rawRequest("GET", "/v1/kv/read"));
    expect(names(plain!.headers)).toEqual([
      "cache-control",
      "content-type",
      "etag",
      "x-content-type-options",
    ]);
    expect(plain!.headers.get("cache-control")).toBe("no-cache");
    expect(plain!.headers.get("etag")).toBe(`"${revision}"`);
    for (const path of ["/v1/kv/read?meta", "/v1/kv/read?meta=true"]) {
      const meta = await server.raw(rawRequest("GET", path));
      expect(Object.fromEntries(meta!.headers)).toMatchObject({
        "kv-create-revision": String(createRevision),
        "kv-version": "2",
        "kv-store-revision": String(revision + 1),
      });
    }
    const without = await server.raw(rawRequest("GET", "/v1/kv/read?meta=false"));
    expect(names(without!.headers)).toEqual(names(plain!.headers));
  });

  test("by HEAD has every header and the length, and no body", async () => {
    await put("head", "hello");
    const answer = await server.raw(rawRequest("HEAD", "/v1/kv/head"));
    expect(answer?.body).toBe("");
    expect(names(answer!.headers)).toEqual([
      "cache-control",
      "content-type",
      "etag",
      "kv-create-revision",
      "kv-store-revision",
      "kv-version",
      "x-content-type-options",
    ]);
    expect(answer!.headers.get("content-length")).toBe("5");
  });

  test("of an absent key is 404 with the store's revision", async () => {
    const { revision } = await server.store.status();
    const answer = await server.fetch("/v1/kv/absent");
    expect(answer.status).toBe(404);
    expect(answer.headers.get("kv-store-revision")).toBe(String(revision));
    expect(await answer.json()).toEqual({
      error: {
        code: "not_found",
        message: 'there is no key "absent"',
        storeRevision: revision,
      },
    });
    const head = await server.raw(rawRequest("HEAD", "/v1/kv/absent"));
    expect(head?.status).toBe(404);
    expect(head?.headers.get("kv-store-revision")).toBe(String(revision));
  });

  test("at an older revision shows what was there", async () => {
    const first = (await (await put("old", "one")).json()) as { revision: number };
    await put("old", "two");
    await server.fetch("/v1/kv/old", { method: "DELETE" });
    const at = (revision: number) => server.fetch(`/v1/kv/old?revision=${revision}&meta`);
    expect((await at(first.revision - 1)).status).toBe(404);
    const one = await at(first.revision);
    expect(await one.text()).toBe("one");
    expect(one.headers.get("etag")).toBe(`"${first.revision}"`);
    expect(await (await at(first.revision + 1)).text()).toBe("two");
    expect((await at(first.revision + 2)).status).toBe(404);
  });

  test("at a revision to come is refused with the store's", async () => {
    const { revision } = await server.store.status();
    const request = () => server.fetch(`/v1/kv/old?revision=${revision + 1}`);
    const refusal = { status: 400, code: "invalid_argument", message: /revision/ } as const;
    expect((await expectRefusal(server, request, refusal)).revision).toBe(revision);
  });
});

describe("a delete", () => {
  test("answers how many and at which revision", async () => {
    await put("gone", "x");
    const answer = await server.fetch("/v1/kv/gone", { method: "DELETE" });
    expect(answer.status).toBe(200);
    const { revision } = await server.store.status();
    expect(await answer.text()).toBe(`{"deleted":1,"revision":${revision}}\n`);
  });

  test("of an absent key is 404 and changes nothing", async () => {
    const request = () => server.fetch("/v1/kv/gone", { method: "DELETE" });
    await expectRefusal(server, request, {
      status: 404,
      code: "not_found",
      message: 'there is no key "gone"',
    });
  });
});

// --- internal ---

/** Names of headers, without those that any answer has. */
function names(headers: ReadonlyMap<string, string>): string[] {
  const any = new Set(["date", "content-length", "connection"]);
  return [...headers.keys()].filter((name) => !any.has(name)).sort();
}
