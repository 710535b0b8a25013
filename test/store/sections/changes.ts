/** The change stream: history, then what comes, without a hole and without a duplicate. */

import { expect, test } from "bun:test";
import type { Changes, Range, Store } from "../../../src/kv.ts";
import {
  changesBetween,
  del,
  failure,
  put,
  shownCommits,
  TEXT,
  write,
} from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

export function changesSection(subject: Subject): void {
  const { fresh } = subject;

  test("history comes as it was committed: puts with their entries, and deletes", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [a, b] = [`${prefix}a`, `${prefix}b`];
    const first = (await write(store, put(a, "1", "text/css"))).revision;
    const second = (await write(store, put(b, Uint8Array.of(255, 0)), put(a, ""))).revision;
    const third = (await write(store, del(a))).revision;
    const commits = await changesBetween(store, first, third);
    const put1 = { type: "put", createRevision: first, contentType: TEXT };
    expect(shownCommits(commits)).toEqual([
      {
        revision: first,
        events: [
          { ...put1, key: a, value: "1", contentType: "text/css", revision: first, version: 1 },
        ],
      },
      {
        revision: second,
        events: [
          {
            ...put1,
            key: b,
            value: "\u00ff\u0000",
            revision: second,
            createRevision: second,
            version: 1,
          },
          { ...put1, key: a, value: "", revision: second, version: 2 },
        ],
      },
      { revision: third, events: [{ type: "delete", key: a, revision: third }] },
    ]);
  });

  test("`from` is the first revision that comes", async () => {
    const { store } = subject;
    const revisions = await putMany(store, fresh(), 5);
    for (const [at, from] of revisions.entries()) {
      const commits = await changesBetween(store, from, revisions[4]!);
      expect(commits.map(({ revision }) => revision)).toEqual(revisions.slice(at));
    }
  });

  test("only events of the range come, and `through` covers the others", async () => {
    const { store } = subject;
    const prefix = fresh();
    const from = (await store.status()).revision + 1;
    await write(store, put(`${prefix}a/1`), put(`${prefix}b/1`), put(`${prefix}a/2`));
    await write(store, put(`${prefix}b/2`));
    const last = (await write(store, del(`${prefix}b/1`))).revision;
    const seen = async (range: Range) =>
      (await changesBetween(store, from, last, { range })).map(({ events }) =>
        events.map(({ key }) => key.slice(prefix.length)),
      );
    expect(await seen({ prefix: `${prefix}a/` })).toEqual([["a/1", "a/2"]]);
    expect(await seen({ key: `${prefix}b/1` })).toEqual([["b/1"], ["b/1"]]);
    expect(await seen({ start: `${prefix}a/2`, end: `${prefix}b/2` })).toEqual([
      ["b/1", "a/2"],
      ["b/1"],
    ]);
    expect(await seen({ prefix: `${prefix}nothing` })).toEqual([]);
    expect(await seen({})).toEqual([["a/1", "b/1", "a/2"], ["b/2"], ["b/1"]]);
  });

  test("a pull at the store's next revision waits for the next commit", async () => {
    const { store } = subject;
    const prefix = fresh();
    const { revision } = await store.status();
    const stream = changesBetween(store, revision + 1, revision + 1, { range: { prefix } });
    let ended = false;
    void stream.finally(() => (ended = true)).catch(() => undefined);
    for (let round = 0; round < 5; round++) await store.status();
    expect(ended).toBe(false);
    const next = (await write(store, put(`${prefix}a`, "live"))).revision;
    expect((await stream).map((commit) => commit.revision)).toEqual([next]);
  });

  test("a stream goes from history over to new commits without hole or duplicate", async () => {
    const { store } = subject;
    const prefix = fresh();
    const old = await putMany(store, prefix, 10);
    const seen: number[] = [];
    const begun = Promise.withResolvers<void>();
    const last = `${prefix}last`;
    const following = (async () => {
      for await (const { commits } of store.changes(old[0]!, { range: { prefix } })) {
        seen.push(...commits.map(({ revision }) => revision));
        begun.resolve();
        if (commits.some(({ events }) => events.some(({ key }) => key === last))) return;
      }
    })();
    const during = await putMany(store, prefix, 10);
    await begun.promise;
    const after = await putMany(store, prefix, 10);
    const { revision } = await write(store, put(last));
    await following;
    expect(seen).toEqual([...old, ...during, ...after, revision]);
  });

  test("a stream can be resumed after any chunk, at `through` + 1", async () => {
    const { store } = subject;
    const prefix = fresh();
    const value = new Uint8Array(200_000).fill(0x62);
    const revisions: number[] = [];
    for (let round = 0; round < 15; round++) {
      revisions.push((await write(store, put(`${prefix}${round}`, value))).revision);
    }
    const seen: number[] = [];
    let next = revisions[0]!;
    while (next <= revisions.at(-1)!) {
      const chunk = await firstChunk(store, next);
      seen.push(...chunk.commits.map(({ revision }) => revision));
      expect(chunk.through).toBeGreaterThanOrEqual(chunk.commits.at(-1)?.revision ?? 0);
      next = chunk.through + 1;
    }
    expect(seen).toEqual(revisions);
  });

  test("each stream goes at its own pace and sees everything", async () => {
    const { store } = subject;
    const prefix = fresh();
    const from = (await store.status()).revision + 1;
    const slow = store.changes(from, { range: { prefix } })[Symbol.asyncIterator]();
    const revisions = await putMany(store, prefix, 30);
    const quick = await changesBetween(store, from, revisions.at(-1)!, { range: { prefix } });
    const seen: number[] = [];
    for (let reached = from; reached < revisions.at(-1)!;) {
      const { value } = (await slow.next()) as { value: Changes };
      seen.push(...value.commits.map(({ revision }) => revision));
      reached = value.through;
    }
    await slow.return?.();
    expect(seen).toEqual(revisions);
    expect(quick.map(({ revision }) => revision)).toEqual(revisions);
  });

  test("an abort ends the stream without an error: before, while waiting, and in history", async () => {
    const { store } = subject;
    const revisions = await putMany(store, fresh(), 3);
    const pulled = async (from: number, signal: AbortSignal, onChunk?: () => void) => {
      let chunks = 0;
      for await (const _ of store.changes(from, { signal })) {
        chunks++;
        onChunk?.();
      }
      return chunks;
    };
    expect(await pulled(revisions[0]!, AbortSignal.abort())).toBe(0);

    const waiting = new AbortController();
    const stream = pulled(revisions[2]! + 1, waiting.signal);
    for (let round = 0; round < 3; round++) await store.status();
    waiting.abort();
    await stream;

    const inHistory = new AbortController();
    const chunks = await pulled(revisions[0]!, inHistory.signal, () => inHistory.abort());
    expect(chunks).toBeGreaterThanOrEqual(1);
    expect(chunks).toBeLessThanOrEqual(2);
  });

  test("a stream that is left early leaves the store as it was", async () => {
    const { store } = subject;
    const prefix = fresh();
    const revisions = await putMany(store, prefix, 3);
    await firstChunk(store, revisions[0]!);
    const after = await write(store, put(`${prefix}after`));
    const commits = await changesBetween(store, revisions[0]!, after.revision);
    expect(commits).toHaveLength(4);
  });

  test("a start at or below the oldest revision is compacted and names the first possible", async () => {
    const { store } = subject;
    const { oldest } = await store.status();
    const error = await failure(() => firstChunk(store, oldest), "compacted");
    expect(error.details.oldest).toBe(oldest + 1);
    await write(store, put(`${fresh()}a`));
    expect((await firstChunk(store, oldest + 1)).through).toBeGreaterThan(oldest);
  });

  test("a start further than one above the store's revision is refused", async () => {
    const { store } = subject;
    const { revision } = await write(store, put(`${fresh()}a`));
    const error = await failure(() => firstChunk(store, revision + 2), "invalid_argument");
    expect(error.details.revision).toBe(revision);
    for (const bad of [1.5, Number.NaN]) {
      await failure(() => firstChunk(store, bad), "invalid_argument");
    }
  });

  test("a range that is none is refused", async () => {
    const { store } = subject;
    const from = (await store.status()).revision + 1;
    const pull = (range: Range) => () => firstChunk(store, from, range);
    await failure(pull({ key: "" }), "invalid_argument");
    await failure(pull({ prefix: "\uD800" }), "invalid_argument");
    await failure(pull({ start: "x".repeat(store.limits.keyBytesMax + 1) }), "too_large");
  });
}

// --- internal ---

/** Commits `count` puts one after the other, and answers with their revisions. */
async function putMany(store: Store, prefix: string, count: number): Promise<number[]> {
  const revisions: number[] = [];
  for (let at = 0; at < count; at++) {
    revisions.push((await write(store, put(`${prefix}${at}`, String(at)))).revision);
  }
  return revisions;
}

async function firstChunk(store: Store, from: number, range: Range = {}): Promise<Changes> {
  for await (const chunk of store.changes(from, { range })) return chunk;
  throw new Error("the stream ended");
}
