/** The end of a store while a write is under way, and what is shown after a write that failed. */

import { expect, test } from "bun:test";
import { DURABLE_FILE } from "../../src/log/durable.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { openOn } from "../support/logs.ts";
import { changesBetween, failure, put, textOf, write } from "../support/stores.ts";

test("a store that fails during its close is closed, once, and its close says so", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk);
  await write(store, put("a", "1"));
  disk.fault = ({ kind }) => (kind === "sync" ? "EIO" : undefined);
  const last = failure(() => write(store, put("a", "2")), "outcome_unknown");
  const closing = store.close();
  await last;
  await failure(() => closing, "outcome_unknown");
  await failure(() => store.get("a"), "unavailable");
  await failure(() => store.status(), "unavailable");
  await failure(() => write(store, put("b")), "unavailable");
  await failure(() => store.close(), "outcome_unknown");
  expect(disk.openFiles).toBe(0);
});

test("a second close ends when the first one has, and not before", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk);
  const sent = write(store, put("a", "1"));
  void store.close();
  await store.close();
  await sent;
  expect(disk.openFiles).toBe(0);
  const again = await openOn(disk);
  expect(await textOf(again, "a")).toBe("1");
  await again.close();
});

test("streams show nothing beyond the store's revision when the mark cannot be written", async () => {
  const disk = new FakeDisk();
  const store = await openOn(disk, { recentBytesMax: 0 });
  await write(store, put("a", "1"));
  disk.fault = ({ kind, name }) => (kind === "write" && name === DURABLE_FILE ? "EIO" : undefined);
  await failure(() => write(store, put("a", "2")), "outcome_unknown");
  expect((await store.status()).revision).toBe(1);
  for await (const { commits, through } of store.changes(1)) {
    expect(commits.map(({ revision }) => revision)).toEqual([1]);
    expect(through).toBe(1);
    break;
  }
  expect(await changesBetween(store, 1, 1)).toHaveLength(1);
  await store.close();
});

test("streams that wait are woken by a commit or by their own abort", async () => {
  const store = await openOn(new FakeDisk());
  const aborts = Array.from({ length: 50 }, () => new AbortController());
  const pulls = aborts.map(async ({ signal }) => {
    const seen: number[] = [];
    for await (const { through } of store.changes(1, { signal })) {
      seen.push(through);
      if (through === 2) break;
    }
    return seen;
  });
  await store.status();
  for (const abort of aborts.slice(0, 25)) abort.abort();
  for (const pull of pulls.slice(0, 25)) expect(await pull).toEqual([]);
  await write(store, put("a"));
  await write(store, put("b"));
  for (const pull of pulls.slice(25)) expect((await pull).at(-1)).toBe(2);
  await store.close();
});
