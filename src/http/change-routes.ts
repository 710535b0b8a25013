/** `POST /v1/incr/{key}` and `POST /v1/touch/{key}`: changes of what a key has already. */

import { KvError } from "../errors.ts";
import { HEADERS, PATHS } from "../protocol.ts";
import { ttlFromText } from "../ttl.ts";
import { refuseBody } from "./body.ts";
import { commitSingle } from "./commit.ts";
import { CONDITION_HEADERS, conditionChecks, readConditions } from "./conditions.ts";
import { int64 } from "./parameters.ts";
import { WRITE_ERRORS, defineRoute, type Route } from "./route.ts";
import { changedShape, incrShape } from "./shapes.ts";
import { incrAnswer, incrTxn, touchAnswer, touchTxn } from "./single.ts";
import { changed } from "./value-headers.ts";

const tagHeader = { ETag: "The revision of the key, in quotes." };

const incrRoute = defineRoute({
  method: "POST",
  path: `${PATHS.incr}/{key}`,
  id: "incrementValue",
  summary: "Add to an integer",
  description:
    "The value is an integer of 64 bits in decimal text; an absent key counts as 0. Type and " +
    "time to live stay as they are.",
  parameters: { by: int64("What to add, below 0 to subtract; 1 when left out.") },
  headers: {
    ...CONDITION_HEADERS,
    [HEADERS.ttl]: "When the key expires, a time such as 30s: only if this creates the key.",
  },
  answers: {
    200: {
      description: "The sum is stored.",
      headers: tagHeader,
      body: { description: "The sum.", type: "application/json", schema: incrShape },
    },
  },
  errors: [...WRITE_ERRORS, "conflict", "precondition_failed"],
  async handle(call, { by = 1n }) {
    const { key, request } = call;
    refuseBody(call, "the parameter by says what to add: ?by=5");
    const checks = conditionChecks(key, readConditions(request.headers));
    const text = request.headers.get(HEADERS.ttl);
    const ttl = text === null ? undefined : { ttl: ttlFromText<never>(text, HEADERS.ttl) };
    const result = await commitSingle(call, incrTxn({ key, by, ...ttl }, checks));
    return changed(200, incrAnswer(key, result));
  },
});

const touchRoute = defineRoute({
  method: "POST",
  path: `${PATHS.touch}/{key}`,
  id: "touchValue",
  summary: "Give a key a new time to live",
  description: "As a put of the same bytes and type.",
  parameters: {},
  headers: {
    ...CONDITION_HEADERS,
    [HEADERS.ttl]: "When the key expires: a time such as 30s, keep (as it is) or none (never).",
  },
  answers: {
    200: {
      description: "The key has it.",
      headers: tagHeader,
      body: { description: "The new revision.", type: "application/json", schema: changedShape },
    },
  },
  errors: [...WRITE_ERRORS, "not_found", "precondition_failed"],
  async handle(call) {
    const { key, request } = call;
    refuseBody(call, `the header ${HEADERS.ttl} says when the key expires`);
    const checks = conditionChecks(key, readConditions(request.headers));
    const text = request.headers.get(HEADERS.ttl);
    if (text === null) {
      throw new KvError(
        "invalid_argument",
        `a touch needs the header ${HEADERS.ttl}: a time such as 30s, keep or none`,
      );
    }
    const ttl = ttlFromText(text, HEADERS.ttl, "keep", "none");
    return changed(200, touchAnswer(key, await commitSingle(call, touchTxn({ key, ttl }, checks))));
  },
});

export const changeRoutes: readonly Route[] = [incrRoute, touchRoute];
