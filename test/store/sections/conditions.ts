/** Conditions on version and value, and several of all kinds together. */

import { beforeAll, expect, test } from "bun:test";
import type { Check } from "../../../src/kv.ts";
import { bytes, del, failure, put, textOf, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

export function conditionsSection(subject: Subject): void {
  let here: string;
  let absent: string;
  let gone: string;
  let empty: string;

  beforeAll(async () => {
    const { store } = subject;
    const prefix = subject.fresh();
    [here, absent, gone, empty] = ["here", "absent", "gone", "empty"].map(
      (name) => prefix + name,
    ) as [string, string, string, string];
    await write(store, put(here, "1"), put(gone, "1"), put(empty, ""));
    await write(store, put(here, "2"));
    await write(store, put(here, "value"));
    await write(store, del(gone));
  });

  const holds = async (check: Check) => {
    const result = await subject.store.commit({ checks: [check], then: [] });
    expect(result.failed).toEqual(result.succeeded ? [] : [0]);
    return result.succeeded;
  };

  test("a version holds when it is the key's, and only then", async () => {
    expect(await holds({ key: here, version: 3 })).toBe(true);
    expect(await holds({ key: here, version: 2 })).toBe(false);
    expect(await holds({ key: here, version: 4 })).toBe(false);
    expect(await holds({ key: here, version: 0 })).toBe(false);
    expect(await holds({ key: empty, version: 1 })).toBe(true);
  });

  test("version 0 holds when the key is absent, deleted ones too", async () => {
    expect(await holds({ key: absent, version: 0 })).toBe(true);
    expect(await holds({ key: gone, version: 0 })).toBe(true);
    expect(await holds({ key: gone, version: 1 })).toBe(false);
    expect(await holds({ key: absent, version: 1 })).toBe(false);
  });

  test("a list of versions holds when one of it is the key's", async () => {
    expect(await holds({ key: here, version: [1, 2, 3] })).toBe(true);
    expect(await holds({ key: here, version: [0, 1, 2] })).toBe(false);
    expect(await holds({ key: absent, version: [5, 0] })).toBe(true);
    expect(await holds({ key: here, version: [3] })).toBe(true);
  });

  test("`not` turns a version around, so `not 0` is: present", async () => {
    expect(await holds({ key: here, version: 0, not: true })).toBe(true);
    expect(await holds({ key: gone, version: 0, not: true })).toBe(false);
    expect(await holds({ key: here, version: 3, not: true })).toBe(false);
    expect(await holds({ key: here, version: [1, 3], not: true })).toBe(false);
    expect(await holds({ key: here, version: [1, 2], not: true })).toBe(true);
    expect(await holds({ key: here, version: 3, not: false })).toBe(true);
  });

  test("a version counts from 1 again once the key was deleted", async () => {
    const { store } = subject;
    const key = `${subject.fresh()}a`;
    await write(store, put(key, "1"));
    await write(store, put(key, "2"));
    await write(store, del(key));
    await write(store, put(key, "3"));
    expect(await holds({ key, version: 1 })).toBe(true);
    expect(await holds({ key, version: 3 })).toBe(false);
  });

  test("a value holds when it is the key's byte for byte, and only then", async () => {
    expect(await holds({ key: here, value: bytes("value") })).toBe(true);
    for (const other of ["2", "valu", "values", "Value", "", "value\u0000"]) {
      expect([other, await holds({ key: here, value: bytes(other) })]).toEqual([other, false]);
    }
    const { store } = subject;
    const key = `${subject.fresh()}binary`;
    await write(store, put(key, Uint8Array.of(0xff, 0, 0xc3)));
    expect(await holds({ key, value: Uint8Array.of(0xff, 0, 0xc3) })).toBe(true);
    expect(await holds({ key, value: Uint8Array.of(0xff, 0, 0xc4) })).toBe(false);
    expect(await holds({ key, value: Uint8Array.of(0xff, 0) })).toBe(false);
  });

  test("an absent key has no value, not even the empty one", async () => {
    expect(await holds({ key: empty, value: bytes("") })).toBe(true);
    expect(await holds({ key: absent, value: bytes("") })).toBe(false);
    expect(await holds({ key: gone, value: bytes("1") })).toBe(false);
    expect(await holds({ key: gone, value: bytes("") })).toBe(false);
  });

  test("`not` turns a value around: another one, or an absent key", async () => {
    expect(await holds({ key: here, value: bytes("value"), not: true })).toBe(false);
    expect(await holds({ key: here, value: bytes("2"), not: true })).toBe(true);
    expect(await holds({ key: absent, value: bytes("x"), not: true })).toBe(true);
    expect(await holds({ key: gone, value: bytes("1"), not: true })).toBe(true);
    expect(await holds({ key: empty, value: bytes(""), not: true })).toBe(false);
  });

  test("checks of all kinds must all hold, and each that fails is named", async () => {
    const { store } = subject;
    const target = `${subject.fresh()}target`;
    const { revision } = (await store.get(here)).entry!;
    const checks: Check[] = [
      { key: here, version: 3 },
      { key: here, value: bytes("other") },
      { key: here, revision },
      { key: absent, version: 0, not: true },
      { key: empty, value: bytes("") },
      { key: here, revision, not: true },
    ];
    const refused = await store.commit({ checks, then: [put(target)] });
    expect(refused).toMatchObject({ succeeded: false, failed: [1, 3, 5], results: [] });
    expect(await textOf(store, target)).toBeUndefined();
    const holding = checks.filter((_, at) => ![1, 3, 5].includes(at));
    const done = await store.commit({ checks: holding, then: [put(target, "done")] });
    expect(done).toMatchObject({ succeeded: true, failed: [] });
    expect(await textOf(store, target)).toBe("done");
  });

  test("of many that swap one value for another, one does", async () => {
    const { store } = subject;
    const key = `${subject.fresh()}lock`;
    await write(store, put(key, "free"));
    const sent = Array.from({ length: 20 }, (_, at) =>
      store.commit({ checks: [{ key, value: bytes("free") }], then: [put(key, `owner ${at}`)] }),
    );
    const winners = (await Promise.all(sent)).map(({ succeeded }) => succeeded);
    expect(winners.filter(Boolean)).toHaveLength(1);
    expect(await textOf(store, key)).toBe(`owner ${winners.indexOf(true)}`);
  });

  test("a version that is none, or a value that is too large, is refused", async () => {
    const { store } = subject;
    for (const version of [-1, 0.5, Number.NaN, 2 ** 53, []]) {
      const checks = [{ key: here, version }];
      await failure(() => store.commit({ checks, then: [put(here, "x")] }), "invalid_argument");
    }
    const value = new Uint8Array(store.limits.valueBytesMax + 1);
    const checks = [{ key: here, value }];
    await failure(() => store.commit({ checks, then: [put(here, "x")] }), "too_large");
    expect(await textOf(store, here)).toBe("value");
  });
}
