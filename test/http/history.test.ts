/** The changes of a key, and what compaction leaves of them. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { JsonHistory } from "../../src/json.ts";
import { bytes, del, put, putFor, write } from "../support/stores.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

let server: TestServer;

beforeEach(async () => {
  server = await startTestServer();
});

afterEach(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

async function history(target: string): Promise<JsonHistory> {
  const answer = await server.fetch(`/v1/history/${target}`);
  expect(answer.status).toBe(200);
  const page = (await answer.json()) as JsonHistory;
  expect(answer.headers.get("etag")).toBe(`"${page.revision}"`);
  expect(answer.headers.get("cache-control")).toBe("no-cache");
  return page;
}

function compact(revision: number): Promise<Response> {
  return server.fetch(`/v1/compact?revision=${revision}`, { method: "POST" });
}

/** Puts and deletes a key so that its last changes are known by their revisions. */
async function change(): Promise<number[]> {
  const revisions: number[] = [];
  for (const operation of [put("k", "1"), put("k", "2"), del("k"), put("k", bytes("é"))]) {
    revisions.push((await write(server.store, operation, put("other"))).revision);
  }
  return revisions;
}

test("every change of a key is there, the newest first", async () => {
  const [first, second, third, fourth] = (await change()) as [number, number, number, number];
  const page = await history("k");
  const common = { key: "k", contentType: "text/plain; charset=utf-8" };
  expect(page).toEqual({
    revision: fourth,
    entries: [
      { type: "put", ...common, value: "é", revision: fourth, createRevision: fourth, version: 1 },
      { type: "delete", key: "k", revision: third },
      { type: "put", ...common, value: "2", revision: second, createRevision: first, version: 2 },
      { type: "put", ...common, value: "1", revision: first, createRevision: first, version: 1 },
    ],
  });
  const { entries } = await history("k?keys");
  for (const entry of entries) expect(entry).not.toHaveProperty("value");
});

test("a key that never was has an empty history", async () => {
  const { revision } = await write(server.store, put("other"));
  expect(await history("never")).toEqual({ revision, entries: [] });
});

test("an expiry is a change of its own kind", async () => {
  const { revision } = await write(server.store, putFor("brief", "x", 1));
  expect((await server.fetch(`/v1/kv/brief?wait=${revision}`)).status).toBe(404);
  const { entries } = await history("brief");
  expect(entries[0]).toEqual({
    type: "expire",
    key: "brief",
    revision: expect.any(Number) as number,
  });
  expect(entries[1]).toMatchObject({ type: "put", expiresAt: expect.any(String) as string });
});

test.each([1, 2, 3, 4, 5])("in pages of %d every change is there once", async (limit) => {
  const revisions = await change();
  const seen: number[] = [];
  let query = `?limit=${limit}`;
  for (;;) {
    const { entries, more } = await history(`k${query}`);
    expect(entries.length).toBeLessThanOrEqual(limit);
    seen.push(...entries.map(({ revision }) => revision));
    if (more !== true) break;
    query = `?limit=${limit}&before=${entries.at(-1)!.revision}`;
  }
  expect(seen).toEqual(revisions.toReversed());
});

describe("compaction", () => {
  test("makes a revision the oldest that can be read, and answers it", async () => {
    const [first, second, third] = (await change()) as [number, number, number];
    const answer = await compact(second);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe(`{"oldest":${second}}\n`);
    expect((await server.store.status()).oldest).toBe(second);
    expect((await server.fetch(`/v1/kv/k?revision=${second}`)).status).toBe(200);
    expect((await server.fetch(`/v1/kv/k?revision=${third}`)).status).toBe(404);
    for (const path of [`/v1/kv/k?revision=${first}`, `/v1/kv?revision=${first}`]) {
      const request = () => server.fetch(path);
      const refusal = { status: 410, code: "compacted", message: /./ } as const;
      expect((await expectRefusal(server, request, refusal)).oldest).toBe(second);
    }
  });

  test("takes no revision, and can be repeated but not undone", async () => {
    const revisions = await change();
    const newest = revisions.at(-1)!;
    expect(await (await compact(newest)).json()).toEqual({ oldest: newest });
    expect(await (await compact(newest)).json()).toEqual({ oldest: newest });
    expect((await server.store.status()).revision).toBe(newest);
    const lower = { status: 410, code: "compacted", message: `${newest - 1}` } as const;
    expect((await expectRefusal(server, () => compact(newest - 1), lower)).oldest).toBe(newest);
    const higher = {
      status: 400,
      code: "invalid_argument",
      message: /but the store is at/,
    } as const;
    const error = await expectRefusal(server, () => compact(newest + 1), higher);
    expect(error.revision).toBe(newest);
  });

  test("leaves what is there, and the history down to it", async () => {
    const [, second, third, fourth] = (await change()) as [number, number, number, number];
    await compact(second);
    const down = (await history("k")).entries.map(({ revision }) => revision);
    expect(down).toEqual([fourth, third, second]);
    await compact(third);
    expect((await history("k")).entries.map(({ revision }) => revision)).toEqual([fourth]);
    await write(server.store, put("other"));
    await compact((await server.store.status()).revision);
    expect((await history("k")).entries.map(({ revision }) => revision)).toEqual([fourth]);
    expect(await (await server.fetch("/v1/kv/k")).text()).toBe("é");
  });

  test("tells a history that begins too early what it may ask for", async () => {
    const [, second, third] = (await change()) as [number, number, number];
    await compact(second);
    expect((await history(`k?before=${second + 1}`)).entries).toMatchObject([{ value: "2" }]);
    for (const before of [second, second - 1]) {
      const request = () => server.fetch(`/v1/history/k?before=${before}`);
      const refusal = { status: 410, code: "compacted", message: `before is ${before}` } as const;
      expect((await expectRefusal(server, request, refusal)).oldest).toBe(second + 1);
    }
    expect((await history(`k?before=${third}`)).entries.length).toBe(1);
  });

  test("ends a listing whose pages are older", async () => {
    await change();
    const page = (await (await server.fetch("/v1/kv?limit=1")).json()) as { cursor: string };
    await write(server.store, put("later"));
    await compact((await server.store.status()).revision);
    const answer = await server.fetch(`/v1/kv?cursor=${page.cursor}`);
    expect(answer.status).toBe(410);
  });
});
