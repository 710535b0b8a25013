/** Keys in paths, percent-decoding and cursors. */

import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  BYTES_TYPE,
  type Cursor,
  decodeCursor,
  defaultContentType,
  encodeCursor,
  keyPath,
  percentDecode,
  queryValue,
  TEXT_TYPE,
} from "../src/protocol.ts";
import { checkKey, type Range } from "../src/keys.ts";
import { rounds } from "./support/rounds.ts";
import { bytes, failure } from "./support/stores.ts";

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.string({ maxLength: 20 }),
  fc
    .array(fc.constantFrom("%", "/", "?", "#", "+", " ", "\\", "..", ".", "%2F", "é", "😀", "\t"))
    .map((parts) => parts.join("")),
);

describe("the path of a key", () => {
  test("survives the URL parser and decodes to the key", () => {
    fc.assert(
      fc.property(text.filter(isKey), (key) => {
        const path = keyPath(key);
        expect(path).toMatch(/^\/v1\/kv\/[A-Za-z0-9\-_.~/%]+$/);
        const { pathname, search, hash } = new URL(`http://a${path}`);
        expect([pathname, search, hash]).toEqual([path, "", ""]);
        expect(percentDecode(path.slice("/v1/kv/".length), "the key")).toBe(key);
      }),
      { numRuns: rounds(1_000) },
    );
  });

  test.each([
    ["a/b", "/v1/kv/a/b"],
    ["//", "/v1/kv///"],
    ["a b+c", "/v1/kv/a%20b%2Bc"],
    ["100%", "/v1/kv/100%25"],
    ["é", "/v1/kv/%C3%A9"],
    ["😀", "/v1/kv/%F0%9F%98%80"],
    ["~-_.x", "/v1/kv/~-_.x"],
    ["a\\b?c#d", "/v1/kv/a%5Cb%3Fc%23d"],
  ])("of %j is %s", (key, path) => {
    expect(keyPath(key)).toBe(path);
  });

  test("of a query value is read the same by URLSearchParams", () => {
    fc.assert(
      fc.property(text, (value) => {
        const { searchParams } = new URL(`http://a/?x=${queryValue(value)}&y=1`);
        expect(searchParams.get("x")).toBe(value);
      }),
      { numRuns: rounds(500) },
    );
  });
});

describe("percent-decoding", () => {
  test.each([
    ["a%2Fb", "a/b"],
    ["a%2fb", "a/b"],
    ["%EF%BB%BFa", "\uFEFFa"],
    ["%00", "\u0000"],
    ["a+b", "a+b"],
    ["%25%32%35", "%25"],
  ])("of %s is %j", (encoded, decoded) => {
    expect(percentDecode(encoded, "the key")).toBe(decoded);
  });

  test.each(["%", "a%", "a%4", "%zz", "%u0041", "%%41", "%-1", "%+1"])(
    "refuses the malformed escape in %s and says how to write a percent sign",
    async (encoded) => {
      const error = await failure(() => percentDecode(encoded, "the key"), "invalid_argument");
      expect(error.message).toStartWith("the key has the malformed escape");
      expect(error.message).toEndWith("write a percent sign as %25");
    },
  );

  test.each(["%ff", "%C3", "%C3%28", "%C0%80", "%ED%A0%80", "%F4%90%80%80", "a%80"])(
    "refuses %s, which is no UTF-8, and never answers U+FFFD",
    async (encoded) => {
      const error = await failure(() => percentDecode(encoded, "prefix"), "invalid_argument");
      expect(error.message).toBe("prefix has escapes that are not well-formed UTF-8");
    },
  );
});

describe("a cursor", () => {
  const range: fc.Arbitrary<Range> = fc.oneof(
    fc.constant({}),
    fc.record({ prefix: text }),
    fc.record({ start: text, end: text }),
    fc.record({ end: text }),
  );
  const cursor: fc.Arbitrary<Cursor> = fc.oneof(
    fc.record({ range, after: text }),
    fc.record({ revision: fc.nat(), after: text, range }),
    fc.record(
      {
        range,
        after: text,
        revision: fc.nat(),
        reverse: fc.constant(true),
        delimiter: text.filter((delimiter) => delimiter !== ""),
      },
      { requiredKeys: ["range", "after"] },
    ),
  );

  test("comes back as it was, in characters that need no escape", () => {
    fc.assert(
      fc.property(cursor, (cursor) => {
        const encoded = encodeCursor(cursor);
        expect(encoded).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodeCursor(encoded)).toEqual(cursor);
      }),
      { numRuns: rounds(500) },
    );
  });

  test("carries range, place, revision, direction and delimiter, and one is not another", () => {
    const cursor: Cursor = { range: { prefix: "a" }, after: "ab", revision: 7 };
    const others: Cursor[] = [
      cursor,
      { ...cursor, reverse: true },
      { ...cursor, delimiter: "/" },
      { ...cursor, reverse: true, delimiter: "/" },
      { ...cursor, revision: 8 },
      { ...cursor, range: { start: "a" } },
      { ...cursor, after: "ac" },
    ];
    expect(new Set(others.map(encodeCursor)).size).toBe(others.length);
    for (const other of others) expect(decodeCursor(encodeCursor(other))).toEqual(other);
    // What says nothing has no spelling of its own.
    expect(encodeCursor({ ...cursor, reverse: false })).toBe(encodeCursor(cursor));
  });

  const right = encodeCursor({ range: { prefix: "a" }, after: "ab?", revision: 7 });

  test.each([
    ["empty", ""],
    ["no base64", "!!!"],
    ["cut", right.slice(0, -1)],
    ["longer", `${right}A`],
    ["padded", `${right}==`],
    ["standard base64", Buffer.from(right, "base64url").toString("base64")],
    ["no JSON", encode("{")],
    ["null", encode("null")],
    ["a text", encode('"a"')],
    ["without a range", encode('{"after":"a"}')],
    ["without a last key", encode('{"range":{}}')],
    ["another order", encode('{"after":"a","range":{}}')],
    ["white space", encode('{"range":{}, "after":"a"}')],
    ["a further field", encode('{"range":{},"after":"a","x":1}')],
    ["a further field of the range", encode('{"range":{"x":"y"},"after":"a"}')],
    ["a list as range", encode('{"range":[],"after":"a"}')],
    ["a number as prefix", encode('{"range":{"prefix":1},"after":"a"}')],
    ["no revision", encode('{"range":{},"after":"a","revision":1.5}')],
    ["a text as revision", encode('{"range":{},"after":"a","revision":"1"}')],
    ["a reverse that is none", encode('{"range":{},"after":"a","reverse":1}')],
    ["a reverse that says nothing", encode('{"range":{},"after":"a","reverse":false}')],
    ["a delimiter that is none", encode('{"range":{},"after":"a","delimiter":1}')],
    ["delimiter before reverse", encode('{"range":{},"after":"a","delimiter":"/","reverse":true}')],
    ["malformed UTF-8", Buffer.from([0xff, 0xfe]).toString("base64url")],
  ])("that was tampered with is refused: %s", async (_, encoded) => {
    const error = await failure(() => decodeCursor(encoded), "invalid_argument");
    expect(error.message).toContain("cursor");
  });
});

test("a value without a type is text when it is UTF-8, else bytes", () => {
  expect(defaultContentType(new Uint8Array(0))).toBe(TEXT_TYPE);
  expect(defaultContentType(bytes("é\u0000"))).toBe(TEXT_TYPE);
  expect(defaultContentType(Uint8Array.of(0xff))).toBe(BYTES_TYPE);
});

// --- internal ---

function encode(json: string): string {
  return Buffer.from(json).toString("base64url");
}

function isKey(text: string): boolean {
  try {
    checkKey(text);
    return true;
  } catch {
    return false;
  }
}
