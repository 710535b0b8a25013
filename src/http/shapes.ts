/** Schemas of what the API answers; what it is asked is described beside the JSON shapes. */

import { ERROR_CODES } from "../errors.ts";
import { schemas } from "../schemas.ts";
import { LIMITS, WATCHERS_LISTED_MAX } from "../limits.ts";
import type { ObjectSchema, Schema, UnionSchema } from "../schema.ts";

const count = { type: "integer", minimum: 0 } as const;
/** JSON's null, which only answers have. */
const nothing = { type: "null" } as unknown as Schema;
const text = { type: "string" } as const;

function object(
  properties: Record<string, Schema>,
  optional: readonly string[] = [],
  description?: string,
): ObjectSchema {
  return {
    type: "object",
    ...(description === undefined ? undefined : { description }),
    properties,
    required: Object.keys(properties).filter((name) => !optional.includes(name)),
    additionalProperties: false,
  };
}

const changedFields = {
  key: schemas.key,
  revision: count,
  createRevision: count,
  version: { ...count, description: "Changes since creation; 1 = just created." },
  expiresAt: { type: "string", format: "date-time" },
} satisfies Record<string, Schema>;

const sum: Schema = { type: "string", description: "The sum, an integer of 64 bits as text." };

const more: Schema = { type: "boolean", description: "There is more; absent when there is not." };

const pageFields = {
  entries: { type: "array", items: schemas.entry },
  folders: {
    type: "array",
    items: text,
    description: "With a delimiter: the beginnings that keys behind the prefix share.",
  },
  count: { ...count, description: "With count, and then alone: the number of entries." },
} satisfies Record<string, Schema>;

const pageOptional = Object.keys(pageFields);

function tag(name: string): Schema {
  return { type: "string", enum: [name] };
}

/** The answer to a put or a touch. */
export const changedShape = object(changedFields, ["expiresAt"]);

/** The answer to an increment. */
export const incrShape = object({ ...changedFields, value: sum }, ["expiresAt"]);

/** The answer to a delete. */
export const deleteShape = object({ deleted: count, revision: count });

/** The answer to the deletion of a range. */
export const deleteRangeShape = object({ deleted: count, revision: count, more }, ["more"]);

/** The answer to a compaction. */
export const compactShape = object({
  oldest: { ...count, description: "The smallest revision that can be read from now on." },
});

/** A page of a listing. */
export const listShape = object(
  {
    revision: { ...count, description: "The revision at which every page of the listing is read." },
    ...pageFields,
    cursor: { type: "string", description: "Gets the next page; absent on the last one." },
  },
  [...pageOptional, "cursor"],
);

/** A page of the changes of a key. */
export const historyShape = object(
  {
    revision: { ...count, description: "The store's revision at the read." },
    entries: {
      type: "array",
      items: {
        discriminator: { propertyName: "type" },
        oneOf: [
          object({ type: tag("put"), ...schemas.entry.properties }, [
            "value",
            "base64",
            "expiresAt",
          ]),
          object({ type: tag("delete"), key: schemas.key, revision: count }),
          object({ type: tag("expire"), key: schemas.key, revision: count }),
        ],
      },
    },
    more,
  },
  ["more"],
);

/** A change as a watch tells of it. */
export const eventShape: UnionSchema = {
  discriminator: { propertyName: "type" },
  oneOf: [
    object({ type: tag("put"), ...schemas.entry.properties, prev: schemas.entry }, [
      "value",
      "base64",
      "expiresAt",
      "prev",
    ]),
    ...["delete", "expire"].map((type) =>
      object({ type: tag(type), key: schemas.key, revision: count, prev: schemas.entry }, ["prev"]),
    ),
  ],
};

const position = { revision: count, store: text } satisfies Record<string, Schema>;

/** What a watch sends. */
export const frameShape: UnionSchema = {
  discriminator: { propertyName: "type" },
  oneOf: [
    ...["created", "reset", "sync"].map((type) => object({ type: tag(type), ...position })),
    object({ type: tag("state"), entries: { type: "array", items: schemas.entry } }),
    object(
      {
        type: tag("change"),
        revision: count,
        events: { type: "array", items: eventShape },
        more: { type: "boolean", description: "Events of the same revision follow." },
        skipped: { ...count, description: "Events that latest has left out." },
      },
      ["more", "skipped"],
    ),
    object({ type: tag("progress"), revision: count }),
    object({
      type: tag("end"),
      reason: { type: "string", enum: ["shutdown", "compacted", "too_slow", "unauthorized"] },
    }),
  ],
};

const resultShape: UnionSchema = {
  discriminator: { propertyName: "op" },
  oneOf: [
    object({ op: tag("put"), ...changedFields }, ["expiresAt"]),
    object({ op: tag("touch"), ...changedFields }, ["expiresAt"]),
    object({ op: tag("incr"), value: sum, ...changedFields }, ["expiresAt"]),
    object({ op: tag("delete"), deleted: count }),
    object({ op: tag("deleteRange"), deleted: count, more }, ["more"]),
    object({ op: tag("get"), entry: { anyOf: [schemas.entry, nothing] } }),
    object({ op: tag("list"), ...pageFields, more }, [...pageOptional, "more"]),
  ],
};

/** The answer to a transaction. */
export const txnShape = object(
  {
    succeeded: { type: "boolean", description: "Did every check hold?" },
    revision: { ...count, description: "Of the commit; the store's where nothing changed." },
    results: { type: "array", items: resultShape },
    failed: {
      type: "array",
      items: count,
      description: "The checks that failed, counted from 0; only when not succeeded.",
    },
  },
  ["failed"],
);

const watcherShape = object({
  filter: object(
    {
      key: { anyOf: [text, { type: "array", items: text }] },
      prefix: { anyOf: [text, { type: "array", items: text }] },
      start: text,
      end: text,
      prev: { type: "boolean" },
      keys: { type: "boolean" },
      latest: { type: "boolean" },
    },
    ["key", "prefix", "start", "end", "prev", "keys", "latest"],
  ),
  transport: { type: "string", enum: ["ws", "sse", "ndjson"] },
  state: { type: "string", enum: ["live", "ahead", "behind", "stalled", "initial"] },
  position: { ...count, description: "It was given everything up to this revision." },
  lag: { ...count, description: "Revisions from there to the newest one." },
  unsentBytes: { ...count, description: "What its connection has still to take." },
});

const statusFields = {
  store: { ...text, description: "The id of the store; another one means another store." },
  revision: count,
  oldest: { ...count, description: "The smallest revision that can be read." },
  keys: count,
  bytes: { ...count, description: "Of the log on disk; a checkpoint and the reserve come to it." },
  engine: text,
  durability: {
    ...text,
    description: "sync = a write is answered once it is on disk; else interval:<ms> or os.",
  },
  lag: object(
    {
      revisions: { ...count, description: "From the newest synced revision to the newest one." },
      bytes: { ...count, description: "Of the log, not synced yet." },
      ms: { ...count, description: "Since the oldest of these was written; 0 without any." },
    },
    [],
    "What a power cut could lose; absent where a write is answered once it is on disk.",
  ),
  version: { ...text, description: "Of the server." },
  uptimeSeconds: count,
  watchers: count,
  limits: object(Object.fromEntries(Object.keys(LIMITS).map((name) => [name, count]))),
  capabilities: object(
    {
      history: { type: "boolean", description: "Older revisions can be read and watched." },
      snapshot: { type: "boolean", description: "GET /v1/snapshot makes backups." },
    },
    ["snapshot"],
  ),
  watching: {
    type: "array",
    items: watcherShape,
    description: `With watchers: ${WATCHERS_LISTED_MAX} of them at most.`,
  },
} satisfies Record<string, Schema>;

/** The answer of `/v1/status`. */
export const statusShape = object(statusFields, ["lag", "watching"]);

/** Every answer that is an error. */
export const errorShape = object({
  error: object(
    {
      code: { type: "string", enum: ERROR_CODES },
      message: text,
      limit: { ...count, description: "The bound that was passed." },
      oldest: { ...count, description: "The smallest value that would have been accepted." },
      revision: { ...count, description: "The key's revision now, 0 when it is absent." },
      storeRevision: { ...count, description: "The store's revision when the request failed." },
      index: { ...count, description: "The operation that failed, counted from 0." },
    },
    ["limit", "oldest", "revision", "storeRevision", "index"],
  ),
});
