/** Keys in paths: what arrives as which key, and what is refused, byte by byte as it is sent. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-http.ts";
import { del, put, write } from "../support/stores.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.stop());

const LONGEST = "a".repeat(1024);

/** A target behind `/v1/kv/`, and the key that it is. */
const KEYS: readonly [target: string, key: string][] = [
  ["a", "a"],
  ["a/b", "a/b"],
  ["a%2Fb", "a/b"],
  ["a%2fb", "a/b"],
  ["/", "/"],
  ["/a", "/a"],
  ["//", "//"],
  ["a//b/", "a//b/"],
  ["%61", "a"],
  ["a+b", "a+b"],
  ["a%20b", "a b"],
  ["a%2Bb", "a+b"],
  ["a%25b", "a%b"],
  ["a%252Fb", "a%2Fb"],
  ["a%23b", "a#b"],
  ["a%3Fb", "a?b"],
  ["a%5Cb", "a\\b"],
  ["a\\b", "a/b"],
  ["a&b=c;d,e:f@g!h$i'j(k)*", "a&b=c;d,e:f@g!h$i'j(k)*"],
  ['a|b<>"^`{}', 'a|b<>"^`{}'],
  ["%00", "\u0000"],
  ["%0D%0AX:%20y", "\r\nX: y"],
  ["a%7Fb", "a\u007fb"],
  ["%C3%A9", "é"],
  ["\xc3\xa9", "é"],
  ["e%CC%81", "e\u0301"],
  ["%EF%BB%BFa", "\ufeffa"],
  ["%EF%BF%BD", "\ufffd"],
  ["%F0%9F%92%BE", "💾"],
  ["...", "..."],
  ["a/...", "a/..."],
  [".a/b.", ".a/b."],
  ["a/./b", "a/b"],
  ["a/x/../b", "a/b"],
  ["a/x/%2e%2E/b", "a/b"],
  ["../kv/b", "b"],
  ["a/..%252F", "a/..%2F"],
  ["__proto__", "__proto__"],
  [LONGEST, LONGEST],
  ["%C3%A9".repeat(512), "é".repeat(512)],
];

test.each(KEYS.map(([target, key]) => [shown(target), target, key]))(
  "%s is its key",
  async (label, target, key) => {
    const body = `value of ${label}`;
    const path = `/v1/kv/${target}`;
    const put = await server.raw(
      rawRequest("PUT", path, [`Content-Length: ${body.length}`]) + body,
    );
    expect(JSON.parse(put!.body)).toMatchObject({ key, version: 1 });
    const bytes = Buffer.from(body, "latin1");
    expect(Buffer.from((await server.store.get(key)).entry!.value)).toEqual(bytes);
    expect(await server.raw(rawRequest("GET", path))).toMatchObject({ status: 200, bytes });
    expect(await server.raw(rawRequest("HEAD", path))).toMatchObject({ status: 200, body: "" });
    expect(await server.raw(rawRequest("DELETE", path))).toMatchObject({ status: 200 });
    expect((await server.store.get(key)).entry).toBeUndefined();
  },
);

test.each(KEYS.map(([target, key]) => [shown(target), target, key]))(
  "%s is its key for incr, touch and history too",
  async (_, target, key) => {
    const below = (base: string) => `${base}/${target.replace("/kv/", `/${base.slice(4)}/`)}`;
    const added = await server.raw(rawRequest("POST", `${below("/v1/incr")}?by=7`));
    expect(JSON.parse(added!.body)).toMatchObject({ key, value: "7", version: 1 });
    const touched = await server.raw(rawRequest("POST", below("/v1/touch"), ["KV-TTL: none"]));
    expect(JSON.parse(touched!.body)).toMatchObject({ key, version: 2 });
    const { entry } = await server.store.get(key);
    expect(Buffer.from(entry!.value).toString()).toBe("7");
    const history = await server.raw(rawRequest("GET", `${below("/v1/history")}?limit=2&keys`));
    const { entries } = JSON.parse(history!.body) as { entries: { key: string }[] };
    expect(entries.map((past) => past.key)).toEqual([key, key]);
    await write(server.store, del(key));
  },
);

function shown(target: string): string {
  return target.length > 40 ? `${target.slice(0, 30)}… (${target.length})` : target;
}

/** A whole target, and what the refusal says. */
const REFUSED: readonly [target: string, message: RegExp][] = [
  ["/v1/kv/", /no key behind it; GET \/v1\/kv lists keys/],
  ["/v1/kv/?meta", /no key behind it/],
  ["/v1/kv/%zz", /malformed escape "%zz"; write a percent sign as %25/],
  ["/v1/kv/a%", /malformed escape "%"/],
  ["/v1/kv/a%2", /malformed escape "%2"/],
  ["/v1/kv/%u0041", /malformed escape "%u0"/],
  ["/v1/kv/%ff", /not well-formed UTF-8/],
  ["/v1/kv/%C3", /not well-formed UTF-8/],
  ["/v1/kv/%C3/%A9", /not well-formed UTF-8/],
  ["/v1/kv/%C0%AF", /not well-formed UTF-8/],
  ["/v1/kv/%ED%A0%80", /not well-formed UTF-8/],
  ["/v1/kv/%F4%90%80%80", /not well-formed UTF-8/],
  ["/v1/kv/%E4%F6", /not well-formed UTF-8/],
  ["/v1/kv/a#b", /raw #; write it as %23/],
  ["/v1/kv/a?meta#b", /raw #/],
  ["/v1/kv/..%2Fx", /"\." or "\.\." as a whole segment/],
  ["/v1/kv/a%2F..", /as a whole segment/],
  ["/v1/kv/a%2F%2e%2e%2Fb", /as a whole segment/],
  ["/v1/kv/.%2Fa", /as a whole segment/],
  ["/v1/kv/..", /leads out of \/v1\/kv\//],
  ["/v1/kv/../status", /leads out of \/v1\/kv\//],
  ["/v1/kv/../txn", /leads out/],
  ["/v1/kv/../kv", /leads out/],
  ["/v1/kv/%2e%2e/%2E%2E/livez", /leads out/],
  ["/v1/kv/a/../../status", /leads out/],
  ["/v1/kv/..\\status", /leads out/],
  ["/v1/kv/.", /no key behind it/],
  ["/v1/kv/%2e", /no key behind it/],
  ["/v1/kv/a/..", /no key behind it/],
];

describe.each([
  ["GET", "/v1/kv/"],
  ["HEAD", "/v1/kv/"],
  ["PUT", "/v1/kv/"],
  ["DELETE", "/v1/kv/"],
  ["POST", "/v1/incr/"],
  ["POST", "/v1/touch/"],
  ["GET", "/v1/history/"],
  ["HEAD", "/v1/history/"],
])("%s below %s refuses", (method, base) => {
  test.each(REFUSED)("%s", async (model, message) => {
    const target = model.replace("/v1/kv/", base);
    const headers = method === "PUT" ? ["Content-Length: 1"] : ["KV-TTL: 1h"];
    const request = rawRequest(method, target, headers) + (method === "PUT" ? "x" : "");
    if (method === "HEAD") {
      expect(await server.raw(request)).toMatchObject({ status: 400, body: "" });
      return;
    }
    const moved = message.source.startsWith("leads out") ? `leads out of ${base}` : message;
    const refusal = { status: 400, code: "invalid_argument", message: moved } as const;
    await expectRefusal(server, () => server.raw(request), refusal);
  });

  test.each([
    ["1,025 characters", "a".repeat(1025)],
    ["1,025 bytes", `${"%C3%A9".repeat(512)}b`],
    ["8,000 bytes", "a".repeat(8000)],
  ])("a key of %s", async (_, key) => {
    const request = rawRequest(method, base + key, ["Content-Length: 0"]);
    if (method === "HEAD") {
      expect(await server.raw(request)).toMatchObject({ status: 413, body: "" });
      return;
    }
    const error = await expectRefusal(server, () => server.raw(request), {
      status: 413,
      code: "too_large",
      message: /the key has \d+ bytes; at most 1024 are allowed/,
    });
    expect(error.limit).toBe(1024);
  });
});

test("a header block past the platform's limit is refused", async () => {
  const answer = await server.raw(rawRequest("GET", `/v1/kv/${"a".repeat(20_000)}`));
  expect(answer?.status).toBe(431);
});

test("keys that differ only in normalisation or case are different keys", async () => {
  for (const key of ["é", "e\u0301", "É", "A", "a"]) {
    await server.fetch(`/v1/kv/${encodeURIComponent(key)}`, { method: "PUT", body: key });
  }
  for (const key of ["é", "e\u0301", "É", "A", "a"]) {
    const answer = await server.fetch(`/v1/kv/${encodeURIComponent(key)}`);
    expect(await answer.text()).toBe(key);
  }
});

test("raw bytes that are no UTF-8 have become U+FFFD, raw UTF-8 is itself", async () => {
  for (const [target, key] of [
    ["raw-\xe9", "raw-\ufffd"],
    ["raw-\xff\xfe", "raw-\ufffd\ufffd"],
    ["raw-\xe2\x9c\x93", "raw-✓"],
  ] as const) {
    const head = rawRequest("PUT", `/v1/kv/${target}`, ["Content-Length: 1"]);
    expect((await server.raw(head, "x"))?.body).toContain(JSON.stringify({ key }).slice(1, -1));
  }
});

test("a path that dot segments lead from one kind of key path to another is refused", async () => {
  await write(server.store, put("target", "1"));
  const bases = ["/v1/kv/", "/v1/incr/", "/v1/touch/", "/v1/history/"];
  for (const [from, to] of bases.flatMap((from) => bases.map((to) => [from, to] as const))) {
    if (from === to) continue;
    for (const dots of ["..", "%2e%2E", "x/../.."]) {
      const target = `${from}${dots}/${to.slice(4)}target`;
      for (const method of ["GET", "POST", "DELETE"]) {
        const request = () => server.raw(rawRequest(method, target, ["KV-TTL: none"]));
        const message = `leads out of ${from}`;
        await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
      }
    }
  }
});

test("a path beside the keys is not one of them", async () => {
  for (const target of ["//v1/kv/a", "/v1//kv/a", "/V1/kv/a", "/v1/%6bv/a", "/v1/kvx/a"]) {
    await expectRefusal(server, () => server.raw(rawRequest("PUT", target)), {
      status: 404,
      code: "unknown_path",
      message: /there is nothing at/,
    });
  }
});

afterAll(() => expect(server.errors).toEqual([]));
