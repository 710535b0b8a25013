/** The JSON shapes of the API, there and back. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { KvError } from "../src/errors.ts";
import {
  commitFromJson,
  commitToJson,
  entryFromJson,
  entryToJson,
  errorFromJson,
  errorToJson,
  valueFromJson,
  valueToJson,
} from "../src/json.ts";
import { schemas } from "../src/schemas.ts";
import type { Commit, Entry } from "../src/kv.ts";
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
