/** If-Match and If-None-Match: which let a request through, on a present and an absent key. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-http.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";
import { del, put, write } from "../support/stores.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

/** `R` stands for the revision of the key, `S` for another one. */
const CONDITIONS: readonly [header: string, read: 200 | 304 | 412, putOnAbsent: 201 | 412][] = [
  ['If-Match: "R"', 200, 412],
  ["If-Match: R", 200, 412],
  ['If-Match: "S"', 412, 412],
  ["If-Match: S", 412, 412],
  ["If-Match: *", 200, 412],
  ["If-Match:  * ", 200, 412],
  ['If-Match: "S", "R"', 200, 412],
  ['If-Match: "S","R"', 200, 412],
  ['If-Match: , "S",, R ,', 200, 412],
  ['If-Match: "S", S', 412, 412],
  ['If-Match: W/"R"', 412, 412],
  ['If-Match: W/"S", "R"', 200, 412],
  ['If-Match: W/"R", "S"', 412, 412],
  ['If-None-Match: "R"', 304, 201],
  ["If-None-Match: R", 304, 201],
  ['If-None-Match: W/"R"', 304, 201],
  ['If-None-Match: "S"', 200, 201],
  ['If-None-Match: W/"S"', 200, 201],
  ["If-None-Match: *", 304, 201],
  ['If-None-Match: "S", "R"', 304, 201],
  ['If-None-Match: "S", W/"R"', 304, 201],
  ['If-None-Match: "S", S', 200, 201],
  ['If-Match: "R"\nIf-None-Match: "S"', 200, 412],
  ['If-Match: "R"\nIf-None-Match: "R"', 304, 412],
  ['If-Match: "S"\nIf-None-Match: "R"', 412, 412],
  ["If-Match: *\nIf-None-Match: *", 304, 412],
  ['If-Match: "S"\nIf-Match: "R"', 200, 412],
];

describe.each(CONDITIONS)("%j", (header, read, putOnAbsent) => {
  test(`on a present key: a read is ${read}, a write goes by the same`, async () => {
    const { revision } = await write(server.store, put("other"), put("key", "before"));
    const lines = headerLines(header, revision);
    const holds = read === 200;

    const got = await server.raw(rawRequest("GET", "/v1/kv/key", lines));
    const head = await server.raw(rawRequest("HEAD", "/v1/kv/key", lines));
    expect(got?.status).toBe(read);
    expect(head?.status).toBe(read);
    expect(got?.headers.get("etag")).toBe(`"${revision}"`);
    expect(head?.headers.get("etag")).toBe(`"${revision}"`);
    if (got?.status === 304) {
      expect(got.body).toBe("");
      expect(got.headers.get("cache-control")).toBe("no-cache");
      expect(got.headers.has("content-type")).toBe(false);
    }

    const list = await server.raw(rawRequest("GET", "/v1/kv?prefix=key", lines));
    expect(list?.status).toBe(read);
    const stream = await server.raw(rawRequest("GET", "/v1/kv?prefix=key", [...lines, NDJSON]));
    expect(stream?.status).toBe(read);
    const history = await server.raw(rawRequest("GET", "/v1/history/key", lines));
    expect(history?.status).toBe(read);

    await check(rawRequest("DELETE", "/v1/kv/key", lines), holds, revision);
    if (holds) await write(server.store, put("key", "before"));
    const now = (await server.store.get("key")).entry!.revision;
    const request = rawRequest("PUT", "/v1/kv/key", [
      ...headerLines(header, now),
      "Content-Length: 5",
    ]);
    await check(`${request}after`, holds, now);
    const { entry } = await server.store.get("key");
    expect(Buffer.from(entry!.value).toString()).toBe(holds ? "after" : "before");
  });

  test("on a present key: an increment and a touch go by it too", async () => {
    const before = await write(server.store, put("other"), put("number", "41"));
    const holds = read === 200;
    const sum = rawRequest("POST", "/v1/incr/number", headerLines(header, before.revision));
    await check(sum, holds, before.revision);
    const { entry } = await server.store.get("number");
    expect(Buffer.from(entry!.value).toString()).toBe(holds ? "42" : "41");
    const now = entry!.revision;
    const lines = [...headerLines(header, now), "KV-TTL: 1h"];
    await check(rawRequest("POST", "/v1/touch/number", lines), holds, now);
    const touched = (await server.store.get("number")).entry!;
    expect(touched.expiresAt !== undefined).toBe(holds);
    expect(touched.revision > now).toBe(holds);
  });

  test(`on an absent key: a put and an increment are ${putOnAbsent}, all else 404`, async () => {
    await write(server.store, put("absent"), put("other"));
    await write(server.store, { op: "delete", key: "absent" });
    const { revision } = await server.store.status();
    const lines = headerLines(header, revision);
    for (const method of ["GET", "DELETE"]) {
      const request = () => server.raw(rawRequest(method, "/v1/kv/absent", lines));
      const refusal = { status: 404, code: "not_found", message: "absent" } as const;
      const error = await expectRefusal(server, request, refusal);
      expect(error.storeRevision).toBe(revision);
    }
    const touch = () =>
      server.raw(rawRequest("POST", "/v1/touch/absent", [...lines, "KV-TTL: 1h"]));
    await expectRefusal(server, touch, { status: 404, code: "not_found", message: "absent" });
    await check(rawRequest("PUT", "/v1/kv/absent", lines), putOnAbsent === 201, 0);
    await write(server.store, put("other"), del("absent"));
    const now = (await server.store.status()).revision;
    const sum = rawRequest("POST", "/v1/incr/absent", headerLines(header, now));
    await check(sum, putOnAbsent === 201, 0);
  });
});

/** Expects a write to pass, or to fail with the key's revision and nothing changed. */
async function check(request: string, holds: boolean, revision: number): Promise<void> {
  if (holds) {
    const answer = await server.raw(request);
    expect(answer!.status).toBeLessThan(300);
    return;
  }
  let etag: string | undefined;
  const send = async () => {
    const answer = await server.raw(request);
    etag = answer?.headers.get("etag");
    expect(answer?.headers.get("kv-store-revision")).toMatch(/^\d+$/);
    return answer;
  };
  const error = await expectRefusal(server, send, {
    status: 412,
    code: "precondition_failed",
    message: revision === 0 ? "is absent" : `is at revision ${revision}`,
  });
  expect(error.revision).toBe(revision);
  expect(error.storeRevision).toBe((await server.store.status()).revision);
  expect(etag).toBe(revision === 0 ? undefined : `"${revision}"`);
}

describe.each(["GET", "PUT", "DELETE", "POST"])("%s refuses", (method) => {
  test.each([
    ["If-Match: abc", /If-Match has "abc"; it takes revisions like "42", a list of them, or \*/],
    ['If-Match: "abc"', /If-Match has/],
    ["If-Match: -1", /If-Match has/],
    ["If-Match: 1.5", /If-Match has/],
    ["If-Match: 1e3", /If-Match has/],
    ["If-Match: 0x10", /If-Match has/],
    ["If-Match: 007", /If-Match has "007"/],
    ['If-Match: "1', /If-Match has/],
    ["If-Match: '1'", /If-Match has/],
    ['If-Match: w/"1"', /If-Match has/],
    ['If-Match: *, "1"', /If-Match has/],
    ["If-Match: 9007199254740993", /If-Match has/],
    ["If-Match:", /If-Match is empty/],
    ["If-Match: ,", /If-Match is empty/],
    ["If-Match: 0", /names revision 0, which no key has; If-None-Match: \* means "only if absent"/],
    ['If-None-Match: "0"', /names revision 0/],
    ["If-None-Match: abc", /If-None-Match has "abc"/],
    ["If-None-Match: 1 2", /If-None-Match has "1 2"/],
  ])("%s", async (header, message) => {
    await write(server.store, put("key"));
    const targets = TARGETS[method] ?? ["/v1/kv/key", "/v1/kv/missing"];
    for (const target of targets) {
      const request = () => server.raw(rawRequest(method, target, [header, "KV-TTL: 1h"]));
      await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
    }
  });
});

test("conditions where there is nothing they could be of are refused", async () => {
  const { revision } = await write(server.store, put("ignored/1"), put("ignored/2"));
  for (const header of ["If-Match: *", `If-None-Match: "${revision}"`, "If-Match: no tag"]) {
    for (const [method, target, message] of [
      ["DELETE", "/v1/kv?prefix=ignored/", "the keys of a range have no revision in common"],
      ["POST", `/v1/compact?revision=${revision}`, "a compaction is of no key"],
    ] as const) {
      const request = () => server.raw(rawRequest(method, target, [header]));
      await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
    }
  }
});

test("conditions by date and ranges are passed over, for no entry has a date", async () => {
  const { revision } = await write(server.store, put("dated", "value"));
  const date = "Sun, 06 Nov 1994 08:49:37 GMT";
  for (const header of [
    `If-Modified-Since: ${new Date(Date.now() + 1e8).toUTCString()}`,
    `If-Unmodified-Since: ${date}`,
    `If-Range: "${revision}"\nRange: bytes=0-1`,
  ]) {
    const answer = await server.raw(rawRequest("GET", "/v1/kv/dated", header.split("\n")));
    expect(answer).toMatchObject({ status: 200, body: "value" });
  }
  const lines = [`If-Unmodified-Since: ${date}`, "Content-Length: 1"];
  expect((await server.raw(`${rawRequest("PUT", "/v1/kv/dated", lines)}x`))?.status).toBe(200);
});

test("a listing is at its revision", async () => {
  const { revision } = await write(server.store, put("listed"));
  const statuses = async (header: string) =>
    (await server.raw(rawRequest("GET", "/v1/kv?prefix=listed", headerLines(header, revision))))!
      .status;
  expect(await statuses('If-None-Match: "R"')).toBe(304);
  expect(await statuses('If-None-Match: "S"')).toBe(200);
  expect(await statuses('If-Match: "R"')).toBe(200);
  expect(await statuses('If-Match: "S"')).toBe(412);
  const old = server.raw(rawRequest("GET", `/v1/kv?revision=${revision - 1}`));
  expect((await old)?.headers.get("etag")).toBe(`"${revision - 1}"`);
});

test("a transaction does not ignore conditions in headers", async () => {
  const body = '{"then":[{"op":"put","key":"ignored","value":"1"}]}';
  for (const header of ["If-Match: *", "If-None-Match: *"]) {
    const head = rawRequest("POST", "/v1/txn", [header, `Content-Length: ${body.length}`]);
    await expectRefusal(server, () => server.raw(head + body), {
      status: 400,
      code: "invalid_argument",
      message: 'as "checks"',
    });
  }
});

test("of many writers with the same If-Match exactly one is stored", async () => {
  const { revision } = await write(server.store, put("contended", "0"));
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      server.fetch("/v1/kv/contended", {
        method: "PUT",
        body: String(index),
        headers: { "If-Match": `"${revision}"` },
      }),
    ),
  );
  const statuses = answers.map(({ status }) => status).sort();
  expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
  const stored = answers.findIndex(({ status }) => status === 200);
  expect(await (await server.fetch("/v1/kv/contended")).text()).toBe(String(stored));
});

// --- internal ---

const NDJSON = "Accept: application/x-ndjson";

/** What reads conditions, by method, beside the value itself. */
const TARGETS: Readonly<Record<string, readonly string[]>> = {
  GET: ["/v1/kv/key", "/v1/kv/missing", "/v1/kv/key?wait=0", "/v1/kv", "/v1/history/key"],
  POST: ["/v1/incr/key", "/v1/incr/missing", "/v1/touch/key", "/v1/touch/missing"],
};

function headerLines(header: string, revision: number): string[] {
  return header.replaceAll("R", String(revision)).replaceAll("S", "987654321").split("\n");
}
