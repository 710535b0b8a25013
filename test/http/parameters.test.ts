/** Query parameters: read strictly, and refused with the name that was most likely meant. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { encodeCursor } from "../../src/protocol.ts";
import { rawRequest } from "../support/raw-http.ts";
import { put, write } from "../support/stores.ts";
import { expectRefusal, startTestServer, type TestServer } from "../support/test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
  await write(server.store, put("a b", "1"), put("a+b", "2"), put("é", "3"), put("z", "4"));
});

afterAll(async () => {
  expect(server.errors).toEqual([]);
  await server.stop();
});

const REFUSED: readonly [target: string, message: RegExp | string][] = [
  ["/v1/kv?prefx=a", 'GET /v1/kv has no parameter "prefx"; did you mean "prefix"?'],
  ["/v1/kv?Limit=1", 'has no parameter "Limit"; did you mean "limit"?'],
  ["/v1/kv?revers=true", 'has no parameter "revers"; did you mean "reverse"?'],
  ["/v1/kv?x", /has no parameter "x"; known are prefix, start, end/],
  ["/v1/kv?__proto__=1", 'has no parameter "__proto__"'],
  ["/v1/kv?constructor=1", 'has no parameter "constructor"'],
  ["/v1/kv?=1", 'has no parameter ""'],
  ["/v1/kv?limit=1&limit=1", "the parameter limit is given twice"],
  ["/v1/kv?keys&keys=false", "the parameter keys is given twice"],
  ["/v1/kv?limit=0", "the parameter limit is 0; the smallest allowed is 1"],
  ["/v1/kv?limit=10001", /limit is "10001"; the largest allowed is 10000/],
  ["/v1/kv?limit=99999999999999999999", "the largest allowed is 9007199254740991"],
  ["/v1/kv?limit", "the parameter limit must be a decimal integer"],
  ["/v1/kv?limit=", 'must be a decimal integer, not ""'],
  ["/v1/kv?limit=ten", 'must be a decimal integer, not "ten"'],
  ["/v1/kv?limit=-1", "must be a decimal integer"],
  ["/v1/kv?limit=+1", "must be a decimal integer"],
  ["/v1/kv?limit=1.0", "must be a decimal integer"],
  ["/v1/kv?limit=1e2", "must be a decimal integer"],
  ["/v1/kv?limit=0x10", "must be a decimal integer"],
  ["/v1/kv?limit=01", "must be a decimal integer"],
  ["/v1/kv?limit=%EF%BC%91", "must be a decimal integer"],
  ["/v1/kv?keys=yes", 'the parameter keys must be true or false, not "yes"'],
  ["/v1/kv?keys=1", "must be true or false"],
  ["/v1/kv?keys=", "must be true or false"],
  ["/v1/kv?keys=TRUE", "must be true or false"],
  ["/v1/kv?prefix", "the parameter prefix needs a value"],
  ["/v1/kv?prefix=a&start=b", '"prefix" and "start" with "end" name different ranges'],
  ["/v1/kv?prefix=a&end=b", "name different ranges; give one of them"],
  ["/v1/kv?prefix=&start=", "name different ranges; give one of them"],
  ["/v1/kv?prefix=%ff", "the parameter prefix has escapes that are not well-formed UTF-8"],
  ["/v1/kv?prefix=%zz", 'the parameter prefix has the malformed escape "%zz"'],
  ["/v1/kv?%ff=1", "the name of a parameter has escapes"],
  ["/v1/kv?revision=-1", "must be a decimal integer"],
  ["/v1/kv?revision=9007199254740992", "the largest allowed is 9007199254740991"],
  ["/v1/kv?revision=1000", /revision/],
  ["/v1/kv?cursor", "the parameter cursor needs a value"],
  ["/v1/kv?cursor=", "the parameter cursor needs a value"],
  ["/v1/kv?cursor=abc", "cursor is not one that a listing answered"],
  [`/v1/kv?cursor=${forged({ range: { prefix: "b" }, after: "a" })}`, /cursor/],
  [`/v1/kv?cursor=${forged({ range: {}, after: "" })}`, /cursor|key/],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a", revision: -1 })}`, /cursor|revision/],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a", revision: 1000 })}`, /revision/],
  [`/v1/kv?cursor=${forged({ range: { key: "a" }, after: "a" })}`, /cursor/],
  [`/v1/kv?cursor=${forged({ range: { prefix: "a" }, after: "a" })}&prefix=b`, "another range"],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a" })}&start=`, "another range"],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a", revision: 1 })}&revision=0`, "revision"],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a" })}&count`, "count and cursor exclude"],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a" })}&reverse`, 'another "reverse"'],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a", reverse: true })}&reverse=false`, "another"],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a" })}&delimiter=/`, 'another "delimiter"'],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a/", delimiter: "/" })}&delimiter=-`, "another"],
  [`/v1/kv?cursor=${forged({ range: { prefix: "b" }, after: "a", delimiter: "/" })}`, /cursor/],
  [`/v1/kv?cursor=${forged({ range: {}, after: "a", delimiter: "" })}`, /delimiter/],
  [`/v1/kv?cursor=${forged({ range: {}, after: "\ud800" })}`, /cursor/],
  ["/v1/kv?count&limit=1", "count and limit exclude each other"],
  ["/v1/kv?count&keys", "count and keys exclude each other"],
  ["/v1/kv?count&reverse", "count and reverse exclude each other"],
  ["/v1/kv?count&delimiter=/", "count and delimiter exclude each other"],
  ["/v1/kv?delimiter", "the parameter delimiter needs a value"],
  ["/v1/kv?delimiter=", "the parameter delimiter needs a value"],
  ["/v1/kv?delimiter=%ff", "the parameter delimiter has escapes"],
  ["/v1/kv/z?wait", "the parameter wait must be a decimal integer"],
  ["/v1/kv/z?wait=-1", "the parameter wait must be a decimal integer"],
  ["/v1/kv/z?wait=1000", /wait is 1000, but the store is at revision \d/],
  ["/v1/kv/z?wait=0&revision=1", "the parameters wait and revision exclude each other"],
  ["/v1/kv/z?timeout=1s", "the parameter timeout goes with wait only"],
  ["/v1/kv/z?wait=0&timeout", "the parameter timeout must be a time such as 500ms"],
  ["/v1/kv/z?wait=0&timeout=0", 'must be a time such as 500ms, 30s or 2m, not "0"'],
  ["/v1/kv/z?wait=0&timeout=0s", "must be a time such as 500ms"],
  ["/v1/kv/z?wait=0&timeout=1.5s", "must be a time such as 500ms"],
  ["/v1/kv/z?wait=0&timeout=10", "must be a time such as 500ms"],
  ["/v1/kv/z?wait=0&timeout=-1s", "must be a time such as 500ms"],
  ["/v1/kv/z?wait=0&timeout=300001ms", "is 300001ms; the largest allowed is 5m"],
  ["/v1/kv/z?wait=0&timeout=6m", "the parameter timeout is 6m; the largest allowed is 5m"],
  ["/v1/history/z?revision=1", 'GET /v1/history/{key} has no parameter "revision"'],
  ["/v1/history/z?limit=0", "the parameter limit is 0; the smallest allowed is 1"],
  ["/v1/history/z?limit=10001", "the largest allowed is 10000"],
  ["/v1/history/z?before=x", "the parameter before must be a decimal integer"],
  ["/v1/kv/z?metta", 'GET /v1/kv/{key} has no parameter "metta"; did you mean "meta"?'],
  ["/v1/kv/z?meta=maybe", "must be true or false"],
  ["/v1/kv/z?revision=x", "must be a decimal integer"],
  ["/v1/status?x=1", 'has no parameter "x"; known are watchers'],
  ["/v1/openapi.json?x=1", 'has no parameter "x"; there are none here'],
  ["/livez?x", "has no parameter"],
  ["/?x", "has no parameter"],
];

test.each(REFUSED)("%s is refused", async (target, message) => {
  const request = () => server.raw(rawRequest("GET", target));
  await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
});

test.each([
  ["PUT", "/v1/kv/z?ttl=1", "has no parameter"],
  ["PUT", "/v1/kv/z?revision=1", "has no parameter"],
  ["DELETE", "/v1/kv/z?prefix=z", "has no parameter"],
  ["DELETE", "/v1/kv?keys", 'DELETE /v1/kv has no parameter "keys"'],
  ["DELETE", "/v1/kv", "the range is every key; say so with all=true"],
  ["DELETE", "/v1/kv?prefix=", "the range is every key; say so with all=true"],
  ["DELETE", "/v1/kv?start=", "the range is every key; say so with all=true"],
  ["DELETE", "/v1/kv?all=false", "the range is every key; say so with all=true"],
  ["DELETE", "/v1/kv?prefix=a&all", "all=true is for every key"],
  ["DELETE", "/v1/kv?prefix=a&start=b", "name different ranges; give one of them"],
  ["DELETE", "/v1/kv?prefix=a&limit=0", "the parameter limit is 0"],
  ["DELETE", "/v1/kv?prefix=a&limit=10001", "the largest allowed is 10000"],
  ["POST", "/v1/incr/n?by", 'the parameter by cannot be ""'],
  ["POST", "/v1/incr/n?by=+1", 'the parameter by cannot be " 1"'],
  ["POST", "/v1/incr/n?by=%2B1", 'the parameter by cannot be "+1"'],
  ["POST", "/v1/incr/n?by=01", "the parameter by cannot be"],
  ["POST", "/v1/incr/n?by=-0", "the parameter by cannot be"],
  ["POST", "/v1/incr/n?by=1.0", "the parameter by cannot be"],
  ["POST", "/v1/incr/n?by=1e3", "the parameter by cannot be"],
  ["POST", "/v1/incr/n?by=9223372036854775808", "an integer of 64 bits such as 1 or -5"],
  ["POST", "/v1/incr/n?by=-9223372036854775809", "an integer of 64 bits such as 1 or -5"],
  ["POST", "/v1/incr/n?by=1&by=2", "the parameter by is given twice"],
  ["POST", "/v1/incr/n?ttl=1s", "has no parameter"],
  ["POST", "/v1/touch/z?ttl=1s", 'has no parameter "ttl"; there are none here'],
  ["POST", "/v1/compact", "the parameter revision is missing"],
  ["POST", "/v1/compact?revision", "the parameter revision must be a decimal integer"],
  ["POST", "/v1/compact?revision=1000", /revision is 1000, but the store is at revision \d/],
  ["POST", "/v1/txn?x", "has no parameter"],
])("%s %s is refused", async (method, target, message) => {
  const request = () => server.raw(rawRequest(method, target, ["Content-Length: 0"]));
  await expectRefusal(server, request, { status: 400, code: "invalid_argument", message });
});

test("a bound past 1,024 bytes is refused with the limit", async () => {
  for (const name of ["prefix", "start", "end"]) {
    const request = () => server.fetch(`/v1/kv?${name}=${"a".repeat(1025)}`);
    const message = `the ${name} has 1025 bytes; at most 1024 are allowed`;
    const error = await expectRefusal(server, request, { status: 413, code: "too_large", message });
    expect(error.limit).toBe(1024);
  }
});

describe("a value is decoded", () => {
  test.each([
    ["prefix=a+b", ["a b"]],
    ["prefix=a%20b", ["a b"]],
    ["prefix=a%2Bb", ["a+b"]],
    ["prefix=a%2bb", ["a+b"]],
    ["%70refix=z", ["z"]],
    ["prefix=%C3%A9", ["é"]],
    ["prefix=\xc3\xa9", ["é"]],
    ["prefix=", ["a b", "a+b", "z", "é"]],
    ["prefix=%FF".replace("%FF", "nothing"), []],
    ["", ["a b", "a+b", "z", "é"]],
    ["&&keys&&", ["a b", "a+b", "z", "é"]],
    ["start=b&end=%C3%AA", ["z", "é"]],
    ["start=z", ["z", "é"]],
    ["end=z", ["a b", "a+b"]],
    ["end=", []],
    ["start=z&end=a", []],
    ["limit=2", ["a b", "a+b"]],
    ["revision=0", []],
  ])("?%s", async (query, keys) => {
    const answer = await server.raw(rawRequest("GET", `/v1/kv?${query}`));
    const { entries } = JSON.parse(answer!.body) as { entries: { key: string }[] };
    expect(entries.map(({ key }) => key)).toEqual(keys);
  });
});

// --- internal ---

function forged(cursor: unknown): string {
  return encodeCursor(cursor as Parameters<typeof encodeCursor>[0]);
}
