/**
 * Descriptions of what requests carry, once, for their strict check and for the API description.
 * The shapes themselves are in `json.ts`.
 */

import { LIMITS } from "./limits.ts";
import { CONTENT_TYPE } from "./rules.ts";
import type { ObjectSchema, Schema, StringSchema, UnionSchema } from "./schema.ts";

const revision = { type: "integer", minimum: 0 } as const;
const boolean = { type: "boolean" } as const;

const key: StringSchema = {
  type: "string",
  minLength: 1,
  maxLength: LIMITS.keyBytesMax,
  description: "1 to 1,024 bytes of UTF-8; no segment between slashes is . or ..",
};

const bound: StringSchema = { type: "string", maxLength: LIMITS.keyBytesMax };

const rangeProperties = {
  key,
  prefix: { ...bound, description: "Every key that begins with this." },
  start: { ...bound, description: "The first key." },
  end: { ...bound, description: "The first key that is not in the range any more." },
} as const satisfies Record<string, Schema>;

const valueProperties = {
  value: { type: "string", description: "The value, when it is UTF-8 text." },
  base64: {
    type: "string",
    contentEncoding: "base64",
    description: "The value in padded standard base64, when it is not text.",
  },
} as const satisfies Record<string, Schema>;

const contentType: StringSchema = {
  type: "string",
  minLength: 1,
  maxLength: LIMITS.contentTypeCharsMax,
  pattern: CONTENT_TYPE.source,
  description: "The content type that the value was put with: visible ASCII and spaces.",
};

const integer: StringSchema = {
  type: "string",
  minLength: 1,
  description: "An integer of 64 bits, as text: 1 or -5.",
};

/** A time to live, or one of `words`. What is no such time is told in words when it is read. */
function ttl(description: string, words: readonly string[] = []): StringSchema {
  const allowed = [...words, "such as 30s: digits and ms, s, m, h or d, 1ms to 3650d"].join(", ");
  return { type: "string", minLength: 1, description: `${description} (${allowed})` };
}

const ttls = {
  put: ttl("When the entry expires; never, when left out", ["keep"]),
  touch: ttl("When the entry expires", ["keep", "none"]),
  incr: ttl("When the entry expires; counts only when the key is created"),
};

const entry: ObjectSchema = {
  type: "object",
  description:
    "A key with its value and revisions; without the value where only keys were asked for.",
  properties: {
    key,
    ...valueProperties,
    contentType,
    revision: { ...revision, description: "Of the last change." },
    createRevision: { ...revision, description: "Of the change that created the key." },
    version: {
      type: "integer",
      minimum: 1,
      description: "Changes since creation; 1 = just created.",
    },
    expiresAt: { type: "string", format: "date-time" },
  },
  required: ["key", "contentType", "revision", "createRevision", "version"],
  additionalProperties: false,
};

/** A revision or version, or a list of them. */
const numbers: Schema = {
  anyOf: [revision, { type: "array", items: revision, minItems: 1, maxItems: 1_000 }],
  description: "0 = the key is absent.",
};

const check: ObjectSchema = {
  type: "object",
  description:
    "Holds when the key has the revision or the version, or one of them, or the value; with not, " +
    "when it has not. Exactly one of them is given.",
  properties: { key, revision: numbers, version: numbers, ...valueProperties, not: boolean },
  required: ["key"],
  additionalProperties: false,
};

/** How a listing is shaped, beside its range. */
const listProperties = {
  limit: { type: "integer", minimum: 1, maximum: LIMITS.pageEntriesMax },
  keys: { ...boolean, description: "Leave the values out." },
  reverse: { ...boolean, description: "From the last key to the first." },
  count: { ...boolean, description: "Only the number of entries." },
  delimiter: {
    ...bound,
    minLength: 1,
    description: "Keys that have it behind the prefix are answered as folders.",
  },
} as const satisfies Record<string, Schema>;

const deleteRangeProperties = {
  limit: { type: "integer", minimum: 1, maximum: LIMITS.commitEventsMax },
  all: { ...boolean, description: "Yes, every key: needed when the range is everything." },
} as const satisfies Record<string, Schema>;

function operationOf(
  op: string,
  properties: Record<string, Schema>,
  required: readonly string[] = ["key"],
): ObjectSchema {
  return {
    type: "object",
    properties: { op: { type: "string", enum: [op] }, ...properties },
    required: ["op", ...required],
    additionalProperties: false,
  };
}

const operation: UnionSchema = {
  discriminator: { propertyName: "op" },
  oneOf: [
    operationOf("put", { key, ...valueProperties, contentType, ttl: ttls.put }),
    operationOf("delete", { key }),
    operationOf("deleteRange", { ...rangeProperties, ...deleteRangeProperties }, []),
    operationOf("incr", { key, by: integer, ttl: ttls.incr }),
    operationOf("touch", { key, ttl: ttls.touch }, ["key", "ttl"]),
    operationOf("get", { key, keys: boolean }),
    operationOf("list", { ...rangeProperties, ...listProperties }, []),
  ],
};

const operations = { type: "array", items: operation, maxItems: LIMITS.txnOperationsMax } as const;

const txn: ObjectSchema = {
  type: "object",
  description:
    "If every check holds, `then` takes effect, else `else`: all or nothing, at one revision.",
  properties: {
    checks: { type: "array", items: check, maxItems: LIMITS.txnChecksMax },
    then: operations,
    else: operations,
  },
  additionalProperties: false,
};

export const schemas = {
  key,
  contentType,
  entry,
  check,
  operation,
  txn,
  revision,
  integer,
  numbers,
  ttls,
  valueProperties,
  rangeProperties,
  listProperties,
  deleteRangeProperties,
};
