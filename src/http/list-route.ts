/** `GET /v1/kv`: pages of a range in key order, every page at the revision of the first one. */

import { KvError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { PATHS } from "../protocol.ts";
import { etag, json } from "./answers.ts";
import { evaluateRead, readConditions, type Conditions } from "./conditions.ts";
import { listPage, type ListAnswer } from "./listing.ts";
import { bound, flag, integer, opaque } from "./parameters.ts";
import { STORE_ERRORS, defineRoute, type Route } from "./route.ts";
import { listShape } from "./shapes.ts";

const pageHeaders = {
  ETag: "The revision at which the page was read, in quotes.",
  "Cache-Control": "no-cache: a cache asks again each time.",
};

export const listRoute: Route = defineRoute({
  method: "GET",
  path: PATHS.kv,
  id: "listEntries",
  summary: "List keys and values in key order",
  description:
    "All keys, those that begin with prefix, or those from start up to but not including end. " +
    "A page also ends past 4 MiB of values; cursor gets the next one.",
  parameters: {
    prefix: bound("Only keys that begin with this; not together with start and end."),
    start: bound("The first key that may be in the answer."),
    end: bound("The first key that is not in the answer any more."),
    limit: integer("Entries in the answer at most; 1,000 when left out.", 1, LIMITS.pageEntriesMax),
    cursor: opaque("As the page before answered it; the range may be left out then."),
    keys: flag("Leave the values out."),
    revision: integer("List what was there at this revision.", 0),
  },
  headers: {
    "If-Match": "Only if the listing is at this revision.",
    "If-None-Match": "304 when the listing is still at this revision.",
  },
  answers: {
    200: {
      description: "A page of entries.",
      headers: pageHeaders,
      body: { description: "The page.", type: "application/json", schema: listShape },
    },
    304: {
      description: "If-None-Match names the revision at which the page was read.",
      headers: pageHeaders,
    },
  },
  errors: [...STORE_ERRORS, "compacted", "precondition_failed", "too_large"],
  async handle({ context, request }, parameters) {
    const conditions = readConditions(request.headers);
    return answer(await listPage(context.store, parameters), conditions);
  },
});

// --- internal ---

function answer(page: ListAnswer, conditions: Conditions | undefined): Response {
  const { revision } = page;
  const headers = { ETag: etag(revision), "Cache-Control": "no-cache" };
  const verdict = evaluateRead(conditions, revision);
  if (verdict === "not_modified") return new Response(null, { status: 304, headers });
  if (verdict === "answer") return json(200, page, headers);
  throw new KvError(
    "precondition_failed",
    `the listing is at revision ${revision}, which is not what If-Match asks for`,
    { revision, storeRevision: revision },
  );
}
