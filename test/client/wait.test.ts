/** Waiting for a key: what ends a wait, what does not, and what a broken one looks like. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { HttpTransport } from "../../src/client/http-transport.ts";
import { connect, type KvClient, type KvWaitOptions } from "../../src/client/index.ts";
import { parseServerUrl } from "../../src/client/url.ts";
import { waitForKey } from "../../src/client/wait.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import { openModel } from "../support/model-store.ts";
import { expectFailure } from "./expect-failure.ts";
import { reply, startOddServer, type OddServer } from "./odd-server.ts";
import { until } from "./until.ts";

let server: RunningServer;
let kv: KvClient;

beforeAll(() => {
  server = startServer({ store: openModel({ revision: 10 }), host: "127.0.0.1", port: 0 });
  kv = connect(server.url);
});

afterAll(async () => {
  await kv.close();
  await server.stop();
});

/** A wait, and whether it is over. */
function begin(key: string, options: KvWaitOptions = {}, client = kv) {
  const begun = { result: client.wait(key, options), over: false };
  const end = (): void => void (begun.over = true);
  begun.result.then(end, end);
  return begun;
}

test("without a condition it ends once the key is there, at once when it is", async () => {
  const begun = begin("there");
  await kv.put("other", "x");
  await Bun.sleep(20);
  expect(begun.over).toBe(false);
  const { revision } = await kv.put("there", "now");
  const entry = await begun.result;
  expect([entry?.revision, entry?.text()]).toEqual([revision, "now"]);
  expect((await kv.wait("there"))?.revision).toBe(revision);
  // It was there before; what is waited for is that it comes back.
  await kv.delete("there");
  const again = begin("there");
  await Bun.sleep(20);
  expect(again.over).toBe(false);
  await kv.put("there", "again");
  expect((await again.result)?.text()).toBe("again");
});

test("after a revision it ends at the next change, and at once when there was one", async () => {
  const { revision } = await kv.put("next", "1");
  const begun = begin("next", { after: revision });
  await kv.put("next/other", "x");
  await Bun.sleep(20);
  expect(begun.over).toBe(false);
  await kv.put("next", "2");
  expect((await begun.result)?.text()).toBe("2");
  expect((await kv.wait("next", { after: revision }))?.text()).toBe("2");
  const gone = begin("next", { after: revision + 2 });
  await kv.delete("next");
  expect(await gone.result).toBeUndefined();
  expect(await kv.wait("next", { after: revision })).toBeUndefined();
});

test("until something holds, it looks at what is there and at every change", async () => {
  const seen: (string | undefined)[] = [];
  const isDone = begin("job", {
    until: (job) => {
      seen.push(job?.text());
      return job?.text() === "done";
    },
  });
  await until(() => seen.length === 1);
  for (const [index, state] of ["new", "running"].entries()) {
    await kv.put("job", state);
    await until(() => seen.length === 2 + index);
  }
  await kv.delete("job");
  await until(() => seen.length === 4);
  await kv.put("job", "done");
  expect((await isDone.result)?.version).toBe(1);
  expect(seen).toEqual([undefined, "new", "running", undefined, "done"]);
  const gone = begin("job", { until: (job) => job === undefined });
  await Bun.sleep(10);
  expect(gone.over).toBe(false);
  await kv.delete("job");
  expect(await gone.result).toBeUndefined();
});

test("until and after together look at changes above the revision only", async () => {
  const { revision } = await kv.put("both", "yes");
  const begun = begin("both", { after: revision, until: (entry) => entry?.text() === "yes" });
  await kv.put("both", "no");
  await Bun.sleep(20);
  expect(begun.over).toBe(false);
  const { version } = await kv.put("both", "yes");
  expect((await begun.result)?.version).toBe(version);
});

test("what until throws ends the wait", async () => {
  const reason = new Error("no");
  const wait = kv.wait("job", {
    until: () => {
      throw reason;
    },
  });
  expect(await caught(wait)).toBe(reason);
});

test("when its time is over it fails as what it is, after that time", async () => {
  const { revision } = await kv.put("late", "x");
  const conditions: KvWaitOptions[] = [
    { after: revision },
    { until: (entry) => entry === undefined },
  ];
  for (const condition of conditions) {
    const start = performance.now();
    const error = await expectFailure(
      kv.wait("late", { ...condition, timeoutMs: 50 }),
      "precondition_failed",
      '"late" within 0.05 s',
    );
    expect(error.name).toBe("TimeoutError");
    const took = performance.now() - start;
    expect(took).toBeGreaterThanOrEqual(49);
    expect(took).toBeLessThan(2_000);
    await expectFailure(kv.wait("late", { ...condition, timeoutMs: 0 }), "precondition_failed");
  }
  expect((await kv.wait("late", { timeoutMs: 0 }))?.text()).toBe("x");
  expect((await kv.wait("late", { after: revision - 1, timeoutMs: 0 }))?.text()).toBe("x");
});

test("a wait may be longer than the time that requests have", async () => {
  const client = connect(server.url, { timeoutMs: 40 });
  const begun = begin("slow", {}, client);
  await Bun.sleep(150);
  expect(begun.over).toBe(false);
  await kv.put("slow", "x");
  expect((await begun.result)?.text()).toBe("x");
  await client.close();
});

function caught(wait: Promise<unknown>): Promise<unknown> {
  return wait.catch((error: unknown) => error);
}

test("an abort ends it with its reason: before it begins, meanwhile, and of the client", async () => {
  const reason = new Error("enough");
  expect(await caught(kv.wait("never", { signal: AbortSignal.abort(reason) }))).toBe(reason);
  const during = new AbortController();
  const begun = caught(kv.wait("never", { signal: during.signal }));
  setTimeout(() => during.abort(reason), 10);
  expect(await begun).toBe(reason);
  const whole = new AbortController();
  const client = connect(server.url, { signal: whole.signal });
  const other = caught(client.wait("never"));
  setTimeout(() => whole.abort(reason), 10);
  expect(await other).toBe(reason);
  const timeout = (await caught(
    kv.wait("never", { signal: AbortSignal.timeout(20) }),
  )) as DOMException;
  expect(timeout.name).toBe("TimeoutError");
});

test("closing the client ends its waits, and does not wait for them", async () => {
  const client = connect(server.url);
  const waits = [client.wait("never"), client.wait("never", { after: 10, timeoutMs: 60_000 })].map(
    (wait) => expectFailure(wait, "unavailable", "the client is closed"),
  );
  await Bun.sleep(20);
  const put = client.put("written", "x");
  await client.close();
  await Promise.all(waits);
  expect((await put).version).toBe(1);
  await expectFailure(client.wait("there"), "unavailable", "the client is closed");
});

test("a wait that makes no sense is refused", async () => {
  for (const timeoutMs of [-1, Number.NaN]) {
    await expectFailure(kv.wait("k", { timeoutMs }), "invalid_argument", "timeoutMs");
  }
  await expectFailure(kv.wait(""), "invalid_argument");
  for (const after of [-1, 0.5]) await expectFailure(kv.wait("k", { after }), "invalid_argument");
  const { revision } = await kv.status();
  const above = await expectFailure(kv.wait("k", { after: revision + 1 }), "invalid_argument");
  expect(above.details.revision).toBe(revision);
});

test("a server that stops ends a wait as unavailable", async () => {
  const own = startServer({ store: openModel(), host: "127.0.0.1", port: 0 });
  const client = connect(own.url);
  const begun = begin("never", {}, client);
  await until(async () => (await client.status()).revision === 0);
  await Bun.sleep(20);
  await own.stop();
  await expectFailure(begun.result, "unavailable");
});

/** Answers of a server that a test writes by hand. */
const NOTHING = (revision: number) =>
  `HTTP/1.1 304 Not Modified\r\nKV-Store-Revision: ${revision}\r\n\r\n`;
const FOUND = (revision: number) =>
  reply(
    "200 OK",
    `ETag: "${revision}"\r\nContent-Type: text/plain\r\nKV-Create-Revision: 1\r\n` +
      `KV-Version: 1\r\nKV-Store-Revision: ${revision}`,
    "x",
  );
const ABSENT = (storeRevision: number) =>
  reply(
    "404 Not Found",
    "X: y",
    JSON.stringify({ error: { code: "not_found", message: "m", storeRevision } }),
  );
const COMPACTED = reply(
  "410 Gone",
  "X: y",
  JSON.stringify({ error: { code: "compacted", message: "m", oldest: 9 } }),
);

/** Runs a wait of steps of 20 ms against answers that are given one after the other. */
async function scripted(
  answers: readonly string[],
  options: KvWaitOptions,
): Promise<{ outcome: unknown; asked: string[] }> {
  await using odd: OddServer = await startOddServer((socket, _, count) =>
    socket.write(answers[count - 1]!),
  );
  const transport = new HttpTransport(parseServerUrl(odd.url));
  const outcome = await waitForKey(transport, "k", options, 20).then(
    (entry) => entry?.revision,
    (error: unknown) => (error as { code?: unknown }).code,
  );
  const asked = odd.requests.map((line) => line.replace("GET /v1/kv/k?meta=true", ""));
  return { outcome, asked };
}

test("a long wait is asked in steps, each from where the one before was", async () => {
  const answers = [NOTHING(7), NOTHING(8), FOUND(9)];
  const { outcome, asked } = await scripted(answers, { after: 5 });
  expect(outcome).toBe(9);
  const steps = [5, 7, 8].map((revision) => `&wait=${revision}&timeout=20ms`);
  expect(asked).toEqual(steps);
});

test("where a deletion may be forgotten, it looks anew unless the caller must know", async () => {
  const answers = [ABSENT(5), NOTHING(6), COMPACTED, ABSENT(9), FOUND(10)];
  const anew = ["", "&wait=5&timeout=20ms", "&wait=6&timeout=20ms", "", "&wait=9&timeout=20ms"];
  expect(await scripted(answers, {})).toEqual({ outcome: 10, asked: anew });
  const after = await scripted([NOTHING(6), COMPACTED], { after: 5 });
  expect(after).toEqual({ outcome: "compacted", asked: anew.slice(1, 3) });
  const isThere = { after: 5, until: (entry: unknown) => entry !== undefined };
  expect((await scripted([COMPACTED], isThere)).outcome).toBe("compacted");
  const later = await scripted(answers.slice(1), isThere);
  expect(later).toEqual({ outcome: 10, asked: anew.slice(1) });
});

test("an answer that is none of kv's ends it as unavailable", async () => {
  const bare = "HTTP/1.1 304 Not Modified\r\n\r\n";
  expect((await scripted([bare], { after: 5 })).outcome).toBe("unavailable");
  const elsewhere = reply("302 Found", "Location: http://other/", "");
  expect((await scripted([elsewhere], { after: 5 })).outcome).toBe("unavailable");
});

test("a connection that breaks ends it as unavailable, and nothing is asked again", async () => {
  await using odd = await startOddServer((socket) => socket.destroy());
  const client = connect(odd.url);
  await expectFailure(client.wait("k", { after: 5 }), "unavailable", "broke before");
  expect(odd.requests).toEqual(["GET /v1/kv/k?meta=true&wait=5&timeout=30s"]);
});
