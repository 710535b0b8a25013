/** All operations together in one transaction: what they see of each other, and how one fails. */

import { expect, test } from "bun:test";
import type { ListTxnResult, Operation } from "../../../src/kv.ts";
import {
  bytes,
  del,
  delRange,
  failure,
  incr,
  plainResult,
  put,
  putFor,
  TEXT,
  touch,
  write,
  writeAndSee,
} from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

const HOUR = 3_600_000;
const UNDONE = { revision: 0, createRevision: 0, version: 0 };

export function operationsSection(subject: Subject): void {
  const { fresh } = subject;

  test("one transaction may have every operation, each of which sees those before it", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [a, b, c, n] = ["a", "b", "c", "n"].map((name) => prefix + name) as Names;
    const old = await write(store, put(a, "old a"), put(b, "old b", "text/css"));
    const { revision, results, events } = await writeAndSee(
      store,
      put(c, "new"),
      incr(n, 3n),
      touch(b, "none"),
      del(a),
      { op: "list", range: { prefix }, keys: true },
      delRange({ start: b, end: n }, 1),
      { op: "list", range: { prefix }, count: true },
      { op: "get", key: b },
      incr(n, -1n),
      { op: "list", range: { prefix }, reverse: true, limit: 1 },
    );
    const created = { revision, createRevision: revision, version: 1 };
    expect(results.map(plainResult)).toEqual([
      { op: "put", key: c, ...created },
      { op: "incr", key: n, ...created, value: "3" },
      { op: "touch", key: b, ...UNDONE },
      { op: "delete", deleted: 1 },
      {
        op: "list",
        more: false,
        entries: [
          { key: b, contentType: "text/css", revision, createRevision: old.revision, version: 2 },
          { key: c, contentType: TEXT, ...created },
          { key: n, contentType: TEXT, ...created },
        ],
      },
      { op: "deleteRange", deleted: 1, more: true },
      { op: "list", entries: [], count: 2, more: false },
      { op: "get" },
      { op: "incr", key: n, ...created, value: "2" },
      {
        op: "list",
        more: true,
        entries: [{ key: n, value: "2", contentType: TEXT, ...created }],
      },
    ]);
    expect(events.map(({ type, key }) => [type, key])).toEqual([
      ["put", c],
      ["delete", a],
      ["delete", b],
      ["put", n],
    ]);
  });

  test("a list in a transaction has all the shapes of a list", async () => {
    const { store } = subject;
    const prefix = fresh();
    await write(store, ...["a", "a/b", "a/c", "b", "c/d"].map((name) => put(prefix + name, name)));
    const range = { prefix };
    const { results } = await write(
      store,
      put(`${prefix}d/new`, "new"),
      del(`${prefix}a/b`),
      { op: "list", range, limit: 2 },
      { op: "list", range, limit: 2, reverse: true, keys: true },
      { op: "list", range, delimiter: "/" },
      { op: "list", range, delimiter: "/", reverse: true, limit: 2 },
      { op: "list", range: { start: `${prefix}a/`, end: `${prefix}c` } },
      { op: "list", range: { key: `${prefix}d/new` }, count: true },
      { op: "list", range: { prefix: `${prefix}x` } },
    );
    const cut = (text: string) => text.slice(prefix.length);
    const lists = results.slice(2).map((result) => {
      const { entries, folders, count, more } = result as ListTxnResult;
      const keys = entries.map(({ key }) => cut(key));
      return { keys, folders: folders?.map(cut), count, more };
    });
    expect(lists).toEqual([
      { keys: ["a", "a/c"], folders: undefined, count: undefined, more: true },
      { keys: ["d/new", "c/d"], folders: undefined, count: undefined, more: true },
      { keys: ["a", "b"], folders: ["a/", "c/", "d/"], count: undefined, more: false },
      { keys: [], folders: ["d/", "c/"], count: undefined, more: true },
      { keys: ["a/c", "b"], folders: undefined, count: undefined, more: false },
      { keys: [], folders: undefined, count: 1, more: false },
      { keys: [], folders: undefined, count: undefined, more: false },
    ]);
    expect((results[3] as ListTxnResult).entries[0]).not.toHaveProperty("value");
  });

  test("an operation that fails undoes all of it, and is named within the list that ran", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [text, absent, other] = ["text", "absent", "other"].map((name) => prefix + name) as Names;
    const { revision } = await write(store, put(text, "no integer"));
    const failing: [Operation, "conflict" | "not_found"][] = [
      [incr(text), "conflict"],
      [touch(absent, HOUR), "not_found"],
      [touch(absent, "keep"), "not_found"],
    ];
    const passing = [put(other), del(text), put(text, "no integer")];
    for (const [operation, code] of failing) {
      const inThen = { checks: [], then: [...passing, operation, put(other)], else: [operation] };
      const thenError = await failure(() => store.commit(inThen), code);
      expect(thenError.details.index).toBe(3);
      const checks = [{ key: text, revision: 0 }];
      const inElse = { checks, then: passing, else: [put(other), operation] };
      const elseError = await failure(() => store.commit(inElse), code);
      expect(elseError.details.index).toBe(1);
      // What does not run cannot fail.
      const notRun = { checks, then: [operation], else: [] };
      expect(await store.commit(notRun)).toMatchObject({ succeeded: false, results: [] });
    }
    expect((await store.status()).revision).toBe(revision);
    expect((await store.list({ prefix })).entries.map(({ key }) => key)).toEqual([text]);
  });

  test("failures leave no trace in the transactions beside them", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key, "0"));
    const sent = Array.from({ length: 30 }, (_, at) =>
      write(store, incr(key), ...(at % 3 === 0 ? [touch(`${key}-absent`, HOUR)] : [])),
    );
    const outcomes = await Promise.allSettled(sent);
    const done = outcomes.filter(({ status }) => status === "fulfilled");
    expect(done).toHaveLength(20);
    const { entry } = await store.get(key);
    expect([Buffer.from(entry!.value).toString(), entry!.version]).toEqual(["20", 21]);
  });

  test("all changes of a key are undone by a later delete, and say so", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [a, n] = [`${prefix}a`, `${prefix}n`];
    await write(store, put(a, "old"));
    const { revision, results, events } = await writeAndSee(
      store,
      putFor(a, "1", HOUR),
      touch(a, HOUR),
      incr(n, 5n, HOUR),
      delRange({ prefix }),
      del(n),
    );
    expect(results).toEqual([
      { op: "put", key: a, ...UNDONE },
      { op: "touch", key: a, ...UNDONE },
      { op: "incr", key: n, ...UNDONE, value: 5n },
      { op: "deleteRange", deleted: 2, more: false },
      { op: "delete", deleted: 0 },
    ]);
    expect(events).toEqual([{ type: "delete", key: a, revision }]);
  });

  test("where nothing is committed in the end, entries made on the way show revision 0", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [a, b] = [`${prefix}a`, `${prefix}b`];
    const kept = `${fresh()}kept`;
    const { revision } = await write(store, put(kept, "kept"));
    const { results, ...rest } = await write(
      store,
      put(a, "1"),
      { op: "get", key: a },
      incr(b, 2n),
      { op: "list", range: { prefix } },
      { op: "get", key: kept, keys: true },
      delRange({ prefix }),
    );
    expect(rest).toEqual({ succeeded: true, revision, failed: [] });
    const none = { contentType: TEXT, revision: 0, createRevision: 0, version: 1 };
    expect(results.map(plainResult)).toEqual([
      { op: "put", key: a, ...UNDONE },
      { op: "get", entry: { key: a, value: "1", ...none } },
      { op: "incr", key: b, ...UNDONE, value: "2" },
      {
        op: "list",
        more: false,
        entries: [
          { key: a, value: "1", ...none },
          { key: b, value: "2", ...none },
        ],
      },
      {
        op: "get",
        entry: { key: kept, contentType: TEXT, revision, createRevision: revision, version: 1 },
      },
      { op: "deleteRange", deleted: 2, more: false },
    ]);
  });

  test("put, touch and incr of one key are one event, and one version", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const created = await write(store, put(key, "1", "text/css"));
    const { results, events } = await writeAndSee(
      store,
      touch(key, HOUR),
      incr(key),
      put(key, "7"),
      incr(key),
    );
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ value: "8", version: 2, createRevision: created.revision });
    expect(results.map((one) => "version" in one && one.version)).toEqual([2, 2, 2, 2]);
  });

  test("a list in a transaction counts as bytes read", async () => {
    const { store } = subject;
    const prefix = fresh();
    const { commitBytesMax, pageBytesMax } = store.limits;
    const size = Math.floor(pageBytesMax / 2);
    await write(store, put(`${prefix}a`, new Uint8Array(size).fill(0x61)));
    const list: Operation = { op: "list", range: { prefix } };
    const bare: Operation = { op: "list", range: { prefix }, keys: true };
    const lists = Array.from({ length: Math.floor(commitBytesMax / size) }, () => list);
    expect((await write(store, ...lists)).results).toHaveLength(lists.length);
    // Not the answer itself: a failure would print all of it.
    const read = async () => (await write(store, put(`${prefix}b`), ...lists, list)).succeeded;
    const error = await failure(read, "too_large");
    expect(error.details.limit).toBe(commitBytesMax);
    expect((await store.get(`${prefix}b`)).entry).toBeUndefined();
    const many = Array.from({ length: lists.length + 1 }, () => bare);
    expect((await write(store, ...many)).results).toHaveLength(many.length);
  }, 30_000);

  test("a listing that is none is refused before anything runs", async () => {
    const { store } = subject;
    const prefix = fresh();
    const range = { prefix };
    const bad: Operation[] = [
      { op: "list", range, limit: 0 },
      { op: "list", range, limit: 1.5 },
      { op: "list", range, limit: store.limits.pageEntriesMax + 1 },
      { op: "list", range, delimiter: "" },
      { op: "list", range, count: true, limit: 1 },
      { op: "list", range: { prefix: "\uD800" } },
      { op: "list", range: { key: "" } },
    ];
    for (const operation of bad) {
      await failure(() => write(store, put(`${prefix}a`), operation), "invalid_argument");
    }
    expect((await store.get(`${prefix}a`)).entry).toBeUndefined();
  });

  test("bytes that were put may be used again once a transaction was answered", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const value = bytes("5");
    const { results } = await write(store, put(key, value), incr(key), { op: "get", key });
    value.fill(0x21);
    expect(plainResult(results[2]!)).toMatchObject({ entry: { value: "6" } });
    expect((await store.get(key)).entry!.value).toEqual(bytes("6"));
  });
}

// --- internal ---

type Names = [string, string, string, string];
