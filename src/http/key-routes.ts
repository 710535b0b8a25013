/** `/v1/kv/{key}`: one value, raw bytes both ways. Every write is a transaction inside. */

import type { GetResult } from "../kv.ts";
import { schemas } from "../schemas.ts";
import { HEADERS, PATHS, defaultContentType } from "../protocol.ts";
import { validate } from "../schema.ts";
import { etag, json } from "./answers.ts";
import { readBody } from "./body.ts";
import { commit } from "./commit.ts";
import { conditionChecks, evaluateRead, readConditions, type Conditions } from "./conditions.ts";
import { flag, integer } from "./parameters.ts";
import { STORE_ERRORS, defineRoute, type Route } from "./route.ts";
import { deleteShape, putShape } from "./shapes.ts";
import {
  absentKey,
  deleteAnswer,
  deleteTxn,
  preconditionFailed,
  putAnswer,
  putTxn,
} from "./single.ts";

const path = `${PATHS.kv}/{key}`;

const conditionHeaders = {
  "If-Match": 'Only if the key has this revision ("42"), one of a list, or any (*).',
  "If-None-Match": 'Only if the key has none of these revisions ("42"), or is absent (*).',
};

const tagHeader = { ETag: "The revision of the key, in quotes." };

const valueHeaders = {
  ...tagHeader,
  "Cache-Control": "no-cache: a cache asks again each time.",
  "X-Content-Type-Options": "nosniff.",
  "Content-Security-Policy": "Keeps a value that a browser could run from running.",
  [HEADERS.createRevision]: "With meta: the revision that created the key.",
  [HEADERS.version]: "With meta: changes since creation.",
  [HEADERS.expiresAt]: "With meta: when the entry expires (RFC 3339), if it does.",
  [HEADERS.storeRevision]: "With meta: the store's revision at the read.",
};

const getValue = defineRoute({
  method: "GET",
  path,
  id: "getValue",
  summary: "Read the value of a key",
  parameters: {
    revision: integer("Read the value as it was at this revision.", 0),
    meta: flag("Answer the KV- headers too; HEAD always does."),
  },
  headers: conditionHeaders,
  answers: {
    200: {
      description: "The bytes of the value, with the content type they were put with.",
      headers: valueHeaders,
      body: { description: "The value.", type: "*/*" },
    },
    304: {
      description: "If-None-Match names the revision that the key has.",
      headers: valueHeaders,
    },
  },
  errors: [...STORE_ERRORS, "not_found", "compacted", "precondition_failed", "too_large"],
  handle(call, { revision, meta }) {
    const withMeta = meta === true || call.request.method === "HEAD";
    const conditions = readConditions(call.request.headers);
    const answer = (result: GetResult) => answerGet(call.key, result, conditions, withMeta);
    const options = revision === undefined ? undefined : { revision };
    const result = call.context.store.get(call.key, options);
    // Most values are at hand, and an answer in the same turn is the faster one.
    return result instanceof Promise ? result.then(answer) : answer(result);
  },
});

const putValue = defineRoute({
  method: "PUT",
  path,
  id: "putValue",
  summary: "Store a value",
  description:
    "The body is the value. Without a Content-Type, or with the form type that curl -d adds, " +
    "it is stored as text when it is UTF-8, else as octet-stream.",
  parameters: {},
  headers: {
    ...conditionHeaders,
    "Content-Type": "Stored with the value and answered with it.",
  },
  body: { description: "The value: up to 16 MiB of any bytes.", type: "*/*" },
  answers: {
    200: {
      description: "The key was replaced.",
      headers: tagHeader,
      body: { description: "The new revision.", type: "application/json", schema: putShape },
    },
    201: {
      description: "The key was created.",
      headers: tagHeader,
      body: { description: "The new revision.", type: "application/json", schema: putShape },
    },
  },
  errors: [
    ...STORE_ERRORS,
    "precondition_failed",
    "too_large",
    "unsupported",
    "outcome_unknown",
    "storage_full",
  ],
  async handle(call) {
    const { context, key, request } = call;
    const conditions = readConditions(request.headers);
    const given = readContentType(request.headers);
    const value = await readBody(call, context.store.limits.valueBytesMax, "the value");
    const contentType = given ?? defaultContentType(value);
    const checks = conditionChecks(key, conditions);
    const result = await commit(call, putTxn({ key, value, contentType }, checks));
    const put = putAnswer(key, result);
    return json(put.version === 1 ? 201 : 200, put, { ETag: etag(put.revision) });
  },
});

const deleteValue = defineRoute({
  method: "DELETE",
  path,
  id: "deleteValue",
  summary: "Delete a key",
  parameters: {},
  headers: conditionHeaders,
  answers: {
    200: {
      description: "The key is gone.",
      body: { description: "The commit.", type: "application/json", schema: deleteShape },
    },
  },
  errors: [
    ...STORE_ERRORS,
    "not_found",
    "precondition_failed",
    "too_large",
    "outcome_unknown",
    "storage_full",
  ],
  async handle(call) {
    const { key, request } = call;
    const checks = conditionChecks(key, readConditions(request.headers));
    return json(200, deleteAnswer(key, await commit(call, deleteTxn(key, checks))));
  },
});

export const keyRoutes: readonly Route[] = [getValue, putValue, deleteValue];

// --- internal ---

/** Types that no browser runs, whole: a list of types or an odd parameter is not one of them. */
const INERT =
  /^(text\/plain|application\/json|application\/octet-stream|image\/(png|jpeg|gif|webp|avif|bmp))(; ?charset=[\w-]+)?$/i;

function answerGet(
  key: string,
  result: GetResult,
  conditions: Conditions | undefined,
  withMeta: boolean,
): Response {
  const { entry } = result;
  if (entry === undefined) throw absentKey(key, result.revision);
  const headers: Record<string, string> = {
    ETag: etag(entry.revision),
    "Content-Type": entry.contentType,
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
  };
  if (!INERT.test(entry.contentType)) {
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'";
  }
  if (withMeta) {
    headers[HEADERS.createRevision] = String(entry.createRevision);
    headers[HEADERS.version] = String(entry.version);
    headers[HEADERS.storeRevision] = String(result.revision);
    if (entry.expiresAt !== undefined) {
      headers[HEADERS.expiresAt] = new Date(entry.expiresAt).toISOString();
    }
  }
  const verdict = evaluateRead(conditions, entry.revision);
  if (verdict === "failed") throw preconditionFailed(key, entry.revision, result.revision);
  if (verdict === "not_modified") {
    delete headers["Content-Type"];
    return new Response(null, { status: 304, headers });
  }
  return new Response(entry.value as Uint8Array<ArrayBuffer>, { headers });
}

/** The content type that the client chose; `undefined` when it chose none. */
function readContentType(headers: Headers): string | undefined {
  const type = headers.get("content-type")?.trim() ?? "";
  // `curl -d` adds the form type by itself; nobody chose it.
  if (type === "" || type.toLowerCase() === "application/x-www-form-urlencoded") return undefined;
  validate(schemas.contentType, type, "Content-Type");
  return type;
}
