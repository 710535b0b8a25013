/** Copies of stores and stores made of copies, on fake disks, and what tests compare of both. */

import { expect } from "bun:test";
import type { Commit, Operation, SnapshotOptions, Store } from "../../src/kv.ts";
import { restore, type RestoreOptions, type Restored } from "../../src/log/restore.ts";
import type { FakeDisk } from "./fake-disk.ts";
import { random, type Random } from "./random.ts";
import { changesBetween, del, listAll, put, putFor, shown, shownCommits, write } from "./stores.ts";

/** All pieces of a copy of a store, one after the other. */
export async function copyOf(store: Store, options: SnapshotOptions = {}): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of store.snapshot!(options)) pieces.push(piece.slice());
  // No `Buffer`: a slice of one is no copy.
  return new Uint8Array(Buffer.concat(pieces));
}

/** The bytes in pieces of a size. */
export async function* inPieces(bytes: Uint8Array, size = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Restores copies, which are named by letters, into a disk. */
export function restoreInto(
  disk: FakeDisk,
  copies: readonly Uint8Array[],
  options: Partial<RestoreOptions> = {},
): Promise<Restored> {
  const sources = copies.map((bytes, at) => ({
    name: `${String.fromCodePoint(97 + at)}.backup`,
    pieces: inPieces(bytes),
  }));
  return restore({
    disk,
    sources,
    clock: later,
    random: randomBytes,
    segmentBytesMax: 2_000,
    ...options,
  });
}

/** The time at which tests restore and repair. */
export function later(): number {
  return Date.UTC(2026, 0, 5);
}

/** Bytes for the ids of new stores: each of them another one. */
export function randomBytes(count: number): Uint8Array {
  const next = random(++ids);
  return Uint8Array.from({ length: count }, () => next.below(256));
}

/** Commits of a few keys: puts, deletions, deadlines, several keys at once. */
export async function writeSome(store: Store, next: Random, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const operations = new Map<string, Operation>();
    for (let events = 1 + next.below(3); events > 0; events--) {
      const key = `key ${next.below(8)}`;
      if (next.oneIn(4)) operations.set(key, del(key));
      else if (next.oneIn(6)) operations.set(key, putFor(key, "leased", 1e9 + next.below(1e6)));
      else operations.set(key, put(key, `${at} `.repeat(1 + next.below(20))));
    }
    await write(store, ...operations.values());
  }
}

/** What is seen of a store from its oldest readable revision up to `revision`. */
export async function view(store: Store, revision: number) {
  const { oldest } = await store.status();
  const commits = await changesBetween(store, oldest + 1, revision);
  const states: unknown[] = [];
  for (const at of [oldest, ...commits.map((commit) => commit.revision), revision]) {
    states.push(await stateAt(store, at));
  }
  return { oldest, commits: shownCommits(commits), states };
}

export async function stateAt(store: Store, revision: number) {
  return (await listAll(store, {}, { revision })).map(shown);
}

/** The state that commits, which begin with the first of all, lead to. */
export function replayed(commits: readonly Commit[], revision: number): unknown[] {
  const state = new Map<string, Record<string, unknown>>();
  for (const commit of commits) {
    if (commit.revision > revision) break;
    for (const event of commit.events) {
      const { type, ...entry } = shown(event);
      if (type === "put") state.set(event.key, entry);
      else state.delete(event.key);
    }
  }
  const keys = [...state.keys()].toSorted((a, b) => (a < b ? -1 : 1));
  return keys.map((key) => state.get(key));
}

/** Nothing of a restore or a repair is left on a disk. */
export function expectEmpty(disk: FakeDisk): void {
  expect(disk.list()).toEqual([]);
  expect(disk.openFiles).toBe(0);
}

// --- internal ---

let ids = 0;
