/** `GET /v1/history/{key}`: the changes of a key; `POST /v1/compact`: forgets the older ones. */

import { KvError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { PATHS } from "../protocol.ts";
import { json } from "./answers.ts";
import { refuseBody } from "./body.ts";
import { unlimited } from "./commit.ts";
import { readConditions, refuseConditions } from "./conditions.ts";
import { historyPage } from "./listing.ts";
import { flag, integer } from "./parameters.ts";
import { PAGE_CONDITION_HEADERS, PAGE_HEADERS, pageResponse } from "./pages.ts";
import { STORE_ERRORS, defineRoute, type Route } from "./route.ts";
import { compactShape, historyShape } from "./shapes.ts";

const historyRoute = defineRoute({
  method: "GET",
  path: `${PATHS.history}/{key}`,
  id: "getHistory",
  summary: "List the changes of a key, the newest first",
  description:
    "Down to the entry that the key had at the oldest readable revision; none for a key that was " +
    "not there since.",
  parameters: {
    limit: integer("Changes in the answer at most; 1,000 when left out.", 1, LIMITS.pageEntriesMax),
    before: integer("Only changes below this revision: the last one of the page before.", 0),
    keys: flag("Leave the values out."),
  },
  headers: PAGE_CONDITION_HEADERS,
  answers: {
    200: {
      description: "A page of changes.",
      headers: PAGE_HEADERS,
      body: { description: "The page.", type: "application/json", schema: historyShape },
    },
    304: { description: "If-None-Match names the store's revision.", headers: PAGE_HEADERS },
  },
  errors: [...STORE_ERRORS, "compacted", "precondition_failed", "too_large"],
  async handle({ context, request, key }, parameters) {
    const conditions = readConditions(request.headers);
    return pageResponse(await historyPage(context.store, key, parameters), conditions);
  },
});

const compactRoute = defineRoute({
  method: "POST",
  path: PATHS.compact,
  id: "compact",
  summary: "Forget history",
  description:
    "The revision becomes the oldest that can be read; changes at it and below cannot be watched " +
    "any more. No key that is there is lost.",
  parameters: { revision: integer("The oldest revision that stays readable. Required.", 0) },
  answers: {
    200: {
      description: "It is the oldest now.",
      body: { description: "What can be read.", type: "application/json", schema: compactShape },
    },
  },
  errors: [...STORE_ERRORS, "compacted", "outcome_unknown", "storage_full"],
  async handle(call, { revision }) {
    refuseConditions(call.request.headers, "a compaction is of no key that could have conditions");
    refuseBody(call, "the parameter revision says where history begins");
    if (revision === undefined) {
      throw new KvError(
        "invalid_argument",
        "the parameter revision is missing: the oldest revision that stays readable",
      );
    }
    return json(200, await unlimited(call, () => call.context.store.compact(revision)));
  },
});

export const historyRoutes: readonly Route[] = [historyRoute, compactRoute];
