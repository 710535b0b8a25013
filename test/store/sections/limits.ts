/** The bounds that `store.limits` tells: what is at them passes, what is beyond them is refused. */

import { expect, test } from "bun:test";
import { utf8Bytes } from "../../../src/keys.ts";
import { changesBetween, failure, put, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

export function limitsSection(subject: Subject): void {
  const { fresh } = subject;

  test("every limit is a positive whole number", () => {
    for (const limit of Object.values(subject.store.limits)) {
      expect(Number.isSafeInteger(limit)).toBe(true);
      expect(limit).toBeGreaterThan(0);
    }
  });

  test("a key of the most bytes passes", async () => {
    const { store } = subject;
    const prefix = fresh();
    const key = prefix + "k".repeat(store.limits.keyBytesMax - prefix.length);
    await write(store, put(key, "v"));
    expect((await store.get(key)).entry!.key).toBe(key);
  });

  test("a value of the most bytes passes, one byte more is too large", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const max = store.limits.valueBytesMax;
    const value = new Uint8Array(max).fill(0x61);
    value[max - 1] = 0x7a;
    await write(store, put(key, value));
    const { entry } = await store.get(key);
    expect(Buffer.compare(entry!.value, value)).toBe(0);
    const error = await failure(() => write(store, put(key, new Uint8Array(max + 1))), "too_large");
    expect(error.details.limit).toBe(max);
    expect((await store.get(key)).entry!.version).toBe(1);
  });

  test("a transaction reads values up to the bytes of a commit, and no more", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { commitBytesMax, valueBytesMax } = store.limits;
    await write(store, put(key, new Uint8Array(valueBytesMax)));
    const get = { op: "get", key } as const;
    const gets = Array.from({ length: Math.floor(commitBytesMax / valueBytesMax) + 1 }, () => get);
    const other = `${key}b`;
    // Not the answer itself: a failure would print all of it.
    const read = async () => (await write(store, put(other), ...gets)).succeeded;
    const error = await failure(read, "too_large");
    expect(error.details.limit).toBe(commitBytesMax);
    expect((await store.get(other)).entry).toBeUndefined();
    const bare = gets.map((operation) => ({ ...operation, keys: true }));
    expect((await write(store, ...bare)).results).toHaveLength(gets.length);
  });

  test("a content type that is too long, empty, or not visible ASCII is refused", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const max = store.limits.contentTypeCharsMax;
    const error = await failure(() => write(store, put(key, "", "t".repeat(max + 1))), "too_large");
    expect(error.details.limit).toBe(max);
    for (const bad of ["", " ", " a", "a ", "a\tb", "a\nb", "ä", "a\u0000", "\u007f"]) {
      await failure(() => write(store, put(key, "", bad)), "invalid_argument");
    }
    expect((await store.get(key)).entry).toBeUndefined();
  });

  test("a commit of the most bytes passes, one byte more is too large", async () => {
    const { store } = subject;
    const prefix = fresh();
    const { commitBytesMax, valueBytesMax } = store.limits;
    const parts = Math.ceil(commitBytesMax / valueBytesMax) + 1;
    const keys = Array.from({ length: parts }, (_, at) => prefix + String(at).padStart(3, "0"));
    const room = commitBytesMax - parts * utf8Bytes(keys[0]!);
    const size = Math.floor(room / parts);
    const operations = (extra: number) =>
      keys.map((key, at) =>
        put(key, new Uint8Array(at === 0 ? room - size * (parts - 1) + extra : size).fill(0x61)),
      );
    const error = await failure(() => write(store, ...operations(1)), "too_large");
    expect(error.details.limit).toBe(commitBytesMax);
    expect((await store.list({ prefix }, { keys: true })).entries).toEqual([]);
    const { revision } = await write(store, ...operations(0));
    const [commit] = await changesBetween(store, revision, revision);
    expect(commit!.events.map(({ key }) => key)).toEqual(keys);
  }, 30_000);

  test("a transaction of the most operations is one commit, one more is too large", async () => {
    const { store } = subject;
    const prefix = fresh();
    const { commitEventsMax, txnOperationsMax } = store.limits;
    const max = Math.min(commitEventsMax, txnOperationsMax);
    const operations = Array.from({ length: max + 1 }, (_, at) => put(`${prefix}${at}`));
    const error = await failure(() => write(store, ...operations), "too_large");
    expect(error.details.limit).toBe(max);
    const otherwise = { checks: [], then: [], else: operations };
    await failure(() => store.commit(otherwise), "too_large");
    expect((await store.list({ prefix })).entries).toEqual([]);
    const { revision, results } = await write(store, ...operations.slice(0, max));
    expect(results).toHaveLength(max);
    const [commit] = await changesBetween(store, revision, revision);
    expect(commit!.events.map(({ key }) => key)).toEqual(
      operations.slice(0, max).map(({ key }) => key),
    );
  }, 30_000);

  test("a transaction of the most checks passes, one more is too large", async () => {
    const { store } = subject;
    const prefix = fresh();
    const max = store.limits.txnChecksMax;
    const checks = Array.from({ length: max + 1 }, (_, at) => ({
      key: `${prefix}${at}`,
      revision: 0,
    }));
    const error = await failure(() => store.commit({ checks, then: [] }), "too_large");
    expect(error.details.limit).toBe(max);
    const result = await store.commit({ checks: checks.slice(0, max), then: [] });
    expect(result.succeeded).toBe(true);
  }, 30_000);
}
