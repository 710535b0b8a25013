/**
 * The description of the API (OpenAPI 3.1), made from the table of routes that the server itself
 * goes by.
 */

import type { ErrorCode } from "../errors.ts";
import { schemas } from "../schemas.ts";
import { HEADERS, PATHS } from "../protocol.ts";
import type { Schema } from "../schema.ts";
import { JSON_TYPE, STATUSES, json } from "./answers.ts";
import type { QueryParameters } from "./parameters.ts";
import { defineRoute, type Answer, type Body, type Route } from "./route.ts";
import {
  changedShape,
  compactShape,
  deleteRangeShape,
  deleteShape,
  errorShape,
  eventShape,
  frameShape,
  historyShape,
  incrShape,
  listShape,
  statusShape,
  txnShape,
} from "./shapes.ts";

type Json = Record<string, unknown>;

/** `GET /v1/openapi.json`; `routes` gives the whole table, this route included. */
export function openapiRoute(routes: () => readonly Route[]): Route {
  return defineRoute({
    method: "GET",
    path: PATHS.openapi,
    id: "getDescription",
    summary: "This description",
    parameters: {},
    answers: {
      200: {
        description: "OpenAPI 3.1.",
        body: { description: "The description.", type: JSON_TYPE },
      },
    },
    errors: ["permission_denied"],
    handle: ({ context }) => json(200, describe(routes(), context.version)),
  });
}

export function describe(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = (paths[route.path] ??= route.path.includes("{key}")
      ? { parameters: [KEY_PARAMETER] }
      : {});
    path[route.method.toLowerCase()] = operation(route);
    if (answersHead(route)) path["head"] = headOperation(route);
  }
  return {
    openapi: "3.1.0",
    info: { title: "kv", version, description: INTRODUCTION, license: { name: "MIT" } },
    servers: [{ url: "/" }],
    paths,
    components: {
      schemas: Object.fromEntries(
        [...NAMES].map(([schema, name]) => [name, referring(schema, true)]),
      ),
    },
  };
}

/** A GET answers HEAD too, but for a socket, which has nothing that HEAD could describe. */
export function answersHead(route: Route): boolean {
  return route.method === "GET" && !(101 in route.answers);
}

// --- internal ---

const INTRODUCTION =
  "A key-value store with revisions and transactions. Values are raw bytes both ways; everything " +
  "else is JSON that ends in a newline. The WebSocket at /v1/ws is described in docs/websocket.md.";

/** Schemas that stand once, under a name, wherever they are used. */
const NAMES: ReadonlyMap<Schema, string> = new Map<Schema, string>([
  [schemas.entry, "Entry"],
  [schemas.check, "Check"],
  [schemas.operation, "Operation"],
  [schemas.txn, "Transaction"],
  [txnShape, "TransactionResult"],
  [changedShape, "Changed"],
  [incrShape, "IncrementResult"],
  [deleteShape, "DeleteResult"],
  [deleteRangeShape, "DeleteRangeResult"],
  [listShape, "Page"],
  [historyShape, "History"],
  [compactShape, "CompactResult"],
  [eventShape, "Event"],
  [frameShape, "WatchFrame"],
  [statusShape, "Status"],
  [errorShape, "Error"],
]);

const KEY_PARAMETER = {
  name: "key",
  in: "path",
  required: true,
  description:
    "The rest of the path, slashes included: a/b and a%2Fb are the same key. Every byte outside " +
    "A-Za-z0-9-_.~/ is percent-encoded; no segment is . or .. as URLs resolve these.",
  schema: schemas.key,
};

/** Headers of errors, by code. */
const ERROR_HEADERS: Partial<Record<ErrorCode, Record<string, string>>> = {
  not_found: { [HEADERS.storeRevision]: "The store's revision when the key was absent." },
  precondition_failed: {
    ETag: "The revision that is there, in quotes; without it the key is absent.",
    [HEADERS.storeRevision]: "The store's revision when the condition was evaluated.",
  },
  too_many_requests: { "Retry-After": "Seconds after which to try again." },
  unavailable: { "Retry-After": "Seconds after which to try again." },
};

function operation(route: Route): Json {
  const { id, summary, description, body } = route;
  return {
    operationId: id,
    summary,
    description,
    parameters: [...queryParameters(route.parameters), ...headerParameters(route)],
    requestBody: body && { description: body.description, required: true, content: content(body) },
    responses: responses(route, content),
  };
}

function headOperation(route: Route): Json {
  return {
    ...operation(route),
    operationId: route.id.replace(/^[a-z]+/, "head"),
    summary: `${route.summary}: the headers only`,
    responses: responses(route, () => undefined),
  };
}

function queryParameters(parameters: QueryParameters): Json[] {
  return Object.entries(parameters).map(([name, { description, schema }]) => ({
    name,
    in: "query",
    description,
    schema,
  }));
}

function headerParameters({ headers = {} }: Route): Json[] {
  return (
    Object.entries(headers)
      // OpenAPI describes the types beside the bodies.
      .filter(([name]) => name !== "Content-Type" && name !== "Accept")
      .map(([name, description]) => ({
        name,
        in: "header",
        description,
        schema: { type: "string" },
      }))
  );
}

type Content = (body: Body | readonly Body[]) => Json | undefined;

function responses(route: Route, content: Content): Json {
  const described: Json = {};
  for (const [status, answer] of Object.entries(route.answers)) {
    described[status] = response(answer, content);
  }
  const codes: ErrorCode[] = ["invalid_argument", ...route.errors];
  for (const status of new Set(codes.map((code) => STATUSES[code]))) {
    const same = codes.filter((code) => STATUSES[code] === status);
    described[status] = response(errorAnswer(same), content);
  }
  return described;
}

function response({ description, headers, body }: Answer, content: Content): Json {
  return {
    description,
    headers: headers && headerObjects(headers),
    content: body && content(body),
  };
}

function errorAnswer(codes: readonly ErrorCode[]): Answer {
  return {
    description: codes.join(" or "),
    headers: Object.assign({}, ...codes.map((code) => ERROR_HEADERS[code])),
    body: { description: "What is wrong.", type: JSON_TYPE, schema: errorShape },
  };
}

function headerObjects(headers: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [
      name,
      { description, schema: { type: "string" } },
    ]),
  );
}

function content(body: Body | readonly Body[]): Json {
  return Object.fromEntries(
    [body]
      .flat()
      .map(({ type, schema }) => [type, schema === undefined ? {} : { schema: referring(schema) }]),
  );
}

/** A schema with every named one in it as a reference; itself too, unless it is being defined. */
function referring(schema: unknown, defining = false): unknown {
  if (typeof schema !== "object" || schema === null) return schema;
  const name = NAMES.get(schema as Schema);
  if (name !== undefined && !defining) return { $ref: `#/components/schemas/${name}` };
  if (Array.isArray(schema)) return schema.map((item) => referring(item));
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, referring(value)]));
}
