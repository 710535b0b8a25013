/** What a store tells of itself, its end, and what is there after it. */

import { afterEach, expect, test } from "bun:test";
import type { Store } from "../../../src/kv.ts";
import {
  bytes,
  changesBetween,
  del,
  dump,
  failure,
  incr,
  listAll,
  put,
  putFor,
  textOf,
  write,
} from "../../support/stores.ts";
import type { Open, Opened } from "../subject.ts";

export function lifecycleSection(open: Open): void {
  let opened: Opened | undefined;
  afterEach(async () => {
    await opened?.close();
    opened = undefined;
  });
  const fresh = async (): Promise<Opened> => (opened = await open());

  test("the status tells id, revisions, live keys, and what keeps the data", async () => {
    const { store } = await fresh();
    const before = await store.status();
    expect(before.store).toMatch(/^\S+$/);
    expect(before.oldest).toBeLessThanOrEqual(before.revision);
    expect(before.engine).toMatch(/^[a-z]+$/);
    expect(before.durability).toMatch(/^[a-z]/);
    const { revision } = await write(store, put("a"), put("b"), put("a", "2"));
    const { revision: last } = await write(store, del("b"));
    expect(last).toBeGreaterThan(revision);
    const after = await store.status();
    expect(after).toMatchObject({
      store: before.store,
      revision: last,
      keys: before.keys + 1,
      oldest: before.oldest,
    });
    expect(after.bytes).toBeGreaterThanOrEqual(0);
  });

  test("the first commits of a new store can be read and followed", async () => {
    const { store } = await fresh();
    const start = await store.status();
    const { revision } = await write(store, put("first", "1"));
    expect(revision).toBeGreaterThan(start.revision);
    expect(await textOf(store, "first", start.revision)).toBeUndefined();
    const commits = await changesBetween(store, start.revision + 1, revision);
    expect(commits.map((commit) => commit.revision)).toEqual([revision]);
  });

  test("after `close` every call fails with unavailable, and streams end with it", async () => {
    const { store } = await fresh();
    const { revision } = await write(store, put("a"));
    const waiting = pull(store, revision + 1);
    const ended = failure(() => waiting, "unavailable");
    await store.status();
    await store.close();
    await ended;
    await failure(() => store.get("a"), "unavailable");
    await failure(() => store.list({}), "unavailable");
    await failure(() => store.history("a"), "unavailable");
    await failure(() => store.compact(revision), "unavailable");
    await failure(() => store.status(), "unavailable");
    await failure(() => write(store, put("a")), "unavailable");
    await failure(() => pull(store, revision), "unavailable");
    await store.close();
  });

  test("`close` finishes what is in flight: each commit is applied, or refused as unavailable", async () => {
    const { store, reopen } = await fresh();
    const keys = Array.from({ length: 20 }, (_, at) => `in-flight/${at}`);
    const sent = keys.map((key) => write(store, put(key)).catch((error: unknown) => error));
    const closing = store.close();
    const outcomes = await Promise.all(sent);
    await closing;
    const applied = keys.filter((_, at) => !(outcomes[at] instanceof Error));
    for (const outcome of outcomes) {
      if (outcome instanceof Error) await failure(() => Promise.reject(outcome), "unavailable");
    }
    if (reopen === undefined) return;
    const again = await reopen();
    const there = (await listAll(again, { prefix: "in-flight/" })).map(({ key }) => key);
    expect(there.toSorted()).toEqual(applied.toSorted());
  });

  test("a store that is opened again is the same: state, history, revision and id", async () => {
    const { store, reopen } = await fresh();
    if (reopen === undefined) return;
    const start = await store.status();
    for (let round = 0; round < 10; round++) {
      const value = round % 2 === 0 ? bytes(`text ${round}`) : Uint8Array.of(255, round, 0);
      await write(store, put(`a/${round % 4}`, value), put(`b/${round}`, ""));
      if (round % 3 === 0) await write(store, del(`a/${round % 4}`));
    }
    const before = await dump(store, start.revision);
    const again = await reopen();
    expect(await dump(again, start.revision)).toEqual(before);
    const { revision } = await write(again, put("after"));
    expect(revision).toBeGreaterThan(before.status.revision);
    const [commit] = await changesBetween(again, before.status.revision + 1, revision);
    expect(commit!.events[0]).toMatchObject({ key: "after", version: 1 });
  });

  test("deadlines stay over a reopening, and what was due meanwhile has expired", async () => {
    const { store, reopen } = await fresh();
    if (reopen === undefined) return;
    const start = await store.status();
    const { results } = await write(
      store,
      putFor("hour", "v", 3_600_000),
      putFor("kept", "1", 60_000),
      put("none", "v"),
      putFor("soon", "v", 30),
    );
    const { revision } = await write(store, putFor("kept", "2", "keep"), incr("n", 1n, 50_000));
    const { expiresAt } = results.at(-1) as { expiresAt: number };
    const before = (await deadlines(store)).filter(([key]) => key !== "soon");
    const again = await reopen();
    const commits = await changesBetween(again, start.revision + 1, revision + 1);
    const events = commits.flatMap((commit) => commit.events);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt);
    expect(events.at(-1)).toMatchObject({ type: "expire", key: "soon" });
    expect(await deadlines(again)).toEqual(before);
    expect((await again.status()).keys).toBe(start.keys + 4);
  });

  test("a compaction stays over a reopening, with everything that it left", async () => {
    const { store, reopen } = await fresh();
    if (reopen === undefined) return;
    await write(store, put("old", "old"), put("a", "1"), put("gone"));
    const { revision: below } = await write(store, put("a", "2"), del("gone"));
    const { revision: oldest } = await write(store, put("b"));
    await write(store, put("a", "3"));
    await write(store, del("b"));
    await store.compact(oldest);
    const before = await dump(store, oldest);
    const keys = ["old", "a", "b", "gone"];
    const history = await histories(store, keys);
    const again = await reopen();
    expect(await dump(again, oldest)).toEqual(before);
    expect(await histories(again, keys)).toEqual(history);
    expect((await again.status()).oldest).toBe(oldest);
    await failure(() => again.get("a", { revision: below }), "compacted");
    await failure(() => pull(again, oldest), "compacted");
    expect(await again.compact(oldest)).toEqual({ oldest });
  });
}

// --- internal ---

async function deadlines(store: Store) {
  return (await listAll(store, {})).map(({ key, expiresAt }) => [key, expiresAt]);
}

function histories(store: Store, keys: readonly string[]) {
  return Promise.all(keys.map((key) => store.history(key)));
}

async function pull(store: Store, from: number): Promise<unknown> {
  for await (const chunk of store.changes(from)) {
    if (chunk.commits.length > 0) return chunk;
  }
  return "ended";
}
