/** The description of requests on the socket: what each operation takes, and nothing else. */

import { describe, expect, test } from "bun:test";
import { socketRequestSchema, type SocketRequest } from "../src/messages.ts";
import { validate } from "../src/schema.ts";
import { failure } from "./support/stores.ts";

const conditions = { ifRevision: [1, 2], ifNotRevision: 3, ifAbsent: true, ifPresent: false };

/** Each operation with everything that it can have. */
const whole: SocketRequest[] = [
  { id: 1, op: "get", key: "a", revision: 7 },
  { id: "x", op: "put", key: "a", value: "v", contentType: "a/b", ttl: "30s", ...conditions },
  { id: -1, op: "put", key: "a", base64: "/w==", ...conditions },
  { id: 1, op: "delete", key: "a", ...conditions },
  { id: 1, op: "deleteRange", prefix: "a", limit: 7, all: false },
  { id: 1, op: "deleteRange", start: "a", end: "b" },
  { id: 1, op: "incr", key: "a", by: "-5", ttl: "1ms", ...conditions },
  { id: 1, op: "touch", key: "a", ttl: "keep", ...conditions },
  { id: 1, op: "list", prefix: "a", limit: 1, keys: true, reverse: true, delimiter: "/" },
  { id: 1, op: "list", start: "a", end: "b", count: true, cursor: "x", revision: 7 },
  { id: 1, op: "history", key: "a", limit: 1, before: 7, keys: true },
  { id: 1, op: "txn", checks: [], then: [{ op: "touch", key: "a", ttl: "none" }], else: [] },
  { id: 1, op: "compact", revision: 0 },
  { id: 1, op: "unwatch", watch: 1 },
];

/** Each operation with as little as it can have. */
const bare: SocketRequest[] = [
  { id: 1, op: "get", key: "a" },
  { id: 1, op: "put", key: "a" },
  { id: 1, op: "delete", key: "a" },
  { id: 1, op: "deleteRange" },
  { id: 1, op: "incr", key: "a" },
  { id: 1, op: "touch", key: "a", ttl: "1s" },
  { id: 1, op: "list" },
  { id: 1, op: "history", key: "a" },
  { id: 1, op: "txn" },
  { id: 1, op: "compact", revision: 0 },
  { id: 1, op: "watch" },
  { id: 1, op: "unwatch", watch: 1 },
];

describe("a request", () => {
  test.each([...whole, ...bare])("may be %j", (request) => {
    validate(socketRequestSchema, request);
  });

  test.each(bare)("needs all fields of %j", async (request) => {
    for (const name of Object.keys(request)) {
      const { [name as "id"]: _, ...rest } = request;
      await failure(() => validate(socketRequestSchema, rest), "invalid_argument");
    }
  });

  test.each(bare)("takes no other field than it has: %j", async (request) => {
    const unknown = { ...request, colour: "red" };
    const error = await failure(() => validate(socketRequestSchema, unknown), "invalid_argument");
    expect(error.message).toContain('unknown field "colour"');
  });

  const wrong: [string, string][] = [
    ['{"id":1,"op":"get","key":"a","ttl":"1s"}', '"ttl"'],
    ['{"id":1,"op":"get","key":"a","ifRevision":1}', '"ifRevision"'],
    ['{"id":1,"op":"delete","key":"a","ttl":"1s"}', '"ttl"'],
    ['{"id":1,"op":"deleteRange","prefix":"a","ifAbsent":true}', '"ifAbsent"'],
    ['{"id":1,"op":"deleteRange","prefix":"a","limit":10001}', "limit is 10001"],
    ['{"id":1,"op":"list","key":"a"}', '"key"'],
    ['{"id":1,"op":"list","limit":0}', "limit is 0"],
    ['{"id":1,"op":"list","delimiter":""}', "delimiter is empty"],
    ['{"id":1,"op":"list","reverse":1}', "reverse must be true or false"],
    ['{"id":1,"op":"history","key":"a","revision":1}', '"revision"'],
    ['{"id":1,"op":"history","key":"a","before":-1}', "before is -1"],
    ['{"id":1,"op":"incr","key":"a","by":1}', "by must be a string"],
    ['{"id":1,"op":"put","key":"a","value":"v","ttl":30}', "ttl must be a string"],
    ['{"id":1,"op":"put","key":"a","value":"v","ifRevision":-1}', "ifRevision"],
    ['{"id":1,"op":"put","key":"a","value":"v","ifNotRevision":[]}', "ifNotRevision has 0"],
    ['{"id":1,"op":"put","key":"a","value":"v","ifAbsent":"true"}', "ifAbsent must be"],
    ['{"id":1,"op":"compact","revision":"1"}', "revision must be an integer"],
    ['{"id":1,"op":"compaction","revision":1}', 'did you mean "compact"'],
    ['{"id":1,"op":"incr","key":"a","by":"\\ud800"}', "lone surrogate"],
  ];
  test.each(wrong)("is refused as %s", async (json, message) => {
    const request = JSON.parse(json);
    const error = await failure(() => validate(socketRequestSchema, request), "invalid_argument");
    expect(error.message).toContain(message);
  });

  test("has an id that is an integer or a short text", async () => {
    const get = { op: "get", key: "a" };
    for (const id of [0, -5, 2 ** 53 - 1, "a", "x".repeat(64), "😀"]) {
      validate(socketRequestSchema, { id, ...get });
    }
    for (const id of [null, 1.5, 2 ** 53, "", "x".repeat(65), [], {}, true, "\uD800"]) {
      const request = () => validate(socketRequestSchema, { id, ...get });
      await failure(request, "invalid_argument", "too_large");
    }
  });
});
