/** Times to live, increments and touches: what they answer, and what becomes of the key. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { JsonChanged } from "../../src/json.ts";
import { rawRequest } from "../support/raw-http.ts";
import { put, putFor, textOf, write } from "../support/stores.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

type Changed = JsonChanged & { value?: string };

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

/** Sends a request, expects a success, and that the answer says the same in its tag. */
async function change(method: string, path: string, ttl?: string, body?: string): Promise<Changed> {
  const headers = new Headers(ttl === undefined ? [] : [["KV-TTL", ttl]]);
  const answer = await server.fetch(path, { method, headers, body: body ?? null });
  expect(answer.ok).toBe(true);
  const changed = (await answer.json()) as Changed;
  expect(answer.headers.get("etag")).toBe(`"${changed.revision}"`);
  return changed;
}

/** Milliseconds from now to the deadline of an answer. */
function left({ expiresAt }: JsonChanged): number {
  return Date.parse(expiresAt!) - Date.now();
}

describe("a put", () => {
  test.each([
    ["1ms", 1],
    ["90s", 90_000],
    ["2m", 120_000],
    ["3h", 10_800_000],
    ["7d", 604_800_000],
    ["3650d", 315_360_000_000],
  ])("with KV-TTL %s expires then", async (ttl, milliseconds) => {
    const before = Date.now();
    const changed = await change("PUT", "/v1/kv/ttl", ttl, "x");
    const deadline = Date.parse(changed.expiresAt!);
    expect(deadline).toBeGreaterThanOrEqual(before + milliseconds);
    expect(deadline).toBeLessThanOrEqual(Date.now() + milliseconds);
  });

  test("shows its deadline to whoever asks for it", async () => {
    const { expiresAt } = await change("PUT", "/v1/kv/shown", "1h", "x");
    const get = await server.fetch("/v1/kv/shown?meta");
    expect(get.headers.get("kv-expires-at")).toBe(expiresAt!);
    const head = await server.fetch("/v1/kv/shown", { method: "HEAD" });
    expect(head.headers.get("kv-expires-at")).toBe(expiresAt!);
    const list = (await (await server.fetch("/v1/kv?prefix=shown")).json()) as { entries: unknown };
    expect(list.entries).toMatchObject([{ key: "shown", expiresAt }]);
  });

  test("without one clears it, and with keep leaves it as it is", async () => {
    const first = await change("PUT", "/v1/kv/kept", "1h", "1");
    const kept = await change("PUT", "/v1/kv/kept", "keep", "2");
    expect(kept.expiresAt).toBe(first.expiresAt!);
    expect(kept.version).toBe(2);
    expect(await change("PUT", "/v1/kv/kept", undefined, "3")).not.toHaveProperty("expiresAt");
    expect(await change("PUT", "/v1/kv/kept", "keep", "4")).not.toHaveProperty("expiresAt");
    expect(await change("PUT", "/v1/kv/fresh", "keep", "1")).not.toHaveProperty("expiresAt");
  });

  test("that expires is gone, and its key can be created anew", async () => {
    const { revision } = await change("PUT", "/v1/kv/brief", "1ms", "x");
    const gone = await server.fetch(`/v1/kv/brief?wait=${revision}`);
    expect(gone.status).toBe(404);
    const history = await (await server.fetch("/v1/history/brief")).json();
    expect(history).toMatchObject({ entries: [{ type: "expire" }, { type: "put" }] });
    const anew = await server.fetch("/v1/kv/brief", {
      method: "PUT",
      body: "y",
      headers: { "If-None-Match": "*" },
    });
    expect(anew.status).toBe(201);
  });
});

test.each([
  [
    "PUT",
    "/v1/kv/k",
    ["", "30", "0s", "-1s", "1.5s", "1 s", "1S", "01s", "1w", "none", "30s, 30s"],
  ],
  ["PUT", "/v1/kv/k", ["3651d", "315360000001ms", "99999999999999999999d", "Keep"]],
  ["POST", "/v1/incr/k", ["", "30", "keep", "none", "0ms", "3651d"]],
  ["POST", "/v1/touch/k", ["", "30", "None", "0ms", "3651d", "never"]],
])("%s %s refuses times that are none: %j", async (method, path, times) => {
  for (const time of times) {
    const request = () =>
      server.raw(rawRequest(method, path, [`KV-TTL: ${time}`, "Content-Length: 0"]));
    const message = `KV-TTL cannot be ${JSON.stringify(time)}; it takes a time such as 500ms`;
    await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
  }
});

describe("an increment", () => {
  test("counts an absent key as 0, and adds 1 when nothing else is said", async () => {
    const first = await change("POST", "/v1/incr/count");
    const { revision } = first;
    expect(first).toEqual({
      key: "count",
      value: "1",
      revision,
      createRevision: revision,
      version: 1,
    });
    const second = await change("POST", "/v1/incr/count");
    expect(second).toMatchObject({ value: "2", createRevision: revision, version: 2 });
    const value = await server.fetch("/v1/kv/count");
    expect(value.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await value.text()).toBe("2");
  });

  test.each([
    ["5", "12"],
    ["-7", "0"],
    ["-8", "-1"],
    ["0", "7"],
    ["9223372036854775800", "9223372036854775807"],
    ["-9223372036854775808", "-9223372036854775801"],
  ])("adds %s to 7", async (by, sum) => {
    await write(server.store, put("seven", "7"));
    expect((await change("POST", `/v1/incr/seven?by=${by}`)).value).toBe(sum);
    expect(await textOf(server.store, "seven")).toBe(sum);
  });

  test("has exact sums beyond 2^53", async () => {
    await write(server.store, put("large", "9007199254740993"));
    expect((await change("POST", "/v1/incr/large")).value).toBe("9007199254740994");
  });

  test("leaves type and deadline as they are, and its own deadline to a key it creates", async () => {
    await write(server.store, {
      ...put("typed", "1", "application/json"),
      ttl: 3_600_000,
    });
    const typed = await change("POST", "/v1/incr/typed", "1s");
    expect(left(typed)).toBeGreaterThan(3_500_000);
    const value = await server.fetch("/v1/kv/typed");
    expect(value.headers.get("content-type")).toBe("application/json");
    const created = await change("POST", "/v1/incr/limited", "1h");
    expect(left(created)).toBeGreaterThan(3_500_000);
    expect((await change("POST", "/v1/incr/limited", "1s")).expiresAt).toBe(created.expiresAt!);
    await write(server.store, put("endless", "1"));
    expect(await change("POST", "/v1/incr/endless", "1s")).not.toHaveProperty("expiresAt");
  });

  test.each([
    ["text", "one"],
    ["nothing", ""],
    ["a blank", " 1"],
    ["a line end", "1\n"],
    ["a plus", "+1"],
    ["a leading zero", "01"],
    ["a negative zero", "-0"],
    ["a fraction", "1.0"],
    ["more than 64 bits", "9223372036854775808"],
    ["the largest integer", "9223372036854775807"],
    ["no UTF-8", new Uint8Array([0xff])],
  ])("of %s is a conflict that names no index", async (_, value) => {
    await write(server.store, put("odd", value));
    const request = () => server.fetch("/v1/incr/odd", { method: "POST" });
    const refusal = { status: 409, code: "conflict", message: /./ } as const;
    expect(await expectRefusal(server, request, refusal)).not.toHaveProperty("index");
  });

  test("many at a time lose nothing", async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => change("POST", "/v1/incr/busy?by=2")),
    );
    const sums = answers.map(({ value }) => Number(value)).sort((a, b) => a - b);
    expect(sums).toEqual(Array.from({ length: 50 }, (_, at) => 2 * (at + 1)));
  });
});

describe("a touch", () => {
  test("changes the deadline and nothing else", async () => {
    const before = await write(server.store, put("touched", "bytes", "image/png"));
    const { revision } = before;
    const touched = await change("POST", "/v1/touch/touched", "1h");
    expect(touched).toMatchObject({ key: "touched", createRevision: revision, version: 2 });
    expect(left(touched)).toBeGreaterThan(3_500_000);
    expect((await change("POST", "/v1/touch/touched", "keep")).expiresAt).toBe(touched.expiresAt!);
    expect(left(await change("POST", "/v1/touch/touched", "2h"))).toBeGreaterThan(7_100_000);
    expect(await change("POST", "/v1/touch/touched", "none")).not.toHaveProperty("expiresAt");
    const value = await server.fetch("/v1/kv/touched");
    expect(value.headers.get("content-type")).toBe("image/png");
    expect(await value.text()).toBe("bytes");
  });

  test("needs a time", async () => {
    const request = () => server.fetch("/v1/touch/touched", { method: "POST" });
    const message = "a touch needs the header KV-TTL: a time such as 30s, keep or none";
    await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
  });

  test("of an absent key is 404 with the store's revision and no index", async () => {
    const { revision } = await write(server.store, put("other"));
    let header: string | null = "";
    const request = async () => {
      const answer = await server.fetch("/v1/touch/absent", {
        method: "POST",
        headers: { "KV-TTL": "1h" },
      });
      header = answer.headers.get("kv-store-revision");
      return answer;
    };
    const message = 'there is no key "absent"';
    const error = await expectRefusal(server, request, { status: 404, code: "not_found", message });
    expect(error).toEqual({ code: "not_found", message, storeRevision: revision });
    expect(header).toBe(String(revision));
  });

  test("does not find a key whose time is over", async () => {
    await write(server.store, putFor("over", "x", 1));
    await Bun.sleep(2);
    const touch = await server.fetch("/v1/touch/over", {
      method: "POST",
      headers: { "KV-TTL": "1h" },
    });
    expect(touch.status).toBe(404);
  });
});

test.each(["/v1/incr/k", "/v1/touch/k", "/v1/compact?revision=0"])(
  "POST %s refuses a body, which it would ignore",
  async (path) => {
    for (const [headers, body] of [
      [["Content-Length: 1"], "5"],
      [["Transfer-Encoding: chunked"], "1\r\n5\r\n0\r\n\r\n"],
    ] as const) {
      const request = () => server.raw(rawRequest("POST", path, ["KV-TTL: 1h", ...headers]) + body);
      const message = "this request takes no body";
      await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
    }
  },
);
