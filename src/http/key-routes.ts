/** `PUT` and `DELETE /v1/kv/{key}`: writes of one value. Each is a transaction inside. */

import { HEADERS, PATHS, defaultContentType } from "../protocol.ts";
import { validate } from "../schema.ts";
import { schemas } from "../schemas.ts";
import { ttlFromText } from "../ttl.ts";
import { json } from "./answers.ts";
import { readBody } from "./body.ts";
import { commitSingle } from "./commit.ts";
import { CONDITION_HEADERS, conditionChecks, readConditions } from "./conditions.ts";
import { WRITE_ERRORS, defineRoute, type Route } from "./route.ts";
import { changedShape, deleteShape } from "./shapes.ts";
import { deleteAnswer, deleteTxn, putAnswer, putTxn } from "./single.ts";
import { changed } from "./value-headers.ts";

const path = `${PATHS.kv}/{key}`;

const putDone = {
  headers: { ETag: "The revision of the key, in quotes." },
  body: { description: "The new revision.", type: "application/json", schema: changedShape },
};

const putRoute = defineRoute({
  method: "PUT",
  path,
  id: "putValue",
  summary: "Store a value",
  description:
    "The body is the value. Without a Content-Type, or with the form type that curl -d adds, " +
    "it is stored as text when it is UTF-8, else as octet-stream.",
  parameters: {},
  headers: {
    ...CONDITION_HEADERS,
    [HEADERS.ttl]: "When the key expires: a time such as 30s, or keep. Without it, never.",
    "Content-Type": "Stored with the value and answered with it.",
  },
  body: { description: "The value: up to 16 MiB of any bytes.", type: "*/*" },
  answers: {
    200: { description: "The key was replaced.", ...putDone },
    201: { description: "The key was created.", ...putDone },
  },
  errors: [...WRITE_ERRORS, "precondition_failed", "unsupported"],
  async handle(call) {
    const { context, key, request } = call;
    const { headers } = request;
    const checks = conditionChecks(key, readConditions(headers));
    const given = readContentType(headers);
    const ttlText = headers.get(HEADERS.ttl);
    const ttl = ttlText === null ? undefined : ttlFromText(ttlText, HEADERS.ttl, "keep");
    const value = await readBody(call, context.store.limits.valueBytesMax, "the value");
    const contentType = given ?? defaultContentType(value);
    const put = ttl === undefined ? { key, value, contentType } : { key, value, contentType, ttl };
    const answer = putAnswer(key, await commitSingle(call, putTxn(put, checks)));
    return changed(answer.version === 1 ? 201 : 200, answer);
  },
});

const deleteRoute = defineRoute({
  method: "DELETE",
  path,
  id: "deleteValue",
  summary: "Delete a key",
  parameters: {},
  headers: CONDITION_HEADERS,
  answers: {
    200: {
      description: "The key is gone.",
      body: { description: "The commit.", type: "application/json", schema: deleteShape },
    },
  },
  errors: [...WRITE_ERRORS, "not_found", "precondition_failed"],
  async handle(call) {
    const { key, request } = call;
    const checks = conditionChecks(key, readConditions(request.headers));
    return json(200, deleteAnswer(key, await commitSingle(call, deleteTxn(key, checks))));
  },
});

export const keyRoutes: readonly Route[] = [putRoute, deleteRoute];

// --- internal ---

/** The content type that the client chose; `undefined` when it chose none. */
function readContentType(headers: Headers): string | undefined {
  const type = headers.get("content-type")?.trim() ?? "";
  // `curl -d` adds the form type by itself; nobody chose it.
  if (type === "" || type.toLowerCase() === "application/x-www-form-urlencoded") return undefined;
  validate(schemas.contentType, type, "Content-Type");
  return type;
}
