/** Random histories: transactions of every kind, reads, compactions, jumps of the clock. */

import * as fc from "fast-check";
import type { ListShape, Operation, Range } from "../../src/kv.ts";
import { bytes } from "../support/stores.ts";

/** A number of a key: one of it, its own, or none that there is. */
type Wanted = number | "own";

/** A check that is made into a real one when it is sent: revisions are only known then. */
export type CheckPlan = { readonly key: string; readonly not: boolean } & (
  | { readonly on: "revision"; readonly wanted: readonly (Wanted | "absent")[] }
  | { readonly on: "version"; readonly wanted: readonly Wanted[] }
  | { readonly on: "value"; readonly wanted: Uint8Array | "own" }
);

export interface TxnPlan {
  readonly checks: readonly CheckPlan[];
  readonly then: readonly Operation[];
  readonly else?: readonly Operation[] | undefined;
}

/** `back` counts commits back from the newest; `"now"` reads without a revision. */
export type Step =
  | { readonly kind: "commits"; readonly txns: readonly TxnPlan[] }
  | {
      readonly kind: "list";
      readonly range: Range;
      readonly shape: ListShape;
      readonly back: number | "now";
    }
  | { readonly kind: "get"; readonly key: string; readonly back: number | "now" }
  | {
      readonly kind: "history";
      readonly key: string;
      readonly limit: number;
      readonly keys: boolean;
      readonly back: number | "now";
    }
  | { readonly kind: "changes"; readonly range: Range; readonly back: number }
  | { readonly kind: "compact"; readonly back: number }
  | { readonly kind: "advance"; readonly ms: number; readonly fire: boolean }
  | { readonly kind: "reopen" };

/** Each has been some store's undoing; the first ones come often enough to meet themselves. */
export const STEP_KEYS = [
  "a",
  "a/b",
  "a/c/d",
  "b",
  "\u{1F600}",
  "\uFFFF",
  "a\u0000",
  "a/",
  "é",
  "e\u0301",
  "\uE000",
  "\uFEFF",
  "__proto__",
  "constructor",
  "%",
  "%2F",
  "//",
  "שלום/עולם",
  "\u202E",
  `a/${"x".repeat(1022)}`,
  "\u{10FFFF}",
];

const key = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...STEP_KEYS.slice(0, 6)) },
  { weight: 2, arbitrary: fc.constantFrom(...STEP_KEYS) },
);

const MAX = 2n ** 63n - 1n;

const value = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "grapheme", maxLength: 8 }).map(bytes) },
  {
    weight: 4,
    arbitrary: fc.constantFrom("0", "41", "-7", "01", "-0", "", String(MAX)).map(bytes),
  },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 20_000 }).map(pattern) },
);

/** Milliseconds; the clock is set forth by about as much. */
const ttl = fc.integer({ min: 1, max: 300 });

export const range: fc.Arbitrary<Range> = fc.oneof(
  fc.constant({}),
  fc.record({ key }),
  fc.record({ prefix: fc.oneof(key, fc.constantFrom("", "a/", "\u{1F600}", "\u{10FFFF}")) }),
  fc.record({ start: key, end: key }),
  fc.record({ start: key }),
  fc.record({ end: key }),
);

/** `count` excludes all others. */
const shape: fc.Arbitrary<ListShape> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ count: true }) },
  {
    weight: 5,
    arbitrary: fc.record(
      {
        limit: fc.integer({ min: 1, max: 5 }),
        keys: fc.boolean(),
        reverse: fc.boolean(),
        delimiter: fc.constantFrom("/", "/", "a", "\u{1F600}", "\u0000", "//"),
      },
      { requiredKeys: [] },
    ),
  },
);

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record(
      {
        op: fc.constant("put" as const),
        key,
        value,
        contentType: fc.constantFrom("text/plain", "a", "x/y; z=1"),
        ttl: fc.oneof(ttl, fc.constant("keep" as const)),
      },
      { requiredKeys: ["op", "key", "value", "contentType"] },
    ),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("delete" as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record(
      {
        op: fc.constant("deleteRange" as const),
        range,
        limit: fc.integer({ min: 1, max: 4 }),
      },
      { requiredKeys: ["op", "range"] },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      { op: fc.constant("incr" as const), key, by: fc.constantFrom(1n, -1n, 0n, 7n, MAX), ttl },
      { requiredKeys: ["op", "key", "by"] },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("touch" as const),
      key,
      ttl: fc.oneof(ttl, fc.constantFrom("keep" as const, "none" as const)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("get" as const), key, keys: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(range, shape)
      .map(([range, shape]) => Object.assign({ op: "list" as const, range }, shape)),
  },
);

const check: fc.Arbitrary<CheckPlan> = fc.oneof(
  fc.record({
    on: fc.constant("revision" as const),
    key,
    wanted: fc.array(
      fc.oneof(
        fc.constantFrom("own" as const, "own" as const, "absent" as const),
        fc.nat({ max: 8 }),
      ),
      { minLength: 1, maxLength: 3 },
    ),
    not: fc.boolean(),
  }),
  fc.record({
    on: fc.constant("version" as const),
    key,
    wanted: fc.array(fc.oneof(fc.constantFrom("own" as const), fc.nat({ max: 4 })), {
      minLength: 1,
      maxLength: 3,
    }),
    not: fc.boolean(),
  }),
  fc.record({
    on: fc.constant("value" as const),
    key,
    wanted: fc.oneof(fc.constant("own" as const), value),
    not: fc.boolean(),
  }),
);

export const txn: fc.Arbitrary<TxnPlan> = fc.record({
  checks: fc.array(check, { maxLength: 2 }),
  then: fc.array(operation, { maxLength: 6 }),
  else: fc.option(fc.array(operation, { maxLength: 3 }), { nil: undefined }),
});

const back = fc.nat({ max: 8 });
const backOrNow = fc.oneof(fc.constant("now" as const), back);

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      kind: fc.constant("commits" as const),
      txns: fc.array(txn, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("list" as const), range, shape, back: backOrNow }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("get" as const), key, back: backOrNow }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("history" as const),
      key,
      limit: fc.integer({ min: 1, max: 4 }),
      keys: fc.boolean(),
      back: backOrNow,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("changes" as const), range, back }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("compact" as const), back }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("advance" as const),
      ms: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: -300, max: 600 })),
      fire: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
);

// --- internal ---

/** Bytes that are recognisably of this length. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + length) & 0xff);
}
