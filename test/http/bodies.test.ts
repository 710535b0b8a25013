/** Bodies of puts: their limits, sized and in chunks, and the wrappings that are refused. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { BODIES_BYTES_MAX, LIMITS } from "../../src/limits.ts";
import { rawRequest } from "../support/raw-http.ts";
import { openModel } from "../support/model-store.ts";
import { put, write } from "../support/stores.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

const MAX = LIMITS.valueBytesMax;

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
  await write(server.store, put("key", "before"));
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

function sized(length: number, ...headers: string[]): string {
  return rawRequest("PUT", "/v1/kv/key", [`Content-Length: ${length}`, ...headers]);
}

const CHUNKED = rawRequest("PUT", "/v1/kv/key", ["Transfer-Encoding: chunked"]);

/** A body in chunks of 1 MiB, as it stands on the wire. */
function chunks(bytes: number): Uint8Array[] {
  const wire: Uint8Array[] = [];
  for (let left = bytes; left > 0; left -= 1024 * 1024) {
    const chunk = Buffer.alloc(Math.min(left, 1024 * 1024), "c");
    wire.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  return [...wire, Buffer.from("0\r\n\r\n")];
}

describe("a value of 16 MiB", () => {
  test("sized, is stored", async () => {
    const answer = await server.raw(sized(MAX), Buffer.alloc(MAX, "s"));
    expect(answer?.status).toBe(200);
    const { entry } = await server.store.get("key");
    expect(entry!.value.length).toBe(MAX);
    expect(Buffer.alloc(MAX, "s").equals(entry!.value)).toBe(true);
  });

  test("in chunks, is stored", async () => {
    const answer = await server.raw(CHUNKED, ...chunks(MAX));
    expect(answer?.status).toBe(200);
    const { entry } = await server.store.get("key");
    expect(Buffer.alloc(MAX, "c").equals(entry!.value)).toBe(true);
  });
});

describe("a value of a byte more", () => {
  const refusal = { status: 413, code: "too_large" } as const;

  test("sized, is refused before it is sent", async () => {
    const message = `the value has ${MAX + 1} bytes; at most ${MAX} are allowed`;
    const send = () => server.raw(sized(MAX + 1));
    expect((await expectRefusal(server, send, { ...refusal, message })).limit).toBe(MAX);
  });

  test("sized and sent, is refused", async () => {
    const message = `at most ${MAX} are allowed`;
    const send = () => server.raw(sized(MAX + 1), Buffer.alloc(MAX + 1));
    await expectRefusal(server, send, { ...refusal, message });
  });

  test("in chunks, is refused", async () => {
    const message = `the value has more than the ${MAX} bytes allowed`;
    const send = () => server.raw(CHUNKED, ...chunks(MAX + 1));
    expect((await expectRefusal(server, send, { ...refusal, message })).limit).toBe(MAX);
  });

  test("or of terabytes, is refused the same way", async () => {
    const message = `the value has ${2 ** 42} bytes; at most ${MAX} are allowed`;
    await expectRefusal(server, () => server.raw(sized(2 ** 42)), { ...refusal, message });
  });
});

test("a limit below the usual one holds too", async () => {
  await using small = await startTestServer({
    store: openModel({ limits: { valueBytesMax: 10 } }),
  });
  expect((await small.fetch("/v1/kv/a", { method: "PUT", body: "a".repeat(10) })).status).toBe(201);
  const send = () => small.fetch("/v1/kv/a", { method: "PUT", body: "a".repeat(11) });
  await expectRefusal(small, send, {
    status: 413,
    code: "too_large",
    message: "the value has 11 bytes; at most 10 are allowed",
  });
});

describe("a body is refused", () => {
  test.each(["gzip", "br", "GZIP", "identity, gzip", "deflate", "x"])(
    "with Content-Encoding %s",
    async (encoding) => {
      await expectRefusal(server, () => server.raw(sized(0, `Content-Encoding: ${encoding}`)), {
        status: 415,
        code: "unsupported",
        message: "curl -T FILE URL",
      });
    },
  );

  test.each(["multipart/form-data; boundary=x", "Multipart/Mixed; boundary=x", " multipart/x"])(
    "as %s",
    async (type) => {
      await expectRefusal(server, () => server.raw(sized(0, `Content-Type: ${type}`)), {
        status: 415,
        code: "unsupported",
        message: "curl -T FILE URL",
      });
    },
  );

  test("as a form or encoded on a transaction too", async () => {
    for (const header of [
      "Content-Type: multipart/form-data; boundary=x",
      "Content-Encoding: br",
    ]) {
      const request = rawRequest("POST", "/v1/txn", [header, "Content-Length: 0"]);
      const message = "curl -T FILE URL";
      const refusal = { status: 415, code: "unsupported", message } as const;
      await expectRefusal(server, () => server.raw(request), refusal);
    }
  });
});

test.each(["identity", "Identity", ""])("Content-Encoding %j changes nothing", async (encoding) => {
  const answer = await server.raw(sized(5, `Content-Encoding: ${encoding}`), "after");
  expect(answer?.status).toBe(200);
});

test("a refusal leaves a kept connection usable", async () => {
  const big = Buffer.alloc(MAX + 1);
  const head = "PUT /v1/kv/kept HTTP/1.1\r\nHost: localhost\r\nContent-Length:";
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: {
      data(_, bytes) {
        received += bytes.toString("latin1");
        if (received.includes("201 Created")) resolve(received);
      },
      close: () => resolve(received),
      drain(socket) {
        rest = rest.subarray(socket.write(rest));
      },
    },
  });
  let rest: Uint8Array = Buffer.concat([
    Buffer.from(`${head} ${MAX + 1}\r\n\r\n`),
    big,
    Buffer.from(`${head} 1\r\n\r\nx`),
  ]);
  rest = rest.subarray(socket.write(rest));
  expect(await promise).toMatch(/^HTTP\/1.1 413 [\s\S]*HTTP\/1.1 201 Created/);
  socket.end();
});

test("a client that goes away in mid-body changes nothing and is no fault", async () => {
  const before = await server.store.status();
  for (const request of [sized(100), sized(1_000_000), CHUNKED]) {
    await new Promise<void>((resolve, reject) => {
      Bun.connect({
        hostname: "127.0.0.1",
        port: server.port,
        socket: {
          open(socket) {
            socket.write(`${request}5\r\nabcde\r\n`);
            socket.end();
          },
          data() {},
          close: () => resolve(),
        },
      }).catch(reject);
    });
  }
  expect((await server.fetch("/livez")).status).toBe(200);
  expect(await server.store.status()).toEqual(before);
  expect(server.errors).toEqual([]);
});

test("large bodies that never end are bounded together, and their room is given back", async () => {
  const sockets: { end(): void }[] = [];
  const statuses = new Set<string>();
  const refused = Promise.withResolvers<void>();
  const unfinished = Buffer.concat([Buffer.from(sized(MAX)), Buffer.alloc(MAX - 1)]);
  for (let at = 0; at <= BODIES_BYTES_MAX / MAX; at++) {
    let rest: Uint8Array = unfinished;
    sockets.push(
      await Bun.connect({
        hostname: "127.0.0.1",
        port: server.port,
        socket: {
          open(socket) {
            rest = rest.subarray(socket.write(rest));
          },
          drain(socket) {
            rest = rest.subarray(socket.write(rest));
          },
          data(_, bytes) {
            statuses.add(bytes.toString("latin1").slice(9, 12));
            refused.resolve();
          },
        },
      }),
    );
  }
  await refused.promise;
  expect([...statuses]).toEqual(["503"]);
  for (const socket of sockets) socket.end();
  let status = 503;
  while (status === 503) {
    const answer = await server.raw(sized(MAX), Buffer.alloc(MAX));
    status = answer!.status;
  }
  expect(status).toBe(200);
});
