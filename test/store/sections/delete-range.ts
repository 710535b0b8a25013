/** Deleting the keys of a range, whole or some at a time. */

import { expect, test } from "bun:test";
import type { Range } from "../../../src/kv.ts";
import {
  delRange,
  failure,
  listAll,
  put,
  textOf,
  write,
  writeAndSee,
} from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

const NAMES = ["a", "b", "b/1", "c", "d"];

export function deleteRangeSection(subject: Subject): void {
  const { fresh } = subject;

  const left = async (prefix: string) =>
    (await listAll(subject.store, { prefix })).map(({ key }) => key.slice(prefix.length));

  test("exactly the keys of the range go, in key order and at one revision", async () => {
    const { store } = subject;
    const prefix = fresh();
    const names = ["b/2", "a", "b/1", "b", "b/", "b0", "c", "b/😀", "b/\uFFFF"];
    await write(store, ...names.map((name) => put(prefix + name)));
    const { revision, results, events } = await writeAndSee(
      store,
      delRange({ prefix: `${prefix}b/` }),
    );
    expect(results).toEqual([{ op: "deleteRange", deleted: 5, more: false }]);
    expect(events).toEqual(
      ["b/", "b/1", "b/2", "b/\uFFFF", "b/😀"].map((name) => ({
        type: "delete",
        key: prefix + name,
        revision,
      })),
    );
    expect(await left(prefix)).toEqual(["a", "b", "b0", "c"]);
  });

  const ranges: [string, (prefix: string) => Range, string[]][] = [
    ["a key", (prefix) => ({ key: `${prefix}b` }), ["a", "b/1", "c", "d"]],
    [
      "from start to end",
      (prefix) => ({ start: `${prefix}b`, end: `${prefix}c` }),
      ["a", "c", "d"],
    ],
    ["start above end", (prefix) => ({ start: `${prefix}c`, end: `${prefix}b` }), NAMES],
    ["a prefix of nothing", (prefix) => ({ prefix: `${prefix}x` }), NAMES],
  ];
  test.each(ranges)("a range may be %s", async (_, range, expected) => {
    const { store } = subject;
    const prefix = fresh();
    await write(store, ...NAMES.map((name) => put(prefix + name)));
    const { results } = await write(store, delRange(range(prefix)));
    const deleted = NAMES.length - expected.length;
    expect(results).toEqual([{ op: "deleteRange", deleted, more: false }]);
    expect(await left(prefix)).toEqual(expected);
  });

  test("a range without keys changes nothing and takes no revision", async () => {
    const { store } = subject;
    const prefix = fresh();
    const { revision } = await write(store, put(`${prefix}a`));
    const result = await write(
      store,
      delRange({ prefix: `${prefix}b` }),
      delRange({ prefix: `${prefix}\uFFFF` }),
    );
    const nothing = { op: "deleteRange", deleted: 0, more: false };
    expect(result).toMatchObject({ revision, results: [nothing, nothing] });
    expect((await store.status()).revision).toBe(revision);
  });

  test("a limit deletes the first keys and says that there are more, until there are none", async () => {
    const { store } = subject;
    const prefix = fresh();
    await write(store, ...NAMES.map((name) => put(prefix + name)));
    const step = async () => {
      const { results } = await write(store, delRange({ prefix }, 2));
      return [results[0], await left(prefix)];
    };
    expect(await step()).toEqual([
      { op: "deleteRange", deleted: 2, more: true },
      ["b/1", "c", "d"],
    ]);
    expect(await step()).toEqual([{ op: "deleteRange", deleted: 2, more: true }, ["d"]]);
    expect(await step()).toEqual([{ op: "deleteRange", deleted: 1, more: false }, []]);
    await write(store, put(`${prefix}a`), put(`${prefix}b`));
    expect(await step()).toEqual([{ op: "deleteRange", deleted: 2, more: false }, []]);
  });

  test("it sees what the transaction did before it, and what comes after it is new", async () => {
    const { store } = subject;
    const prefix = fresh();
    const [a, b, c] = ["a", "b", "c"].map((name) => prefix + name) as [string, string, string];
    await write(store, put(a, "old"), put(b, "old"));
    const { revision, results, events } = await writeAndSee(
      store,
      put(c, "1"),
      delRange({ prefix }),
      put(b, "2"),
      delRange({ prefix: c }),
    );
    const created = { key: b, revision, createRevision: revision, version: 1 };
    expect(results).toEqual([
      { op: "put", key: c, revision: 0, createRevision: 0, version: 0 },
      { op: "deleteRange", deleted: 3, more: false },
      { op: "put", ...created },
      { op: "deleteRange", deleted: 0, more: false },
    ]);
    expect(events).toHaveLength(2);
    expect(events[0]).toEqual({ type: "delete", key: a, revision });
    expect(events[1]).toMatchObject({ type: "put", ...created });
  });

  test("conditions hold for it as for any operation", async () => {
    const { store } = subject;
    const prefix = fresh();
    await write(store, put(`${prefix}a`, "1"));
    const checks = [{ key: `${prefix}guard`, version: 1 }];
    const then = [delRange({ prefix })];
    expect((await store.commit({ checks, then })).succeeded).toBe(false);
    expect(await textOf(store, `${prefix}a`)).toBe("1");
    await write(store, put(`${prefix}guard`));
    expect((await store.commit({ checks, then })).succeeded).toBe(true);
    expect(await left(prefix)).toEqual([]);
  });

  test("more keys than a commit may hold go only with a limit", async () => {
    const { store } = subject;
    const prefix = fresh();
    const { commitEventsMax, txnOperationsMax } = store.limits;
    const keys = Array.from({ length: commitEventsMax + 1 }, (_, at) => put(`${prefix}${at}`));
    const half = Math.min(txnOperationsMax, Math.ceil(keys.length / 2));
    for (let at = 0; at < keys.length; at += half) {
      await write(store, ...keys.slice(at, at + half));
    }
    const error = await failure(() => write(store, delRange({ prefix })), "too_large");
    expect(error.details.limit).toBe(commitEventsMax);
    expect((await store.list({ prefix }, { count: true })).count).toBe(keys.length);

    // One event too many in all, though each operation is within its bounds.
    const other = `${fresh()}other`;
    const together = [put(other), delRange({ prefix }, commitEventsMax)];
    await failure(() => write(store, ...together), "too_large");
    expect((await store.list({ prefix }, { count: true })).count).toBe(keys.length);

    const { results } = await write(store, delRange({ prefix }, commitEventsMax));
    expect(results).toEqual([{ op: "deleteRange", deleted: commitEventsMax, more: true }]);
    const rest = await write(store, delRange({ prefix }));
    expect(rest.results).toEqual([{ op: "deleteRange", deleted: 1, more: false }]);
  }, 30_000);

  test("a limit or a range that is none is refused", async () => {
    const { store } = subject;
    const prefix = fresh();
    await write(store, put(`${prefix}a`));
    for (const limit of [0, -1, 1.5, Number.NaN, store.limits.commitEventsMax + 1]) {
      await failure(() => write(store, delRange({ prefix }, limit)), "invalid_argument");
    }
    await failure(() => write(store, delRange({ key: "" })), "invalid_argument");
    await failure(() => write(store, delRange({ prefix: "\uD800" })), "invalid_argument");
    const long = "x".repeat(store.limits.keyBytesMax + 1);
    await failure(() => write(store, delRange({ start: long })), "too_large");
    expect(await left(prefix)).toEqual(["a"]);
  });

  test("deleted keys are there at the revision before, and are new when they come again", async () => {
    const { store } = subject;
    const prefix = fresh();
    const before = await write(store, put(`${prefix}a`, "1"), put(`${prefix}b`, "1"));
    await write(store, delRange({ prefix }));
    const then = await store.list({ prefix }, { revision: before.revision });
    expect(then.entries).toHaveLength(2);
    const again = await write(store, put(`${prefix}a`, "2"));
    expect(again.results[0]).toMatchObject({ createRevision: again.revision, version: 1 });
  });

  test("the empty range is every key", async () => {
    const { store } = subject;
    await write(store, put(`${fresh()}a`), put("\u{10FFFF}"));
    const { keys } = await store.status();
    const { results } = await write(store, delRange({}));
    expect(results).toEqual([{ op: "deleteRange", deleted: keys, more: false }]);
    expect((await store.status()).keys).toBe(0);
    expect((await store.list({})).entries).toEqual([]);
  });
}
