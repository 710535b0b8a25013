/**
 * The semantics of stores held against a plain `Map`, one property each: single writes, the net effect
 * of a transaction, ranges in byte order, times to live. Of the log engine, and of the model itself.
 */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { checkKey } from "../../src/keys.ts";
import type { Operation, Range, Store } from "../../src/kv.ts";
import { FakeDisk } from "../support/fake-disk.ts";
import { FakeTime } from "../support/fake-time.ts";
import { openOn } from "../support/logs.ts";
import { openModel } from "../support/model-store.ts";
import { propertySeed } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { scanAll } from "../support/scans.ts";
import {
  changesBetween,
  del,
  delRange,
  incr,
  listPages,
  put,
  putFor,
  touch,
  write,
} from "../support/stores.ts";
import { STEP_KEYS } from "./random-steps.ts";
import { compareBytes, isInRange } from "./replay.ts";

const STORES: [string, (time: FakeTime) => Promise<Store>][] = [
  ["the model", async ({ clock }) => openModel({ clock })],
  ["the log engine", ({ clock, timer }) => openOn(new FakeDisk(), { clock, timer })],
];

/** Any text that is a key, hard ones above all. */
const anyKey = fc
  .oneof(
    fc.constantFrom(...STEP_KEYS),
    fc.string({ unit: "binary", minLength: 1, maxLength: 6 }),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 }),
    fc
      .array(fc.constantFrom("a", "/", "\u0000", "%", "\uD7FF", "\uE000", "\uFFFF", "\u{10000}"), {
        minLength: 1,
        maxLength: 4,
      })
      .map((parts) => parts.join("")),
  )
  .filter(isKey);

const fewKeys = fc.constantFrom("a", "a/b", "\u{1F600}", "\uFFFF", "__proto__");

describe.each(STORES)("%s", (_, open) => {
  /** Runs a property on a store of its own for each run. */
  const holds = async <T>(
    arbitrary: fc.Arbitrary<T>,
    runs: number,
    check: (store: Store, given: T, time: FakeTime) => Promise<void>,
  ): Promise<void> => {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (given) => {
        const time = new FakeTime();
        const store = await open(time);
        try {
          await check(store, given, time);
        } finally {
          await store.close();
        }
      }),
      { numRuns: rounds(runs), ...propertySeed() },
    );
  };

  test(
    "holds what a map holds, after any puts and deletes of any keys",
    async () => {
      const write1 = fc.record({ key: anyKey, value: fc.option(fc.string({ maxLength: 5 })) });
      await holds(fc.array(write1, { maxLength: 30 }), 30, async (store, writes) => {
        const map = new Map<string, string>();
        for (const { key, value } of writes) {
          const { results } = await write(store, value === null ? del(key) : put(key, value));
          const [result] = results;
          if (value === null) {
            expect(result).toEqual({ op: "delete", deleted: map.delete(key) ? 1 : 0 });
          } else map.set(key, value);
          for (const { key } of writes) {
            const { entry } = await store.get(key);
            expect(entry && Buffer.from(entry.value).toString()).toBe(map.get(key)!);
          }
          expect((await store.status()).keys).toBe(map.size);
        }
      });
    },
    RANDOM_MS_MAX,
  );

  test(
    "commits the net effect of a transaction: what a map is after it, against before",
    async () => {
      const txn = fc.array(simpleOperation(fewKeys), { minLength: 1, maxLength: 12 });
      await holds(fc.array(txn, { maxLength: 12 }), 40, async (store, txns) => {
        let before = new Map<string, string>();
        for (const operations of txns) {
          const { revision } = await store.status();
          const after = new Map(before);
          const order = applyAll(after, operations);
          const applied = await write(store, ...operations);
          const commits = await changesBetween(store, revision + 1, applied.revision);
          const events = commits.flatMap((commit) => commit.events);
          const expected = order
            .filter((key) => after.has(key) || before.has(key))
            .map((key) => [after.has(key) ? "put" : "delete", key, after.get(key)]);
          expect(
            events.map((event) => [
              event.type,
              event.key,
              event.type === "put" ? Buffer.from(event.value).toString() : undefined,
            ]),
          ).toEqual(expected);
          if (expected.length === 0) expect(applied.revision).toBe(revision);
          else expect(applied.revision).toBeGreaterThan(revision);
          before = after;
        }
      });
    },
    RANDOM_MS_MAX,
  );

  test(
    "lists what a map has in a range, in the order of UTF-8 bytes, both ways and in pages",
    async () => {
      const given = fc.record({
        keys: fc.uniqueArray(anyKey, { maxLength: 25 }),
        ranges: fc.array(anyRange(), { minLength: 1, maxLength: 6 }),
        limit: fc.integer({ min: 1, max: 7 }),
      });
      await holds(given, 60, async (store, { keys, ranges, limit }) => {
        await write(store, ...keys.map((key) => put(key, key)));
        for (const range of ranges) {
          const right = keys.filter((key) => isInRange(range, key)).toSorted(compareBytes);
          const listed = async (reverse: boolean) =>
            (await listPages(store, range, { limit, reverse })).flatMap(({ entries }) =>
              entries.map(({ key }) => key),
            );
          expect(await listed(false)).toEqual(right);
          expect(await listed(true)).toEqual(right.toReversed());
          expect((await store.list(range, { count: true })).count).toBe(right.length);
          if (store.scan === undefined) continue;
          for (const reverse of [false, true]) {
            const scanned = await scanAll(store, range, { reverse, keys: true }, limit);
            const ordered = reverse ? right.toReversed() : right;
            expect(scanned.map(({ key }) => key)).toEqual(ordered);
          }
        }
        const [range] = ranges as [Range];
        const gone = keys.filter((key) => isInRange(range, key)).toSorted(compareBytes);
        const { results } = await write(store, delRange(range, limit));
        const deleted = Math.min(limit, gone.length);
        expect(results).toEqual([{ op: "deleteRange", deleted, more: gone.length > limit }]);
        const left = keys.filter((key) => !gone.slice(0, limit).includes(key));
        const { entries } = await store.list({});
        expect(entries.map(({ key }) => key)).toEqual(left.toSorted(compareBytes));
      });
    },
    RANDOM_MS_MAX,
  );

  test(
    "lets keys go at their deadlines, and never shows one again that was seen gone",
    async () => {
      const steps = fc.array(timedStep(fewKeys), { maxLength: 40 });
      await holds(steps, 60, async (store, steps, time) => {
        const map = new Map<string, { deadline: number; version: number }>();
        for (const step of steps) {
          if ("ms" in step) {
            time.now += step.ms;
            if (step.fire) time.fire();
          } else await write(store, step).catch(() => undefined);
          const keys = await liveKeys(store);
          // What has been looked at as due is gone for good, wherever the clock goes from here.
          for (const [key, { deadline }] of map) if (deadline <= time.now) map.delete(key);
          if (!("ms" in step)) applyTimed(map, step, time.now);
          expect(keys).toEqual([...map.keys()].toSorted(compareBytes));
          for (const [key, { deadline, version }] of map) {
            const { entry } = await store.get(key);
            expect([entry!.expiresAt ?? Infinity, entry!.version]).toEqual([deadline, version]);
          }
        }
      });
    },
    RANDOM_MS_MAX,
  );
});

// --- internal ---

function isKey(text: string): boolean {
  try {
    checkKey(text);
    return true;
  } catch {
    return false;
  }
}

function anyRange(): fc.Arbitrary<Range> {
  const text = fc.oneof(anyKey, fc.constantFrom("", "\u{10FFFF}", "a\uD7FF"));
  return fc.oneof(
    fc.constant({}),
    fc.record({ key: anyKey }),
    fc.record({ prefix: text }),
    fc.record({ start: text, end: text }),
    fc.record({ start: text }),
    fc.record({ end: text }),
  );
}

/** Operations that always succeed. */
function simpleOperation(key: fc.Arbitrary<string>): fc.Arbitrary<Operation> {
  return fc.oneof(
    fc.tuple(key, fc.nat({ max: 9 })).map(([key, value]) => put(key, String(value))),
    key.map(del),
    fc.tuple(key, fc.integer({ min: -9, max: 9 })).map(([key, by]) => incr(key, BigInt(by))),
    fc.constantFrom(delRange({ prefix: "a" }), delRange({ start: "\uFFFF" }, 1)),
  );
}

/** Applies operations to a map; answers with the keys that they changed, the last changed last. */
function applyAll(map: Map<string, string>, operations: readonly Operation[]): string[] {
  const changed = new Set<string>();
  const change = (key: string, value: string | undefined): void => {
    changed.delete(key);
    changed.add(key);
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  };
  for (const operation of operations) {
    if (operation.op === "put") change(operation.key, Buffer.from(operation.value).toString());
    else if (operation.op === "incr") {
      change(operation.key, String(BigInt(map.get(operation.key) ?? 0) + operation.by));
    } else if (operation.op === "delete") {
      if (map.has(operation.key)) change(operation.key, undefined);
    } else if (operation.op === "deleteRange") {
      const gone = [...map.keys()].filter((key) => isInRange(operation.range, key));
      for (const key of gone.toSorted(compareBytes).slice(0, operation.limit)) {
        change(key, undefined);
      }
    }
  }
  return [...changed];
}

type TimedStep = Operation | { readonly ms: number; readonly fire: boolean };

function timedStep(key: fc.Arbitrary<string>): fc.Arbitrary<TimedStep> {
  const ttl = fc.integer({ min: 1, max: 300 });
  return fc.oneof(
    fc.tuple(key, ttl).map(([key, ttl]) => putFor(key, "1", ttl)),
    key.map((key) => putFor(key, "2", "keep")),
    key.map((key) => put(key, "3")),
    key.map(del),
    fc.tuple(key, ttl).map(([key, ttl]) => touch(key, ttl)),
    fc
      .tuple(key, fc.constantFrom("keep" as const, "none" as const))
      .map(([key, ttl]) => touch(key, ttl)),
    fc.tuple(key, ttl).map(([key, ttl]) => incr(key, 1n, ttl)),
    fc.record({ ms: fc.integer({ min: -200, max: 400 }), fire: fc.boolean() }),
    fc.record({ ms: fc.integer({ min: 1, max: 60 }), fire: fc.boolean() }),
  );
}

function applyTimed(
  map: Map<string, { deadline: number; version: number }>,
  operation: Operation,
  now: number,
): void {
  if (!("key" in operation)) return;
  const { op, key } = operation;
  const before = map.get(key);
  if (op === "delete") map.delete(key);
  if (op !== "put" && op !== "incr" && op !== "touch") return;
  if (op === "touch" && before === undefined) return;
  const { ttl } = operation;
  const kept = before?.deadline ?? Infinity;
  let deadline = typeof ttl === "number" ? now + ttl : Infinity;
  if (ttl === "keep" || (op === "incr" && before !== undefined)) deadline = kept;
  map.set(key, { deadline, version: (before?.version ?? 0) + 1 });
}

/** What a list of everything shows, which has to be what a count and reads of each key show. */
async function liveKeys(store: Store): Promise<string[]> {
  const keys = (await store.list({})).entries.map(({ key }) => key);
  expect((await store.list({}, { count: true })).count).toBe(keys.length);
  expect((await store.status()).keys).toBe(keys.length);
  return keys;
}
