/** `POST /v1/txn`: checks, and operations that take effect all or not at all. */

import { KvError } from "../errors.ts";
import { type JsonTxn } from "../json.ts";
import { schemas } from "../schemas.ts";
import { commitResultToJson, txnFromJson } from "../txn-json.ts";
import { HEADERS, PATHS } from "../protocol.ts";
import { validate } from "../schema.ts";
import { json } from "./answers.ts";
import { readJson } from "./body.ts";
import { commit } from "./commit.ts";
import { refuseConditions } from "./conditions.ts";
import { WRITE_ERRORS, defineRoute, type Route } from "./route.ts";
import { txnShape } from "./shapes.ts";

export const txnRoute: Route = defineRoute({
  method: "POST",
  path: PATHS.txn,
  id: "commitTransaction",
  summary: "Run a transaction",
  description:
    "If every check holds, the operations of then take effect, else those of else, at one " +
    "revision. A failed check is an answer like any other: succeeded is false.",
  parameters: {},
  body: { description: "The transaction.", type: "application/json", schema: schemas.txn },
  answers: {
    200: {
      description: "The transaction ran.",
      body: { description: "What it did.", type: "application/json", schema: txnShape },
    },
  },
  errors: [...WRITE_ERRORS, "not_found", "conflict", "unsupported"],
  async handle(call) {
    const { headers } = call.request;
    refuseConditions(headers, 'a transaction has its conditions in the body, as "checks"');
    if (headers.has(HEADERS.ttl)) {
      throw new KvError(
        "invalid_argument",
        `a transaction has its times to live in the body, as "ttl"; leave ${HEADERS.ttl} out`,
      );
    }
    const body = await readJson(call);
    validate(schemas.txn, body);
    const result = await commit(call, txnFromJson(body as JsonTxn));
    return json(200, commitResultToJson(result));
  },
});
