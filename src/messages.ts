/**
 * The JSON messages of `/v1/ws`, both ways. The client chooses `id`; each id is answered once, by
 * `result`, `created` (a watch) or `error`. Frames of a watch carry its `watch` number, which names
 * the filter: the same filter has the same number on every connection.
 */

import type { JsonCommitResult, JsonEntry, JsonError, JsonEvent, JsonTxn } from "./json.ts";
import { schemas } from "./json.ts";
import { LIMITS, SOCKET_ID_CHARS_MAX } from "./limits.ts";
import type { ObjectSchema, Schema, UnionSchema } from "./schema.ts";

export type RequestId = number | string;

/** The conditions of a single put or delete: at most one of them. */
export interface JsonConditions {
  /** Only if the key's revision is this one; 0 = only if it is absent. */
  ifRevision?: number;
  /** Only if the key is absent. */
  ifAbsent?: boolean;
}

export interface JsonRange {
  key?: string;
  prefix?: string;
  start?: string;
  end?: string;
}

export type SocketRequest = { id: RequestId } & (
  | { op: "get"; key: string; revision?: number }
  | ({
      op: "put";
      key: string;
      value?: string;
      base64?: string;
      contentType?: string;
    } & JsonConditions)
  | { op: "delete"; key: string; ifRevision?: number }
  | ({ op: "list"; limit?: number; cursor?: string; keys?: boolean; revision?: number } & Omit<
      JsonRange,
      "key"
    >)
  | ({ op: "txn" } & JsonTxn)
  | ({ op: "watch"; from?: number } & JsonRange)
  | { op: "unwatch"; watch: number }
);

/** Why a running watch ended. */
export type EndReason = "shutdown" | "compacted" | "too_slow" | "unauthorized";

/** What the server sends: one answer for each request, and the frames of watches. */
export type SocketAnswer =
  | ({ id: RequestId; type: "result" } & Record<string, unknown>)
  | ({ id: RequestId | null; type: "error" } & JsonError)
  | { id: RequestId; type: "created"; watch: number; revision: number; store: string };

export type SocketFrame =
  | { watch: number; type: "change"; revision: number; events: JsonEvent[]; more?: true }
  | { watch: number; type: "progress"; revision: number }
  | { watch: number; type: "end"; reason: EndReason };

export type SocketMessage = SocketAnswer | SocketFrame;

/** `result` of each operation, beside `id` and `type`. */
export interface SocketResults {
  get: { revision: number; entry: JsonEntry };
  put: { key: string; revision: number; createRevision: number; version: number };
  delete: { deleted: number; revision: number };
  list: { revision: number; entries: JsonEntry[]; cursor?: string };
  txn: JsonCommitResult;
  unwatch: { watch: number };
}

const id: Schema = {
  anyOf: [{ type: "integer" }, { type: "string", minLength: 1, maxLength: SOCKET_ID_CHARS_MAX }],
  description: "Chosen by the client; stands in the answer.",
};

const text: Schema = { type: "string", maxLength: LIMITS.keyBytesMax };

const revision: Schema = { type: "integer", minimum: 0 };

function request(op: string, properties: Record<string, Schema>, required: string[]): ObjectSchema {
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
    request("get", { key: schemas.key, revision }, ["key"]),
    request(
      "put",
      {
        key: schemas.key,
        ...schemas.valueProperties,
        contentType: schemas.contentType,
        ifRevision: revision,
        ifAbsent: { type: "boolean" },
      },
      ["key"],
    ),
    request("delete", { key: schemas.key, ifRevision: revision }, ["key"]),
    request(
      "list",
      {
        prefix: text,
        start: text,
        end: text,
        limit: { type: "integer", minimum: 1, maximum: LIMITS.pageEntriesMax },
        cursor: { type: "string", minLength: 1 },
        keys: { type: "boolean" },
        revision,
      },
      [],
    ),
    request("txn", schemas.txn.properties, []),
    request(
      "watch",
      {
        key: schemas.key,
        prefix: text,
        start: text,
        end: text,
        from: {
          type: "integer",
          minimum: 1,
          description: "The first revision wanted; from now on without.",
        },
      },
      [],
    ),
    request("unwatch", { watch: { type: "integer", minimum: 1 } }, ["watch"]),
  ],
};
