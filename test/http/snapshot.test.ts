/** `GET /v1/snapshot` over a store whose copy the test makes: head, refusals, breaks, bounds. */

import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { KvError } from "../../src/errors.ts";
import type { SnapshotOptions, Store } from "../../src/kv.ts";
import { SNAPSHOT_STREAMS_MAX } from "../../src/limits.ts";
import { altered } from "../support/altered-store.ts";
import { openHandlerBench } from "../support/handler-bench.ts";
import { openModel } from "../support/model-store.ts";
import { rawRequest, untilClosed } from "../support/raw-http.ts";
import { bytes, put, write } from "../support/stores.ts";
import { expectRefusal, startTestServer } from "../support/test-server.ts";

const COPY = rawRequest("GET", "/v1/snapshot");

/** What was asked of a store's copies. */
interface Copies {
  readonly store: Store;
  readonly options: (SnapshotOptions | undefined)[];
  pulled: number;
  ended: number;
}

/** A store at revision 1 whose copy is what `pieces` yields. */
async function openCopied(pieces: () => Iterable<Uint8Array>): Promise<Copies> {
  const inner = openModel();
  await write(inner, put("k", "v"));
  const store = altered(inner, {
    capabilities: { history: true, snapshot: true },
    async *snapshot(options) {
      copies.options.push(options);
      try {
        for (const piece of pieces()) {
          copies.pulled++;
          yield piece;
        }
      } finally {
        copies.ended++;
      }
    },
  });
  const copies: Copies = {
    store,
    options: [],
    pulled: 0,
    ended: 0,
  };
  return copies;
}

function* three(): Iterable<Uint8Array> {
  yield bytes("one ");
  yield bytes("two ");
  yield bytes("three");
}

function* failing(error: Error, after: number): Iterable<Uint8Array> {
  for (let piece = 0; piece < after; piece++) yield new Uint8Array(100_000);
  throw error;
}

function* endless(): Iterable<Uint8Array> {
  for (;;) yield new Uint8Array(256 * 1024);
}

describe("a copy", () => {
  test("is its pieces, one after the other, with the store's id and revision", async () => {
    const copies = await openCopied(three);
    await using server = await startTestServer({ store: copies.store });
    const answer = await server.fetch("/v1/snapshot");
    expect(answer.status).toBe(200);
    const { store, revision } = await copies.store.status();
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-type": "application/x-kv-snapshot",
      "content-disposition": `attachment; filename="kv-${revision}.snapshot"`,
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      "kv-store-revision": String(revision),
      "kv-store-id": store,
    });
    expect(await answer.text()).toBe("one two three");
    expect(copies).toMatchObject({ options: [{}], pulled: 3, ended: 1 });
    expect(server.errors).toEqual([]);
  });

  test("of the newest part says so to the store, and in its name", async () => {
    const copies = await openCopied(three);
    await using server = await startTestServer({ store: copies.store });
    const answer = await server.fetch("/v1/snapshot?since=0");
    expect(answer.headers.get("content-disposition")).toContain('"kv-0-1.snapshot"');
    await answer.text();
    expect(copies.options).toEqual([{ since: 0 }]);
  });

  test("is only begun for HEAD", async () => {
    const copies = await openCopied(three);
    await using server = await startTestServer({ store: copies.store });
    const answer = await server.fetch("/v1/snapshot", { method: "HEAD" });
    expect(answer.headers.get("kv-store-revision")).toBe("1");
    expect(await answer.text()).toBe("");
    expect(copies).toMatchObject({ pulled: 1, ended: 1 });
  });

  test("is not for the pages of other origins", async () => {
    const copies = await openCopied(three);
    await using server = await startTestServer({ store: copies.store });
    const request = () =>
      server.fetch("/v1/snapshot", { headers: { Origin: "https://evil.example" } });
    await expectRefusal(server, request, {
      status: 403,
      code: "permission_denied",
      message: "--allowed-origins",
    });
    expect(copies.options).toEqual([]);
  });
});

describe("what is wrong before the first byte is a status", () => {
  test.each([
    ["compacted", 410, new KvError("compacted", "since is 1, which is too old", { oldest: 5 })],
    ["invalid_argument", 400, new KvError("invalid_argument", "since is 9, above the store's")],
    ["unavailable", 503, new KvError("unavailable", "the store is closed")],
  ] as const)("%s: %d", async (code, status, error) => {
    const copies = await openCopied(() => failing(error, 0));
    await using server = await startTestServer({ store: copies.store });
    for (const method of ["GET", "HEAD"]) {
      const answer = await server.fetch("/v1/snapshot?since=1", { method });
      expect(answer.status).toBe(status);
    }
    const request = () => server.fetch("/v1/snapshot?since=1");
    const refused = await expectRefusal(server, request, { status, code, message: error.message });
    expect(refused.oldest).toBe(error.details.oldest);
    // None of them holds a place.
    const many = Array.from({ length: SNAPSHOT_STREAMS_MAX + 1 }, request);
    for (const answer of await Promise.all(many)) expect(answer.status).toBe(status);
  });

  test.each(["since", "since=", "since=-1", "since=x", "since=1&since=2", "sinse=1"])(
    "?%s is 400, and nothing is begun",
    async (query) => {
      const copies = await openCopied(three);
      await using server = await startTestServer({ store: copies.store });
      const request = () => server.fetch(`/v1/snapshot?${query}`);
      const wrong = { status: 400, code: "invalid_argument", message: /since/ } as const;
      await expectRefusal(server, request, wrong);
      expect(copies.options).toEqual([]);
    },
  );

  test("conditions are refused, as a copy is of no key", async () => {
    const copies = await openCopied(three);
    await using server = await startTestServer({ store: copies.store });
    const request = () => server.fetch("/v1/snapshot", { headers: { "If-None-Match": '"1"' } });
    const wrong = { status: 400, code: "invalid_argument", message: "no key" } as const;
    await expectRefusal(server, request, wrong);
  });

  test("an engine without copies says so", async () => {
    const store = openModel();
    await using server = await startTestServer({ store });
    const request = () => server.fetch("/v1/snapshot");
    const wrong = { status: 415, code: "unsupported", message: "makes no backups" } as const;
    await expectRefusal(server, request, wrong);
  });
});

describe("a copy that fails in the middle breaks the connection", () => {
  test.each([
    ["and is no fault of the server", new KvError("unavailable", "the store is closed"), 0],
    ["and is reported", new KvError("internal", "a block does not read back"), 1],
    ["by a bug and is reported", new TypeError("a bug"), 1],
  ])("%s", async (_, fault, reported) => {
    const copies = await openCopied(() => failing(fault, 3));
    await using server = await startTestServer({ store: copies.store });
    const raw = await untilClosed(server.port, COPY);
    expect(raw.startsWith("HTTP/1.1 200 OK\r\n")).toBe(true);
    expect(raw.length).toBeGreaterThan(100_000);
    expect(raw.endsWith("0\r\n\r\n")).toBe(false);
    const answer = await server.fetch("/v1/snapshot");
    await expect(answer.bytes()).rejects.toThrow();
    expect(copies.ended).toBe(2);
    expect(server.errors).toEqual(Array.from({ length: 2 * reported }, () => fault));
  });
});

describe("a client", () => {
  test("that takes nothing has little read for it, and one that goes lets go of it", async () => {
    const copies = await openCopied(endless);
    await using server = await startTestServer({ store: copies.store });
    const client = connect(server.port, "127.0.0.1");
    client.on("error", () => {});
    client.pause();
    client.write(COPY);
    const pulled = await settled(() => copies.pulled);
    // What the system keeps for the connection is some MiB.
    expect(pulled).toBeLessThan(100);
    expect(copies.ended).toBe(0);
    client.destroy();
    while (copies.ended === 0) await server.fetch("/livez");
    expect(copies.pulled).toBeLessThanOrEqual(pulled + 1);
    expect(server.errors).toEqual([]);
  });
});

test("copies past the limit are turned away, until one has ended", async () => {
  const copies = await openCopied(three);
  const { context, answer } = openHandlerBench({ store: copies.store });
  const { snapshots } = context;
  const open = async () => (await answer("/v1/snapshot"))!;
  snapshots.count = SNAPSHOT_STREAMS_MAX - 1;
  const read = await open();
  expect(snapshots.count).toBe(SNAPSHOT_STREAMS_MAX);
  const refused = await open();
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("1");
  expect(await refused.json()).toMatchObject({ error: { limit: SNAPSHOT_STREAMS_MAX } });
  expect(await read.text()).toBe("one two three");
  expect(snapshots.count).toBe(SNAPSHOT_STREAMS_MAX - 1);
  await (await open()).body!.cancel();
  expect(snapshots.count).toBe(SNAPSHOT_STREAMS_MAX - 1);
});

/** Waits until a number has stopped growing. */
async function settled(read: () => number): Promise<number> {
  for (let last = -1; ;) {
    const now = read();
    if (now === last && now > 0) return now;
    last = now;
    await Bun.sleep(50);
  }
}
