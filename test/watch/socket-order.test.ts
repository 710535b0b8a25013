/** The order of requests on one connection. */

import { describe, expect, test } from "bun:test";
import { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
import { altered } from "../support/altered-store.ts";
import { openModel } from "../support/model-store.ts";
import { random, randomSeed, withSeed, type Random } from "../support/random.ts";
import { openSocket, type Received } from "../support/socket-client.ts";
import { startSocketServer } from "../support/socket-server.ts";
import { temporaryLog } from "../support/temporary-log.ts";
import { answerOf, holdCommits, isAnswered, until } from "./socket-rig.ts";

describe("requests of one connection", () => {
  test("that write are handed over without waiting for each other", async () => {
    const { store, calls, release } = holdCommits();
    await using server = startSocketServer(store);
    const client = await openSocket(server.url);
    for (let id = 1; id <= 3; id++) client.send({ id, op: "put", key: "a", value: `${id}` });
    await until(() => calls.length === 3);
    expect(client.messages).toEqual([]);
    release();
    expect(await answerOf(client, 3)).toMatchObject({ revision: 3, version: 3 });
  });

  test("that read wait for the writes before them, and hold up the writes behind them", async () => {
    const { store, calls, held, release } = holdCommits();
    await using server = startSocketServer(store);
    const client = await openSocket(server.url);
    client.send({ id: 1, op: "put", key: "a", value: "1" });
    client.send({ id: 2, op: "get", key: "a" });
    client.send({ id: 3, op: "watch" });
    client.send({ id: 4, op: "put", key: "a", value: "2" });
    client.send({ id: 5, op: "get", key: "a" });
    await until(() => held.length === 1);
    await Bun.sleep(5);
    expect(client.messages).toEqual([]);
    expect(calls.length).toBe(1);
    release(1);
    expect(await answerOf(client, 2)).toMatchObject({ revision: 1, entry: { value: "1" } });
    expect(await answerOf(client, 3)).toMatchObject({ type: "created", revision: 1 });
    await until(() => held.length === 1);
    expect(isAnswered(client, 5)).toBe(false);
    release(1);
    expect(await answerOf(client, 5)).toMatchObject({ revision: 2, entry: { value: "2" } });
  });

  test("that fail do not hold up the others", async () => {
    await using server = startSocketServer(openModel());
    const client = await openSocket(server.url);
    client.send({ id: 1, op: "put", key: "", value: "" });
    client.send("no JSON");
    client.send({ id: 2, op: "put", key: "a", value: "", ifRevision: 9 });
    client.send({ id: 3, op: "put", key: "a", value: "" });
    expect(await answerOf(client, 3)).toMatchObject({ type: "result", revision: 1 });
    expect(client.messages.length).toBe(4);
  });

  test("that compact wait for what is before them, and hold up what is behind", async () => {
    const { store, calls, held, release } = holdCommits();
    await using server = startSocketServer(store);
    const client = await openSocket(server.url);
    client.send({ id: 1, op: "put", key: "a", value: "1" });
    client.send({ id: 2, op: "compact", revision: 1 });
    client.send({ id: 3, op: "put", key: "a", value: "2" });
    client.send({ id: 4, op: "compact", revision: 2 });
    client.send({ id: 5, op: "history", key: "a" });
    await until(() => held.length === 1);
    await Bun.sleep(5);
    expect({ calls: calls.length, answers: client.messages.length }).toEqual({
      calls: 1,
      answers: 0,
    });
    release(1);
    expect(await answerOf(client, 2)).toMatchObject({ type: "result", oldest: 1 });
    await until(() => held.length === 1);
    expect(isAnswered(client, 4)).toBe(false);
    release(1);
    expect(await answerOf(client, 4)).toMatchObject({ type: "result", oldest: 2 });
    expect(await answerOf(client, 5)).toMatchObject({ entries: [{ revision: 2 }] });
  });

  test("sent all at once answer as those that wait for each other, whatever they are", async () => {
    await withSeed(randomSeed(), async (random) => {
      const [together, apart] = [openModel({ clock: noon }), openModel({ clock: noon })];
      await using pipelined = startSocketServer(slowed(together, random.seed));
      await using sequential = startSocketServer(apart);
      const fast = await openSocket(pipelined.url);
      const slow = await openSocket(sequential.url);
      const requests = Array.from({ length: 1_000 }, (_, id) =>
        Object.assign(someRequest(random), { id }),
      );
      for (const request of requests) fast.send(request);
      const met = new Set<string>();
      for (const request of requests) {
        slow.send(request);
        const expected = await answerOf(slow, request.id);
        expect({ request, answer: await answerOf(fast, request.id) }).toEqual({
          request,
          answer: expected,
        });
        met.add(`${request["op"] as string} ${expected.type}`);
      }
      expect(fast.messages.length).toBe(requests.length);
      for (const op of ["put", "delete", "incr", "touch", "get", "txn", "compact"]) {
        expect(met).toContain(`${op} result`);
        expect(met).toContain(`${op} error`);
      }
    });
  });

  test("that write keep their order while keys fall due all the time", async () => {
    await using log = await temporaryLog();
    await using server = startSocketServer(log.store);
    const client = await openSocket(server.url);
    const count = 3_000;
    for (let id = 0; id < count; id++) {
      const [key, ttl] = [`k${id % 5}`, `${1 + (id % 3)}ms`];
      if (id % 2 === 0) client.send({ id, op: "put", key, value: "1", ttl });
      else client.send({ id, op: "incr", key, ttl });
      if (id % 50 === 0) await Bun.sleep(1);
    }
    await client.until((message) => message["id"] === count - 1);
    const revisions = client.messages.map((message) => message["revision"] as number);
    expect(idsInOrder(client.messages)).toBe(true);
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    // More revisions than writes: the others are those of keys that ran out.
    expect(new Set(revisions).size).toBe(count);
    expect(revisions.at(-1)!).toBeGreaterThan(count);
  });
});

/** A time that stands, so that two stores expire alike. */
function noon(): number {
  return Date.UTC(2030, 0, 1, 12);
}

function idsInOrder(messages: readonly Received[]): boolean {
  return messages.every(({ id }, at) => id === at);
}

/** A request for one of three keys; some fail. */
function someRequest({ pick, below, oneIn }: Random): Record<string, unknown> {
  const key = pick(["a", "b", "c"]);
  const revision = below(250);
  const condition = oneIn(4) ? pick([{ ifPresent: true }, { ifAbsent: true }]) : {};
  return pick<() => Record<string, unknown>>([
    () => ({ op: "put", key, value: String(below(9)), ...condition }),
    () => ({ op: "put", key, value: "x", ttl: pick(["1s", "keep"]), ...condition }),
    () => ({ op: "delete", key, ...condition }),
    () => ({ op: "incr", key, by: String(below(9) - 4), ...condition }),
    () => ({ op: "touch", key, ttl: pick(["2s", "keep", "none"]), ...condition }),
    () => ({ op: "deleteRange", start: key, limit: 1 }),
    () => ({
      op: "txn",
      then: [
        { op: "get", key },
        { op: "incr", key },
        { op: "delete", key },
      ],
    }),
    () => ({ op: "compact", revision: oneIn(9) ? revision : 0 }),
    () => ({ op: "get", key }),
    () => ({ op: "get", key, revision }),
    () => ({ op: "list", reverse: oneIn(2) }),
    () => ({ op: "list", count: true }),
    () => ({ op: "history", key, limit: 3 }),
  ])();
}

/**
 * Reads answer later, each after a time of its own. Writes are done later, one behind the other, as
 * they were handed over.
 */
function slowed(store: Store, seed: number): Store {
  const { below } = random(seed);
  const turns = async (): Promise<void> => {
    for (let turn = below(4); turn > 0; turn--) await new Promise((go) => setImmediate(go));
  };
  const later = async <T>(act: () => T | Promise<T>): Promise<T> => {
    const early = below(2) === 0;
    if (early) await Promise.resolve();
    const result = await act();
    await turns();
    return result;
  };
  let last: Promise<unknown> = Promise.resolve();
  return altered(store, {
    get: (key, options) => later(() => store.get(key, options)),
    list: (range, options) => later(() => store.list(range, options)),
    history: (key, options) => later(() => store.history(key, options)),
    commit: (txn) => {
      const committed = last.then(turns).then(() => store.commit(txn));
      last = committed.catch(() => {});
      return committed;
    },
    compact: (revision) => later(() => store.compact(revision)),
    status: () => later(() => store.status()),
    close: () => Promise.reject(new KvError("internal", "not closed by the endpoint")),
  });
}
