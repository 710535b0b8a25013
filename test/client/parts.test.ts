/** What waits for the consumer of a watch: in order, within a bound, and folded where that is asked for. */

import { expect, test } from "bun:test";
import { PartQueue, type Change } from "../../src/client/parts.ts";
import type { ListedEvent } from "../../src/kv.ts";

function put(key: string, revision: number): ListedEvent {
  return { type: "put", key, contentType: "t", revision, createRevision: 1, version: 1 };
}

function change(revision: number, ...keys: string[]): Change {
  return { type: "change", revision, events: keys.map((key) => put(key, revision)) };
}

const STATE = { type: "state", entries: [] } as const;

test("without `latest` everything comes out as it went in", () => {
  const queue = new PartQueue(100, false);
  const parts = [STATE, change(2, "a"), change(3, "a", "b")];
  for (const part of parts) queue.push(part, 10);
  expect(queue.takeAll()).toEqual(parts);
  expect(queue.takeAll()).toEqual([]);
});

test("with `latest` changes become one, of the newest event of each key", () => {
  const queue = new PartQueue(100, true);
  for (const part of [change(2, "a", "b"), change(3, "c"), change(5, "a")]) queue.push(part);
  const [folded, ...others] = queue.takeAll();
  expect(others).toEqual([]);
  // In the order of their revisions, so the new event of a key comes behind the others.
  expect(folded).toEqual({
    type: "change",
    revision: 5,
    events: [put("b", 2), put("c", 3), put("a", 5)],
    skipped: 1,
  });
});

test("with `latest` a single change is what it was, and what it skipped is added up", () => {
  const queue = new PartQueue(100, true);
  queue.push(change(2, "a", "b"));
  expect(queue.takeAll()).toEqual([change(2, "a", "b")]);
  queue.push({ ...change(9, "a"), skipped: 4 });
  queue.push({ ...change(12, "a"), skipped: 2 });
  expect(queue.takeAll()).toEqual([{ ...change(12, "a"), skipped: 7 }]);
});

test("with `latest` no change moves past a state, a sync or a reset", () => {
  const queue = new PartQueue(100, true);
  const sync = { type: "sync", revision: 3, store: "s" } as const;
  const reset = { type: "reset", revision: 7, store: "s" } as const;
  for (const part of [STATE, sync, change(4, "a"), change(5, "a"), reset, STATE]) queue.push(part);
  queue.push(change(8, "a"));
  const types = queue.takeAll().map((part) => ("revision" in part ? part.revision : part.type));
  expect(types).toEqual(["state", 3, 5, 7, "state", 8]);
});

test("a queue is full at its bytes and at its number of parts, and empty when all was taken", () => {
  const queue = new PartQueue(100, false);
  queue.push(change(2, "a"), 99);
  expect(queue.isFull).toBe(false);
  queue.push(change(3, "a"), 1);
  expect(queue.isFull).toBe(true);
  queue.takeAll();
  expect(queue.isFull).toBe(false);
  for (let revision = 1; revision <= 16_384; revision++) queue.push(change(revision, "a"));
  expect(queue.isFull).toBe(true);
});
