/** What a client makes of servers that are not there, are not kv, or do not answer. */

import { expect, test } from "bun:test";
import type { Socket } from "node:net";
import { connect, type KvClient } from "../../src/client/index.ts";
import { startServer } from "../../src/http/server.ts";
import { openRemoteStore } from "../../src/client/remote-store.ts";
import { openModel } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";
import { reply, startOddServer, unusedPort } from "./odd-server.ts";

const LARGE = new Uint8Array(100_000);

/** Every way to write. */
const writes: [name: string, write: (kv: KvClient) => Promise<unknown>][] = [
  ["a put", (kv) => kv.put("k", "v")],
  ["a large put", (kv) => kv.put("k", LARGE)],
  ["a delete", (kv) => kv.delete("k")],
  ["an increment", (kv) => kv.incr("k")],
  ["a touch", (kv) => kv.touch("k", "1m")],
  ["a range delete", (kv) => kv.deleteRange({ prefix: "k" })],
  ["a compaction", (kv) => kv.compact(1)],
  ["a transaction", (kv) => kv.txn({ then: [{ op: "delete", key: "k" }] })],
];

/** Every way to read. */
const reads: [name: string, read: (kv: KvClient) => Promise<unknown>][] = [
  ["a get", (kv) => kv.get("k")],
  ["a list", (kv) => Array.fromAsync(kv.list())],
  ["a count", (kv) => kv.count()],
  ["a history", (kv) => Array.fromAsync(kv.history("k"))],
  ["a status", (kv) => kv.status()],
  ["a wait", (kv) => kv.wait("k")],
  ["opening a store", (kv) => openRemoteStore(kv.url)],
];

test("where nobody listens, everything is unavailable and says the address", async () => {
  const kv = connect(`127.0.0.1:${await unusedPort()}`);
  for (const [, act] of [...reads, ...writes]) {
    await expectFailure(act(kv), "unavailable", `no server listens at ${kv.url}`);
  }
});

test("a host that nobody knows is named", async () => {
  const kv = connect("nowhere.invalid:5000");
  await expectFailure(kv.get("k"), "unavailable", 'the host "nowhere.invalid"');
  await expectFailure(kv.put("k", "v"), "unavailable", 'the host "nowhere.invalid"');
});

test("https where plain HTTP is spoken is told so, and no write was sent", async () => {
  const server = startServer({ store: openModel(), host: "127.0.0.1", port: 0 });
  const kv = connect(server.url.replace("http:", "https:"));
  const part = `the TLS handshake with ${kv.url} failed (EPROTO); if that server speaks plain HTTP,`;
  for (const [, act] of [...reads, ...writes]) await expectFailure(act(kv), "unavailable", part);
  await expectFailure(kv.watch()[Symbol.asyncIterator]().next(), "unavailable", part);
  await server.stop();
});

test("a path prefix that is wrong is told in one sentence", async () => {
  const server = startServer({ store: openModel(), host: "127.0.0.1", port: 0 });
  const kv = connect(`${server.url}/store`);
  const message = `kv answers at ${server.url}, but not below "/store"; the path prefix of the address may be wrong`;
  const watch = (): Promise<unknown> => kv.watch()[Symbol.asyncIterator]().next();
  for (const act of [
    ...[...reads, ...writes].map(
      ([, act]) =>
        () =>
          act(kv),
    ),
    watch,
  ]) {
    expect((await expectFailure(act(), "unknown_path")).message).toBe(message);
  }
  await server.stop();
});

const HTML = "<html>hello</html>";

const foreign: [name: string, answer: string, part: string][] = [
  ["a web page", reply("200 OK", "Content-Type: text/html", HTML), "status 200, text/html"],
  ["a page for what is not found", reply("404 Not Found", "X: y", HTML), "status 404"],
  [
    "other JSON",
    reply("200 OK", "Content-Type: application/json", '{"a":1}'),
    "not answer like kv",
  ],
  ["JSON that is no object", reply("200 OK", "Content-Type: application/json", "null"), "like kv"],
  ["another API's error", reply("400 Bad", "X: y", '{"error":"no"}'), "not answer like kv"],
  ["nothing", reply("204 No Content", "X: y", ""), "not answer like kv"],
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"],
  ["a redirect", reply("302 Found", "Location: http://other/", ""), 'redirects to "http://other/"'],
];

for (const [name, answer, part] of foreign) {
  test(`${name} is told from an answer of kv, and no write is believed`, async () => {
    await using server = await startOddServer((socket) => socket.end(answer));
    const kv = connect(server.url);
    for (const [, act] of [...reads, ...writes]) await expectFailure(act(kv), "unavailable", part);
  });
}

test("behind a gateway that fails, a write may have been applied", async () => {
  const answer = reply("502 Bad Gateway", "Content-Type: text/html", HTML);
  await using server = await startOddServer((socket) => socket.end(answer));
  const kv = connect(server.url);
  for (const [, read] of reads) await expectFailure(read(kv), "unavailable", "status 502");
  for (const [, write] of writes) await expectFailure(write(kv), "outcome_unknown", "status 502");
});

/** Each takes the request and then fails to answer it. */
const losses: [name: string, lose: (socket: Socket) => void][] = [
  ["closed", (socket) => socket.end()],
  ["reset", (socket) => socket.resetAndDestroy()],
  ["cut in the head", (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-")],
  ["cut in the body", (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"suc')],
];

for (const [name, lose] of losses) {
  test(`when the connection is ${name}, a read is unavailable and a write unknown`, async () => {
    await using server = await startOddServer(lose);
    const kv = connect(server.url);
    for (const [, read] of reads) await expectFailure(read(kv), "unavailable", "broke before");
    for (const [, write] of writes) {
      const error = await expectFailure(write(kv), "outcome_unknown", "may have been applied");
      expect(error.cause).toBeDefined();
    }
  });
}

test("no write is sent twice when a connection that was used before breaks", async () => {
  const ok = reply(
    "404 Not Found",
    "X: y",
    '{"error":{"code":"not_found","message":"m","storeRevision":1}}',
  );
  for (const [name, write] of writes) {
    let answered = 0;
    await using server = await startOddServer((socket) => {
      // One answer, so that the connection is kept; the write that comes next is lost.
      if (answered++ === 0) socket.write(ok);
      else socket.destroy();
    });
    const kv = connect(server.url);
    expect(await kv.get("warm")).toBeUndefined();
    await expectFailure(write(kv), "outcome_unknown");
    expect([name, server.requests.length]).toEqual([name, 2]);
  }
});

for (const [name, stall] of [
  ["at all", () => {}],
  [
    "to the end",
    (socket: Socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"),
  ],
] as const) {
  test(`a server that does not answer ${name} is given up on after the timeout`, async () => {
    await using server = await startOddServer(stall);
    const kv = connect(server.url, { timeoutMs: 30 });
    for (const [, read] of reads.slice(0, -1)) {
      await expectFailure(read(kv), "unavailable", "within 0.03 s");
    }
    for (const [, write] of writes) {
      await expectFailure(write(kv), "outcome_unknown", "may have been applied");
    }
    const slow = connect(server.url);
    await expectFailure(slow.get("k", { timeoutMs: 20 }), "unavailable", "within 0.02 s");
  });
}

test("an abort rejects with its reason: before a call, during it, and of the client", async () => {
  await using server = await startOddServer(() => {});
  const reason = new Error("enough");
  const whole = new AbortController();
  const kv = connect(server.url, { signal: whole.signal });
  const all = (signal?: AbortSignal): Promise<unknown>[] => [
    kv.get("k", { signal }),
    kv.put("k", "v", { signal }),
    kv.put("k", LARGE, { signal }),
    kv.delete("k", { signal }),
    kv.incr("k", 1, { signal }),
    kv.touch("k", "1m", { signal }),
    kv.deleteRange({ prefix: "k" }, { signal }),
    kv.clear({ prefix: "k" }, { signal }),
    kv.compact(1, { signal }),
    kv.txn({ then: [] }, { signal }),
    kv.count({}, { signal }),
    kv.history("k", { signal }).next(),
    kv.wait("k", { signal }),
    kv.status({ signal }),
    kv.page({}, { signal }),
    kv.list({}, { signal }).next(),
  ];

  for (const call of all(AbortSignal.abort(reason))) expect(await reasonOf(call)).toBe(reason);
  expect(server.requests).toEqual([]);

  const during = new AbortController();
  const calls = all(during.signal).map(reasonOf);
  setTimeout(() => during.abort(reason), 10);
  for (const call of calls) expect(await call).toBe(reason);

  const others = all().map(reasonOf);
  setTimeout(() => whole.abort(reason), 10);
  for (const call of others) expect(await call).toBe(reason);
});

function reasonOf(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: unknown) => error);
}
