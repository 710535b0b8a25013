/** Conditions of transactions. */

import { beforeAll, expect, test } from "bun:test";
import type { Check } from "../../../src/kv.ts";
import { del, failure, put, shown, textOf, write } from "../../support/stores.ts";
import type { Subject } from "../subject.ts";

export function checksSection(subject: Subject): void {
  let here: string;
  let absent: string;
  let gone: string;
  /** The revision of `here`, and one that was its revision before. */
  let now: number;
  let before: number;

  beforeAll(async () => {
    const { store } = subject;
    const prefix = subject.fresh();
    [here, absent, gone] = [`${prefix}here`, `${prefix}absent`, `${prefix}gone`];
    before = (await write(store, put(here, "1"), put(gone))).revision;
    now = (await write(store, put(here, "2"))).revision;
    await write(store, del(gone));
  });

  const holds = async (check: Check) => {
    const result = await subject.store.commit({ checks: [check], then: [] });
    expect(result.failed).toEqual(result.succeeded ? [] : [0]);
    return result.succeeded;
  };

  test("a revision holds when it is the key's, and only then", async () => {
    expect(await holds({ key: here, revision: now })).toBe(true);
    expect(await holds({ key: here, revision: before })).toBe(false);
    expect(await holds({ key: here, revision: now + 1_000_000 })).toBe(false);
    expect(await holds({ key: here, revision: 0 })).toBe(false);
  });

  test("0 holds when the key is absent, deleted ones too", async () => {
    expect(await holds({ key: absent, revision: 0 })).toBe(true);
    expect(await holds({ key: gone, revision: 0 })).toBe(true);
    expect(await holds({ key: gone, revision: before })).toBe(false);
    expect(await holds({ key: absent, revision: now })).toBe(false);
  });

  test("a list holds when one of it is the key's revision", async () => {
    expect(await holds({ key: here, revision: [before, now] })).toBe(true);
    expect(await holds({ key: here, revision: [0, before] })).toBe(false);
    expect(await holds({ key: absent, revision: [now, 0] })).toBe(true);
    expect(await holds({ key: here, revision: [now] })).toBe(true);
  });

  test("`not` turns a check around, so `not 0` is: present", async () => {
    expect(await holds({ key: here, revision: 0, not: true })).toBe(true);
    expect(await holds({ key: absent, revision: 0, not: true })).toBe(false);
    expect(await holds({ key: here, revision: now, not: true })).toBe(false);
    expect(await holds({ key: here, revision: [before, now], not: true })).toBe(false);
    expect(await holds({ key: here, revision: [before, 0], not: true })).toBe(true);
    expect(await holds({ key: here, revision: before, not: false })).toBe(false);
  });

  test("when a check fails, `else` runs and the failed ones are named by index", async () => {
    const { store } = subject;
    const prefix = subject.fresh();
    const result = await store.commit({
      checks: [
        { key: here, revision: before },
        { key: here, revision: now },
        { key: absent, revision: now },
      ],
      then: [put(`${prefix}then`)],
      else: [put(`${prefix}else`, "e"), { op: "get", key: here }],
    });
    expect(result.succeeded).toBe(false);
    expect(result.failed).toEqual([0, 2]);
    const [first, second] = result.results;
    expect(first).toMatchObject({ op: "put", key: `${prefix}else`, revision: result.revision });
    expect(second!.op === "get" && shown(second!.entry!)).toMatchObject({
      value: "2",
      revision: now,
    });
    expect(await textOf(store, `${prefix}else`)).toBe("e");
    expect(await textOf(store, `${prefix}then`)).toBeUndefined();
  });

  test("when every check holds, `then` runs and `else` does not", async () => {
    const { store } = subject;
    const prefix = subject.fresh();
    const result = await store.commit({
      checks: [
        { key: here, revision: now },
        { key: absent, revision: 0 },
      ],
      then: [put(`${prefix}then`, "t")],
      else: [put(`${prefix}else`)],
    });
    expect(result).toMatchObject({ succeeded: true, failed: [] });
    expect(await textOf(store, `${prefix}then`)).toBe("t");
    expect(await textOf(store, `${prefix}else`)).toBeUndefined();
  });

  test("a failed check without `else` changes nothing and takes no revision", async () => {
    const { store } = subject;
    const { revision } = await store.status();
    const result = await store.commit({
      checks: [{ key: here, revision: 0 }],
      then: [del(here), put(absent)],
    });
    expect(result).toEqual({ succeeded: false, revision, results: [], failed: [0] });
    expect((await store.status()).revision).toBe(revision);
    expect(await textOf(store, here)).toBe("2");
  });

  test("a lone put or delete with a check on its own key takes effect, or does not", async () => {
    const { store } = subject;
    const key = `${subject.fresh()}a`;
    const absentNow = [{ key, revision: 0 }];
    const created = await store.commit({ checks: absentNow, then: [put(key, "1")] });
    expect(created.succeeded).toBe(true);
    const again = await store.commit({ checks: absentNow, then: [put(key, "2")] });
    expect(again).toEqual({
      succeeded: false,
      revision: created.revision,
      results: [],
      failed: [0],
    });
    const there = [{ key, revision: [1, created.revision] }];
    const changed = await store.commit({ checks: there, then: [put(key, "3")] });
    expect(changed.results).toEqual([
      {
        op: "put",
        key,
        revision: changed.revision,
        createRevision: created.revision,
        version: 2,
      },
    ]);
    const kept = await store.commit({ checks: there, then: [del(key)] });
    expect(kept).toMatchObject({ succeeded: false, results: [], failed: [0] });
    const unlike = [{ key, revision: created.revision, not: true }];
    const removed = await store.commit({ checks: unlike, then: [del(key)] });
    expect(removed).toMatchObject({ succeeded: true, results: [{ op: "delete", deleted: 1 }] });
    const nothing = await store.commit({ checks: absentNow, then: [del(key)] });
    expect(nothing).toMatchObject({ succeeded: true, results: [{ op: "delete", deleted: 0 }] });
    const present = [{ key, revision: 0, not: true }];
    const refused = await store.commit({ checks: present, then: [del(key)] });
    expect(refused).toMatchObject({ succeeded: false, results: [], failed: [0] });
  });

  test("checks look at the state before the transaction", async () => {
    const { store } = subject;
    const key = `${subject.fresh()}a`;
    const result = await store.commit({
      checks: [{ key, revision: 0 }],
      then: [put(key), del(key), put(key)],
    });
    expect(result.succeeded).toBe(true);
  });

  test("two checks of one key must both hold", async () => {
    const { store } = subject;
    const result = await store.commit({
      checks: [
        { key: here, revision: now },
        { key: here, revision: now, not: true },
      ],
      then: [del(here)],
    });
    expect(result).toMatchObject({ succeeded: false, failed: [1] });
  });

  test("a check whose revision is none is refused", async () => {
    const { store } = subject;
    for (const revision of [-1, 0.5, Number.NaN, 2 ** 53, []]) {
      const checks = [{ key: here, revision }];
      await failure(() => store.commit({ checks, then: [put(here, "x")] }), "invalid_argument");
    }
    expect(await textOf(store, here)).toBe("2");
  });
}
