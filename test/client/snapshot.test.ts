/** Copies over the wire: the SDK's `snapshot`, what it does with a broken one, and when it gives up. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type KvClient } from "../../src/client/index.ts";
import { openRemoteStore } from "../../src/client/remote-store.ts";
import { verifySnapshot } from "../../src/log/snapshot-reader.ts";
import { altered } from "../support/altered-store.ts";
import { openModel } from "../support/model-store.ts";
import { failure, put, write } from "../support/stores.ts";
import { startTestServer, type TestServer } from "../support/test-server.ts";

let server: TestServer;
let client: KvClient;

beforeAll(async () => {
  server = await startTestServer();
  client = connect(server.url);
  for (let count = 0; count < 30; count++) {
    await write(server.store, put(`k${count}`, "x".repeat(50_000)));
  }
});

afterAll(async () => {
  await client.close();
  expect(server.errors).toEqual([]);
  await server.stop();
});

async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const piece of pieces) bytes += piece.length;
  return bytes;
}

/** A server whose copies are made by `snapshot`. */
function serveCopies(snapshot: () => AsyncIterable<Uint8Array>): Promise<TestServer> {
  const capabilities = { history: true, snapshot: true };
  return startTestServer({ store: altered(openModel(), { capabilities, snapshot }) });
}

describe("a copy over the wire", () => {
  test("is the store's own, whole and in part", async () => {
    for (const options of [{}, { since: 10 }, { since: undefined }]) {
      let summary: unknown;
      const whole = verifySnapshot(client.snapshot(options), (all) => void (summary = all));
      const bytes = await bytesOf(whole);
      const commits = options.since === undefined ? 30 : 20;
      expect(summary).toMatchObject({ revision: 30, commits, bytes });
      expect(bytes).toBeGreaterThan(commits * 50_000);
    }
  });

  test("is refused as the store refuses it", async () => {
    const error = await failure(() => bytesOf(client.snapshot({ since: 99 })), "invalid_argument");
    expect(error.message).toBe("since is 99, but the store is at revision 30");
  });

  test("lets go of the server when its reader stops", async () => {
    const ended = Promise.withResolvers<void>();
    await using endless = await serveCopies(async function* () {
      try {
        for (;;) yield new Uint8Array(100_000);
      } finally {
        ended.resolve();
      }
    });
    const other = connect(endless.url);
    for await (const _ of other.snapshot()) break;
    await ended.promise;
    await other.close();
  });

  test("ends with the reason of its signal, before and in the middle", async () => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    expect(await bytesOf(client.snapshot({ signal })).catch((error) => error)).toBe(reason);
    const stop = new AbortController();
    const stopped = (async () => {
      for await (const _ of client.snapshot({ signal: stop.signal })) stop.abort(reason);
    })();
    expect(await stopped.catch((error) => error)).toBe(reason);
  });

  test("is not begun by a client that is closed", async () => {
    const closed = connect(server.url);
    await closed.close();
    await failure(() => bytesOf(closed.snapshot()), "unavailable");
  });
});

describe("a copy that does not end well", () => {
  test("because the connection breaks is unavailable, and never whole", async () => {
    await using broken = await serveCopies(async function* () {
      yield new Uint8Array(1_000);
      await Bun.sleep(20);
      throw new Error("a block does not read back");
    });
    const other = connect(broken.url);
    await failure(() => bytesOf(other.snapshot()), "unavailable");
    await other.close();
    expect(broken.errors).toHaveLength(1);
  });

  test("because the server falls silent is given up after the timeout", async () => {
    const end = Promise.withResolvers<void>();
    await using silent = await serveCopies(async function* () {
      yield new Uint8Array(1_000);
      await end.promise;
    });
    const other = connect(silent.url);
    const pieces = other.snapshot({ timeoutMs: 100 });
    const error = await failure(() => bytesOf(pieces), "unavailable");
    expect(error.message).toContain("stalled for 0.1 s");
    end.resolve();
    await other.close();
  });

  test("is not cut by the timeout as long as something comes", async () => {
    await using slow = await serveCopies(async function* () {
      for (let count = 0; count < 10; count++) {
        yield new Uint8Array(100);
        await Bun.sleep(50);
      }
    });
    const other = connect(slow.url, { timeoutMs: 250 });
    expect(await bytesOf(other.snapshot())).toBe(1_000);
    await other.close();
  });

  test("because the engine makes none is unsupported", async () => {
    await using without = await startTestServer({ store: openModel() });
    const remote = await openRemoteStore(without.url);
    expect(remote.capabilities.snapshot).toBeUndefined();
    await failure(() => bytesOf(remote.snapshot!()), "unsupported");
    await remote.close();
  });
});
