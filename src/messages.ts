/**
 * The JSON messages of `/v1/ws`, both ways. The client chooses `id`; each id is answered once, by
 * `result`, `created` (a watch) or `error`. Frames of a watch carry its `watch` number, which names
 * the filter: the same filter has the same number on every connection.
 */

import type {
  JsonChanged,
  JsonCommitResult,
  JsonEntry,
  JsonError,
  JsonEvent,
  JsonHistory,
  JsonListShape,
  JsonPage,
  JsonRange,
  JsonTxn,
  JsonValue,
} from "./json.ts";
import { SOCKET_ID_CHARS_MAX, WATCH_RANGES_MAX } from "./limits.ts";
import type { ObjectSchema, Schema, StringSchema, UnionSchema } from "./schema.ts";
import { schemas } from "./schemas.ts";

export type RequestId = number | string;

/** The conditions of a write of one key; those that contradict each other are refused. */
export interface JsonConditions {
  /** Only if the key's revision is this one, or one of these; 0 = absent. */
  ifRevision?: number | number[];
  /** Only if the key's revision is not this one, and none of these. */
  ifNotRevision?: number | number[];
  /** Only if the key is absent. */
  ifAbsent?: boolean;
  /** Only if the key is there. */
  ifPresent?: boolean;
}

export type SocketRequest = { id: RequestId } & (
  | { op: "get"; key: string; revision?: number }
  | ({ op: "put"; key: string; contentType?: string; ttl?: string } & JsonValue & JsonConditions)
  | ({ op: "delete"; key: string } & JsonConditions)
  | ({ op: "deleteRange"; limit?: number; all?: boolean } & JsonRange)
  | ({ op: "incr"; key: string; by?: string; ttl?: string } & JsonConditions)
  | ({ op: "touch"; key: string; ttl: string } & JsonConditions)
  | ({ op: "list"; cursor?: string; revision?: number } & JsonListShape & Omit<JsonRange, "key">)
  | { op: "history"; key: string; limit?: number; before?: number; keys?: boolean }
  | ({ op: "txn" } & JsonTxn)
  | { op: "compact"; revision: number }
  | ({ op: "watch" } & JsonWatch)
  | { op: "unwatch"; watch: number }
);

/** Why a running watch ended. */
export type EndReason = "shutdown" | "compacted" | "too_slow" | "unauthorized";

/** What is watched, and how. Several keys and prefixes together, or one range. */
export interface JsonWatch {
  key?: string | string[];
  prefix?: string | string[];
  start?: string;
  end?: string;
  /** The first revision wanted; from now on when left out. */
  from?: number;
  /** First what is there, then what comes; also where the history from `from` on is gone. */
  initial?: boolean;
  /** Each event with what was there before. */
  prev?: boolean;
  /** Leave the values out. */
  keys?: boolean;
  /** A reader that is behind gets only the newest event of each key. */
  latest?: boolean;
}

/**
 * What a watch sends. `created` comes first and once; with `initial`, `state` frames and one `sync`
 * follow, behind a `reset` where the history that was asked for is gone. A commit whose events pass
 * the size of a frame is several `change` frames, all but the last with `more`. `skipped` counts
 * events that `latest` left out.
 */
export type WatchFrame =
  | { type: "created" | "reset" | "sync"; revision: number; store: string }
  | { type: "state"; entries: JsonEntry[] }
  | { type: "change"; revision: number; events: JsonEvent[]; more?: true; skipped?: number }
  | { type: "progress"; revision: number }
  | { type: "end"; reason: EndReason };

/** What the server sends: one answer for each request, and the frames of watches. */
export type SocketAnswer =
  | ({ id: RequestId; type: "result" } & Record<string, unknown>)
  | ({ id: RequestId | null; type: "error" } & JsonError)
  | { id: RequestId; type: "created"; watch: number; revision: number; store: string };

/** `created` is the answer to the request, and no frame. */
export type SocketFrame = { watch: number } & Exclude<WatchFrame, { type: "created" }>;

export type SocketMessage = SocketAnswer | SocketFrame;

/** `result` of each operation, beside `id` and `type`. */
export interface SocketResults {
  get: { revision: number; entry: JsonEntry };
  put: JsonChanged;
  delete: { deleted: number; revision: number };
  deleteRange: { deleted: number; revision: number; more?: true };
  incr: JsonChanged & { value: string };
  touch: JsonChanged;
  list: { revision: number; cursor?: string } & JsonPage;
  history: JsonHistory;
  txn: JsonCommitResult;
  compact: { oldest: number };
  unwatch: { watch: number };
}

const id: Schema = {
  anyOf: [{ type: "integer" }, { type: "string", minLength: 1, maxLength: SOCKET_ID_CHARS_MAX }],
  description: "Chosen by the client; stands in the answer.",
};

const { key, revision, numbers, ttls, valueProperties, listProperties } = schemas;
const { key: _, ...boundProperties } = schemas.rangeProperties;

/** A key or prefix, or a list of them. */
function several(one: StringSchema): Schema {
  return { anyOf: [one, { type: "array", items: one, minItems: 1, maxItems: WATCH_RANGES_MAX }] };
}

const watchProperties = {
  ...schemas.rangeProperties,
  key: several(key),
  prefix: several(schemas.rangeProperties.prefix),
  from: {
    type: "integer",
    minimum: 1,
    description: "The first revision wanted; from now on without.",
  },
  initial: { type: "boolean", description: "First what is there." },
  prev: { type: "boolean", description: "Each event with what was there before." },
  keys: { type: "boolean", description: "Leave the values out." },
  latest: { type: "boolean", description: "Only the newest event of each key to who is behind." },
} as const satisfies Record<string, Schema>;

const conditions = {
  ifRevision: { ...numbers, description: "Only if the key's revision is one of these; 0: absent." },
  ifNotRevision: { ...numbers, description: "Only if the key's revision is none of these." },
  ifAbsent: { type: "boolean", description: "Only if the key is absent." },
  ifPresent: { type: "boolean", description: "Only if the key is there." },
} as const satisfies Record<string, Schema>;

function request(
  op: string,
  properties: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
): ObjectSchema {
  return {
    type: "object",
    properties: { id, op: { type: "string", enum: [op] }, ...properties },
    required: ["id", "op", ...required],
    additionalProperties: false,
  };
}

/** Describes every request on the socket; `validate` with it before anything else. */
export const socketRequestSchema: UnionSchema = {
  discriminator: { propertyName: "op" },
  oneOf: [
    request("get", { key, revision }, ["key"]),
    request(
      "put",
      {
        key,
        ...valueProperties,
        contentType: schemas.contentType,
        ttl: ttls.put,
        ...conditions,
      },
      ["key"],
    ),
    request("delete", { key, ...conditions }, ["key"]),
    request("deleteRange", { ...schemas.rangeProperties, ...schemas.deleteRangeProperties }),
    request("incr", { key, by: schemas.integer, ttl: ttls.incr, ...conditions }, ["key"]),
    request("touch", { key, ttl: ttls.touch, ...conditions }, ["key", "ttl"]),
    request("list", {
      ...boundProperties,
      ...listProperties,
      cursor: { type: "string", minLength: 1 },
      revision,
    }),
    request(
      "history",
      { key, limit: listProperties.limit, before: revision, keys: { type: "boolean" } },
      ["key"],
    ),
    request("txn", schemas.txn.properties),
    request("compact", { revision }, ["revision"]),
    request("watch", watchProperties),
    request("unwatch", { watch: { type: "integer", minimum: 1 } }, ["watch"]),
  ],
};
