/** Writes whose answer is lost: which of them are sent again, and what the caller is told. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type KvClient } from "../../src/client/index.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";
import { reply, startLossyProxy, startOddServer, type Loss } from "./odd-server.ts";

const LARGE = new Uint8Array(100_000);

let store: ModelStore;
let server: RunningServer;
let kv: KvClient;

beforeAll(() => {
  store = openModel();
  server = startServer({ store, host: "127.0.0.1", port: 0 });
  kv = connect(server.url);
});

afterAll(async () => {
  await kv.close();
  await server.stop();
});

/** Runs `write` behind a proxy that loses these, one after the other; answers how often it was sent. */
async function losing<T>(
  losses: Loss[],
  write: (client: KvClient) => Promise<T>,
): Promise<{ sent: number; outcome: T }> {
  await using proxy = await startLossyProxy(server.port, () => losses.shift());
  await using client = connect(proxy.url);
  const outcome = await write(client);
  return { sent: proxy.requests.length, outcome };
}

/** How often the key has changed above a revision. */
async function changes(key: string, above: number): Promise<number> {
  const past = await Array.fromAsync(kv.history(key, { keys: true }));
  return past.filter(({ revision }) => revision > above).length;
}

/** Every way to write one key, if it is at a revision. */
const writes: [name: string, write: (client: KvClient, ifRevision: number) => Promise<unknown>][] =
  [
    ["a put", (client, ifRevision) => client.put("k", "new", { ifRevision })],
    ["a large put", (client, ifRevision) => client.put("k", LARGE, { ifRevision })],
    ["a delete", (client, ifRevision) => client.delete("k", { ifRevision })],
    ["an increment", (client, ifRevision) => client.incr("k", 1, { ifRevision })],
    ["a touch", (client, ifRevision) => client.touch("k", "1h", { ifRevision })],
  ];

for (const [name, write] of writes) {
  test(`${name} that did not arrive is sent again, and takes effect once`, async () => {
    const { revision } = await kv.put("k", "7");
    const { sent } = await losing(["request", "request"], (client) => write(client, revision));
    expect(sent).toBe(3);
    expect(await changes("k", revision)).toBe(1);
  });

  test(`${name} that took effect before its answer was lost is unknown, and not done twice`, async () => {
    const { revision } = await kv.put("k", "7");
    const { sent, outcome } = await losing(["answer"], (client) => {
      return expectFailure(write(client, revision), "outcome_unknown", "perhaps because of it");
    });
    expect(sent).toBe(2);
    const found = (await kv.get("k"))?.revision ?? 0;
    expect(outcome.details).toEqual({ revision: found, storeRevision: store.status().revision });
    expect(await changes("k", revision)).toBe(1);
  });

  test(`${name} whose condition fails at once is told so`, async () => {
    const { revision } = await kv.put("k", "7");
    const { sent } = await losing([], (client) =>
      expectFailure(write(client, revision - 1), "precondition_failed"),
    );
    expect(sent).toBe(1);
  });
}

test("one of several revisions is as good as one; with 0 among them it has to be asked for", async () => {
  const { revision } = await kv.put("list", "1");
  const exact = [revision - 1, revision];
  expect(
    (await losing(["request"], (client) => client.put("list", "2", { ifRevision: exact }))).sent,
  ).toBe(2);
  const open = [0, revision + 1];
  await losing(["request"], (client) =>
    expectFailure(client.put("list", "3", { ifRevision: open }), "outcome_unknown"),
  );
  const asked = { ifRevision: open, retry: true };
  expect((await losing(["request"], (client) => client.put("list", "3", asked))).sent).toBe(2);
});

test("a creation is sent again only when that is asked for", async () => {
  const once = await losing(["request"], (client) =>
    expectFailure(client.put("new/a", "x", { ifAbsent: true }), "outcome_unknown"),
  );
  expect(once.sent).toBe(1);
  const asked = { ifAbsent: true, retry: true };
  const again = await losing(["request"], (client) => client.put("new/a", "x", asked));
  expect([again.sent, again.outcome.version]).toEqual([2, 1]);
  const applied = await losing(["answer"], (client) =>
    expectFailure(client.put("new/b", "x", asked), "outcome_unknown", "is at revision"),
  );
  expect(applied.sent).toBe(2);
});

test("without a condition that makes it safe nothing is sent again, and asking for it is refused", async () => {
  const { revision } = await kv.put("plain", "1");
  for (const conditions of [{}, { ifPresent: true }, { ifNotRevision: revision + 9 }]) {
    const { sent } = await losing(["request"], (client) =>
      expectFailure(client.put("plain", "2", conditions), "outcome_unknown"),
    );
    expect(sent).toBe(1);
    const asked = kv.put("plain", "2", { ...conditions, retry: true });
    await expectFailure(asked, "invalid_argument", "retry needs ifRevision or ifAbsent");
  }
  const refused = await losing(["request"], (client) =>
    expectFailure(
      client.put("plain", "2", { ifRevision: revision, retry: false }),
      "outcome_unknown",
    ),
  );
  expect(refused.sent).toBe(1);
});

test("a server that is away after it lost the write is waited for", async () => {
  const { revision } = await kv.put("away", "1");
  const odd = await startOddServer((socket) => socket.destroy());
  await using client = connect(odd.url);
  const writing = client.put("away", "2", { ifRevision: revision });
  while (odd.requests.length === 0) await Bun.sleep(1);
  await odd.stop();
  await Bun.sleep(150);
  const back = startServer({ store, host: "127.0.0.1", port: odd.port });
  expect((await writing).version).toBe(2);
  await back.stop();
});

test("it is given up when the time is over, and what was lost at first is told", async () => {
  await using odd = await startOddServer((socket) => socket.destroy());
  await using client = connect(odd.url);
  const began = performance.now();
  const writing = client.put("k", "x", { ifRevision: 1, timeoutMs: 400 });
  const error = await expectFailure(writing, "outcome_unknown", "broke before the answer came");
  expect(error.message).not.toContain("sent again");
  expect(performance.now() - began).toBeLessThan(1_500);
  expect(odd.requests.length).toBeGreaterThan(1);
});

test("an attempt that is refused for another reason leaves it unknown", async () => {
  const body = '{"error":{"code":"storage_full","message":"full"}}';
  let count = 0;
  await using odd = await startOddServer((socket) => {
    if (count++ === 0) socket.destroy();
    else socket.end(reply("507 Insufficient Storage", "X: y", body));
  });
  await using client = connect(odd.url);
  await expectFailure(client.put("k", "x", { ifRevision: 1 }), "outcome_unknown", "broke before");
  expect(odd.requests.length).toBe(2);
});

test("an abort between two attempts rejects with its reason, and a closed client makes no more", async () => {
  const reason = new Error("enough");
  for (const end of ["abort", "close"]) {
    const controller = new AbortController();
    await using odd = await startOddServer((socket) => {
      socket.destroy();
      if (end === "abort") controller.abort(reason);
      else void client.close();
    });
    const client = connect(odd.url);
    const options = { ifRevision: 1, signal: controller.signal };
    const outcome = await client.put("k", "x", options).catch((error: unknown) => error);
    if (end === "abort") expect(outcome).toBe(reason);
    else expect(outcome).toMatchObject({ code: "outcome_unknown" });
    expect(odd.requests.length).toBe(1);
  }
});
