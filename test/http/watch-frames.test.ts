/** Watches over HTTP: what they begin with, what they send, and from where they can be resumed. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FRAME_BYTES_MAX } from "../../src/limits.ts";
import type { Operation } from "../../src/kv.ts";
import { schemaFaults } from "../support/api-description.ts";
import { del, put, putFor, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";
import {
  openWatchStream,
  type StreamFrame,
  type StreamTransport,
  type WatchStreamClient,
} from "../support/watch-stream.ts";

const TRANSPORTS: readonly StreamTransport[] = ["sse", "ndjson"];

let server: TestServer;
/** Of `old`, whose value was `1`, then `2`; everything below is compacted. */
let oldest: number;

beforeAll(async () => {
  server = await startTestServer();
  await write(server.store, put("old", "1"), put("gone"));
  await write(server.store, del("gone"));
  oldest = (await write(server.store, put("old", "2"))).revision;
  await write(server.store, put("a/1", "one"), put("b/1", "uno"));
  await server.store.compact(oldest);
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

async function now(): Promise<number> {
  return (await server.store.status()).revision;
}

function open(
  query: string,
  transport: StreamTransport,
  headers?: Record<string, string>,
): Promise<WatchStreamClient> {
  return openWatchStream(`${server.url}/v1/watch${query}`, transport, headers);
}

async function commit(...operations: Operation[]): Promise<number> {
  return (await write(server.store, ...operations)).revision;
}

/** Kinds with their ids, where there are any, and with what they say of revisions. */
function shape(frames: readonly StreamFrame[]): string[] {
  return frames.map(({ type, id, revision, entries, events }) => {
    const keys = [...((entries ?? events ?? []) as { key: string }[])].map(({ key }) => key);
    const said = [id === undefined ? "" : `id ${id}`, revision ?? "", ...keys];
    return [type, ...said].filter((text) => text !== "").join(" ");
  });
}

/** What `from`, `initial` and `Last-Event-ID` make of a watch; ids as SSE shows them. */
async function begin(
  query: string,
  transport: StreamTransport,
  headers?: Record<string, string>,
): Promise<string[]> {
  await using stream = await open(query, transport, headers);
  const last = await commit(put("a/last"));
  const frames = await stream.until(({ revision, type }) => type === "change" && revision === last);
  const { store } = await server.store.status();
  for (const frame of frames) {
    const namesStore = ["created", "reset", "sync"].includes(frame.type);
    expect(frame["store"]).toBe(namesStore ? store : undefined);
  }
  return shape(frames);
}

describe.each(TRANSPORTS)("a watch over HTTP as %s", (transport) => {
  /** The same without ids, which are there on SSE only. */
  const shown = (...frames: string[]): string[] =>
    transport === "sse" ? frames : frames.map((frame) => frame.replace(/ id \d+/, ""));

  test("begins with what comes, when nothing is asked for", async () => {
    const at = await now();
    expect(await begin("", transport)).toEqual(
      shown(`created id ${at} ${at}`, `change id ${at + 1} ${at + 1} a/last`),
    );
  });

  test("begins with what is there, when initial is", async () => {
    const at = await now();
    expect(await begin("?prefix=a/1&key=a/last&key=old&initial", transport)).toEqual(
      shown(
        `created ${at}`,
        "state a/1 a/last old",
        `sync id ${at} ${at}`,
        `change id ${at + 1} ${at + 1} a/last`,
      ),
    );
  });

  test("begins in the past, with and without initial, and shows no state then", async () => {
    const from = await commit(put("x", "1"));
    const next = await commit(put("x", "2"));
    for (const query of [`?from=${from}`, `?from=${from}&initial`]) {
      await using stream = await open(`${query}&key=x`, transport);
      const frames = await stream.until(({ revision }) => revision === next);
      expect(shape(frames)).toEqual(
        shown(
          `created id ${from - 1} ${from - 1}`,
          `change id ${from} ${from} x`,
          `change id ${next} ${next} x`,
        ),
      );
    }
  });

  test("may begin with the next revision", async () => {
    const at = await now();
    expect(await begin(`?from=${at + 1}`, transport)).toEqual(
      shown(`created id ${at} ${at}`, `change id ${at + 1} ${at + 1} a/last`),
    );
  });

  test.each(["Last-Event-ID", "last-event-id"])(
    "resumes behind %s, which beats from and initial",
    async (name) => {
      const id = await now();
      const next = await commit(put("a/next"));
      const frames = await begin("?prefix=a/&from=1&initial", transport, { [name]: `${id}` });
      expect(frames).toEqual(
        shown(
          `created id ${id} ${id}`,
          `change id ${next} ${next} a/next`,
          `change id ${next + 1} ${next + 1} a/last`,
        ),
      );
    },
  );

  test.each([
    ["compacted", (): string => `from=${oldest}`, {}],
    ["from another store", (): string => "from=1000000", {}],
    ["compacted, by its last event", (): string => "", { "Last-Event-ID": "0" }],
    ["from another store, by its last event", (): string => "", { "Last-Event-ID": "1000000" }],
  ] as const)(
    "begins anew where its history is %s and initial is set",
    async (_, query, headers) => {
      const at = await now();
      expect(await begin(`?key=a/last&initial&${query()}`, transport, headers)).toEqual(
        shown(
          `created ${at}`,
          `reset ${at}`,
          "state a/last",
          `sync id ${at} ${at}`,
          `change id ${at + 1} ${at + 1} a/last`,
        ),
      );
    },
  );

  test("shows what there was before, and leaves values out, when it is asked to", async () => {
    const from = await commit(put("p", "1"));
    await commit(put("p", "2"));
    const last = await commit(del("p"));
    const events = async (options: string): Promise<unknown[]> => {
      await using stream = await open(`?key=p&from=${from}${options}`, transport);
      const frames = await stream.until(({ revision }) => revision === last);
      return frames.flatMap((frame) => (frame["events"] as unknown[]) ?? []);
    };
    const plain = { type: "put", key: "p", contentType: "text/plain; charset=utf-8" };
    const first = { ...plain, value: "1", revision: from, createRevision: from, version: 1 };
    const second = { ...plain, value: "2", revision: from + 1, createRevision: from, version: 2 };
    const gone = { type: "delete", key: "p", revision: last };
    const { type: _, ...entry } = first;
    const { type: __, ...newer } = second;
    expect(await events("")).toEqual([first, second, gone]);
    expect(await events("&prev")).toEqual([
      first,
      { ...second, prev: entry },
      { ...gone, prev: newer },
    ]);
    const { value: ___, ...keyOnly } = first;
    const keys = await events("&keys");
    expect(keys[0]).toEqual(keyOnly);
    expect(keys.every((event) => !("value" in (event as object)))).toBe(true);
  });

  test("has one frame for a transaction, and another kind of event for an expiry", async () => {
    await using stream = await open("?prefix=t/", transport);
    const revision = await commit(put("t/1"), putFor("t/2", "soon", 20), put("t/3"), put("u"));
    const frames = await stream.until(({ events }) => JSON.stringify(events)?.includes('"expire"'));
    expect(shape(frames.slice(1))).toEqual(
      shown(
        `change id ${revision} ${revision} t/1 t/2 t/3`,
        `change id ${revision + 1} ${revision + 1} t/2`,
      ),
    );
  });

  test("can be resumed from the last part of a large commit, and from no other", async () => {
    await using stream = await open("?prefix=large/", transport);
    const value = "é".repeat(100_000);
    const revision = await commit(...["1", "2", "3"].map((key) => put(`large/${key}`, value)));
    const frames = await stream.until(({ type, more }) => type === "change" && more !== true);
    const parts = frames.slice(1);
    expect(parts.length).toBe(3);
    expect(parts.map(({ more }) => more)).toEqual([true, true, undefined]);
    expect(shape(parts)).toEqual(
      shown(
        `change ${revision} large/1`,
        `change ${revision} large/2`,
        `change id ${revision} ${revision} large/3`,
      ),
    );
    for (const line of stream.text().split("\n")) {
      expect(Buffer.byteLength(line)).toBeLessThanOrEqual(FRAME_BYTES_MAX);
    }
  });

  test("has a state of many parts, of which none is large and none has an id", async () => {
    const keys = Array.from({ length: 500 }, (_, at) => `s/${String(at).padStart(4, "0")}`);
    for (let at = 0; at < 500; at += 50) {
      await commit(...keys.slice(at, at + 50).map((key) => put(key, "é".repeat(2_000))));
    }
    await using stream = await open("?prefix=s/&initial", transport);
    const frames = await stream.until(({ type }) => type === "sync");
    const states = frames.slice(1, -1);
    expect(states.length).toBeGreaterThan(5);
    expect(states.every(({ type, id }) => type === "state" && id === undefined)).toBe(true);
    const entries = states.flatMap((frame) => frame["entries"] as { key: string }[]);
    expect(entries.map(({ key }) => key)).toEqual(keys);
    for (const line of stream.text().split("\n")) {
      expect(Buffer.byteLength(line)).toBeLessThanOrEqual(FRAME_BYTES_MAX);
    }
  });
});

test("the frames are as described, in both ways", async () => {
  const from = await commit(putFor("d", "1", 3_600_000), put("d2", new Uint8Array([0xff])));
  const last = await commit(put("d", "2"), del("d2"));
  for (const query of [`?from=${from}&prev`, `?from=${from}&keys`, "?initial&from=1"]) {
    for (const transport of TRANSPORTS) {
      await using stream = await open(query, transport);
      const isLast = ({ type, revision }: StreamFrame): boolean =>
        type !== "created" && type !== "reset" && revision === last;
      for (const { id: _, ...frame } of await stream.until(isLast)) {
        expect(schemaFaults("#/components/schemas/WatchFrame", frame)).toEqual([]);
      }
    }
  }
});

describe("a key's own URL, asked for events,", () => {
  test("is a watch of that key", async () => {
    const first = await commit(put("dir/key é", "1"), put("dir/key é2", "1"));
    const url = `${server.url}/v1/kv/dir%2Fkey%20%C3%A9`;
    await using live = await openWatchStream(url, "sse");
    await using past = await openWatchStream(`${url}?from=${first}&prev&keys`, "sse");
    await using state = await openWatchStream(`${url}?initial&latest`, "sse");
    const last = await commit(put("dir/key é", "2"), put("dir/key"));
    const until = async (stream: WatchStreamClient): Promise<string[]> =>
      shape(await stream.until(({ type, revision }) => type === "change" && revision === last));
    const key = "dir/key é";
    expect(await until(live)).toEqual([
      `created id ${first} ${first}`,
      `change id ${last} ${last} ${key}`,
    ]);
    expect(await until(past)).toEqual([
      `created id ${first - 1} ${first - 1}`,
      `change id ${first} ${first} ${key}`,
      `change id ${last} ${last} ${key}`,
    ]);
    expect(await until(state)).toEqual([
      `created ${first}`,
      `state ${key}`,
      `sync id ${first} ${first}`,
      `change id ${last} ${last} ${key}`,
    ]);
  });

  test("waits for a key that is absent", async () => {
    await using stream = await openWatchStream(`${server.url}/v1/kv/absent?initial`, "sse");
    const at = await now();
    const revision = await commit(put("absent"));
    const frames = await stream.until(({ type }) => type === "change");
    expect(shape(frames)).toEqual([
      `created ${at}`,
      `sync id ${at} ${at}`,
      `change id ${revision} ${revision} absent`,
    ]);
  });

  test.each([
    ["*/*", "text/plain; charset=utf-8"],
    ["text/*", "text/plain; charset=utf-8"],
    ["text/event-stream;q=0", "text/plain; charset=utf-8"],
    ["text/event-stream;q=0.5, */*", "text/plain; charset=utf-8"],
    ["text/event-stream, */*", "text/plain; charset=utf-8"],
    ["text/event-stream, */*;q=0.9", "text/event-stream"],
    ["Text/Event-Stream", "text/event-stream"],
  ])("answers Accept: %s with %s", async (accept, type) => {
    const abort = new AbortController();
    const init = { headers: { Accept: accept }, signal: abort.signal };
    const answer = await server.fetch("/v1/kv/old", init);
    expect(answer.headers.get("content-type")).toBe(type);
    abort.abort();
  });
});

test.each([
  [undefined, "application/x-ndjson"],
  ["*/*", "application/x-ndjson"],
  ["application/json", "application/x-ndjson"],
  ["application/x-ndjson", "application/x-ndjson"],
  ["text/event-stream", "text/event-stream"],
  ["text/event-stream, application/x-ndjson;q=0.5", "text/event-stream"],
])("/v1/watch answers Accept: %s with %s", async (accept, type) => {
  const abort = new AbortController();
  const headers: Record<string, string> = accept === undefined ? {} : { Accept: accept };
  const answer = await server.fetch("/v1/watch", { headers, signal: abort.signal });
  expect(answer.headers.get("content-type")).toBe(type);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.headers.get("x-accel-buffering")).toBe("no");
  expect(answer.headers.get("vary")).toBe("Accept");
  abort.abort();
});

test("a stream of events says first when to come back, and says so once", async () => {
  await using stream = await open("?initial", "sse");
  await stream.until(({ type }) => type === "sync");
  expect(stream.text().startsWith("retry: 1000\n\nevent: created\n")).toBe(true);
  expect(stream.comments).toEqual(["retry: 1000"]);
});
