/** `getMany`, `putMany`, `deleteMany`: what they do, and what the caller is told of what fails. */

import { describe, expect, test } from "bun:test";
import { AnswerWriter } from "../../src/binary-answer.ts";
import {
  connect,
  KvError,
  KvManyError,
  type ErrorCode,
  type KvClient,
} from "../../src/client/index.ts";
import { CLIENT_FRAME_ATTEMPTS_MAX, CLIENT_FRAME_OPERATIONS } from "../../src/limits.ts";
import { openModel } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";
import { startFrameServer, type Fate, type FrameServer } from "./frame-server.ts";

/** Frames, requests where there is no WebSocket, and requests where none can be opened. */
const WAYS = {
  frames: [undefined, "websocket"],
  "requests, as it is told to": [undefined, "http"],
  "requests, as no WebSocket is let through": ["none", "websocket"],
  "requests, as what answers is no kv": ["chat", "websocket"],
  "requests, as the upgrade is never answered": ["late", "websocket"],
} as const;

function begin(
  protocol: string | undefined,
  transport: "http" | "websocket",
): [FrameServer, KvClient] {
  const server = startFrameServer(protocol === undefined ? {} : { protocol });
  // Half of it is for the upgrade.
  const timeoutMs = protocol === "late" ? 400 : 10_000;
  return [server, connect(server.url, { transport, timeoutMs })];
}

for (const [way, [protocol, transport]] of Object.entries(WAYS)) {
  describe(`over ${way}`, () => {
    test("many are put, read and deleted as one by one", async () => {
      const [server, kv] = begin(protocol, transport);
      const puts = await kv.putMany([
        { key: "text", value: "ä" },
        { key: "bytes", value: new Uint8Array([255]) },
        { key: "blob", value: new Blob(["<p>"], { type: "text/html" }) },
        { key: "typed", value: "{}", contentType: "application/json" },
        { key: "brief", value: "", ttl: "1h" },
        { key: "text", value: "é" },
      ]);
      const { revision, version, createRevision } = puts[5]!;
      expect({ key: puts[5]!.key, version, createRevision }).toEqual({
        key: "text",
        version: 2,
        createRevision: puts[0]!.revision,
      });
      expect(revision).toBeGreaterThan(puts[0]!.revision);
      expect(puts[4]!.expiresAt).toBeGreaterThan(Date.now());
      const keys = ["brief", "none", "text", "bytes", "blob", "typed", "text"];
      const entries = await kv.getMany(keys);
      const single = connect(server.url, { transport: "http" });
      for (const [index, key] of keys.entries()) {
        expect(entries[index]).toEqual((await single.get(key)) as never);
      }
      expect(entries[2]!.text()).toBe("é");
      expect(entries[5]!.json<object>()).toEqual({});
      const deletes = await kv.deleteMany(["blob", "none", "blob"]);
      expect(deletes.map(({ deleted }) => deleted)).toEqual([1, 0, 0]);
      expect(await kv.getMany(["blob"])).toEqual([undefined]);
      expect(server.frames.length > 0).toBe(way === "frames");
      await Promise.all([kv.close(), single.close()]);
      await server[Symbol.asyncDispose]();
    });

    test("nothing is asked where there is nothing to ask", async () => {
      const [server, kv] = begin(protocol, transport);
      expect(await kv.getMany([])).toEqual([]);
      expect(await kv.putMany([])).toEqual([]);
      expect(await kv.deleteMany([])).toEqual([]);
      expect([server.made, server.requests.length]).toEqual([0, 0]);
      await kv.close();
      await server[Symbol.asyncDispose]();
    });

    test("those that fail are told apart from those that do not", async () => {
      const [server, kv] = begin(protocol, transport);
      const { commit } = server.store;
      server.store.commit = (txn) => {
        const isBad = txn.then.some((operation) => "key" in operation && operation.key === "bad");
        if (isBad) return Promise.reject(new KvError("storage_full", "full"));
        return commit.call(server.store, txn);
      };
      const entries = ["a", "bad", "b", "bad"].map((key) => ({ key, value: key }));
      const error = (await expectFailure(kv.putMany(entries), "storage_full")) as KvManyError;
      expect(error).toBeInstanceOf(KvManyError);
      expect(error.details.index).toBe(1);
      expect(error.message).toBe("2 of 4 writes failed; the first is 1: full");
      const codes = error.results.map((result) => (result instanceof KvError ? result.code : "ok"));
      expect(codes).toEqual(["ok", "storage_full", "ok", "storage_full"]);
      expect(await kv.getMany(["a", "b"])).toMatchObject([{ key: "a" }, { key: "b" }]);
      const deleting = kv.deleteMany(["a", "bad"]);
      expect((await expectFailure(deleting, "storage_full")).details.index).toBe(1);
      const { get } = server.store;
      server.store.get = (key) => {
        if (key === "bad") throw new Error("a fault");
        return get.call(server.store, key);
      };
      const reading = expectFailure(kv.getMany(["b", "bad"]), "internal");
      expect((await reading).details.index).toBe(1);
      await kv.close();
      await server[Symbol.asyncDispose]();
    });
  });
}

/** The second one is refused. */
async function refused(running: Promise<unknown>, code: ErrorCode, message = /./): Promise<void> {
  const error = await expectFailure(running, code);
  expect(error.details.index).toBe(1);
  expect(error.message).toMatch(message);
}

test("what is none of many is refused with its index, before anything is sent", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  const good = { key: "a", value: "" };
  await refused(kv.getMany(["a", ""]), "invalid_argument");
  await refused(kv.deleteMany(["a", "x".repeat(1_025)]), "too_large");
  await refused(kv.putMany([good, { key: "../a", value: "" }]), "invalid_argument");
  await refused(kv.putMany([good, { ...good, ttl: "keep" }]), "invalid_argument");
  await refused(kv.putMany([good, { ...good, ttl: 0 }]), "invalid_argument");
  const withCondition = { ...good, ifAbsent: true };
  await refused(kv.putMany([good, withCondition]), "invalid_argument", /ifAbsent.* by itself/);
  await refused(kv.putMany([good, { ...good, contentType: "ä" }]), "invalid_argument");
  const large = new Uint8Array(16 * 1024 * 1024 + 1);
  await refused(kv.putMany([good, { key: "b", value: large }]), "too_large");
  expect([server.made, server.requests.length]).toEqual([0, 0]);
});

test("more than a frame takes goes in several, in order", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  const count = 5 * CLIENT_FRAME_OPERATIONS + 1;
  const keys = Array.from({ length: count }, (_, at) => `k${at % (count - 10)}`);
  const puts = await kv.putMany(keys.map((key, at) => ({ key, value: `${at}` })));
  expect(puts.map(({ revision }) => revision)).toEqual(keys.map((_, at) => at + 1));
  const entries = await kv.getMany(keys);
  expect(entries.map((entry) => entry!.key)).toEqual(keys);
  expect(entries[0]!.text()).toBe(`${count - 10}`);
  expect(server.frames.length).toBe(12);
});

test("values beyond what one answer takes are asked for again", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  const value = new Uint8Array(3 * 1024 * 1024);
  const keys = ["a", "b", "c", "d", "e"];
  await kv.putMany(keys.map((key, at) => ({ key, value: value.with(0, at) })));
  expect(server.frames).toEqual([1, 1, 1, 1, 1]);
  const entries = await kv.getMany(keys);
  expect(entries.map((entry) => [entry!.key, entry!.bytes[0]!])).toEqual(
    keys.map((key, at) => [key, at]),
  );
  expect(server.frames.slice(5)).toEqual([5, 3, 1]);
});

test("an entry does not keep the frame that it came in", async () => {
  await using server = startFrameServer();
  await using kv = connect(server.url);
  await kv.putMany([
    { key: "a", value: "one" },
    { key: "b", value: new Uint8Array(100_000) },
  ]);
  const [entry] = await kv.getMany(["a", "b"]);
  expect(entry!.bytes.buffer.byteLength).toBe(3);
});

/** A server on which these fates come one after the other, and then only answers. */
function startWith(...fates: Fate[]): FrameServer {
  return startFrameServer({ fate: () => fates.shift() ?? "answer" });
}

/** A frame that says of so many keys that they are absent. */
function absences(id: number, count: number): Uint8Array {
  const writer = new AnswerWriter(() => {});
  writer.begin(id);
  for (let at = 0; at < count; at++) writer.absent(1);
  return writer.end();
}

describe("when the connection breaks", () => {
  test("entries are asked for again", async () => {
    await using server = startWith("answer", "break", "lose");
    await using kv = connect(server.url);
    await kv.putMany([{ key: "a", value: "one" }]);
    expect((await kv.getMany(["a", "none"])).map((entry) => entry?.text())).toEqual([
      "one",
      undefined,
    ]);
    expect(server.frames).toEqual([1, 2, 2, 2]);
  });

  test("several frames that are lost with one connection count as one loss", async () => {
    await using server = startWith("silence", "silence", "silence", "break");
    await using kv = connect(server.url);
    const keys = Array.from({ length: 4 * CLIENT_FRAME_OPERATIONS }, (_, at) => `${at}`);
    expect(await kv.getMany(keys)).toEqual(keys.map(() => undefined));
    expect(server.made).toBe(2);
  });

  test("entries are not asked for again for ever", async () => {
    await using server = startWith(...Array.from({ length: 10 }, (): Fate => "break"));
    await using kv = connect(server.url);
    await expectFailure(kv.getMany(["a"]), "unavailable", "broke before the answer came");
    expect(server.frames.length).toBe(CLIENT_FRAME_ATTEMPTS_MAX);
  });

  for (const fate of ["break", "lose"] as const) {
    test(`writes are not sent again, and are unknown (${fate})`, async () => {
      await using server = startWith(fate);
      await using kv = connect(server.url);
      const writing = kv.putMany([
        { key: "a", value: "one" },
        { key: "b", value: "two" },
      ]);
      const error = (await expectFailure(writing, "outcome_unknown")) as KvManyError;
      expect(error.results).toMatchObject([
        { code: "outcome_unknown" },
        { code: "outcome_unknown" },
      ]);
      expect(server.frames).toEqual([2]);
      const revisions = (await kv.getMany(["a", "b"])).map((entry) => entry?.revision);
      expect(revisions).toEqual(fate === "lose" ? [1, 2] : [undefined, undefined]);
    });
  }

  test("writes that were not sent are not sent, and are told apart", async () => {
    await using server = startWith("answer", "lose");
    await using kv = connect(server.url);
    const entries = Array.from({ length: 10 * CLIENT_FRAME_OPERATIONS }, (_, at) => ({
      key: `${at}`,
      value: "",
    }));
    const error = (await expectFailure(kv.putMany(entries), "outcome_unknown")) as KvManyError;
    const codes = error.results.map((result) => (result instanceof KvError ? result.code : "ok"));
    expect(codes.slice(0, 1_000).every((code) => code === "ok")).toBe(true);
    expect(codes.slice(1_000, 2_000).every((code) => code === "outcome_unknown")).toBe(true);
    expect(codes.at(-1)).toBe("unavailable");
    // Everything that may have been applied is known to be that.
    const { revision } = server.store.status();
    expect(codes.indexOf("unavailable")).toBeGreaterThanOrEqual(revision);
  });

  const answers: [name: string, send: string | Uint8Array][] = [
    ["a text", "{}"],
    ["bytes that are no frame", new Uint8Array([1, 2, 3])],
    ["an answer to another frame", absences(99, 1)],
    ["an answer with too many", absences(1, 2)],
    ["an answer with too few", absences(1, 0)],
  ];
  for (const [name, send] of answers) {
    test(`${name} is none, and the connection is not used any more`, async () => {
      await using server = startWith({ send });
      await using kv = connect(server.url);
      expect(await kv.getMany(["a"])).toEqual([undefined]);
      expect([server.frames.length, server.made]).toEqual([2, 2]);
    });
  }

  test("an answer of another kind than was asked for is none of kv's", async () => {
    await using server = startWith({ send: absences(1, 1) });
    await using kv = connect(server.url);
    await expectFailure(kv.putMany([{ key: "a", value: "" }]), "unavailable", "something else");
  });
});

describe("where no answer comes", () => {
  test("entries are unavailable, writes are unknown, and the connection is given up", async () => {
    let isSilent = true;
    await using server = startFrameServer({ fate: () => (isSilent ? "silence" : "answer") });
    await using kv = connect(server.url);
    const options = { timeoutMs: 50 };
    await expectFailure(kv.getMany(["a"], options), "unavailable", "within 0.05 s");
    const writing = kv.putMany([{ key: "a", value: "" }], options);
    await expectFailure(writing, "outcome_unknown", "within 0.05 s");
    isSilent = false;
    expect(await kv.getMany(["a"])).toMatchObject([{ key: "a" }]);
    expect(server.made).toBe(3);
  });

  test("an abort ends it with its reason", async () => {
    await using server = startFrameServer({ fate: () => "silence" });
    const reason = new Error("enough");
    for (const own of [true, false]) {
      const controller = new AbortController();
      const { signal } = controller;
      await using kv = connect(server.url, own ? { signal } : {});
      const reading = kv.getMany(["a"], own ? {} : { signal });
      const before = server.frames.length;
      while (server.frames.length === before) await Bun.sleep(1);
      controller.abort(reason);
      expect(await reading.catch((error: unknown) => error)).toBe(reason);
      expect(await kv.getMany(["a"], { signal }).catch((error: unknown) => error)).toBe(reason);
    }
  });
});

test("a server that is not there is unavailable, and nothing waits for it", async () => {
  const server = startFrameServer();
  await server[Symbol.asyncDispose]();
  await using kv = connect(server.url);
  const keys = Array.from({ length: 5_000 }, (_, at) => `${at}`);
  await expectFailure(kv.getMany(keys), "unavailable");
  const error = await expectFailure(kv.deleteMany(keys), "unavailable");
  expect((error as KvManyError).results).toHaveLength(5_000);
});

test("requests of their own end with the first that cannot be done", async () => {
  await using server = startFrameServer();
  server.store.commit = () => Promise.reject(new KvError("unavailable", "too much to do"));
  await using kv = connect(server.url, { transport: "http" });
  const keys = Array.from({ length: 1_000 }, (_, at) => `${at}`);
  const error = (await expectFailure(kv.deleteMany(keys), "unavailable")) as KvManyError;
  expect(error.results.at(-1)).toMatchObject({ code: "unavailable" });
  expect((error.results.at(-1) as KvError).message).toContain("not sent");
  expect(server.requests.length).toBeLessThan(50);
});

test("no write of a key overtakes one that may still come to pass", async () => {
  const store = openModel();
  let commits = 0;
  store.commit = () => {
    commits++;
    return Promise.reject(new KvError("outcome_unknown", "it may have been applied"));
  };
  await using server = startFrameServer({ store });
  await using kv = connect(server.url, { transport: "http" });
  const entries = Array.from({ length: 8 }, (_, at) => ({ key: "a", value: `${at}` }));
  const error = (await expectFailure(kv.putMany(entries), "outcome_unknown")) as KvManyError;
  const [first, ...others] = error.results.map((result) => (result as KvError).code);
  expect(first).toBe("outcome_unknown");
  expect(new Set(others)).toEqual(new Set<ErrorCode>(["unavailable"]));
  expect(commits).toBe(1);
});

test("an endpoint that did not select kv's subprotocol gets no frame", async () => {
  await using server = startFrameServer();
  const own = globalThis.WebSocket;
  // As in a browser, which lets it pass; Bun refuses by itself.
  globalThis.WebSocket = class extends own {
    override get protocol(): string {
      return "";
    }
  } as typeof WebSocket;
  try {
    await using kv = connect(server.url);
    expect(await kv.getMany(["a"])).toEqual([undefined]);
    expect([server.frames.length, server.requests.length]).toEqual([0, 1]);
  } finally {
    globalThis.WebSocket = own;
  }
});

test("what the platform refuses to connect to is done by requests", async () => {
  await using server = startFrameServer();
  const own = globalThis.WebSocket;
  const reason = new Error("an insecure WebSocket on a secure page");
  globalThis.WebSocket = function refuse() {
    throw reason;
  } as unknown as typeof WebSocket;
  try {
    await using kv = connect(server.url, { transport: "websocket" });
    expect(await kv.getMany(["a"])).toEqual([undefined]);
    expect(server.requests.length).toBe(1);
  } finally {
    globalThis.WebSocket = own;
  }
});

test("writes of one key keep their order as requests of their own", async () => {
  const store = openModel();
  const { commit } = store;
  // The earlier one takes longer.
  let waits = 20;
  store.commit = async (txn) => {
    await Bun.sleep((waits -= 2));
    return await commit.call(store, txn);
  };
  await using server = startFrameServer({ store });
  await using kv = connect(server.url, { transport: "http" });
  const entries = Array.from({ length: 8 }, (_, at) => ({ key: "a", value: `${at}` }));
  const versions = (await kv.putMany(entries)).map(({ version }) => version);
  expect(versions).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect((await kv.get("a"))!.text()).toBe("7");
});
