/** The JSON shapes of the API, there and back. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { KvError } from "../src/errors.ts";
import { commitFromJson, commitToJson, entryFromJson, entryToJson, errorFromJson, errorToJson, type JsonTxn, valueFromJson, valueToJson } from "../src/json.ts";
import { schemas } from "../src/schemas.ts";
import { commitResultFromJson, commitResultToJson, txnFromJson, txnToJson } from "../src/txn-json.ts";
import type { Commit, CommitResult, Entry, Txn } from "../src/kv.ts";
import { validate } from "../src/schema.ts";
import { rounds } from "./support/rounds.ts";
import { bytes, failure, shown, shownCommits } from "./support/stores.ts";

const wire = <T>(json: T): T => JSON.parse(JSON.stringify(json)) as T;

const entry: Entry = {
  key: "a/é",
  value: bytes("text"),
  contentType: "text/css",
  revision: 43,
  createRevision: 42,
  version: 2,
};

describe("a value", () => {
  test("is text where it is UTF-8, else base64, and comes back byte for byte", () => {
    const value = fc.oneof(fc.uint8Array(), fc.string({ unit: "binary" }).map(bytes));
    fc.assert(
      fc.property(value, (value) => {
        const json = wire(valueToJson(value));
        expect(Object.keys(json)).toHaveLength(1);
        expect(Buffer.compare(valueFromJson(json, "x"), value)).toBe(0);
      }),
      { numRuns: rounds(500) },
    );
  });

  test("keeps a byte order mark, NUL and the empty text", () => {
    expect(valueToJson(bytes("\uFEFFa\u0000"))).toEqual({ value: "\uFEFFa\u0000" });
    expect(valueToJson(new Uint8Array(0))).toEqual({ value: "" });
    expect(valueToJson(Uint8Array.of(0xff))).toEqual({ base64: "/w==" });
    expect(valueFromJson({ base64: "" }, "x")).toHaveLength(0);
    expect(valueFromJson({ base64: "YQ==" }, "x")).toEqual(bytes("a"));
  });

  test.each([
    "/w",
    "/w=",
    "/w===",
    "_w==",
    "/x==",
    " /w==",
    "/w==\n",
    "/w ==",
    "=",
    "a",
    "é",
    "/w==/w==",
  ])("refuses base64 that is not standard and padded: %j", async (base64) => {
    const error = await failure(() => valueFromJson({ base64 }, "then[0]"), "invalid_argument");
    expect(error.message).toBe("then[0].base64 is not padded standard base64");
  });

  test("needs exactly one of value and base64", async () => {
    await failure(() => valueFromJson({}, "x"), "invalid_argument");
    await failure(() => valueFromJson({ value: "a", base64: "YQ==" }, "x"), "invalid_argument");
  });
});

describe("entries and events", () => {
  test("an entry comes back as it was, with its deadline as RFC 3339", () => {
    const json = entryToJson({ ...entry, expiresAt: 1_700_000_000_123 });
    expect(json).toEqual({
      key: "a/é",
      value: "text",
      contentType: "text/css",
      revision: 43,
      createRevision: 42,
      version: 2,
      expiresAt: "2023-11-14T22:13:20.123Z",
    });
    const back = entryFromJson(wire(json));
    expect(shown(back)).toEqual({ ...shown(entry), expiresAt: 1_700_000_000_123 });
    expect(Object.keys(entryFromJson(wire(entryToJson(entry))))).not.toContain("expiresAt");
  });

  test("an entry without its value is another than one with an empty value", () => {
    const { value: _, ...info } = entry;
    expect(entryFromJson(wire(entryToJson(info))).value).toBeUndefined();
    expect(entryFromJson(wire(entryToJson({ ...info, value: bytes("") }))).value).toHaveLength(0);
  });

  test("what is answered is what the description says", () => {
    validate(schemas.entry, wire(entryToJson({ ...entry, expiresAt: 0 })));
    validate(schemas.entry, wire(entryToJson({ ...entry, value: Uint8Array.of(0xff) })));
  });

  test("a commit comes back with its events in order", () => {
    const commit: Commit = {
      revision: 43,
      events: [
        { type: "put", ...entry },
        { type: "delete", key: "__proto__", revision: 43 },
        { type: "put", ...entry, key: "b", value: Uint8Array.of(0, 0xff) },
        { type: "expire", key: "c", revision: 43 },
        { type: "put", ...entry, key: "d", value: bytes("") },
      ],
    };
    expect(shownCommits([commitFromJson(wire(commitToJson(commit)))])).toEqual(
      shownCommits([commit]),
    );
  });
});

describe("transactions", () => {
  const txn: Txn = {
    checks: [
      { key: "a", revision: 0, not: true },
      { key: "b", revision: [1, 2] },
      { key: "c", revision: 7 },
    ],
    then: [
      { op: "put", key: "a", value: bytes("text"), contentType: "x/y" },
      { op: "put", key: "b", value: Uint8Array.of(0xff), contentType: "x/z" },
      { op: "get", key: "a", keys: true },
      { op: "delete", key: "c" },
    ],
    else: [{ op: "get", key: "c" }],
  };

  test("a transaction comes back as it was, and its JSON fits the description", () => {
    const json = wire(txnToJson(txn));
    validate(schemas.txn, json);
    const back = txnFromJson(json);
    expect(plain(back)).toEqual(plain(txn));
  });

  test("all lists may be left out, and a put's type follows from its bytes", () => {
    expect(txnFromJson({})).toEqual({ checks: [], then: [] });
    const { then } = txnFromJson({
      then: [
        { op: "put", key: "a", value: "x" },
        { op: "put", key: "b", base64: "/w==" },
      ],
    });
    expect(then.map((one) => (one.op === "put" ? one.contentType : ""))).toEqual([
      "text/plain; charset=utf-8",
      "application/octet-stream",
    ]);
  });

  const bad: [JsonTxn, string][] = [
    [{ then: [{ op: "put", key: "a" }] }, "then[0] needs exactly one of"],
    [{ then: [{ op: "put", key: "a", base64: "x" }] }, "then[0].base64 is not"],
    [{ else: [{ op: "delete", key: ".." }] }, 'the else[0].key has "." or ".."'],
    [{ checks: [{ key: "a/./b", revision: 0 }] }, 'the checks[0].key has "." or ".."'],
  ];
  test.each(bad)("what is wrong in one is named by its place: %j", async (json, message) => {
    validate(schemas.txn, json);
    const error = await failure(() => txnFromJson(json), "invalid_argument");
    expect(error.message).toStartWith(message);
  });

  test.each([
    ['{"check":[]}', 'the body has an unknown field "check"; did you mean "checks"?'],
    ['{"then":[{"op":"incr","key":"a"}]}', 'then[0] has an unknown op "incr"'],
    [
      '{"then":[{"op":"put","key":"a","value":"x","ttl":"1s"}]}',
      'then[0] has an unknown field "ttl"',
    ],
    ['{"checks":[{"key":"a"}]}', 'checks[0] lacks the field "revision"'],
    ['{"checks":[{"key":"a","revision":-1}]}', "checks[0].revision is -1"],
    ['{"checks":[{"key":"a","revision":"1"}]}', "checks[0].revision must be integer or array"],
    ['{"checks":[{"key":"a","revision":[]}]}', "checks[0].revision has 0 items"],
    ['{"checks":[{"key":"a","revision":[1,1.5]}]}', "checks[0].revision[1] must be an integer"],
    ['{"then":[{"op":"put","key":"","value":"x"}]}', "then[0].key is empty"],
    [
      '{"then":[{"op":"put","key":"a","value":"x","contentType":"ä"}]}',
      "then[0].contentType cannot",
    ],
    [
      '{"then":[{"op":"put","key":"a","value":"x","contentType":" a"}]}',
      "then[0].contentType cannot",
    ],
    ['{"then":[{"op":"put","key":"a","value":"\\udc00"}]}', "then[0].value has a lone surrogate"],
  ])("the description refuses %s", async (json, message) => {
    const error = await failure(() => validate(schemas.txn, JSON.parse(json)), "invalid_argument");
    expect(error.message).toStartWith(message);
  });

  test("a result comes back as it was; failed checks are there only when one failed", () => {
    const results: CommitResult["results"] = [
      { op: "put", key: "a", revision: 43, createRevision: 42, version: 2 },
      { op: "delete", deleted: 1 },
      { op: "get" },
      { op: "get", entry },
    ];
    const succeeded: CommitResult = { succeeded: true, revision: 43, results, failed: [] };
    expect("failed" in commitResultToJson(succeeded)).toBe(false);
    expect(commitResultToJson(succeeded).results[2]).toEqual({ op: "get", entry: null });
    expect(shownResult(commitResultFromJson(wire(commitResultToJson(succeeded))))).toEqual(
      shownResult(succeeded),
    );
    const failed: CommitResult = { succeeded: false, revision: 43, results: [], failed: [0, 2] };
    expect(commitResultFromJson(wire(commitResultToJson(failed)))).toEqual(failed);
  });
});

describe("errors", () => {
  test("an error comes back with code, message and details", () => {
    const details = { limit: 1, oldest: 2, revision: 3, storeRevision: 4, index: 5 };
    const error = new KvError("too_large", "no\nway", details);
    const back = errorFromJson(wire(errorToJson(error)))!;
    expect(back).toBeInstanceOf(KvError);
    expect([back.code, back.message, back.details]).toEqual(["too_large", "no\nway", details]);
  });

  test.each([
    "null",
    "7",
    '"x"',
    "[]",
    "{}",
    '{"error":null}',
    '{"error":"x"}',
    '{"error":{"code":"nope","message":"x"}}',
    '{"error":{"code":"toString","message":"x"}}',
    '{"error":{"code":"internal"}}',
  ])("what is no error of kv is none: %s", (json) => {
    expect(errorFromJson(JSON.parse(json))).toBeUndefined();
  });
});

// --- internal ---

function plain({ checks, then, else: otherwise }: Txn) {
  const operations = then.map((one) =>
    one.op === "put" ? { ...one, value: [...one.value] } : one,
  );
  return { checks, then: operations, otherwise };
}

function shownResult(result: CommitResult) {
  const results = result.results.map((one) =>
    one.op === "get" && one.entry !== undefined ? shown(one.entry) : one,
  );
  return { ...result, results };
}
