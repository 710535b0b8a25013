/** Everything a client can send that is no request, and what it is answered. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SOCKET_MESSAGE_BYTES_MAX } from "../../src/limits.ts";
import { openRawSocket } from "../support/raw-socket.ts";
import { openSocket, type Received, type SocketClient } from "../support/socket-client.ts";
import { openModel } from "../support/model-store.ts";
import { startSocketServer } from "../support/socket-server.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

let server: TestServer;
let client: SocketClient;

beforeAll(async () => {
  server = await startTestServer();
  client = await openSocket(server.url);
  await client.request({ op: "put", key: "k", value: "v" });
});

afterAll(async () => {
  await server.stop();
});

/** Sends a message and resolves with the next one that comes. */
async function answerTo(message: unknown): Promise<Received> {
  const before = client.messages.length;
  client.send(message);
  return await client.until((received) => client.messages.indexOf(received) >= before);
}

/** The connection and the store are as before. */
async function expectUnchanged(): Promise<void> {
  const answer = await client.request({ op: "list" });
  expect(answer).toMatchObject({ type: "result", revision: 1, entries: [{ key: "k" }] });
}

describe("a message that is no request gets an error, and the connection stays", () => {
  const cases: [name: string, message: unknown, id: unknown, code: string, text: RegExp][] = [
    ["no JSON", "{", null, "invalid_argument", /not JSON/],
    ["nothing", "", null, "invalid_argument", /not JSON/],
    ["deep nesting", "[".repeat(400_000), null, "invalid_argument", /not JSON|object/],
    ["a list", "[1]", null, "invalid_argument", /must be an object/],
    ["null", "null", null, "invalid_argument", /must be an object/],
    ["no op", { id: 1 }, 1, "invalid_argument", /lacks the field "op"/],
    ["an unknown op", { id: 2, op: "putt" }, 2, "invalid_argument", /did you mean "put"/],
    ["no id", { op: "get", key: "k" }, null, "invalid_argument", /lacks the field "id"/],
    ["an id that is a fraction", { id: 1.5, op: "list" }, null, "invalid_argument", /integer/],
    ["an id that is null", { id: null, op: "list" }, null, "invalid_argument", /id/],
    ["an id beyond 2^53", '{"id":9007199254740993,"op":"list"}', null, "invalid_argument", /2\^53/],
    ["an id that is too long", { id: "x".repeat(65), op: "list" }, null, "too_large", /at most 64/],
    ["an unknown field", { id: 3, op: "get", key: "k", keys: 1 }, 3, "invalid_argument", /"keys"/],
    ["no key", { id: "a", op: "get" }, "a", "invalid_argument", /lacks the field "key"/],
    ["an empty key", { id: 4, op: "get", key: "" }, 4, "invalid_argument", /empty/],
    [
      "a dot segment",
      { id: 5, op: "put", key: "a/../b", value: "" },
      5,
      "invalid_argument",
      /"\.\."/,
    ],
    ["a long key", { id: 6, op: "get", key: "x".repeat(1025) }, 6, "too_large", /1024/],
    ["a key too long in bytes", { id: 7, op: "get", key: "ä".repeat(513) }, 7, "too_large", /1026/],
    ["a lone surrogate", '{"id":8,"op":"get","key":"\\ud800"}', 8, "invalid_argument", /surrogate/],
    ["no value", { id: 9, op: "put", key: "k" }, 9, "invalid_argument", /exactly one/],
    [
      "two values",
      { id: 10, op: "put", key: "k", value: "", base64: "" },
      10,
      "invalid_argument",
      /exactly one/,
    ],
    ["bad base64", { id: 11, op: "put", key: "k", base64: "!" }, 11, "invalid_argument", /base64/],
    [
      "a bad content type",
      { id: 12, op: "put", key: "k", value: "", contentType: "ä" },
      12,
      "invalid_argument",
      /contentType/,
    ],
    [
      "two conditions",
      { id: 13, op: "put", key: "k", value: "", ifAbsent: true, ifRevision: 1 },
      13,
      "invalid_argument",
      /exclude/,
    ],
    [
      "two kinds of range",
      { id: 14, op: "watch", key: "k", start: "k" },
      14,
      "invalid_argument",
      /one of/,
    ],
    [
      "a prefix with a start",
      { id: 15, op: "list", prefix: "k", start: "a" },
      15,
      "invalid_argument",
      /one of/,
    ],
    [
      "a limit of 0",
      { id: 16, op: "list", limit: 0 },
      16,
      "invalid_argument",
      /smallest allowed is 1/,
    ],
    ["a bad cursor", { id: 17, op: "list", cursor: "x" }, 17, "invalid_argument", /cursor/],
    ["from 0", { id: 18, op: "watch", from: 0 }, 18, "invalid_argument", /smallest allowed is 1/],
    ["a future start", { id: 19, op: "watch", from: 9 }, 19, "invalid_argument", /at revision 1/],
    ["a future read", { id: 20, op: "get", key: "k", revision: 9 }, 20, "invalid_argument", /./],
    ["an unknown watch", { id: 21, op: "unwatch", watch: 99 }, 21, "not_found", /no watch 99/],
    ["an absent key", { id: 22, op: "get", key: "none" }, 22, "not_found", /no key "none"/],
    [
      "a failed condition",
      { id: 23, op: "put", key: "k", value: "", ifAbsent: true },
      23,
      "precondition_failed",
      /revision 1/,
    ],
    [
      "a transaction with a bad operation",
      { id: 24, op: "txn", then: [{ op: "put", key: "k" }] },
      24,
      "invalid_argument",
      /then\[0\]/,
    ],
  ];
  test.each(cases)("%s", async (_name, message, id, code, text) => {
    const answer = await answerTo(message);
    expect(answer).toMatchObject({ id, type: "error", error: { code } });
    const { message: said } = answer["error"] as { message: string };
    expect(said).toMatch(text);
    expect(said).not.toContain("\n");
    await expectUnchanged();
  });
});

test("a failed condition says at which revision the key is", async () => {
  const answer = await answerTo({ id: 1, op: "delete", key: "k", ifRevision: 7 });
  expect(answer["error"]).toMatchObject({
    code: "precondition_failed",
    revision: 1,
    storeRevision: 1,
  });
});

test("a message beyond the limit closes the connection with 1009 and changes nothing", async () => {
  const raw = await openRawSocket(server.url);
  const head = Buffer.alloc(10 + 4);
  head[0] = 0x81;
  head[1] = 0xff;
  head.writeBigUInt64BE(BigInt(SOCKET_MESSAGE_BYTES_MAX + 1), 2);
  raw.sendBytes(head);
  expect(await raw.closed).toBe(1009);
  await expectUnchanged();
});

test("a text that is no UTF-8 closes that connection only", async () => {
  const raw = await openRawSocket(server.url);
  raw.sendFrame(1, new Uint8Array([0xff, 0xfe]));
  expect(await raw.closed).toBe(1007);
  await expectUnchanged();
});

describe("the upgrade", () => {
  test("of a plain GET is refused with what to do", async () => {
    const response = await server.fetch("/v1/ws");
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: "invalid_argument", message: expect.stringContaining("WebSocket client") },
    });
  });

  test("with parameters is refused", async () => {
    const response = await server.fetch("/v1/ws?token=x");
    expect(response.status).toBe(400);
  });

  test("selects the subprotocol when it is offered, and none otherwise", async () => {
    expect((await openSocket(server.url, ["other", "kv.v1"])).protocol).toBe("kv.v1");
    expect((await openSocket(server.url)).protocol).toBe("");
  });

  test("beyond the most connections is refused until one is closed", async () => {
    await using full = startSocketServer(openModel(), { connectionsMax: 2 });
    const [first] = [await openSocket(full.url), await openSocket(full.url)];
    const headers = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const response = await fetch(full.url, { headers });
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ error: { limit: 2 } });
    await first.close();
    await openSocket(full.url);
  });

  test("does not compress", async () => {
    expect((await openRawSocket(server.url)).head).not.toContain("permessage-deflate");
  });
});

test("nothing of all this was a fault of the server", () => {
  expect(server.errors).toEqual([]);
});
