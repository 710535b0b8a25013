/** What a blocking read answers, and that no change between two of its steps is missed. */

import { describe, expect, test } from "bun:test";
import { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
import { KeyWaits, type WaitOptions } from "../../src/watch/key-waits.ts";
import { waitFor, type WaitResult } from "../../src/watch/wait-for.ts";
import { altered } from "../support/altered-store.ts";
import { openModel } from "../support/model-store.ts";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";
import { bytes, del, failure, put, TEXT, write } from "../support/stores.ts";
import { quiet } from "./rig.ts";

const LONG: WaitOptions = { timeoutMs: 60_000 };
const SHORT: WaitOptions = { timeoutMs: 5 };

function open(store: Store = openModel()) {
  const waits = new KeyWaits(store);
  const wait = (key: string, above: number, options = LONG): Promise<WaitResult> =>
    waitFor(store, waits, key, above, options);
  return { store, waits, wait };
}

/** Whether a promise has an outcome once everything has run that can. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  return await Promise.race([promise.then(() => true), quiet().then(() => false)]);
}

function shown({ changed, revision, entry }: WaitResult) {
  return { changed, revision, entry: entry?.revision };
}

describe("a key whose revision is above the given one", () => {
  test("is answered at once", async () => {
    const { store, wait, waits } = open();
    await write(store, put("a"));
    await write(store, put("b"));
    expect(shown(await wait("a", 0))).toEqual({ changed: true, revision: 2, entry: 1 });
    expect(waits.size).toBe(0);
  });

  test("and that was deleted above it is answered at once as absent", async () => {
    const { store, wait } = open();
    await write(store, put("a"));
    await write(store, del("a"));
    await write(store, put("b"));
    for (const above of [0, 1]) {
      expect(shown(await wait("a", above))).toEqual({
        changed: true,
        revision: 3,
        entry: undefined,
      });
    }
  });
});

describe("a key that has not changed above the given revision", () => {
  test("is waited for, until it is put", async () => {
    const { store, wait } = open();
    await write(store, put("a"));
    const waiting = wait("a", 1);
    await write(store, put("b"));
    expect(await isSettled(waiting)).toBe(false);
    await write(store, put("a", "2"));
    expect(await waiting).toMatchObject({
      changed: true,
      revision: 3,
      entry: { value: bytes("2") },
    });
  });

  test("is waited for, until it is deleted, or expires", async () => {
    let now = 0;
    const { store, wait } = open(openModel({ clock: () => now }));
    await write(store, put("a"));
    const deleted = wait("a", 1);
    await write(store, del("a"));
    expect(shown(await deleted)).toEqual({ changed: true, revision: 2, entry: undefined });

    const value = bytes("");
    await write(store, { op: "put", key: "a", value, contentType: TEXT, ttl: 100 });
    const expired = wait("a", 3);
    expect(await isSettled(expired)).toBe(false);
    now = 100;
    await store.status();
    expect(shown(await expired)).toEqual({ changed: true, revision: 4, entry: undefined });
  });

  test("is waited for when it is absent, never having been there or deleted before", async () => {
    const { store, wait } = open();
    await write(store, put("b"));
    await write(store, del("b"));
    const never = wait("a", 0);
    const since = wait("b", 2);
    expect(await isSettled(Promise.race([never, since]))).toBe(false);
    await write(store, put("a"), put("b"));
    expect(shown(await never)).toEqual({ changed: true, revision: 3, entry: 3 });
    expect(shown(await since)).toEqual({ changed: true, revision: 3, entry: 3 });
  });

  test("answers at the timeout what was there all along", async () => {
    const { store, wait, waits } = open();
    await write(store, put("a"));
    expect(shown(await wait("a", 1, SHORT))).toEqual({ changed: false, revision: 1, entry: 1 });
    expect(shown(await wait("b", 1, SHORT))).toEqual({
      changed: false,
      revision: 1,
      entry: undefined,
    });
    expect(waits.size).toBe(0);
  });

  test("answers at the timeout up to where nothing has happened to it", async () => {
    const { store, wait } = open();
    await write(store, put("a"));
    const [present, absent] = [wait("a", 1, SHORT), wait("b", 0, SHORT)];
    await write(store, put("c"));
    await write(store, put("c"));
    expect(shown(await present)).toEqual({ changed: false, revision: 3, entry: 1 });
    // Nobody who goes on from here meets a compaction of what was waited through.
    await store.compact(3);
    const { revision } = await absent;
    expect(shown(await wait("b", revision, SHORT))).toMatchObject({ changed: false, revision: 3 });
  });

  test("is let go of when the signal aborts", async () => {
    const { store, wait, waits } = open();
    await write(store, put("a"));
    const given = new AbortController();
    const waiting = wait("a", 1, { ...LONG, signal: given.signal });
    await quiet();
    expect(waits.size).toBe(1);
    given.abort();
    await failure(() => waiting, "unavailable");
    await failure(() => wait("a", 1, { ...LONG, signal: given.signal }), "unavailable");
    expect(waits.size).toBe(0);
  });
});

describe("a revision", () => {
  test("that the store does not have yet is refused with the one that it has", async () => {
    const { store, wait } = open();
    await write(store, put("a"));
    for (const key of ["a", "b"]) {
      const error = await failure(() => wait(key, 2), "invalid_argument");
      expect(error.message).toBe("wait is 2, but the store is at revision 1");
      expect(error.details).toEqual({ revision: 1 });
    }
  });

  test("that is forgotten is refused where a deletion may be forgotten with it", async () => {
    const { store, wait } = open();
    await write(store, put("a"));
    await write(store, put("b"), put("c"));
    await write(store, del("b"));
    await write(store, del("c"));
    await store.compact(3);
    const error = await failure(() => wait("b", 2), "compacted");
    expect(error.message).toBe("wait is 2, which has been compacted; the smallest possible is 3");
    expect(error.details).toEqual({ oldest: 3 });
    // From 3 on nothing is forgotten, 0 asks for a key that is there, a present key was not
    // deleted, and a deletion that is known is one.
    expect(shown(await wait("b", 3, SHORT))).toMatchObject({ changed: false });
    expect(shown(await wait("b", 0, SHORT))).toMatchObject({ changed: false });
    expect(shown(await wait("a", 1, SHORT))).toMatchObject({ changed: false, entry: 1 });
    expect(shown(await wait("c", 2))).toMatchObject({ changed: true });
  });

  test("that is forgotten while the key is waited for does not end the wait", async () => {
    const { store, wait } = open();
    await write(store, put("b"));
    const waiting = wait("a", 1);
    for (let count = 0; count < 5; count++) await write(store, put("b"));
    await quiet();
    await store.compact(6);
    expect(await isSettled(waiting)).toBe(false);
    await write(store, put("a"));
    expect(shown(await waiting)).toEqual({ changed: true, revision: 7, entry: 7 });
  });
});

describe("no change is missed", () => {
  test("that comes at any step of the way to the waiting", async () => {
    // The change comes while the n-th call to the store is under way, before or after its look.
    for (let at = 0; at < 6; at++) {
      for (const late of [false, true]) {
        for (const change of [put("a"), del("a")]) {
          const model = openModel();
          await write(model, put("x"), change.op === "delete" ? put("a") : put("y"));
          let calls = 0;
          const stepped = async <T>(call: () => T): Promise<Awaited<T>> => {
            const now = calls++ === at;
            if (now && !late) await write(model, change);
            const result = await call();
            if (now && late) await write(model, change);
            return result;
          };
          const store = altered(model, {
            get: (key: string) => stepped(() => model.get(key)),
            history: (...args: Parameters<Store["history"]>) =>
              stepped(() => model.history(...args)),
            status: () => stepped(() => model.status()),
          });
          const waiting = open(store).wait("a", 1);
          await quiet();
          if (calls <= at) await write(model, change);
          const { changed, entry } = await waiting;
          const gone = change.op === "delete";
          expect({ at, late, changed, gone: entry === undefined }).toEqual({
            at,
            late,
            changed: true,
            gone,
          });
        }
      }
    }
  });

  test("by random waiters among random writers and compactions", async () => {
    const first = randomSeed();
    for (let round = 0; round < rounds(30); round++) {
      await withSeed(first + round, (random) => raceOf(random));
    }
  });
});

/** Waiters that each follow a key through every change that they can see, to its last one. */
async function raceOf(random: Random): Promise<void> {
  const model = openModel({ chunkCommitsMax: 1 + random.below(3) });
  const keys = ["a", "b", "c"];
  const slow = async <T>(call: () => T): Promise<Awaited<T>> => {
    for (let turn = random.below(3); turn > 0; turn--) await quiet(1);
    const result = await call();
    for (let turn = random.below(3); turn > 0; turn--) await quiet(1);
    return result;
  };
  const { wait, waits } = open(
    altered(model, {
      get: (key: string) => slow(() => model.get(key)),
      history: (...args: Parameters<Store["history"]>) => slow(() => model.history(...args)),
      status: () => slow(() => model.status()),
      async *changes(...args: Parameters<Store["changes"]>) {
        for await (const chunk of model.changes(...args)) yield await slow(() => chunk);
      },
    }),
  );
  const reached = new Map<number, number>();
  const follow = async (waiter: number, key: string): Promise<void> => {
    let above = 0;
    while (true) {
      const options = { timeoutMs: 1 + random.below(10) };
      const result = await wait(key, above, options).catch((error: unknown) => {
        if (!(error instanceof KvError) || error.code !== "compacted") throw error;
        above = error.details.oldest!;
      });
      if (result === undefined) continue;
      if (!result.changed) {
        // Nothing has happened up to there: to go on from it must lose nothing either.
        above = result.revision;
        continue;
      }
      const { revision } = result.entry ?? result;
      if (revision <= above) throw new Error(`${key}: ${revision} is not above ${above}`);
      reached.set(waiter, (above = revision));
    }
  };
  const followers = Array.from({ length: 12 }, (_, waiter) =>
    follow(waiter, keys[waiter % keys.length]!).catch((error: unknown) => error),
  );
  const last = new Map<string, number>();
  for (let count = 0; count < 60; count++) {
    const key = random.pick(keys);
    const { revision } = await write(model, random.oneIn(3) ? del(key) : put(key));
    last.set(key, revision);
    const { revision: newest, oldest } = model.status();
    if (random.oneIn(10)) await model.compact(Math.max(oldest, newest - random.below(2)));
    await quiet(random.below(4));
  }
  // A put at the end, which nobody may miss, however long the compactions made them start over.
  for (const key of keys) last.set(key, (await write(model, put(key))).revision);
  const behind = () =>
    [...reached.entries()].filter(([waiter, at]) => at < last.get(keys[waiter % keys.length]!)!);
  for (const started = Date.now(); reached.size < 12 || behind().length > 0;) {
    if (Date.now() - started > 2_000) throw new Error(`missed by ${JSON.stringify(behind())}`);
    await quiet(1);
  }
  waits.stop();
  await Promise.all(followers);
}
