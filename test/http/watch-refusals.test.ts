/** Watches over HTTP that cannot begin: each is a status before the first byte, and leaves no watcher. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { KvError, type ErrorCode } from "../../src/errors.ts";
import { WATCH_RANGES_MAX } from "../../src/limits.ts";
import { WatchStreams } from "../../src/http/watch-streams.ts";
import { openFaulty, type FaultyStore } from "../support/faulty-store.ts";
import { openHandlerBench } from "../support/handler-bench.ts";
import { openModel } from "../support/model-store.ts";
import { put, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

let store: FaultyStore;
let server: TestServer;

beforeAll(async () => {
  const model = openModel();
  store = openFaulty(model);
  server = await startTestServer({ store });
  for (const value of ["1", "2", "3", "4"]) await write(store, put("key", value));
  await model.compact(2);
});

afterEach(async () => {
  store.fault = undefined;
  const status = (await (await server.fetch("/v1/status")).json()) as { watchers: number };
  expect(status.watchers).toBe(0);
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

const SSE = { Accept: "text/event-stream" };

/** Expects a refusal, asked for either way. */
async function refused(
  target: string,
  status: number,
  code: ErrorCode,
  message: string,
  headers: Record<string, string> = {},
): Promise<void> {
  const own = target.startsWith("/v1/kv/") ? [SSE] : [SSE, {}];
  for (const accept of own) {
    const answer = await server.fetch(target, { headers: { ...accept, ...headers } });
    expect(answer.headers.get("content-type")).toBe("application/json");
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    expect({ status: answer.status, code: error.code }).toEqual({ status, code });
    expect(error.message).toContain(message);
    expect(answer.headers.has("retry-after")).toBe(status === 429 || status === 503);
  }
}

const MANY = Array.from({ length: WATCH_RANGES_MAX + 1 }, (_, at) => `key=${at}`).join("&");

describe("refused is a watch", () => {
  test.each([
    ["?frm=1", 'GET /v1/watch has no parameter "frm"; did you mean "from"?'],
    ["?limit=1", 'has no parameter "limit"'],
    ["?from=0", "the parameter from is 0; the smallest allowed is 1"],
    ["?from=01", "the parameter from must be a decimal integer"],
    ["?from", "the parameter from must be a decimal integer"],
    ["?from=3&from=3", "the parameter from is given twice"],
    ["?initial&initial", "the parameter initial is given twice"],
    ["?start=a&start=b", "the parameter start is given twice"],
    ["?latest=1", "the parameter latest must be true or false"],
    ["?key", "the parameter key needs a value"],
    ["?key=", "the parameter key needs a value"],
    ["?key=a&key=", "the parameter key needs a value"],
    ["?key=a/../b", 'the key has "." or ".." as a whole segment'],
    ["?key=a&key=a%2F..", 'the key has "." or ".." as a whole segment'],
    ["?prefix=%ff", "the parameter prefix has escapes that are not well-formed UTF-8"],
    ["?prefix=a&start=b", "name different ranges"],
    ["?key=a&end=b", "name different ranges"],
    ["?key=a&key=b&start=c", '"start" and "end" do not go with keys and prefixes'],
    ["?from=6", "from is 6, but the store is at revision 4"],
  ])("with %s (400)", async (query, message) => {
    await refused(`/v1/watch${query}`, 400, "invalid_argument", message);
  });

  test.each(["", " ", "x", "-1", "1.0", "01", "9007199254740991", '"3"', "3, 3"])(
    "with Last-Event-ID: %p (400)",
    async (id) => {
      const message = `Last-Event-ID is ${JSON.stringify(id.trim())}`;
      await refused("/v1/watch", 400, "invalid_argument", message, { "Last-Event-ID": id });
    },
  );

  test("with a condition (400)", async () => {
    for (const target of ["/v1/watch", "/v1/kv/key"]) {
      const headers = { "If-None-Match": '"1"' };
      await refused(
        target,
        400,
        "invalid_argument",
        "leave If-Match and If-None-Match out",
        headers,
      );
    }
  });

  test("whose history is gone (410), and says where it could begin", async () => {
    await refused("/v1/watch?from=2", 410, "compacted", "the smallest possible is 3");
    await refused("/v1/watch", 410, "compacted", "from is 2", { "Last-Event-ID": "1" });
    await refused("/v1/kv/key?from=1", 410, "compacted", "from is 1");
    const answer = await server.fetch("/v1/watch?from=1");
    expect(await answer.json()).toMatchObject({ error: { oldest: 3 } });
  });

  test("from beyond the next revision (400), also by its last event", async () => {
    const message = "from is 1001, but the store is at revision 4";
    await refused("/v1/watch", 400, "invalid_argument", message, { "Last-Event-ID": "1000" });
    const answer = await server.fetch("/v1/watch?from=6");
    expect(await answer.json()).toMatchObject({ error: { revision: 4 } });
  });

  test("of too long a key, or of too many (413)", async () => {
    const long = "a".repeat(1025);
    await refused(`/v1/watch?key=${long}`, 413, "too_large", "1025 bytes");
    await refused(`/v1/watch?prefix=a&prefix=${long}`, 413, "too_large", "1025 bytes");
    await refused(`/v1/watch?${MANY}`, 413, "too_large", "1001 keys and prefixes");
  });

  test("when the store is not there (503)", async () => {
    store.fault = new KvError("unavailable", "the store is away");
    await refused("/v1/watch", 503, "unavailable", "the store is away");
    store.fault = undefined;
  });

  test.each(["revision=3", "meta", "wait=3", "timeout=1s"])(
    "of a key with %s (400)",
    async (query) => {
      const message = `the parameter ${query.split("=")[0]} is not for a watch`;
      await refused(`/v1/kv/key?${query}`, 400, "invalid_argument", message);
    },
  );

  test.each(["from=3", "initial", "prev", "keys=false", "latest"])(
    "on the URL of a value, which takes no %s (400)",
    async (query) => {
      const answer = await server.fetch(`/v1/kv/key?${query}`);
      const message = `the parameter ${query.split("=")[0]} goes with Accept: text/event-stream only`;
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ error: { code: "invalid_argument", message } });
    },
  );

  test("by HEAD too, which begins none", async () => {
    for (const [query, status] of [
      ["", 200],
      ["?initial&from=1", 200],
      ["?from=1", 410],
      ["?from=9", 400],
    ] as const) {
      const answer = await server.fetch(`/v1/watch${query}`, { method: "HEAD" });
      expect(answer.status).toBe(status);
      expect(await answer.text()).toBe("");
    }
  });
});

test("as many keys and prefixes as are allowed are watched together", async () => {
  const abort = new AbortController();
  const query = MANY.split("&").slice(1).join("&");
  const answer = await server.fetch(`/v1/watch?${query}`, { signal: abort.signal });
  expect(answer.status).toBe(200);
  abort.abort();
  while (((await (await server.fetch("/v1/status")).json()) as { watchers: number }).watchers > 0) {
    await Bun.sleep(1);
  }
});

test("a stream past the limit is turned away (429), until one has ended", async () => {
  const watchStreams = new WatchStreams(2);
  const { answer, context } = openHandlerBench({ watchStreams });
  const open = async () => (await answer("/v1/watch"))!;
  const [first, second] = [await open(), await open()];
  expect(watchStreams.count).toBe(2);
  const refusal = await open();
  expect(refusal.status).toBe(429);
  expect(refusal.headers.get("retry-after")).toBe("1");
  expect(await refusal.json()).toMatchObject({ error: { code: "too_many_requests", limit: 2 } });
  await first.body!.cancel();
  expect([watchStreams.count, context.hub.watchers]).toEqual([1, 1]);
  const third = await open();
  expect(third.status).toBe(200);
  await Promise.all([second.body!.cancel(), third.body!.cancel()]);
  expect([watchStreams.count, context.hub.watchers]).toEqual([0, 0]);
});

test("streams that begin at the same time do not pass the limit together", async () => {
  const watchStreams = new WatchStreams(2);
  const { answer, context } = openHandlerBench({ watchStreams });
  const answers = await Promise.all([1, 2, 3, 4].map(() => answer("/v1/watch")));
  expect(answers.map((each) => each!.status).sort()).toEqual([200, 200, 429, 429]);
  expect([watchStreams.count, context.hub.watchers]).toEqual([2, 2]);
  for (const each of answers) await each!.body!.cancel();
  expect([watchStreams.count, context.hub.watchers]).toEqual([0, 0]);
});
