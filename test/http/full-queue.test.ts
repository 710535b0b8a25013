/** Writes past what may wait for the disk: refused over HTTP and WebSocket, and nothing of them is done. */

import { expect, test } from "bun:test";
import { LIMITS, QUEUE_BYTES_MAX, QUEUE_TXNS_MAX } from "../../src/limits.ts";
import { openDirectory, type Disk, type DiskFile } from "../../src/log/disk.ts";
import { openLog } from "../../src/log/engine.ts";
import { openSocket } from "../support/socket-client.ts";
import { put, write } from "../support/stores.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

/** As `target`, but for the methods that are given. */
function replaced<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const own = methods[name as keyof T];
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

interface Gate {
  /** Syncs go on once it resolves. */
  passed: Promise<void>;
  /** Called when a sync has come to the gate. */
  reached: () => void;
}

/** A disk whose syncs wait at a gate. */
function slowDisk(disk: Disk, gate: Gate): Disk {
  const sync = async (file: DiskFile): Promise<void> => {
    gate.reached();
    await gate.passed;
    await file.sync();
  };
  const slow = (file: DiskFile): DiskFile => replaced(file, { sync: () => sync(file) });
  return replaced(disk, {
    open: (name) => slow(disk.open(name)),
    create: (name) => slow(disk.create(name)),
  });
}

interface Bench extends AsyncDisposable {
  readonly server: TestServer;
  /** Lets the disk go on. */
  release(): void;
}

/** A server whose disk stands still from now on, with a first write under way. */
async function openBench(): Promise<Bench> {
  const directory = temporaryDirectory();
  const gate: Gate = { passed: Promise.resolve(), reached: () => undefined };
  const disk = slowDisk(openDirectory(directory.path), gate);
  const store = await openLog({ directory: directory.path, disk });
  const server = await startTestServer({ store });
  await write(store, put("before", "1"));
  const closed = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  Object.assign(gate, { passed: closed.promise, reached: reached.resolve });
  const first = write(store, put("first", "1"));
  await reached.promise;
  return {
    server,
    release: closed.resolve,
    async [Symbol.asyncDispose]() {
      closed.resolve();
      await first;
      await server.stop();
      directory.remove();
    },
  };
}

/** Holds every way of writing to the refusal, while reads go on. */
async function expectRefused({ url, port }: { url: string; port: number }): Promise<void> {
  const body = JSON.stringify({ then: [{ op: "put", key: "late", value: "1" }] });
  for (const [path, method, sent] of [
    ["/v1/kv/late", "PUT", "1"],
    ["/v1/kv/before", "DELETE", undefined],
    ["/v1/incr/late", "POST", undefined],
    ["/v1/txn", "POST", body],
  ] as const) {
    const answer = await fetch(
      `${url}${path}`,
      sent === undefined ? { method } : { method, body: sent },
    );
    expect([path, answer.status, answer.headers.get("retry-after")]).toEqual([path, 503, "1"]);
    expect(await answer.json()).toMatchObject({ error: { code: "unavailable" } });
  }
  const socket = await openSocket(`http://127.0.0.1:${port}`);
  for (const fields of [
    { op: "put", key: "late", value: "1" },
    { op: "delete", key: "before" },
  ]) {
    const answer = await socket.request(fields);
    expect(answer).toMatchObject({ type: "error", error: { code: "unavailable" } });
  }
  expect(await socket.request({ op: "get", key: "before" })).toMatchObject({ type: "result" });
  await socket.close();
  expect(await (await fetch(`${url}/v1/kv/before`)).text()).toBe("1");
}

/** After the disk has gone on: writes do too, and what was refused is not there. */
async function expectResumed(server: TestServer): Promise<void> {
  const answer = await server.fetch("/v1/kv/after", { method: "PUT", body: "1" });
  expect(answer.status).toBe(201);
  expect((await server.fetch("/v1/kv/late")).status).toBe(404);
  expect((await server.fetch("/v1/kv/before")).status).toBe(200);
  expect(server.errors).toEqual([]);
}

test("many writes fill the queue, and the next are 503 with Retry-After", async () => {
  await using bench = await openBench();
  const { server } = bench;
  const waiting = Array.from({ length: QUEUE_TXNS_MAX }, (_, at) =>
    write(server.store, put(`k${at % 1_000}`, "1")),
  );
  await expectRefused(server);
  bench.release();
  // Those that waited are written, all of them.
  await Promise.all(waiting);
  await expectResumed(server);
}, 60_000);

test("large writes fill it too", async () => {
  await using bench = await openBench();
  const { server } = bench;
  const value = new Uint8Array(LIMITS.valueBytesMax);
  const count = Math.ceil(QUEUE_BYTES_MAX / value.length) + 3;
  const sent = Array.from({ length: count }, (_, at) =>
    server.fetch(`/v1/kv/large${at % 2}`, { method: "PUT", body: value }),
  );
  const early = await Promise.race(sent);
  expect(early.status).toBe(503);
  await expectRefused(server);
  bench.release();
  const statuses = (await Promise.all(sent)).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([200, 201, 503]));
  await expectResumed(server);
}, 60_000);
