/** Blocking reads: when they answer, with what, and what frees the one who waits. */

import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { ChangesOptions, Store } from "../../src/kv.ts";
import { openModel } from "../support/model-store.ts";
import { rawRequest } from "../support/raw-http.ts";
import { del, put, putFor, write } from "../support/stores.ts";
import { expectRefusal, startTestServer } from "../support/test-server.ts";

/** A server whose store tells how many streams of changes are read: one, while somebody waits. */
async function startWatched(options: Parameters<typeof startTestServer>[0] = {}) {
  const inner = openModel();
  const streams = { open: 0, begun: 0 };
  const store: Store = {
    ...forwarding(inner),
    changes(from: number, options?: ChangesOptions) {
      const changes = inner.changes(from, options);
      return (async function* () {
        streams.open++;
        streams.begun++;
        try {
          yield* changes;
        } finally {
          streams.open--;
        }
      })();
    },
  };
  const server = await startTestServer({ ...options, store });
  return { server, store, streams };
}

function forwarding(inner: Store): Store {
  return {
    limits: inner.limits,
    capabilities: inner.capabilities,
    get: (...args) => inner.get(...args),
    list: (...args) => inner.list(...args),
    history: (...args) => inner.history(...args),
    commit: (...args) => inner.commit(...args),
    compact: (...args) => inner.compact(...args),
    status: () => inner.status(),
    changes: (...args) => inner.changes(...args),
    close: () => inner.close(),
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(1);
}

/** The status of a wait with a condition, where `R` is the key's revision and `S` the next one. */
async function answerTo(header: string, changes: boolean): Promise<number> {
  const { server, store, streams } = await startWatched();
  await using _ = server;
  const { revision } = await write(store, put("key", "old"));
  const lines = [header.replaceAll("R", String(revision)).replaceAll("S", `${revision + 1}`)];
  const timeout = changes ? "30s" : "20ms";
  const target = `/v1/kv/key?wait=${revision}&timeout=${timeout}`;
  const waiting = server.raw(rawRequest("GET", target, lines));
  if (changes) {
    await until(() => streams.open === 1);
    await write(store, put("key", "new"));
  }
  return (await waiting)!.status;
}

describe("a wait answers", () => {
  test("at once, when the key has changed above the revision", async () => {
    await using server = await startTestServer();
    const { revision } = await write(server.store, put("key", "value"));
    for (const above of [0, revision - 1]) {
      const answer = await server.fetch(`/v1/kv/key?wait=${above}`);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("etag")).toBe(`"${revision}"`);
      expect(await answer.text()).toBe("value");
    }
  });

  test("when the key changes, and not when another does", async () => {
    const { server, store, streams } = await startWatched();
    await using _ = server;
    const { revision } = await write(store, put("key", "old"));
    let answered = false;
    const waiting = server.fetch(`/v1/kv/key?wait=${revision}`).then((answer) => {
      answered = true;
      return answer;
    });
    await until(() => streams.open === 1);
    await write(store, put("key2", "x"), put("ke", "x"));
    await server.fetch("/livez");
    expect(answered).toBe(false);
    const changed = await write(store, put("key", "new"));
    const answer = await waiting;
    expect(answer.headers.get("etag")).toBe(`"${changed.revision}"`);
    expect(await answer.text()).toBe("new");
    await until(() => streams.open === 0);
  });

  test("when an absent key comes to be", async () => {
    const { server, store, streams } = await startWatched();
    await using _ = server;
    const { revision } = await write(store, put("other"));
    const waits = [0, revision].map((above) => server.fetch(`/v1/kv/absent?wait=${above}&meta`));
    await until(() => streams.open === 1);
    const created = await write(store, put("absent", "here"));
    for (const answer of await Promise.all(waits)) {
      expect(answer.headers.get("kv-create-revision")).toBe(String(created.revision));
      expect(answer.headers.get("kv-store-revision")).toBe(String(created.revision));
      expect(await answer.text()).toBe("here");
    }
  });

  test.each(["deleted", "expired"])("404 when the key is %s above the revision", async (how) => {
    await using server = await startTestServer();
    const before = await write(server.store, putFor("key", "x", how === "expired" ? 60 : 60_000));
    const waiting = server.fetch(`/v1/kv/key?wait=${before.revision}`);
    await server.fetch("/livez");
    if (how === "deleted") await write(server.store, del("key"));
    const answer = await waiting;
    expect(answer.status).toBe(404);
    const gone = Number(answer.headers.get("kv-store-revision"));
    expect(gone).toBeGreaterThan(before.revision);
    // A later wait from before the deletion knows of it too; one from behind it waits on.
    const late = await server.fetch(`/v1/kv/key?wait=${before.revision}`);
    expect(late.status).toBe(404);
    const behind = await server.fetch(`/v1/kv/key?wait=${gone}&timeout=1ms`);
    expect(behind.status).toBe(304);
  });

  test("304 when the time is over, with the headers of what is there", async () => {
    await using server = await startTestServer();
    const { revision } = await write(server.store, putFor("key", "x", 3_600_000));
    const started = Date.now();
    const answer = await server.raw(rawRequest("GET", `/v1/kv/key?wait=${revision}&timeout=50ms`));
    expect(Date.now() - started).toBeGreaterThanOrEqual(49);
    expect(answer).toMatchObject({ status: 304, body: "" });
    expect([...answer!.headers.keys()].filter((name) => name !== "connection").sort()).toEqual([
      "cache-control",
      "date",
      "etag",
      "kv-store-revision",
      "x-content-type-options",
    ]);
    expect(answer!.headers.get("etag")).toBe(`"${revision}"`);
    const head = await server.raw(rawRequest("HEAD", `/v1/kv/key?wait=${revision}&timeout=1ms`));
    expect(head).toMatchObject({ status: 304, body: "" });
    expect(head!.headers.get("kv-version")).toBe("1");
    expect(head!.headers.has("kv-expires-at")).toBe(true);
  });

  test("304 for a key that stays absent, with the store's revision alone", async () => {
    await using server = await startTestServer();
    const { revision } = await write(server.store, put("other"));
    const answer = await server.raw(rawRequest("GET", "/v1/kv/absent?wait=0&timeout=1ms&meta"));
    expect(answer).toMatchObject({ status: 304, body: "" });
    expect(answer!.headers.get("kv-store-revision")).toBe(String(revision));
    expect(answer!.headers.has("etag")).toBe(false);
  });

  test("410 when it cannot know whether an absent key was deleted since", async () => {
    await using server = await startTestServer();
    await write(server.store, put("key"), put("kept"));
    await write(server.store, del("key"));
    const { revision } = await write(server.store, put("other"));
    await server.store.compact(revision);
    const request = () => server.fetch("/v1/kv/key?wait=1&timeout=1ms");
    const refusal = { status: 410, code: "compacted", message: "wait is 1" } as const;
    expect((await expectRefusal(server, request, refusal)).oldest).toBe(revision);
    for (const above of [0, revision]) {
      const answer = await server.fetch(`/v1/kv/key?wait=${above}&timeout=1ms`);
      expect(answer.status).toBe(304);
    }
    expect((await server.fetch("/v1/kv/kept?wait=1&timeout=1ms")).status).toBe(304);
  });
});

describe("conditions of a wait are those of its answer:", () => {
  test.each([
    ['If-None-Match: "R"', 200, 304],
    ['If-None-Match: "S"', 304, 304],
    ["If-None-Match: *", 304, 304],
    ['If-Match: "R"', 412, 304],
    ['If-Match: "S"', 200, 412],
    ["If-Match: *", 200, 304],
  ])("%s", async (header, changed, unchanged) => {
    expect(await answerTo(header, true)).toBe(changed);
    expect(await answerTo(header, false)).toBe(unchanged);
  });
});

describe("one who waits", () => {
  test("shares one stream of changes with all others", async () => {
    const { server, store, streams } = await startWatched();
    await using _ = server;
    const { revision } = await write(store, ...KEYS.map((key) => put(key)));
    const waits = KEYS.flatMap((key) =>
      [1, 2].map(() => server.fetch(`/v1/kv/${key}?wait=${revision}&meta`)),
    );
    await until(() => streams.open === 1);
    await server.fetch("/livez");
    await write(store, ...KEYS.map((key) => put(key, key)));
    const answers = await Promise.all(waits);
    expect(answers.map(({ status }) => status)).toEqual(waits.map(() => 200));
    expect(streams.begun).toBe(1);
    await until(() => streams.open === 0);
  });

  test("and disconnects is forgotten", async () => {
    const { server, store, streams } = await startWatched();
    await using _ = server;
    const { revision } = await write(store, put("key"));
    const request = rawRequest("GET", `/v1/kv/key?wait=${revision}&timeout=5m`);
    const client = connect(server.port, "127.0.0.1", () => client.write(request));
    client.on("error", () => {});
    await until(() => streams.open === 1);
    client.destroy();
    await until(() => streams.open === 0);
    expect(server.errors).toEqual([]);
  });

  test("is told at once that the server stops", async () => {
    const { server, store, streams } = await startWatched();
    const { revision } = await write(store, put("key"));
    const waits = [1, 2, 3].map(() => server.fetch(`/v1/kv/key?wait=${revision}&timeout=5m`));
    await until(() => streams.open === 1);
    await server.fetch("/livez");
    const started = Date.now();
    const stopped = server.stop();
    for (const answer of await Promise.all(waits)) {
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toBe("1");
      expect(await answer.json()).toMatchObject({ error: { code: "unavailable" } });
    }
    await stopped;
    expect(Date.now() - started).toBeLessThan(2_000);
  });
});

// --- internal ---

const KEYS = ["a", "b", "c", "d", "e"];
