/**
 * A store held against the replay of its events: a plain map that is fed one commit after the other.
 * Every read at a revision has to show what the map holds when it has got there.
 */

import { expect } from "bun:test";
import type { Commit, Entry, Event, ListOptions, Range, Store } from "../../src/kv.ts";
import { scanAll } from "../support/scans.ts";
import { failure, listAll, shown } from "../support/stores.ts";

/**
 * Throws unless all that can be read of `store` follows from `commits`, which are all of its commits
 * since it was empty, at revision `start`. `ranges` are listed and counted at each revision.
 */
export async function equalsReplay(
  store: Store,
  commits: readonly Commit[],
  ranges: readonly Range[],
  start = 0,
): Promise<void> {
  const { revision, oldest, keys } = await store.status();
  expect(commits.at(-1)?.revision ?? start).toBe(revision);
  const state = new Map<string, Entry>();
  const everyKey = [...new Set(commits.flatMap(({ events }) => events.map(({ key }) => key)))];
  if (oldest === start) await equalsState(store, start, state, everyKey, ranges);
  for (const [at, { revision, events }] of commits.entries()) {
    for (const event of events) {
      if (event.type === "put") state.set(event.key, entryOf(event));
      else expect(state.delete(event.key)).toBe(true);
    }
    // Between two commits the state is that of the first.
    const next = commits[at + 1]?.revision ?? revision + 1;
    if (next <= oldest) continue;
    await equalsState(store, Math.max(revision, oldest), state, everyKey, ranges);
  }
  expect(keys).toBe(state.size);
  await equalsState(store, undefined, state, everyKey, ranges);
  for (const key of everyKey) await equalsHistory(store, commits, key, oldest);
  if (oldest > start) {
    const key = everyKey[0]!;
    await failure(() => store.get(key, { revision: oldest - 1 }), "compacted");
    await failure(() => store.list({}, { revision: oldest - 1, count: true }), "compacted");
    await failure(() => store.history(key, { before: oldest }), "compacted");
  }
}

/** Is the key in the range? By its bytes. */
export function isInRange(range: Range, key: string): boolean {
  const bytes = Buffer.from(key);
  if (range.key !== undefined) return bytes.equals(Buffer.from(range.key));
  if (range.prefix !== undefined) {
    const prefix = Buffer.from(range.prefix);
    return bytes.subarray(0, prefix.length).equals(prefix);
  }
  const { start = "", end } = range;
  if (Buffer.compare(bytes, Buffer.from(start)) < 0) return false;
  return end === undefined || Buffer.compare(bytes, Buffer.from(end)) < 0;
}

export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

// --- internal ---

function entryOf(event: Event & { type: "put" }): Entry {
  const { type: _, ...entry } = event;
  return entry;
}

/** `revision` is left out where the newest state is read. */
async function equalsState(
  store: Store,
  revision: number | undefined,
  state: ReadonlyMap<string, Entry>,
  keys: readonly string[],
  ranges: readonly Range[],
): Promise<void> {
  const at: ListOptions = revision === undefined ? {} : { revision };
  for (const key of keys) {
    const { entry } = await store.get(key, at);
    const right = state.get(key);
    expect([key, revision, entry && shown(entry)]).toEqual([key, revision, right && shown(right)]);
  }
  for (const range of ranges) {
    const sorted = [...state.values()]
      .filter(({ key }) => isInRange(range, key))
      .toSorted((a, b) => compareBytes(a.key, b.key));
    const right = sorted.map(shown);
    expect((await listAll(store, range, { ...at, limit: 3 })).map(shown)).toEqual(right);
    const reversed = await listAll(store, range, { ...at, limit: 4, reverse: true });
    expect(reversed.map(shown)).toEqual(right.toReversed());
    if (store.scan !== undefined) {
      expect((await scanAll(store, range, at, 3)).map(shown)).toEqual(right);
      const back = await scanAll(store, range, { ...at, reverse: true });
      expect(back.map(shown)).toEqual(right.toReversed());
    }
    const bare = await store.list(range, { ...at, keys: true });
    expect(bare.entries.map(({ key }) => key)).toEqual(sorted.map(({ key }) => key));
    expect((await store.list(range, { ...at, count: true })).count).toBe(sorted.length);
  }
}

/** Page by page, newest first, down to the entry that the key had at the oldest revision. */
async function equalsHistory(
  store: Store,
  commits: readonly Commit[],
  key: string,
  oldest: number,
): Promise<void> {
  const events = commits.flatMap(({ events }) => events.filter((event) => event.key === key));
  const atOldest = events.findLast(({ revision }) => revision <= oldest);
  const right = events.filter(({ revision }) => revision > oldest);
  if (atOldest?.type === "put") right.unshift(atOldest);
  const ours: Record<string, unknown>[] = [];
  let page = await store.history(key, { limit: 2 });
  ours.push(...page.entries.map(shown));
  while (page.more) {
    page = await store.history(key, { limit: 2, before: page.entries.at(-1)!.revision });
    ours.push(...page.entries.map(shown));
  }
  expect(ours).toEqual(right.toReversed().map(shown));
}
