/** Several operations in one commit: what they see, what they answer, and their net effect. */

import { expect, test } from "bun:test";
import type { PutResult } from "../../../src/kv.ts";
import {
  changesBetween,
  del,
  failure,
  put,
  shown,
  shownCommits,
  TEXT,
  textOf,
  write,
  writeAndSee,
} from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

const UNDONE = { revision: 0, createRevision: 0, version: 0 };

export function transactionsSection(subject: Subject): void {
  const { fresh } = subject;

  test("all operations take effect at one revision, and results stand in their order", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [a, b, c] = [`${prefix}a`, `${prefix}b`, `${prefix}c`];
    const old = await write(store, put(b, "old"));
    const { revision, results, events } = await writeAndSee(
      store,
      put(c, "3"),
      del(b),
      put(a, "1"),
    );
    expect(results).toEqual([
      { op: "put", key: c, revision, createRevision: revision, version: 1 },
      { op: "delete", deleted: 1 },
      { op: "put", key: a, revision, createRevision: revision, version: 1 },
    ]);
    const entry = { contentType: TEXT, revision, createRevision: revision, version: 1 };
    expect(events).toEqual([
      { type: "put", key: c, value: "3", ...entry },
      { type: "delete", key: b, revision },
      { type: "put", key: a, value: "1", ...entry },
    ]);
    expect(await textOf(store, b, old.revision)).toBe("old");
    expect(await textOf(store, b)).toBeUndefined();
  });

  test("later operations see earlier ones", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [a, b] = [`${prefix}a`, `${prefix}b`];
    await write(store, put(b, "old"));
    const { revision, results } = await write(
      store,
      { op: "get", key: a },
      put(a, "1"),
      { op: "get", key: a },
      put(a, "2"),
      { op: "get", key: a, keys: true },
      del(b),
      { op: "get", key: b },
      del(b),
    );
    const info = { key: a, contentType: TEXT, revision, createRevision: revision, version: 1 };
    const entries = results.map((one) => (one.op === "get" && one.entry ? shown(one.entry) : one));
    expect(entries[0]).toEqual({ op: "get" });
    expect(entries[2]).toEqual({ ...info, value: "1" });
    expect(entries[4]).toEqual(info);
    expect(entries[6]).toEqual({ op: "get" });
    expect([results[5], results[7]]).toEqual([
      { op: "delete", deleted: 1 },
      { op: "delete", deleted: 0 },
    ]);
  });

  test("a transaction that only reads takes no revision and tells the store's", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { revision } = await write(store, put(key, "1"));
    const result = await writeAndSee(
      store,
      { op: "get", key },
      { op: "get", key: `${key}-absent` },
    );
    expect(result.revision).toBe(revision);
    expect(result.events).toEqual([]);
    const [first, second] = result.results;
    expect(first!.op === "get" && shown(first!.entry!)).toMatchObject({
      key,
      value: "1",
      revision,
    });
    expect(second).toEqual({ op: "get" });
  });

  test("a transaction without operations succeeds and takes no revision", async () => {
    const { store } = subject;
    const { revision } = await write(store, put(`${fresh()}a`));
    const result = await store.commit({ checks: [], then: [] });
    expect(result).toEqual({ succeeded: true, revision, results: [], failed: [] });
    expect((await store.status()).revision).toBe(revision);
  });

  test("a key that is put twice changes once: one event, one version", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const created = await writeAndSee(store, put(key, "1"), put(key, "2"));
    expect(created.events).toHaveLength(1);
    expect(created.events[0]).toMatchObject({ type: "put", value: "2", version: 1 });
    const changed = await writeAndSee(store, put(key, "3"), put(key, "4"), put(key, "5"));
    expect(changed.events).toHaveLength(1);
    expect(changed.events[0]).toMatchObject({ value: "5", version: 2 });
    const { revision } = changed;
    const createRevision = created.revision;
    const result: PutResult = { op: "put", key, revision, createRevision, version: 2 };
    expect(changed.results).toEqual([result, result, result]);
    expect((await store.get(key)).entry).toMatchObject({ version: 2, revision });
  });

  test("deleted and put again is a put with version 1 and a new createRevision", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key, "1"));
    await write(store, put(key, "2"));
    const { revision, results, events } = await writeAndSee(
      store,
      del(key),
      put(key, "3"),
      put(key, "4"),
    );
    const again: PutResult = { op: "put", key, revision, createRevision: revision, version: 1 };
    expect(results).toEqual([{ op: "delete", deleted: 1 }, again, again]);
    expect(events).toEqual([
      {
        type: "put",
        key,
        value: "4",
        contentType: TEXT,
        revision,
        createRevision: revision,
        version: 1,
      },
    ]);
  });

  test("created and deleted is nothing, and takes no revision", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const before = (await store.status()).revision;
    const { revision, results, events } = await writeAndSee(store, put(key, "1"), del(key));
    expect(events).toEqual([]);
    expect(revision).toBe(before);
    expect(results).toEqual([
      { op: "put", key, ...UNDONE },
      { op: "delete", deleted: 1 },
    ]);
  });

  test("a put that a later delete undoes shows zeros; one after the delete counts", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key, "old"));
    const { revision, results, events } = await writeAndSee(
      store,
      put(key, "1"),
      del(key),
      put(key, "2"),
    );
    expect(results).toEqual([
      { op: "put", key, ...UNDONE },
      { op: "delete", deleted: 1 },
      { op: "put", key, revision, createRevision: revision, version: 1 },
    ]);
    expect(events).toHaveLength(1);
    const gone = await writeAndSee(store, put(key, "3"), del(key));
    expect(gone.results[0]).toEqual({ op: "put", key, ...UNDONE });
    expect(gone.events).toEqual([{ type: "delete", key, revision: gone.revision }]);
  });

  test("events stand in the order of each key's last operation", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => prefix + name) as [
      string,
      string,
      string,
      string,
    ];
    await write(store, put(d, "old"));
    const { events } = await writeAndSee(store, put(a), del(d), put(c), put(b), put(a), put(c));
    expect(events.map(({ key }) => key)).toEqual([d, b, a, c]);
  });

  test("all or nothing: one operation that is refused undoes all of them", async () => {
    const { store } = subject;
    const prefix = fresh();
    const before = (await store.status()).revision;
    const tooLarge = new Uint8Array(store.limits.valueBytesMax + 1).fill(0x61);
    await failure(() => write(store, put(`${prefix}a`), put(`${prefix}b`, tooLarge)), "too_large");
    await failure(() => write(store, put(`${prefix}a`), put("")), "invalid_argument");
    expect((await store.status()).revision).toBe(before);
    expect((await store.list({ prefix })).entries).toEqual([]);
  });

  test("a commit is seen whole by every read and every change", async () => {
    const { store } = subject;
    const prefix = fresh();
    const names = Array.from({ length: 20 }, (_, at) => `${prefix}${at}`);
    const from = (await store.status()).revision + 1;
    const writing = (async () => {
      let last = 0;
      for (let round = 0; round < 10; round++) {
        last = (await write(store, ...names.map((key) => put(key, String(round))))).revision;
      }
      return last;
    })();
    for (let round = 0; round < 10; round++) {
      const { entries } = await store.list({ prefix });
      expect([0, names.length]).toContain(entries.length);
      expect(new Set(entries.map(({ revision }) => revision)).size).toBeLessThanOrEqual(1);
    }
    const commits = await changesBetween(store, from, await writing, { range: { prefix } });
    expect(shownCommits(commits).map(({ events }) => events.length)).toEqual(
      Array.from({ length: 10 }, () => 20),
    );
  });
}
