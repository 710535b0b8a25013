/** Increments: integers of 64 bits, exactly, and nothing that merely looks like one. */

import { expect, test } from "bun:test";
import type { IncrResult, Store } from "../../../src/kv.ts";
import {
  bytes,
  del,
  failure,
  incr,
  put,
  shown,
  TEXT,
  textOf,
  write,
  writeAndSee,
} from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

const MAX = 2n ** 63n - 1n;
const MIN = -(2n ** 63n);

/** None of these is an integer in its one spelling, within 64 bits. */
const NO_INTEGERS = [
  "",
  " ",
  "-",
  "+1",
  "01",
  "00",
  "-0",
  "-01",
  "--1",
  "1.0",
  "1e3",
  "0x1",
  "1n",
  "1_000",
  " 1",
  "1 ",
  "1\n",
  "1\u0000",
  "\uFEFF1",
  "１",
  "٣",
  "NaN",
  "Infinity",
  "9223372036854775808",
  "-9223372036854775809",
  "1".repeat(100),
];

export function incrSection(subject: Subject): void {
  const { fresh } = subject;

  test("an absent key counts as 0 and is created as text", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { revision, results, events } = await writeAndSee(store, incr(key, 5n));
    const changed = { key, revision, createRevision: revision, version: 1 };
    expect(results).toEqual([{ op: "incr", ...changed, value: 5n }]);
    expect(events).toEqual([{ type: "put", ...changed, value: "5", contentType: TEXT }]);
    expect(shown((await store.get(key)).entry!)).toEqual({
      ...changed,
      value: "5",
      contentType: TEXT,
    });
  });

  test("a sum is stored as text, and type and createRevision stay", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const created = await write(store, put(key, "41", "application/json"));
    const { revision, results } = await write(store, incr(key));
    const createRevision = created.revision;
    expect(results).toEqual([
      { op: "incr", key, revision, createRevision, version: 2, value: 42n },
    ]);
    expect(shown((await store.get(key)).entry!)).toMatchObject({
      value: "42",
      contentType: "application/json",
      version: 2,
    });
  });

  test("increments go below 0 and back, and one of 0 is a change like any other", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const seen: string[] = [];
    for (const by of [-3n, 3n, -1n, 0n, 11n, -100n]) {
      await write(store, incr(key, by));
      seen.push((await textOf(store, key))!);
    }
    expect(seen).toEqual(["-3", "0", "-1", "-1", "10", "-90"]);
    expect((await store.get(key)).entry!.version).toBe(6);
  });

  test("sums beyond 2^53 are exact, up to both ends of 64 bits", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key, "9007199254740993"));
    expect(await sum(store, key, 2n)).toBe(9_007_199_254_740_995n);
    expect(await sum(store, key, MAX - 9_007_199_254_740_995n)).toBe(MAX);
    expect(await textOf(store, key)).toBe(String(MAX));
    expect(await sum(store, key, MIN)).toBe(-1n);
    expect(await sum(store, key, MIN + 1n)).toBe(MIN);
    expect(await textOf(store, key)).toBe(String(MIN));
    expect(await sum(store, key, MAX)).toBe(-1n);
    const other = `${fresh()}b`;
    expect(await sum(store, other, MIN)).toBe(MIN);
    expect(await sum(store, `${fresh()}c`, MAX)).toBe(MAX);
  });

  const overflows: [string, bigint][] = [
    [String(MAX), 1n],
    [String(MAX), MAX],
    [String(MIN), -1n],
    [String(MIN), MIN],
    ["1", MAX],
    ["-1", MIN],
  ];
  test.each(overflows)("a sum that does not fit 64 bits is refused: %s + %s", async (value, by) => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { revision } = await write(store, put(key, value));
    const error = await failure(() => write(store, incr(key, by)), "conflict");
    expect(error.details.index).toBe(0);
    expect((await store.get(key)).entry!.revision).toBe(revision);
    expect(await textOf(store, key)).toBe(value);
  });

  test("what is no integer in its one spelling is refused, and stays", async () => {
    const { store } = subject;
    const prefix = fresh();
    const values = NO_INTEGERS.map(bytes);
    values.push(Uint8Array.of(0xff), Uint8Array.of(0x31, 0xff), new Uint8Array(8));
    const keys = values.map((_, at) => `${prefix}${at}`);
    await write(store, ...keys.map((key, at) => put(key, values[at]!)));
    const before = (await store.status()).revision;
    for (const key of keys) {
      const error = await failure(() => write(store, incr(key, 0n)), "conflict");
      expect(error.details.index).toBe(0);
    }
    expect((await store.status()).revision).toBe(before);
  });

  test("what is an integer in its one spelling counts", async () => {
    const { store } = subject;
    const prefix = fresh();
    for (const value of ["0", "1", "-1", "10", "-10", String(MAX), String(MIN)]) {
      const key = prefix + value;
      await write(store, put(key, value, "application/octet-stream"));
      expect(await sum(store, key, 0n)).toBe(BigInt(value));
      expect(await textOf(store, key)).toBe(value);
    }
  });

  test("an increment of more than 64 bits is refused before anything is looked at", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    for (const by of [MAX + 1n, MIN - 1n, 2n ** 100n]) {
      await failure(() => write(store, incr(key, by)), "invalid_argument");
      const otherwise = { checks: [], then: [], else: [incr(key, by)] };
      await failure(() => store.commit(otherwise), "invalid_argument");
    }
    expect((await store.get(key)).entry).toBeUndefined();
  });

  test("of many at once none is lost, and each sees a sum of its own", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const sent = Array.from({ length: 100 }, () => sum(store, key, 1n));
    const sums = (await Promise.all(sent)).toSorted((a, b) => Number(a - b));
    expect(sums).toEqual(Array.from({ length: 100 }, (_, at) => BigInt(at + 1)));
    expect(await textOf(store, key)).toBe("100");
    expect((await store.get(key)).entry!.version).toBe(100);
  });

  test("several in one transaction add up to one change", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    const { revision, results, events } = await writeAndSee(
      store,
      incr(key, 1n),
      incr(key, 10n),
      put(key, "-5", "text/css"),
      incr(key, 1n),
    );
    const changed = { key, revision, createRevision: revision, version: 1 };
    expect(results).toEqual([
      { op: "incr", ...changed, value: 1n },
      { op: "incr", ...changed, value: 11n },
      { op: "put", ...changed },
      { op: "incr", ...changed, value: -4n },
    ]);
    expect(events).toEqual([{ type: "put", ...changed, value: "-4", contentType: "text/css" }]);
  });

  test("a key that is deleted before it in the transaction counts as 0 and is new", async () => {
    const { store } = subject;
    const key = `${fresh()}a`;
    await write(store, put(key, "no integer", "text/css"));
    const { revision, results } = await write(store, del(key), incr(key, 7n));
    const changed = { key, revision, createRevision: revision, version: 1 };
    expect(results[1]).toEqual({ op: "incr", ...changed, value: 7n });
    expect((await store.get(key)).entry!.contentType).toBe(TEXT);
  });
}

// --- internal ---

async function sum(store: Store, key: string, by: bigint): Promise<bigint> {
  const { results } = await write(store, incr(key, by));
  return (results[0] as IncrResult).value;
}
