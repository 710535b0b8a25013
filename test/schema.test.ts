/** The validator of JSON: what it accepts, and the messages for what it refuses. */

import { describe, expect, test } from "bun:test";
import { type Schema, validate } from "../src/schema.ts";
import { failure } from "./support/stores.ts";

const person = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1, maxLength: 5 },
    age: { type: "integer", minimum: 0, maximum: 150 },
    admin: { type: "boolean" },
    tags: {
      type: "array",
      items: { type: "string", enum: ["red", "green"] },
      minItems: 1,
      maxItems: 3,
    },
    code: { type: "string", pattern: "^[a-z]+$" },
    id: { anyOf: [{ type: "integer" }, { type: "string" }] },
  },
  required: ["name"],
  additionalProperties: false,
} as const satisfies Schema;

const shape = {
  discriminator: { propertyName: "op" },
  oneOf: [
    {
      type: "object",
      properties: { op: { type: "string", enum: ["put"] }, key: { type: "string" } },
      required: ["op", "key"],
      additionalProperties: false,
    },
    {
      type: "object",
      properties: { op: { type: "string", enum: ["delete"] } },
      required: ["op"],
      additionalProperties: false,
    },
  ],
} as const satisfies Schema;

/** What `JSON.parse` gives, so that `__proto__` is a field like any other. */
const parse = (json: string): unknown => JSON.parse(json);

describe("a value that fits", () => {
  test.each([
    '{"name":"a"}',
    '{"name":"abcde","age":0,"admin":false,"tags":["red","red","green"],"code":"x","id":7}',
    '{"name":"a","age":150,"id":"seven"}',
    '{"name":"a","age":1.0}',
  ])("passes: %s", (json) => {
    validate(person, parse(json));
  });

  test("passes as one of several objects", () => {
    validate(shape, parse('{"op":"put","key":""}'));
    validate({ type: "array", items: shape }, parse('[{"op":"delete"}]'));
  });
});

describe("a value that does not fit is refused with the place and what to do", () => {
  test.each([
    ["[]", "the body must be an object, not array"],
    ["null", "the body must be an object, not null"],
    ['"x"', 'the body must be an object, not the string "x"'],
    ["{}", 'the body lacks the field "name"'],
    ['{"name":""}', "name is empty"],
    ['{"name":7}', "name must be a string, not 7"],
    ['{"name":"\\ud800"}', "name has a lone surrogate; it must be well-formed Unicode"],
    ['{"name":"a","age":-1}', "age is -1; the smallest allowed is 0"],
    ['{"name":"a","age":151}', "age is 151; the largest allowed is 150"],
    ['{"name":"a","age":1.5}', "age must be an integer within 2^53, not 1.5"],
    ['{"name":"a","age":9007199254740993}', "age must be an integer within 2^53"],
    ['{"name":"a","age":"1"}', 'age must be an integer within 2^53, not the string "1"'],
    ['{"name":"a","age":1e400}', "age must be an integer within 2^53, not Infinity"],
    ['{"name":"a","admin":1}', "admin must be true or false, not 1"],
    ['{"name":"a","admin":null}', "admin must be true or false, not null"],
    ['{"name":"a","tags":{}}', "tags must be a list, not object"],
    ['{"name":"a","tags":[]}', "tags has 0 items; at least 1 are needed"],
    ['{"name":"a","tags":["red","gren"]}', 'tags[1] cannot be "gren"; did you mean "green"?'],
    ['{"name":"a","code":"A"}', 'code cannot be "A"; it must match ^[a-z]+$'],
    ['{"name":"a","id":true}', "id must be integer or string, not boolean"],
    ['{"nmae":"a"}', 'the body has an unknown field "nmae"; did you mean "name"?'],
    ['{"name":"a","__proto__":{}}', 'the body has an unknown field "__proto__"'],
    ['{"name":"a","toString":1}', 'the body has an unknown field "toString"'],
  ])("%s: %s", async (json, message) => {
    const error = await failure(() => validate(person, parse(json)), "invalid_argument");
    expect(error.message).toStartWith(message);
  });

  test.each([
    ["{}", 'then[0] lacks the field "op" (one of put, delete)'],
    ['{"op":"putt","key":"a"}', 'then[0] has an unknown op "putt"; did you mean "put"?'],
    ['{"op":7}', 'then[0] has a field "op" that is no string'],
    ['{"op":"put"}', 'then[0] lacks the field "key"'],
    ['{"op":"delete","key":"a"}', 'then[0] has an unknown field "key"'],
    ["null", "then[0] must be an object, not null"],
  ])("%s: %s", async (json, message) => {
    const list = { type: "array", items: shape } as const;
    const error = await failure(() => validate(list, [parse(json)], "then"), "invalid_argument");
    expect(error.message).toStartWith(message);
  });

  test("past a length it is too large, and the limit is told", async () => {
    const long = await failure(() => validate(person, { name: "abcdef" }), "too_large");
    expect([long.message, long.details.limit]).toEqual([
      "name has 6 characters; at most 5 are allowed",
      5,
    ]);
    const many = { name: "a", tags: ["red", "red", "red", "red"] };
    const error = await failure(() => validate(person, many), "too_large");
    expect(error.details.limit).toBe(3);
  });

  test("the message stays on one line and short whatever the value", async () => {
    const field = `a\nb${"x".repeat(10_000)}`;
    const error = await failure(() => validate(person, { [field]: 1 }), "invalid_argument");
    expect(error.message).not.toContain("\n");
    expect(error.message.length).toBeLessThan(300);
  });
});
