/** The truth answers what a watcher has to see, and takes no log with a hole in it. */

import { expect, test } from "bun:test";
import type { Event } from "../../src/kv.ts";
import { openModel } from "../support/model-store.ts";
import { changesBetween, del, put, write } from "../support/stores.ts";
import type { WatchFilter } from "./record.ts";
import { Truth } from "./truth.ts";

const ALL: WatchFilter = { ranges: {}, prev: false, keys: false, latest: false };

/** a = 1, a = 2 and b = 1, a deleted, b = 2: at the revisions 1 to 4. */
async function four() {
  const store = openModel();
  await write(store, put("a", "1"));
  await write(store, put("a", "2"), put("b", "1"));
  await write(store, del("a"));
  await write(store, put("b", "2"));
  return await changesBetween(store, 1, 4);
}

async function truthOfFour(): Promise<Truth> {
  const truth = new Truth("store");
  truth.add(await four(), 4);
  return truth;
}

/** Events as short texts. */
function short(events: readonly object[]): string[] {
  return (events as (Event & { value?: string; prev?: { value?: string } })[]).map(
    ({ type, key, value = "-", prev }) => {
      const what = type === "put" ? `${key}=${value}` : `${key} ${type}`;
      return prev === undefined ? what : `${what} was ${prev.value ?? "-"}`;
    },
  );
}

test("a filter gets its events of each commit, with values and what was before as it asks", async () => {
  const truth = await truthOfFour();
  const seen = (filter: Partial<WatchFilter>, after = 0, through = 4) =>
    truth
      .expected({ ...ALL, ...filter }, after, through)
      .map(({ revision, events }) => [revision, short(events)] as const);
  expect(seen({})).toEqual([
    [1, ["a=1"]],
    [2, ["a=2", "b=1"]],
    [3, ["a delete"]],
    [4, ["b=2"]],
  ]);
  expect(seen({ ranges: { key: "b" } })).toEqual([
    [2, ["b=1"]],
    [4, ["b=2"]],
  ]);
  expect(seen({ prev: true }, 1)).toEqual([
    [2, ["a=2 was 1", "b=1"]],
    [3, ["a delete was 2"]],
    [4, ["b=2 was 1"]],
  ]);
  expect(seen({ keys: true, prev: true }, 1, 2)).toEqual([[2, ["a=- was -", "b=-"]]]);
  expect(seen({ ranges: [{ key: "a" }, { prefix: "b" }] }, 2, 3)).toEqual([[3, ["a delete"]]]);
});

test("the state of a filter is that of the revision", async () => {
  const truth = await truthOfFour();
  const state = (revision: number, filter: Partial<WatchFilter> = {}) =>
    truth.state({ ...ALL, ...filter }, revision).map(({ key, value = "-" }) => `${key}=${value}`);
  expect(state(0)).toEqual([]);
  expect(state(2)).toEqual(["a=2", "b=1"]);
  expect(state(3)).toEqual(["b=1"]);
  expect(state(2, { keys: true, ranges: { key: "b" } })).toEqual(["b=-"]);
});

test("a log that lacks a commit is refused", async () => {
  for (const lost of [0, 1]) {
    const commits = (await four()).toSpliced(lost, 1);
    expect(() => new Truth("store").add(commits, 4)).toThrow("the log lacks a change");
  }
  const event = { type: "delete", key: "a", revision: 9 } as const;
  const again = [...(await four()), { revision: 9, events: [event] }];
  expect(() => new Truth("store").add(again, 9)).toThrow("the log has a delete of a");
  const truth = await truthOfFour();
  expect(() => truth.add([{ revision: 4, events: [] }], 4)).toThrow("again");
});

test("what was forgotten is so for certain once it was answered", () => {
  const truth = new Truth("store");
  truth.compactions.push({ revision: 5, sent: 10, answered: 20 }, { revision: 8, sent: 30 });
  expect([5, 6].map((revision) => truth.isCompacted(revision, 20))).toEqual([true, false]);
  expect(truth.isCompacted(5, 19)).toBe(false);
  expect(truth.isCompacted(8, 1_000)).toBe(false);
  expect([5, 6].map((revision) => truth.mayBeCompacted(revision, 10))).toEqual([true, false]);
  expect(truth.mayBeCompacted(8, 30)).toBe(true);
});
