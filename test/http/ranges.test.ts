/** Listings both ways, folders and counts, and the deletion of ranges. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { JsonEntry } from "../../src/json.ts";
import { openModel } from "../support/model-store.ts";
import { put, write } from "../support/stores.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

interface Page {
  revision: number;
  entries: JsonEntry[];
  folders?: string[];
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

async function page(query: string, from = server): Promise<Page> {
  const answer = await from.fetch(`/v1/kv?${query}`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("vary")).toBe("Accept");
  return (await answer.json()) as Page;
}

/** The keys and folders of a listing, page by page. */
async function walk(query: string, limit: number, from = server): Promise<string[]> {
  const seen: string[] = [];
  let next = `${query}&limit=${limit}`;
  for (;;) {
    const { entries, folders = [], cursor } = await page(next, from);
    expect(entries.length + folders.length).toBeLessThanOrEqual(limit);
    seen.push(...entries.map(({ key }) => key), ...folders);
    if (cursor === undefined) return seen;
    expect(seen.length).toBeLessThan(100);
    next = `cursor=${cursor}&limit=${limit}`;
  }
}

async function remove(query: string): Promise<unknown> {
  const answer = await server.fetch(`/v1/kv?${query}`, { method: "DELETE" });
  expect(answer.status).toBe(200);
  return answer.json();
}

/** The keys that deletions have left of theirs. */
async function left(): Promise<string[]> {
  const { entries } = await server.store.list({ start: "d", end: "f" });
  return entries.map(({ key }) => key);
}

describe("a listing", () => {
  const tree = ["t/", "t/a", "t/b/1", "t/b/2", "t/b/c/3", "t/d", "t/e/4", "t/\u{10000}/5", "t/~"];

  beforeAll(async () => {
    await write(server.store, ...["s", ...tree, "u"].map((key) => put(key, key)));
  });

  test.each([1, 2, 3, 100])(
    "backwards in pages of %d is the listing from its end",
    async (limit) => {
      const forwards = await walk("prefix=t/", limit);
      expect(forwards.length).toBe(tree.length);
      expect(await walk("prefix=t/&reverse", limit)).toEqual(forwards.toReversed());
    },
  );

  test("backwards shows the state of its first page on every page", async () => {
    const first = await page("prefix=t/&reverse&limit=2");
    await write(server.store, put("t/zz", "late"), put("t/a", "late"));
    const rest = await page(`cursor=${first.cursor}&reverse=true&limit=100`);
    expect(rest.revision).toBe(first.revision);
    expect(rest.entries.at(-1)).toMatchObject({ key: "t/" });
    expect(rest.entries.at(-2)).toMatchObject({ key: "t/a", value: "t/a" });
    await write(server.store, { op: "delete", key: "t/zz" }, put("t/a", "t/a"));
  });

  test("with a delimiter has folders, each once, and the keys outside them", async () => {
    const { entries, folders } = await page("prefix=t/&delimiter=/");
    expect(entries.map(({ key }) => key)).toEqual(["t/", "t/a", "t/d", "t/~"]);
    expect(folders).toEqual(["t/b/", "t/e/", "t/\u{10000}/"]);
    expect(entries[1]).toMatchObject({ value: "t/a" });
    const back = await page("prefix=t/&delimiter=/&reverse&keys");
    expect(back.folders).toEqual(folders!.toReversed());
    expect(back.entries[0]).not.toHaveProperty("value");
    expect((await page("prefix=t/b/&delimiter=/")).folders).toEqual(["t/b/c/"]);
    expect((await page("prefix=t/none/&delimiter=/")).folders).toEqual([]);
    expect(await page("prefix=t/&limit=1")).not.toHaveProperty("folders");
  });

  test("takes more than one character as a delimiter", async () => {
    await write(server.store, put("m::a"), put("m::b::1"), put("m::b::2"), put("m::b:3"));
    const { entries, folders } = await page("prefix=m::&delimiter=::");
    expect(entries.map(({ key }) => key)).toEqual(["m::a", "m::b:3"]);
    expect(folders).toEqual(["m::b::"]);
  });

  test.each([1, 2, 3, 100])("with a delimiter in pages of %d has all once", async (limit) => {
    const all = ["t/", "t/a", "t/b/", "t/d", "t/e/", "t/~", "t/\u{10000}/"];
    for (const query of ["prefix=t/&delimiter=/", "prefix=t/&delimiter=/&reverse"]) {
      const seen = await walk(query, limit);
      expect(seen.length).toBe(all.length);
      expect(new Set(seen)).toEqual(new Set(all));
    }
  });

  test.each([1, 2, 100])("of bounds inside folders in pages of %d has all once", async (limit) => {
    await using own = await startTestServer({ store: openModel() });
    await write(own.store, ...tree.map((key) => put(key)));
    const query = "start=t/b/2&end=t/e/5&delimiter=/b/";
    const all = ["t/b/", "t/d", "t/e/4"];
    expect((await walk(query, limit, own)).sort()).toEqual(all);
    expect((await walk(`${query}&reverse`, limit, own)).sort()).toEqual(all);
  });

  test("as a count is the number of entries, folders or not", async () => {
    const { revision } = await server.store.status();
    const answer = await server.fetch("/v1/kv?prefix=t/&count");
    expect(await answer.text()).toBe(`{"revision":${revision},"count":${tree.length}}\n`);
    expect(answer.headers.get("etag")).toBe(`"${revision}"`);
    const old = await server.fetch("/v1/kv?prefix=t/&count=true&revision=0");
    expect(await old.json()).toEqual({ revision: 0, count: 0 });
    const none = await server.fetch("/v1/kv?start=x&end=x&count");
    expect(await none.json()).toEqual({ revision, count: 0 });
  });

  test("of a prefix that ends at the end of Unicode has its keys and no others", async () => {
    const last = "\u{10ffff}";
    await write(server.store, put(`${last}a`), put(`${last}${last}`), put("\u{10fffe}z"));
    const name = encodeURIComponent(last);
    expect(await walk(`prefix=${name}`, 1)).toEqual([`${last}a`, `${last}${last}`]);
    expect(await walk(`prefix=${name}&reverse`, 1)).toEqual([`${last}${last}`, `${last}a`]);
  });
});

describe("the deletion of a range", () => {
  beforeEach(async () => {
    await write(server.store, ...["d/1", "d/2", "d/3", "d/4", "e"].map((key) => put(key)));
  });

  test("takes a prefix", async () => {
    const { revision } = await server.store.status();
    expect(await remove("prefix=d/")).toEqual({ deleted: 4, revision: revision + 1 });
    expect(await left()).toEqual(["e"]);
    expect(await remove("prefix=d/")).toEqual({ deleted: 0, revision: revision + 1 });
  });

  test("takes bounds, either of which may be left out", async () => {
    expect(await remove("start=d/2&end=d/4")).toMatchObject({ deleted: 2 });
    expect(await left()).toEqual(["d/1", "d/4", "e"]);
    expect(await remove("start=e&end=d")).toMatchObject({ deleted: 0 });
    expect(await remove("start=e&end=f")).toMatchObject({ deleted: 1 });
  });

  test("with a limit takes the first keys, and says whether there are more", async () => {
    expect(await remove("prefix=d/&limit=3")).toMatchObject({ deleted: 3, more: true });
    expect(await left()).toEqual(["d/4", "e"]);
    const last = await remove("prefix=d/&limit=1");
    expect(last).toMatchObject({ deleted: 1 });
    expect(last).not.toHaveProperty("more");
  });

  test("is one revision with an event for each key", async () => {
    const { revision } = (await remove("prefix=d/")) as { revision: number };
    for (const key of ["d/1", "d/4"]) {
      const { entries } = await server.store.history(key, { limit: 1 });
      expect(entries).toEqual([{ type: "delete", key, revision }]);
    }
  });

  test("of everything needs to be said", async () => {
    expect(await remove("all=true&limit=1")).toMatchObject({ deleted: 1, more: true });
    const status = await server.store.status();
    expect(await remove("all")).toMatchObject({ deleted: status.keys });
    expect((await server.store.status()).keys).toBe(0);
    expect(await remove("prefix=&all")).toMatchObject({ deleted: 0 });
  });

  test("of more keys than a commit may hold is refused, and with a limit goes on", async () => {
    const keys = Array.from({ length: 10_001 }, (_, at) => put(`many/${100_000 + at}`));
    await write(server.store, ...keys.slice(0, 10_000));
    await write(server.store, ...keys.slice(10_000));
    const request = () => server.fetch("/v1/kv?prefix=many/", { method: "DELETE" });
    const refusal = { status: 413, code: "too_large", message: /10000/ } as const;
    const error = await expectRefusal(server, request, refusal);
    expect(error.limit).toBe(10_000);
    expect(error).not.toHaveProperty("index");
    expect(await remove("prefix=many/&limit=10000")).toMatchObject({ deleted: 10_000, more: true });
    expect(await remove("prefix=many/")).toMatchObject({ deleted: 1 });
  });
});
