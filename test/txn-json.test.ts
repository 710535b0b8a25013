/** Transactions and their results as JSON, there and back, and what is wrong in them named by place. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { JsonResult, JsonTxn } from "../src/json.ts";
import type { CommitResult, Operation, OperationResult, Txn } from "../src/kv.ts";
import { validate } from "../src/schema.ts";
import { schemas } from "../src/schemas.ts";
import {
  changedFromJson,
  changedToJson,
  commitResultFromJson,
  commitResultToJson,
  incrementFromText,
  listShapeOf,
  txnFromJson,
  txnToJson,
} from "../src/txn-json.ts";
import { operation } from "./store/random-steps.ts";
import { RANDOM_MS_MAX, rounds } from "./support/rounds.ts";
import { bytes, failure, plainResult } from "./support/stores.ts";

const wire = <T>(json: T): T => JSON.parse(JSON.stringify(json)) as T;

const entry = {
  key: "a/é",
  value: bytes("text"),
  contentType: "text/css",
  revision: 43,
  createRevision: 42,
  version: 2,
  expiresAt: 1_700_000_000_123,
};

/** One of each, with all fields that it can have, and with as few as it can have. */
const operations: Operation[] = [
  { op: "put", key: "a", value: bytes("text"), contentType: "x/y", ttl: 30_000 },
  { op: "put", key: "a", value: bytes("text"), contentType: "x/y", ttl: "keep" },
  { op: "put", key: "b", value: Uint8Array.of(0xff), contentType: "x/z" },
  { op: "delete", key: "c" },
  { op: "deleteRange", range: { prefix: "a/" }, limit: 7 },
  { op: "deleteRange", range: { start: "a", end: "b" } },
  { op: "deleteRange", range: { key: "a" } },
  { op: "deleteRange", range: {} },
  { op: "deleteRange", range: { prefix: "" }, limit: 1 },
  { op: "incr", key: "n", by: -(2n ** 63n), ttl: 1 },
  { op: "incr", key: "n", by: 0n },
  { op: "touch", key: "a", ttl: 1_500 },
  { op: "touch", key: "a", ttl: "keep" },
  { op: "touch", key: "a", ttl: "none" },
  { op: "get", key: "a", keys: true },
  { op: "get", key: "__proto__" },
  { op: "list", range: { prefix: "a" }, limit: 3, keys: true, reverse: true, delimiter: "/" },
  { op: "list", range: {}, count: true },
  { op: "list", range: { end: "" } },
];

describe("a transaction", () => {
  const txn: Txn = {
    checks: [
      { key: "a", revision: 0, not: true },
      { key: "b", revision: [1, 2] },
      { key: "c", version: 7 },
      { key: "c", version: [0, 7], not: true },
      { key: "d", value: bytes("text") },
      { key: "d", value: Uint8Array.of(0xff), not: true },
      { key: "d", value: new Uint8Array(0) },
    ],
    then: operations,
    else: operations.toReversed(),
  };

  test("comes back as it was, and its JSON fits the description", () => {
    const json = wire(txnToJson(txn));
    validate(schemas.txn, json);
    expect(txnFromJson(json)).toEqual(txn);
  });

  test(
    "comes back as it was, whatever its operations are",
    () => {
      fc.assert(
        fc.property(fc.array(operation, { maxLength: 5 }), (then) => {
          const json = wire(txnToJson({ checks: [], then }));
          validate(schemas.txn, json);
          expect(txnFromJson(json)).toEqual({ checks: [], then });
        }),
        { numRuns: rounds(300) },
      );
    },
    RANDOM_MS_MAX,
  );

  test("has times to live and integers of 64 bits as text", () => {
    expect(txnToJson({ checks: [], then: operations }).then).toMatchObject([
      { value: "text", ttl: "30s" },
      { ttl: "keep" },
      { base64: "/w==" },
      { op: "delete", key: "c" },
      { op: "deleteRange", prefix: "a/", limit: 7 },
      { op: "deleteRange", start: "a", end: "b" },
      { op: "deleteRange", key: "a" },
      { op: "deleteRange", all: true },
      { op: "deleteRange", prefix: "", all: true, limit: 1 },
      { op: "incr", key: "n", by: "-9223372036854775808", ttl: "1ms" },
      { op: "incr", key: "n", by: "0" },
      { op: "touch", ttl: "1500ms" },
      { op: "touch", ttl: "keep" },
      { op: "touch", ttl: "none" },
      { op: "get", key: "a", keys: true },
      { op: "get", key: "__proto__" },
      { op: "list", prefix: "a", limit: 3, keys: true, reverse: true, delimiter: "/" },
      { op: "list", count: true },
      { op: "list", end: "" },
    ]);
  });

  test("may leave out all lists, a put's type, and what an increment adds", () => {
    expect(txnFromJson({})).toEqual({ checks: [], then: [] });
    const { then } = txnFromJson({
      then: [
        { op: "put", key: "a", value: "x" },
        { op: "put", key: "b", base64: "/w==" },
        { op: "incr", key: "n" },
      ],
    });
    expect(then).toMatchObject([
      { contentType: "text/plain; charset=utf-8" },
      { contentType: "application/octet-stream" },
      { by: 1n },
    ]);
    expect(then.every((one) => !("ttl" in one))).toBe(true);
  });

  test("keeps of a listing's shape what is given, also what is false", () => {
    expect(listShapeOf({})).toEqual({});
    expect(Object.keys(listShapeOf({ keys: false }))).toEqual(["keys"]);
    const shape = { limit: 1, keys: false, reverse: true, count: false, delimiter: "/" };
    expect(listShapeOf(shape)).toEqual(shape);
  });
});

describe("what is wrong in a transaction", () => {
  const bad: [JsonTxn, string][] = [
    [{ then: [{ op: "put", key: "a" }] }, "then[0] needs exactly one of"],
    [{ then: [{ op: "put", key: "a", value: "", base64: "" }] }, "then[0] needs exactly one of"],
    [{ then: [{ op: "put", key: "a", base64: "x" }] }, "then[0].base64 is not"],
    [{ then: [{ op: "put", key: "a", value: "x", ttl: "30" }] }, 'then[0].ttl cannot be "30"'],
    [{ then: [{ op: "put", key: "a", value: "x", ttl: "none" }] }, "then[0].ttl cannot be"],
    [{ then: [{ op: "put", key: "a", value: "x", ttl: "3651d" }] }, "then[0].ttl cannot be"],
    [{ else: [{ op: "delete", key: ".." }] }, 'the else[0].key has "." or ".."'],
    [{ checks: [{ key: "a/./b", revision: 0 }] }, 'the checks[0].key has "." or ".."'],
    [{ checks: [{ key: "a" }] }, 'checks[0] needs exactly one of "revision", "version", and'],
    [{ checks: [{ key: "a", revision: 1, version: 1 }] }, "checks[0] needs exactly one of"],
    [{ checks: [{ key: "a", version: 1, value: "" }] }, "checks[0] needs exactly one of"],
    [{ checks: [{ key: "a", revision: 1, base64: "" }] }, "checks[0] needs exactly one of"],
    [{ checks: [{ key: "a", value: "", base64: "" }] }, "checks[0] needs exactly one of"],
    [{ checks: [{ key: "a", base64: "!" }] }, "checks[0].base64 is not"],
    [{ then: [{ op: "incr", key: "a", by: "1.5" }] }, 'then[0].by cannot be "1.5"'],
    [{ then: [{ op: "incr", key: "a", by: "+1" }] }, "then[0].by cannot be"],
    [{ then: [{ op: "incr", key: "a", by: "9223372036854775808" }] }, "then[0].by cannot be"],
    [{ then: [{ op: "incr", key: "a", ttl: "keep" }] }, "then[0].ttl cannot be"],
    [{ then: [{ op: "touch", key: "a", ttl: "never" }] }, "then[0].ttl cannot be"],
    [{ then: [{ op: "deleteRange" }] }, "then[0]: the range is every key"],
    [{ then: [{ op: "deleteRange", prefix: "" }] }, "then[0]: the range is every key"],
    [{ then: [{ op: "deleteRange", start: "" }] }, "then[0]: the range is every key"],
    [{ then: [{ op: "deleteRange", prefix: "a", all: true }] }, "then[0]: all=true is for every"],
    [{ else: [{ op: "deleteRange", prefix: "a", start: "b" }] }, "else[0]: "],
    [{ then: [{ op: "list", key: "a", prefix: "a" }] }, "then[0]: "],
    [{ then: [{ op: "list", end: "a", prefix: "a" }] }, "then[0]: "],
    [{ then: [{ op: "list", key: ".." }] }, 'the then[0].key has "."'],
  ];
  test.each(bad)("is named by its place: %j", async (json, message) => {
    validate(schemas.txn, json);
    const error = await failure(() => txnFromJson(json), "invalid_argument");
    expect(error.message).toStartWith(message);
  });

  test("is too large where a key is, by its place too", async () => {
    const key = "é".repeat(513);
    const error = await failure(() => txnFromJson({ then: [{ op: "get", key }] }), "too_large");
    expect(error.message).toStartWith("the then[0].key has 1026 bytes");
    expect(error.details.limit).toBe(1024);
  });

  test.each([
    ['{"check":[]}', 'the body has an unknown field "check"; did you mean "checks"?'],
    ['{"then":[{"op":"increment","key":"a"}]}', 'then[0] has an unknown op "increment"'],
    ['{"then":[{"op":"put","key":"a","value":"x","tll":"1s"}]}', "then[0] has an unknown field"],
    ['{"then":[{"op":"put","key":"a","value":"x","ttl":30}]}', "then[0].ttl must be a string"],
    ['{"then":[{"op":"put","key":"a","value":"x","ttl":""}]}', "then[0].ttl is empty"],
    ['{"then":[{"op":"incr","key":"a","by":1}]}', "then[0].by must be a string"],
    ['{"then":[{"op":"incr"}]}', 'then[0] lacks the field "key"'],
    ['{"then":[{"op":"touch","key":"a"}]}', 'then[0] lacks the field "ttl"'],
    ['{"then":[{"op":"get","key":"a","revision":1}]}', 'then[0] has an unknown field "revision"'],
    ['{"then":[{"op":"list","limit":0}]}', "then[0].limit is 0"],
    ['{"then":[{"op":"list","limit":10001}]}', "then[0].limit is 10001"],
    ['{"then":[{"op":"list","delimiter":""}]}', "then[0].delimiter is empty"],
    ['{"then":[{"op":"list","cursor":"x"}]}', 'then[0] has an unknown field "cursor"'],
    ['{"then":[{"op":"list","keys":"true"}]}', "then[0].keys must be true or false"],
    ['{"then":[{"op":"deleteRange","all":1}]}', "then[0].all must be true or false"],
    ['{"then":[{"op":"deleteRange","prefix":"a","limit":0}]}', "then[0].limit is 0"],
    ['{"then":[{"op":"deleteRange","prefix":"a","reverse":true}]}', "then[0] has an unknown field"],
    ['{"checks":[{"revision":1}]}', 'checks[0] lacks the field "key"'],
    ['{"checks":[{"key":"a","revision":-1}]}', "checks[0].revision is -1"],
    ['{"checks":[{"key":"a","version":1.5}]}', "checks[0].version must be an integer"],
    ['{"checks":[{"key":"a","revision":"1"}]}', "checks[0].revision must be integer or array"],
    ['{"checks":[{"key":"a","version":[]}]}', "checks[0].version has 0 items"],
    ['{"checks":[{"key":"a","revision":[1,1.5]}]}', "checks[0].revision[1] must be an integer"],
    ['{"checks":[{"key":"a","value":1}]}', "checks[0].value must be a string"],
    ['{"then":[{"op":"put","key":"","value":"x"}]}', "then[0].key is empty"],
    ['{"then":[{"op":"put","key":"a","value":"x","contentType":"ä"}]}', "then[0].contentType can"],
    ['{"then":[{"op":"put","key":"a","value":"x","contentType":" a"}]}', "then[0].contentType can"],
    ['{"then":[{"op":"put","key":"a","value":"\\udc00"}]}', "then[0].value has a lone surrogate"],
  ])("is refused by the description: %s", async (json, message) => {
    const error = await failure(() => validate(schemas.txn, JSON.parse(json)), "invalid_argument");
    expect(error.message).toStartWith(message);
  });
});

describe("a result", () => {
  const changed = { key: "a", revision: 43, createRevision: 42, version: 2 };
  const results: [OperationResult, JsonResult][] = [
    [
      { op: "put", ...changed },
      { op: "put", ...changed },
    ],
    [
      { op: "put", ...changed, expiresAt: 1_700_000_000_123 },
      { op: "put", ...changed, expiresAt: "2023-11-14T22:13:20.123Z" },
    ],
    [
      { op: "touch", ...changed, expiresAt: 0 },
      { op: "touch", ...changed, expiresAt: "1970-01-01T00:00:00.000Z" },
    ],
    [
      { op: "incr", ...changed, value: 2n ** 63n - 1n },
      { op: "incr", value: "9223372036854775807", ...changed },
    ],
    [
      { op: "delete", deleted: 1 },
      { op: "delete", deleted: 1 },
    ],
    [
      { op: "deleteRange", deleted: 3, more: false },
      { op: "deleteRange", deleted: 3 },
    ],
    [
      { op: "deleteRange", deleted: 3, more: true },
      { op: "deleteRange", deleted: 3, more: true },
    ],
    [{ op: "get" }, { op: "get", entry: null }],
    [
      { op: "list", entries: [], count: 0, more: false },
      { op: "list", count: 0 },
    ],
    [
      { op: "list", entries: [], folders: [], more: false },
      { op: "list", entries: [], folders: [] },
    ],
    [
      { op: "list", entries: [], folders: ["a/", "b/"], more: true },
      { op: "list", entries: [], folders: ["a/", "b/"], more: true },
    ],
  ];
  test("of each operation has its JSON, and comes back as it was", () => {
    for (const [result, json] of results) {
      const whole: CommitResult = { succeeded: true, revision: 43, results: [result], failed: [] };
      const made = wire(commitResultToJson(whole));
      expect(made).toEqual({ succeeded: true, revision: 43, results: [json] });
      expect(commitResultFromJson(made)).toEqual(whole);
    }
  });

  test("with entries comes back as it was, values and deadlines too", () => {
    const { value: _, ...info } = entry;
    const whole: CommitResult = {
      succeeded: true,
      revision: 43,
      results: [
        { op: "get", entry },
        { op: "get", entry: info },
        { op: "list", entries: [entry, { ...entry, value: Uint8Array.of(0xff) }], more: true },
      ],
      failed: [],
    };
    const back = commitResultFromJson(wire(commitResultToJson(whole)));
    expect(back.results.map(plainResult)).toEqual(whole.results.map(plainResult));
  });

  test("names failed checks only when one failed", () => {
    const failed: CommitResult = { succeeded: false, revision: 43, results: [], failed: [0, 2] };
    expect(commitResultToJson(failed).failed).toEqual([0, 2]);
    expect(commitResultFromJson(wire(commitResultToJson(failed)))).toEqual(failed);
  });

  test("of a change alone comes back as it was", () => {
    for (const one of [changed, { ...changed, expiresAt: 1_700_000_000_123 }]) {
      expect(changedFromJson(wire(changedToJson(one)))).toEqual(one);
    }
    expect(Object.keys(changedToJson(changed))).not.toContain("expiresAt");
  });
});

test("an increment is an integer of 64 bits in its one spelling, or refused by its name", async () => {
  expect(incrementFromText("-9223372036854775808", "by")).toBe(-(2n ** 63n));
  for (const text of ["", "+1", "01", "1.0", "9223372036854775808", "x"]) {
    const error = await failure(() => incrementFromText(text, "by"), "invalid_argument");
    expect(error.message).toStartWith("by cannot be ");
  }
});
