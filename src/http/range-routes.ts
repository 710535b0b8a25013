/** `/v1/kv`: listings, in pages or as a stream, and the deletion of ranges. */

import { KvError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { NDJSON_TYPE, PATHS } from "../protocol.ts";
import { schemas } from "../schemas.ts";
import { negotiate } from "./accept.ts";
import { JSON_TYPE, json } from "./answers.ts";
import { commitSingle } from "./commit.ts";
import { readConditions, refuseConditions } from "./conditions.ts";
import { STREAM_HEADERS, streamEntries } from "./entry-stream.ts";
import { deleteRangeAnswer, deleteRangeTxn, listPage } from "./listing.ts";
import { PAGE_CONDITION_HEADERS, PAGE_HEADERS, pageResponse } from "./pages.ts";
import { bound, flag, integer, opaque } from "./parameters.ts";
import { STORE_ERRORS, WRITE_ERRORS, defineRoute, type Route } from "./route.ts";
import { deleteRangeShape, listShape } from "./shapes.ts";

const range = {
  prefix: bound("Only keys that begin with this; not together with start and end."),
  start: bound("The first key."),
  end: bound("The first key that is not in the range any more."),
};

const listHeaders = { ...PAGE_HEADERS, ...STREAM_HEADERS, Vary: "Accept." };

const listRoute = defineRoute({
  method: "GET",
  path: PATHS.kv,
  id: "listEntries",
  summary: "List keys and values in key order",
  description:
    "All keys, those that begin with prefix, or those from start up to but not including end. " +
    "A page also ends past 4 MiB of values; cursor gets the next one. As " +
    `${NDJSON_TYPE} the whole range in one stream, an entry a line, with neither count, ` +
    "delimiter nor cursor; a connection that breaks means that there was more.",
  parameters: {
    ...range,
    limit: integer("At most so many entries and folders; 1,000 when left out, a stream: all.", 1),
    cursor: opaque("As the page before answered it; the range may be left out then."),
    reverse: flag("From the last key to the first."),
    keys: flag("Leave the values out."),
    count: flag("Answer only the number of entries; not together with what shapes a page."),
    delimiter: bound("Answer keys that have this behind the prefix as folders.", 1),
    revision: integer("List what was there at this revision.", 0),
  },
  headers: {
    ...PAGE_CONDITION_HEADERS,
    Accept: `${NDJSON_TYPE} for a stream.`,
  },
  answers: {
    200: {
      description: "The entries.",
      headers: listHeaders,
      body: [
        { description: "A page.", type: JSON_TYPE, schema: listShape },
        { description: "An entry a line.", type: NDJSON_TYPE, schema: schemas.entry },
      ],
    },
    304: {
      description: "If-None-Match names the revision at which the page was read.",
      headers: listHeaders,
    },
  },
  errors: [...STORE_ERRORS, "compacted", "precondition_failed", "too_large", "too_many_requests"],
  async handle(call, parameters) {
    const { context, request } = call;
    const conditions = readConditions(request.headers);
    const type = negotiate(request.headers.get("accept"), [JSON_TYPE, NDJSON_TYPE]);
    if (type === NDJSON_TYPE) return streamEntries(call, parameters, conditions);
    const { limit = 1 } = parameters;
    if (limit > LIMITS.pageEntriesMax) {
      throw new KvError(
        "invalid_argument",
        `the parameter limit is "${limit}"; the largest allowed is ${LIMITS.pageEntriesMax}, ` +
          `but for a stream (Accept: ${NDJSON_TYPE})`,
        { limit: LIMITS.pageEntriesMax },
      );
    }
    const page = await listPage(context.store, parameters);
    return pageResponse(page, conditions, { Vary: "Accept" });
  },
});

const deleteRoute = defineRoute({
  method: "DELETE",
  path: PATHS.kv,
  id: "deleteRange",
  summary: "Delete a range of keys at one revision",
  description:
    `At most ${LIMITS.commitEventsMax} keys: where there are more, give a limit and repeat the ` +
    "request while the answer says more.",
  parameters: {
    ...range,
    limit: integer("Delete at most so many keys, the first ones.", 1, LIMITS.commitEventsMax),
    all: flag("Needed where the range is every key."),
  },
  answers: {
    200: {
      description: "The keys are gone.",
      body: { description: "The commit.", type: JSON_TYPE, schema: deleteRangeShape },
    },
  },
  errors: WRITE_ERRORS,
  async handle(call, parameters) {
    refuseConditions(call.request.headers, "the keys of a range have no revision in common");
    const result = await commitSingle(call, deleteRangeTxn(parameters));
    return json(200, deleteRangeAnswer(result));
  },
});

export const rangeRoutes: readonly Route[] = [listRoute, deleteRoute];
