/** Listings over HTTP: pages, what a page is read at, what an entry looks like. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { decodeCursor } from "../../src/protocol.ts";
import { del, put, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

interface Page {
  revision: number;
  entries: { key: string; value?: string; base64?: string }[];
  cursor?: string;
}

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

async function page(query: string): Promise<Page> {
  const answer = await server.fetch(`/v1/kv?${query}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Page;
}

function keysOf({ entries }: Page): string[] {
  return entries.map(({ key }) => key);
}

test("an empty store has an empty page", async () => {
  const answer = await server.fetch("/v1/kv");
  const { revision } = await server.store.status();
  expect(await answer.text()).toBe(`{"revision":${revision},"entries":[]}\n`);
  expect(answer.headers.get("etag")).toBe(`"${revision}"`);
  expect(answer.headers.get("cache-control")).toBe("no-cache");
  expect(answer.headers.get("content-type")).toBe("application/json");
});

test("an entry has its value as text or as base64, or is without it", async () => {
  const bytes = new Uint8Array([0xff, 0x00]);
  await write(server.store, put("shape/1", "é\n"), put("shape/2", bytes, "image/png"));
  const { revision, entries } = await page("prefix=shape/");
  const common = { revision, createRevision: revision, version: 1 };
  expect(entries as unknown[]).toEqual([
    { key: "shape/1", value: "é\n", contentType: "text/plain; charset=utf-8", ...common },
    { key: "shape/2", base64: "/wA=", contentType: "image/png", ...common },
  ]);
  const keys = await page("prefix=shape/&keys");
  expect(keys.entries as unknown[]).toEqual([
    { key: "shape/1", contentType: "text/plain; charset=utf-8", ...common },
    { key: "shape/2", contentType: "image/png", ...common },
  ]);
});

test("a range that ends at or below its start is empty", async () => {
  await write(server.store, put("bound/a"), put("bound/b"), put("bound/c"));
  expect(keysOf(await page("start=bound/a&end=bound/c"))).toEqual(["bound/a", "bound/b"]);
  for (const end of ["bound/b", "bound/a"]) {
    expect((await page(`start=bound/b&end=${end}`)).entries).toEqual([]);
  }
});

describe("a listing in pages", () => {
  const names = Array.from({ length: 25 }, (_, at) => `paged/${String(at).padStart(2, "0")}`);

  beforeAll(async () => {
    await write(server.store, ...names.map((key) => put(key, key)));
  });

  test.each([1, 2, 7, 24, 25, 26])("of %d has every key once and in order", async (limit) => {
    const seen: string[] = [];
    let next = `prefix=paged/&limit=${limit}`;
    for (;;) {
      const current = await page(next);
      expect(current.entries.length).toBeLessThanOrEqual(limit);
      seen.push(...keysOf(current));
      if (current.cursor === undefined) break;
      next = `limit=${limit}&cursor=${current.cursor}`;
    }
    expect(seen).toEqual(names);
  });

  test("shows the state of its first page on every page", async () => {
    const first = await page("prefix=paged/&limit=5");
    await write(server.store, del("paged/07"), put("paged/07x", "new"), put("paged/08", "new"));
    const rest = await page(`cursor=${first.cursor}&limit=100`);
    expect(rest.revision).toBe(first.revision);
    expect([...keysOf(first), ...keysOf(rest)]).toEqual(names);
    expect(rest.entries.map(({ value }) => value)).toEqual(names.slice(5));
    await write(server.store, put("paged/07", "paged/07"), del("paged/07x"));
  });

  test("takes the range again beside the cursor, when it is the same", async () => {
    const first = await page("prefix=paged/&limit=5");
    const { revision, cursor } = first;
    const plain = await page(`limit=5&cursor=${cursor}`);
    const again = await page(`limit=5&cursor=${cursor}&prefix=paged%2F&revision=${revision}`);
    expect(again).toEqual(plain);
    expect(decodeCursor(cursor!)).toMatchObject({ after: "paged/04", revision });
  });

  test("takes limit and keys anew on each page", async () => {
    const first = await page("start=paged/10&end=paged/20&limit=2&keys");
    expect(first.entries[0]).not.toHaveProperty("value");
    const second = await page(`cursor=${first.cursor}&limit=3`);
    expect(keysOf(second)).toEqual(["paged/12", "paged/13", "paged/14"]);
    expect(second.entries[0]).toHaveProperty("value");
  });

  test("has 1,000 entries a page without a limit", async () => {
    const many = Array.from({ length: 1001 }, (_, at) => put(`many/${10_000 + at}`));
    await write(server.store, ...many);
    const first = await page("prefix=many/&keys");
    expect(first.entries.length).toBe(1000);
    const second = await page(`keys&cursor=${first.cursor}`);
    expect(second.entries.length).toBe(1);
    expect(second.cursor).toBeUndefined();
    expect((await page("prefix=many/&keys&limit=10000")).entries.length).toBe(1001);
  });

  test("ends a page past 4 MiB of values", async () => {
    const value = new Uint8Array(1_500_000).fill(97);
    await write(server.store, ...["1", "2", "3", "4"].map((at) => put(`large/${at}`, value)));
    const first = await page("prefix=large/");
    expect(keysOf(first)).toEqual(["large/1", "large/2", "large/3"]);
    expect(keysOf(await page(`cursor=${first.cursor}`))).toEqual(["large/4"]);
  });
});

test("keys are in the order of their bytes", async () => {
  const keys = ["order/", "order/Z", "order/z", "order/é", "order/\uffff", "order/\u{10000}"];
  await write(server.store, ...keys.toReversed().map((key) => put(key)));
  expect(keysOf(await page("prefix=order/"))).toEqual(keys);
});
