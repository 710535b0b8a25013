/** Forgetting history: what can be read afterwards, what cannot, and what is never lost. */

import { expect, test } from "bun:test";
import type { Store } from "../../../src/kv.ts";
import {
  changesBetween,
  del,
  failure,
  incr,
  listAll,
  put,
  putFor,
  shown,
  textOf,
  write,
} from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

const HOUR = 3_600_000;

export function compactionSection(subject: Subject): void {
  const { fresh } = subject;

  /** Five revisions of one key, the fourth of which deletes it. */
  const written = async (key: string) => {
    const { store } = subject;
    const revisions: number[] = [];
    for (const step of [put(key, "1"), put(key, "2"), put(key, "3"), del(key), put(key, "5")]) {
      revisions.push((await write(store, step)).revision);
      await write(store, put(`${key}-between`, String(revisions.length)));
    }
    return revisions as [number, number, number, number, number];
  };

  test("it makes a revision the oldest that can be read, and takes none itself", async () => {
    const { store } = subject;
    const [, second] = await written(`${fresh()}a`);
    const before = await store.status();
    expect(await store.compact(second)).toEqual({ oldest: second });
    const after = await store.status();
    expect([after.oldest, after.revision, after.keys]).toEqual([
      second,
      before.revision,
      before.keys,
    ]);
  });

  test("the same again is fine, below it is compacted, above the store's it is refused", async () => {
    const { store } = subject;
    const [first, second] = await written(`${fresh()}a`);
    await store.compact(second);
    expect(await store.compact(second)).toEqual({ oldest: second });
    const below = await failure(() => store.compact(first), "compacted");
    expect(below.details.oldest).toBe(second);
    const { revision } = await store.status();
    const above = await failure(() => store.compact(revision + 1), "invalid_argument");
    expect(above.details.revision).toBe(revision);
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) {
      await failure(() => store.compact(bad), "invalid_argument");
    }
    expect((await store.status()).oldest).toBe(second);
  });

  test("reads at it and later are as before, reads below it are compacted", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const revisions = await written(key);
    const readable = revisions.slice(2);
    const read = async () => {
      const answers: unknown[] = [];
      for (const revision of readable) {
        const { entry } = await store.get(key, { revision });
        const listed = await listAll(store, { prefix: key }, { revision });
        answers.push([entry && shown(entry), listed.map(shown)]);
        const page = await store.list({ prefix: key }, { revision, reverse: true, keys: true });
        answers.push(page.entries.map(shown));
        answers.push((await store.list({ prefix: key }, { revision, count: true })).count);
      }
      return answers;
    };
    const before = await read();
    await store.compact(revisions[2]);
    expect(await read()).toEqual(before);
    for (const revision of revisions.slice(0, 2)) {
      const codes = [
        await failure(() => store.get(key, { revision }), "compacted"),
        await failure(() => store.list({}, { revision }), "compacted"),
        await failure(() => store.list({}, { revision, count: true }), "compacted"),
        await failure(() => store.list({}, { revision, reverse: true }), "compacted"),
      ];
      expect(codes.map(({ details }) => details.oldest)).toEqual(Array(4).fill(revisions[2]));
    }
    await failure(() => store.get(key, { revision: revisions[2] - 1 }), "compacted");
  });

  test("live entries are never lost, however old their last change is", async () => {
    const { store } = subject;
    const prefix = fresh();
    const { revision: old } = await write(
      store,
      put(`${prefix}old`, "old", "text/css"),
      putFor(`${prefix}ttl`, "ttl", HOUR),
      put(`${prefix}empty`, ""),
      put(`${prefix}n`, "41"),
    );
    const entries = async (revision?: number) =>
      (await listAll(store, { prefix }, revision === undefined ? {} : { revision })).map(shown);
    const before = await entries();
    await written(`${fresh()}a`);
    const { revision } = await store.status();
    await store.compact(revision);
    expect(await entries()).toEqual(before);
    expect(await entries(revision)).toEqual(before);
    const checks = [{ key: `${prefix}old`, revision: old }];
    const then = [put(`${prefix}old`, "new"), incr(`${prefix}n`)];
    const { succeeded, results } = await store.commit({ checks, then });
    expect(succeeded).toBe(true);
    expect(results).toMatchObject([
      { createRevision: old, version: 2 },
      { createRevision: old, version: 2, value: 42n },
    ]);
    expect(await textOf(store, `${prefix}old`, revision)).toBe("old");
  });

  test("a key deleted before it is as if it had never been", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key, "1"));
    const { revision } = await write(store, del(key));
    await store.compact(revision);
    expect(await textOf(store, key)).toBeUndefined();
    expect(await textOf(store, key, revision)).toBeUndefined();
    expect((await store.history(key)).entries).toEqual([]);
    const again = await write(store, put(key, "2"));
    expect(again.results[0]).toMatchObject({ createRevision: again.revision, version: 1 });
    expect(await textOf(store, key, revision)).toBeUndefined();
    const events = (await store.history(key)).entries.map((entry) => entry.revision);
    expect(events).toEqual([again.revision]);
  });

  test("history goes back to the entry that the key had at the oldest revision", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const [first, second, third, fourth, fifth] = await written(key);
    const history = async () => (await store.history(key)).entries.map((one) => one.revision);
    expect(await history()).toEqual([fifth, fourth, third, second, first]);
    await store.compact(second);
    expect(await history()).toEqual([fifth, fourth, third, second]);
    // One above a change: the key had the same entry.
    await store.compact(second + 1);
    expect(await history()).toEqual([fifth, fourth, third, second]);
    await store.compact(third);
    expect(await history()).toEqual([fifth, fourth, third]);
    const last = await store.history(key, { before: fourth });
    expect([last.entries.length, last.more]).toEqual([1, false]);
    const page = await store.history(key, { limit: 2 });
    expect([page.entries.length, page.more]).toEqual([2, true]);
    await store.compact(fourth);
    expect(await history()).toEqual([fifth]);
    expect((await store.history(key, { limit: 1 })).more).toBe(false);
    const error = await failure(() => store.history(key, { before: fourth }), "compacted");
    expect(error.details.oldest).toBe(fourth + 1);
    await store.compact((await store.status()).revision);
    expect(await history()).toEqual([fifth]);
  });

  test("changes start above it, and nowhere else", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const [first, second, , , fifth] = await written(key);
    const range = { key };
    const whole = await changesBetween(store, first, fifth, { range });
    await store.compact(second);
    for (const from of [first, second]) {
      const error = await failure(() => firstChunk(store, from), "compacted");
      expect(error.details.oldest).toBe(second + 1);
    }
    const rest = await changesBetween(store, second + 1, fifth, { range });
    expect(rest.map(({ revision }) => revision)).toEqual(
      whole.slice(2).map(({ revision }) => revision),
    );
  });

  test("a stream that waits above it goes on; one whose start it passed is told so", async () => {
    const { store } = subject;
    const prefix = fresh();
    const { revision } = await write(store, put(`${prefix}a`));
    const waiting = changesBetween(store, revision + 1, revision + 1, { range: { prefix } });
    const behind = store.changes(revision)[Symbol.asyncIterator]();
    for (let round = 0; round < 3; round++) await store.status();
    await store.compact(revision);
    await failure(() => behind.next(), "compacted");
    const next = await write(store, put(`${prefix}b`));
    expect((await waiting).map((commit) => commit.revision)).toEqual([next.revision]);
  });

  test("a stream that it overtakes goes on without a hole, or is told so", async () => {
    const { store } = subject;
    const prefix = fresh();
    const { revision: from } = await write(store, put(`${prefix}a`));
    const stream = store.changes(from, { range: { prefix } })[Symbol.asyncIterator]();
    const first = await stream.next();
    let next = first.value!.through + 1;
    for (let round = 0; round < 20; round++) await write(store, put(`${prefix}a`, String(round)));
    const { revision } = await store.status();
    await store.compact(revision);
    try {
      while (next <= revision) {
        const { value } = await stream.next();
        for (const commit of value!.commits) expect(commit.revision).toBeGreaterThanOrEqual(next);
        next = value!.through + 1;
      }
      const versions = (await store.history(`${prefix}a`)).entries;
      expect(versions[0]).toMatchObject({ version: 21 });
    } catch (error) {
      await failure(() => Promise.reject(error), "compacted");
    } finally {
      await stream.return?.();
    }
  });

  test("a listing whose revision it passed ends as compacted, a later one goes on", async () => {
    const { store } = subject;
    const prefix = fresh();
    await write(store, ...["a", "b", "c"].map((name) => put(prefix + name)));
    const early = await store.list({ prefix }, { limit: 1 });
    await write(store, put(`${prefix}b`, "new"));
    const late = await store.list({ prefix }, { limit: 1 });
    await store.compact(late.revision);
    const next = (page: typeof early) =>
      store.list({ prefix }, { limit: 1, after: page.next!, revision: page.revision });
    const error = await failure(() => next(early), "compacted");
    expect(error.details.oldest).toBe(late.revision);
    expect((await next(late)).entries[0]!.key).toBe(`${prefix}b`);
  });

  test("writes and reads go on while it runs", async () => {
    const { store } = subject;
    const prefix = fresh();
    const key = `${prefix}n`;
    const { revision: start } = await write(store, put(key, "0"), put(`${prefix}still`, "here"));
    const sent = Array.from({ length: 40 }, async (_, at) => {
      const { revision } = await write(store, incr(key));
      if (at % 10 === 5) await store.compact(start);
      return revision;
    });
    const compacting = store.compact(start);
    const revisions = await Promise.all(sent);
    await compacting;
    expect(new Set(revisions).size).toBe(40);
    expect(await textOf(store, key)).toBe("40");
    expect(await textOf(store, `${prefix}still`)).toBe("here");
    const commits = await changesBetween(store, start + 1, Math.max(...revisions), {
      range: { key },
    });
    expect(commits).toHaveLength(40);
  });
}

// --- internal ---

async function firstChunk(store: Store, from: number): Promise<unknown> {
  for await (const chunk of store.changes(from)) return chunk;
  throw new Error("the stream ended");
}
