/** Binary frames over real sockets: what they do, in which order, and what they may take. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { decodeAnswers, type FrameAnswer } from "../../src/binary-answer.ts";
import { encodeRequest } from "../../src/binary-request.ts";
import { KvError } from "../../src/errors.ts";
import {
  FRAME_ANSWER_BYTES,
  FRAME_OPERATIONS_MAX,
  LIMITS,
  SOCKET_ANSWER_BYTES_MAX,
  TTL_MS_MAX,
} from "../../src/limits.ts";
import type { JsonEntry } from "../../src/json.ts";
import type { Subscriber } from "../../src/watch/subscriber.ts";
import { deleteFrame, getFrame, putFrame, shown } from "../support/frames.ts";
import { openModel } from "../support/model-store.ts";
import { openRawSocket } from "../support/raw-socket.ts";
import { openSocket, type SocketClient } from "../support/socket-client.ts";
import { startSocketServer, type SocketServer } from "../support/socket-server.ts";
import { put, write } from "../support/stores.ts";
import { answerOf, holdCommits, isAnswered, until } from "./socket-rig.ts";

const BINARY = 2;

describe("a frame", () => {
  let server: SocketServer;
  let client: SocketClient;

  beforeEach(async () => {
    server = startSocketServer(openModel());
    client = await openSocket(server.url);
  });

  afterEach(async () => {
    expect(server.errors).toEqual([]);
    await server.stop();
  });

  test("is done in the order of its operations", async () => {
    const answers = await client.many([
      getFrame("a"),
      putFrame("a", "one"),
      getFrame("a"),
      putFrame("a", "two"),
      putFrame("b", "three"),
      deleteFrame("a"),
      getFrame("a"),
      deleteFrame("a"),
      getFrame("b"),
    ]);
    expect(shown(answers)).toEqual([
      "absent 0",
      "put 1",
      "found one",
      "put 2",
      "put 3",
      "deleted 4",
      "absent 4",
      "absent 4",
      "found three",
    ]);
  });

  test("without operations has no answers", async () => {
    expect(await client.many([])).toEqual([]);
  });

  test("keeps what JSON keeps, and shows it", async () => {
    const before = Date.now();
    await client.many([
      putFrame("text", "ä"),
      putFrame("bytes", new Uint8Array([255])),
      putFrame("type", "<p>", { contentType: "text/html" }),
      putFrame("json", "{}", { contentType: "application/json" }),
      putFrame("brief", "", { ttl: 60_000 }),
    ]);
    const types: unknown[] = [];
    for (const key of ["text", "bytes", "type", "json", "brief"]) {
      const { entry } = (await client.request({ op: "get", key })) as { entry?: unknown };
      const [found] = (await client.many([getFrame(key)])) as readonly FrameAnswer[];
      const { contentType, revision, createRevision, version, expiresAt } = entry as JsonEntry;
      types.push(contentType);
      expect(found).toMatchObject({ contentType, revision, createRevision, version });
      const deadline = expiresAt === undefined ? 0 : Date.parse(expiresAt);
      expect(found!.expiresAt).toBe(deadline);
      if (key === "brief") expect(deadline).toBeGreaterThanOrEqual(before + 60_000);
    }
    expect(types).toEqual([
      "text/plain; charset=utf-8",
      "application/octet-stream",
      "text/html",
      "application/json",
      "text/plain; charset=utf-8",
    ]);
  });

  test("whose operation fails does the others, with the error that JSON has", async () => {
    const long = "x".repeat(LIMITS.keyBytesMax + 1);
    const answers = (await client.many([
      putFrame("a", "one"),
      putFrame("", "one"),
      putFrame("b/../c", "one"),
      getFrame(long),
      { kind: 0, key: new Uint8Array([0xff]) },
      putFrame("a", "", { ttl: TTL_MS_MAX + 1 }),
      putFrame("a", "", { contentType: " text" }),
      getFrame("a"),
    ])) as FrameAnswer[];
    expect(shown(answers)).toEqual([
      "put 1",
      "failed invalid_argument",
      "failed invalid_argument",
      "failed too_large",
      "failed invalid_argument",
      "failed invalid_argument",
      "failed invalid_argument",
      "found one",
    ]);
    const { error } = await client.request({ op: "put", key: "b/../c", value: "one" });
    const { code, message } = answers[2]!.error!;
    expect(error).toEqual({ code, message });
  });

  test("of a watched key is seen like any other write", async () => {
    await client.request({ op: "watch" });
    await client.many([putFrame("a", "one"), deleteFrame("a")]);
    await client.until((message) => message["revision"] === 2 && "events" in message);
    const changes = client.messages.filter(({ type }) => type === "change");
    expect(changes.map(({ revision }) => revision)).toEqual([1, 2]);
  });

  test("that is none is refused with its id, and the connection stays", async () => {
    const good = encodeRequest(7, [putFrame("a", "one")]);
    const altered = (at: number, byte: number): Uint8Array => good.with(at, byte);
    const cases: [message: Uint8Array, id: number, code: string, text: RegExp][] = [
      [new Uint8Array(0), 0, "invalid_argument", /has 0 bytes/],
      [good.subarray(0, 7), 0, "invalid_argument", /has 7 bytes; its header alone has 12/],
      [good.subarray(0, 11), 7, "invalid_argument", /has 11 bytes/],
      [altered(0, 2), 7, "unsupported", /version 2; this server knows 1/],
      [altered(1, 2), 7, "invalid_argument", /of kind 2/],
      [altered(2, 1), 7, "invalid_argument", /third and fourth byte/],
      [altered(8, 2), 7, "invalid_argument", /within operation 1 of 2/],
      [altered(8, 0), 7, "invalid_argument", /20 bytes behind its 0 operations/],
      [altered(10, 1), 7, "too_large", /65537 operations in one frame; at most 10000/],
      [altered(12, 3), 7, "invalid_argument", /operation 0 is of the unknown kind 3/],
      [altered(12, 0), 7, "invalid_argument", /operation 0 is no put, but has a value/],
      [altered(13, 4), 7, "invalid_argument", /operation 0 has the unknown content type 4/],
      [altered(14, 2), 7, "invalid_argument", /within operation 0 of 1/],
      [altered(16, 2), 7, "invalid_argument", /1 bytes behind/],
      [altered(16, 4), 7, "invalid_argument", /ends after 32 bytes, within operation 0/],
    ];
    for (const [index, [message, id, code, text]] of cases.entries()) {
      client.send(message);
      await client.untilFrames(index + 1);
      const { answers, ...frame } = client.frames[index]!;
      expect(frame).toEqual({ id });
      expect(answers).toMatchObject({ code });
      expect((answers as KvError).message).toMatch(text);
    }
    expect(shown(await client.many([getFrame("a")]))).toEqual(["absent 0"]);
  });

  test("has as many operations as are allowed, and no more", async () => {
    const keys = Array.from({ length: FRAME_OPERATIONS_MAX }, (_, at) => getFrame(`${at}`));
    expect((await client.many(keys)) as unknown[]).toHaveLength(FRAME_OPERATIONS_MAX);
    expect(shown(await client.many([...keys, getFrame("a")]))).toEqual(["refused too_large"]);
  });

  test("leaves gets unread once its answers are large, and nothing else", async () => {
    const value = "x".repeat(FRAME_ANSWER_BYTES / 2);
    await client.many([putFrame("large", value)]);
    const answers = await client.many([
      getFrame("large"),
      getFrame("large"),
      getFrame("large"),
      putFrame("small", "one"),
      getFrame("small"),
      deleteFrame("small"),
    ]);
    const texts = shown(answers).map((text) => text.replace(value, "large"));
    expect(texts).toEqual(["found large", "found large", "unread", "put 2", "unread", "deleted 3"]);
    expect(shown(await client.many([getFrame("large")]))).toEqual([`found ${value}`]);
  });
});

describe("the order of a connection holds where", () => {
  test("a frame reads what is being written", async () => {
    const { store, held, release } = holdCommits();
    await using server = startSocketServer(store);
    const client = await openSocket(server.url);
    client.send({ id: 1, op: "put", key: "a", value: "one" });
    const reading = client.many([getFrame("a")]);
    await until(() => held.length === 1);
    expect(client.frames).toEqual([]);
    release();
    expect(shown(await reading)).toEqual(["found one"]);
    expect(isAnswered(client, 1)).toBe(true);
  });

  test("frames and requests write at the same time", async () => {
    const { store, held, release } = holdCommits();
    await using server = startSocketServer(store);
    const client = await openSocket(server.url);
    client.send({ id: 1, op: "put", key: "a", value: "1" });
    const first = client.many([putFrame("a", "2"), putFrame("a", "3")]);
    client.send({ id: 2, op: "put", key: "a", value: "4" });
    const second = client.many([deleteFrame("a")]);
    await until(() => held.length === 5);
    release();
    expect(shown(await first)).toEqual(["put 2", "put 3"]);
    expect(shown(await second)).toEqual(["deleted 5"]);
    expect(await answerOf(client, 2)).toMatchObject({ revision: 4 });
  });

  test("a frame both reads and writes", async () => {
    const { store, held, release } = holdCommits();
    await using server = startSocketServer(store);
    const client = await openSocket(server.url);
    client.send({ id: 1, op: "put", key: "a", value: "1" });
    const mixed = client.many([getFrame("a"), putFrame("a", "2"), getFrame("a")]);
    client.send({ id: 2, op: "put", key: "a", value: "3" });
    const last = client.many([getFrame("a")]);
    await until(() => held.length === 1);
    release();
    // The frame alone, and then what comes behind it.
    await until(() => held.length === 1);
    release();
    expect(shown(await mixed)).toEqual(["found 1", "put 2", "found 2"]);
    await until(() => held.length === 1);
    release();
    expect(shown(await last)).toEqual(["found 3"]);
  });
});

describe("what a frame may take is bounded:", () => {
  test("nothing is read from who takes no answers, and no answer is lost or altered", async () => {
    const store = openModel();
    const sizes = [1, 100_000];
    for (const size of sizes) await write(store, put(`${size}`, "x".repeat(size)));
    await using server = startSocketServer(store);
    const subscriber = Promise.withResolvers<Subscriber>();
    const connect = server.hub.connect.bind(server.hub);
    server.hub.connect = (one) => {
      subscriber.resolve(one);
      return connect(one);
    };
    const raw = await openRawSocket(server.url);
    raw.pause();
    for (let id = 1; id <= 400; id++) {
      const operations = [getFrame("1"), getFrame(`${sizes[id % 2]}`)];
      raw.sendFrame(BINARY, encodeRequest(id, operations));
    }
    const unsent = await subscriber.promise;
    await until(() => unsent.unsentBytes() > SOCKET_ANSWER_BYTES_MAX);
    await Bun.sleep(20);
    expect(unsent.unsentBytes()).toBeLessThan(SOCKET_ANSWER_BYTES_MAX + 101_000);
    raw.resume();
    await raw.until(() => raw.frames.length === 400);
    for (const [index, bytes] of raw.frames.entries()) {
      const { id, answers } = decodeAnswers(bytes);
      expect(id).toBe(index + 1);
      expect(shown(answers).map(({ length }) => length)).toEqual([7, 6 + sizes[id % 2]!]);
    }
    raw.destroy();
  });
});

test("a frame that the server cannot do is an internal error, and is reported", async () => {
  const store = openModel();
  const fault = new Error("a fault");
  store.get = () => {
    throw fault;
  };
  await using server = startSocketServer(store);
  const client = await openSocket(server.url);
  expect(shown(await client.many([getFrame("a"), putFrame("a", "")]))).toEqual([
    "failed internal",
    "put 1",
  ]);
  expect(server.errors).toMatchObject([{ code: "internal", cause: fault }]);
});

test("a store that refuses many at once refuses the frame", async () => {
  const store = openModel();
  Object.assign(store, {
    many: () => {
      throw new KvError("unavailable", "closed");
    },
  });
  await using server = startSocketServer(store);
  const client = await openSocket(server.url);
  expect(shown(await client.many([getFrame("a")]))).toEqual(["refused unavailable"]);
});

test("a frame that comes during a stop is refused, one that has begun is answered", async () => {
  const { store, held, release } = holdCommits();
  const server = startSocketServer(store);
  const client = await openSocket(server.url);
  const first = client.many([putFrame("a", "1")]);
  await until(() => held.length === 1);
  const stopped = server.stop();
  const second = client.many([putFrame("a", "2")]);
  expect(shown(await second)).toEqual(["refused unavailable"]);
  release();
  expect(shown(await first)).toEqual(["put 1"]);
  await stopped;
});
