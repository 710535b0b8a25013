/** NDJSON listings: all of a range at one revision, whole or with a connection that breaks. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { KvError } from "../../src/errors.ts";
import type { JsonEntry } from "../../src/json.ts";
import type { ListOptions, Range, Store } from "../../src/kv.ts";
import { ENTRY_STREAMS_MAX } from "../../src/limits.ts";
import { altered } from "../support/altered-store.ts";
import { openFaulty, type FaultyStore } from "../support/faulty-store.ts";
import { openHandlerBench } from "../support/handler-bench.ts";
import { openModel } from "../support/model-store.ts";
import { rawRequest, untilClosed } from "../support/raw-http.ts";
import { del, put, putFor, write } from "../support/stores.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

const NDJSON = { Accept: "application/x-ndjson" };
/** A request for everything. */
const STREAM = rawRequest("GET", "/v1/kv", ["Accept: application/x-ndjson"]);

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

async function stream(query: string, from = server): Promise<JsonEntry[]> {
  const answer = await from.fetch(`/v1/kv?${query}`, { headers: NDJSON });
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
  const text = await answer.text();
  if (text === "") return [];
  expect(text.endsWith("}\n")).toBe(true);
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as JsonEntry);
}

async function pageOf(query: string): Promise<{ revision: number; entries: JsonEntry[] }> {
  return (await (await server.fetch(`/v1/kv?${query}`)).json()) as Awaited<
    ReturnType<typeof pageOf>
  >;
}

async function keysOf(query: string): Promise<string[]> {
  return (await stream(query)).map(({ key }) => key);
}

/** Entries in commits that a store takes. */
async function fill(
  store: Store,
  prefix: string,
  count: number,
  value: string,
  commitEntries = 5_000,
): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, at) => prefix + String(at).padStart(7, "0"));
  for (let at = 0; at < count; at += commitEntries) {
    await write(store, ...keys.slice(at, at + commitEntries).map((key) => put(key, value)));
  }
  return keys;
}

describe("a stream", () => {
  test("has the entries of the pages, a line each", async () => {
    const bytes = new Uint8Array([0xff, 0]);
    await write(
      server.store,
      put("shape/1", "é\n\u2028"),
      put("shape/2", bytes, "image/png"),
      putFor("shape/3", "", 3_600_000),
    );
    const page = await pageOf("prefix=shape/");
    expect(page.entries.length).toBe(3);
    expect(await stream("prefix=shape/")).toEqual(page.entries);
    expect(await stream("prefix=shape/&keys")).toEqual(
      (await pageOf("prefix=shape/&keys")).entries,
    );
    const answer = await server.fetch("/v1/kv?prefix=shape/", { headers: NDJSON });
    expect(answer.headers.get("etag")).toBe(`"${page.revision}"`);
    expect(answer.headers.get("kv-store-revision")).toBe(String(page.revision));
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("vary")).toBe("Accept");
    await answer.text();
  });

  test("has no default limit, and goes both ways through any range", async () => {
    const keys = await fill(server.store, "n/", 12_345, "x");
    expect(await keysOf("prefix=n/")).toEqual(keys);
    expect(await keysOf("prefix=n/&reverse&keys")).toEqual(keys.toReversed());
    expect(await keysOf("start=n/0012000&end=n/0012003")).toEqual(keys.slice(12_000, 12_003));
    expect(await keysOf("prefix=n/&limit=11111")).toEqual(keys.slice(0, 11_111));
    expect(await keysOf("prefix=n/&limit=3&reverse")).toEqual(keys.slice(-3).toReversed());
    expect(await keysOf("prefix=none/")).toEqual([]);
  });

  test("has values of every size", async () => {
    const sizes = [0, 1, 100, 65_535, 65_536, 1_000_000, 5_000_000, 0, 3];
    await write(server.store, ...sizes.map((size, at) => put(`size/${at}`, "é".repeat(size))));
    const entries = await stream("prefix=size/");
    expect(entries.map(({ value }) => value!.length)).toEqual(sizes);
    expect(entries.every(({ value }) => /^é*$/.test(value!))).toBe(true);
  });

  test("is read at one revision, whatever is written meanwhile", async () => {
    const keys = await fill(server.store, "m/", 4_000, "old".repeat(1_000), 50);
    const { revision } = await server.store.status();
    const answer = await server.fetch("/v1/kv?prefix=m/", { headers: NDJSON });
    await write(server.store, { op: "deleteRange", range: { prefix: "m/" }, limit: 2_000 });
    await write(server.store, put(keys.at(-1)!, "new"), put("m/later", "new"));
    const lines = (await answer.text()).trimEnd().split("\n");
    expect(lines.length).toBe(keys.length);
    expect(lines.every((line) => line.includes('"value":"oldold'))).toBe(true);
    const then = await stream(`prefix=m/&revision=${revision}&keys`);
    expect(then.map(({ key }) => key)).toEqual(keys);
  });

  test("of HEAD is its headers", async () => {
    const headers = ["Accept: application/x-ndjson"];
    const head = await server.raw(rawRequest("HEAD", "/v1/kv", headers));
    const { revision } = await server.store.status();
    expect(head).toMatchObject({ status: 200, body: "" });
    expect(head!.headers.get("content-type")).toBe("application/x-ndjson");
    expect(head!.headers.get("etag")).toBe(`"${revision}"`);
  });

  test.each(["count", "count=true", "delimiter=/", "cursor=abc"])("has no %s", async (query) => {
    const name = query.split("=")[0]!;
    const request = () => server.fetch(`/v1/kv?${query}`, { headers: NDJSON });
    const message = `a stream has no ${name}; ask for ${name} with Accept: application/json`;
    await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
  });

  test("that cannot begin is a status", async () => {
    const { revision } = await server.store.status();
    for (const [query, status, code] of [
      [`revision=${revision + 1}`, 400, "invalid_argument"],
      ["prefix=a&start=b", 400, "invalid_argument"],
      ["limit=0", 400, "invalid_argument"],
    ] as const) {
      const request = () => server.fetch(`/v1/kv?${query}`, { headers: NDJSON });
      await expectRefusal(server, request, { status, code, message: /./ });
    }
    const old = await server.fetch("/v1/kv", { headers: { ...NDJSON, "If-Match": '"1"' } });
    expect(old.status).toBe(412);
    const same = await server.fetch("/v1/kv", {
      headers: { ...NDJSON, "If-None-Match": `"${revision}"` },
    });
    expect(same.status).toBe(304);
  });
});

/** A store that says how often it was asked for a page, and can fail at one. */
function openCounted(): { store: FaultyStore; pages: { read: number; failAt: number } } {
  const inner = openModel();
  const pages = { read: 0, failAt: Number.POSITIVE_INFINITY };
  const store = openFaulty(inner);
  store.list = async (range: Range, options?: ListOptions) => {
    pages.read++;
    if (pages.read >= pages.failAt) throw store.fault;
    return inner.list(range, options);
  };
  return { store, pages };
}

/** A client that takes nothing until it is told to. */
function openStalled(port: number): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const client = connect(port, "127.0.0.1", () => {
    client.pause();
    client.write(STREAM);
    resolve(client);
  });
  client.on("error", () => {});
  return promise;
}

/** Waits until a number has stopped growing. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ;) {
    const now = read();
    if (now === last && now > 0) return now;
    last = now;
    await Bun.sleep(50);
  }
}

describe("a stream that fails in the middle breaks the connection", () => {
  test.each([
    ["and is no fault of the server", new KvError("unavailable", "the store is closed"), 0],
    ["and is reported", new KvError("internal", "a block does not read back"), 1],
    ["by a bug and is reported", new TypeError("a bug"), 1],
  ])("%s", async (_, fault, reported) => {
    const { store, pages } = openCounted();
    await using broken = await startTestServer({ store });
    await fill(store, "k", 5_000, "x".repeat(100));
    store.fault = fault;
    pages.failAt = 3;
    const raw = await untilClosed(broken.port, STREAM);
    expect(raw.startsWith("HTTP/1.1 200 OK\r\n")).toBe(true);
    expect(raw).toContain('{"key":"k0000000"');
    expect(raw.endsWith("0\r\n\r\n")).toBe(false);
    expect(pages.read).toBe(3);
    pages.failAt = pages.read + 3;
    const answer = await broken.fetch("/v1/kv", { headers: NDJSON });
    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
    expect(broken.errors).toEqual(Array.from({ length: 2 * reported }, () => fault));
  });

  test("also when compaction has passed its revision", async () => {
    const { store, pages } = openCounted();
    await using own = await startTestServer({ store });
    await fill(store, "k", 20_000, "x".repeat(1_000));
    const compacted = Promise.withResolvers<void>();
    const received = untilClosed(own.port, STREAM, compacted.promise);
    await settled(() => pages.read);
    const { revision } = await write(store, put("later"));
    await store.compact(revision);
    compacted.resolve();
    const text = await received;
    expect(text).toContain('{"key":"k0000000"');
    expect(text.endsWith("0\r\n\r\n")).toBe(false);
    expect(own.errors).toEqual([]);
  });
});

describe("a client", () => {
  test("that takes nothing has little read for it, and one that goes away nothing more", async () => {
    const { store, pages } = openCounted();
    await using slow = await startTestServer({ store });
    await fill(store, "k", 50_000, "x".repeat(1_000));
    const client = await openStalled(slow.port);
    const read = await settled(() => pages.read);
    // What the system keeps for the connection is some MiB of the 50.
    expect(read).toBeLessThan(100);
    client.destroy();
    await slow.fetch("/livez");
    expect(await settled(() => pages.read)).toBeLessThan(read + 2);
    expect(slow.errors).toEqual([]);
  });

  test("that takes all at once leaves others their turn", async () => {
    await using own = await startTestServer();
    await fill(own.store, "k", 50_000, "x");
    const whole = stream("", own);
    let turns = 0;
    const reading = { done: false };
    const others = (async () => {
      while (!reading.done) {
        await own.fetch("/v1/kv/k0000000");
        turns++;
      }
    })();
    expect((await whole).length).toBe(50_000);
    reading.done = true;
    await others;
    expect(turns).toBeGreaterThan(5);
  });
});

test("streams past the limit are turned away, until one has ended", async () => {
  const { store, context, answer } = openHandlerBench();
  await write(store, put("a", "x".repeat(100_000)), put("b", "x".repeat(100_000)));
  const { streams } = context;
  const open = async () => (await answer("/v1/kv", { headers: NDJSON }))!;
  streams.count = ENTRY_STREAMS_MAX - 1;
  const read = await open();
  expect(streams.count).toBe(ENTRY_STREAMS_MAX);
  const refused = await open();
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(await refused.json()).toMatchObject({ error: { limit: ENTRY_STREAMS_MAX } });
  await read.text();
  expect(streams.count).toBe(ENTRY_STREAMS_MAX - 1);
  await (await open()).body!.cancel();
  expect(streams.count).toBe(ENTRY_STREAMS_MAX - 1);
  const failing = await open();
  store.fault = new KvError("unavailable", "the store is closed");
  // What was read before is still answered.
  await expect(failing.text()).resolves.toContain('"key":"b"');
  expect(streams.count).toBe(ENTRY_STREAMS_MAX - 1);
});

/** A bench over 200 entries, and the revisions that are pinned. */
async function openPinned() {
  const inner = openModel();
  await fill(inner, "k", 200, "x".repeat(10_000));
  const pinned: number[] = [];
  const pin = (revision: number): (() => void) => {
    pinned.push(revision);
    return () => void pinned.splice(pinned.indexOf(revision), 1);
  };
  const store = altered(inner, { pin });
  const { answer } = openHandlerBench({ store });
  const ask = async (query: string, init: RequestInit = {}) =>
    (await answer(`/v1/kv?${query}`, { headers: NDJSON, ...init }))!;
  return { inner, pinned, ask };
}

describe("the revision of a stream is pinned", () => {
  test("while there is more to read, and no longer", async () => {
    const { pinned, ask } = await openPinned();
    const whole = await ask("");
    expect(pinned).toEqual([1]);
    await whole.text();
    expect(pinned).toEqual([]);
    await (await ask("")).body!.cancel();
    expect(pinned).toEqual([]);
  });

  test("as the one that was asked for", async () => {
    const { inner, pinned, ask } = await openPinned();
    await write(inner, put("later"));
    const old = await ask("revision=1");
    expect(pinned).toEqual([1]);
    await old.body!.cancel();
    expect(pinned).toEqual([]);
  });

  test("not where the first piece is all, or only the head is wanted, or nothing is new", async () => {
    const { pinned, ask } = await openPinned();
    const short = await ask("limit=5");
    expect(pinned).toEqual([]);
    await short.text();
    expect((await ask("", { method: "HEAD" })).status).toBe(200);
    const headers = { ...NDJSON, "If-None-Match": '"1"' };
    expect((await ask("", { headers })).status).toBe(304);
    const unmet = { ...NDJSON, "If-Match": '"7"' };
    expect((await ask("", { headers: unmet })).status).toBe(412);
    expect(pinned).toEqual([]);
  });
});

test("a range that was deleted is streamed as it was", async () => {
  const { revision } = await write(server.store, put("gone/1"), put("gone/2"));
  await write(server.store, del("gone/1"), del("gone/2"));
  expect(await keysOf(`prefix=gone/&revision=${revision}`)).toEqual(["gone/1", "gone/2"]);
  expect(await keysOf("prefix=gone/")).toEqual([]);
});
