/** `GET /v1/watch`: the changes of keys as a stream, and the same of one key at its own URL. */

import { rangesFromJson } from "../json.ts";
import { NDJSON_TYPE, PATHS, SSE_TYPE } from "../protocol.ts";
import { negotiate } from "./accept.ts";
import { bound, flag, integer, several } from "./parameters.ts";
import { STORE_ERRORS, defineRoute, type Route } from "./route.ts";
import { frameShape } from "./shapes.ts";
import { WATCH_HEADERS, WATCH_REQUEST_HEADERS, streamWatch } from "./watch-stream.ts";

/** Where a watch begins, and what it shows of events. */
export const WATCH_PARAMETERS = {
  from: integer("The first revision wanted; from now on when left out.", 1),
  initial: flag("First what is there, then what comes; also where history is gone."),
  prev: flag("Each event with what was there before."),
  keys: flag("Leave the values out."),
  latest: flag("Only the newest event of each key to a reader that is behind."),
};

export const watchRoute: Route = defineRoute({
  method: "GET",
  path: PATHS.watch,
  id: "watchKeys",
  summary: "Follow the changes of keys",
  description:
    "All keys, those named by key and prefix together, or those from start up to but not " +
    `including end. As ${SSE_TYPE}, or a JSON object a line.`,
  parameters: {
    key: several(bound("This key.", 1)),
    prefix: several(bound("Every key that begins with this.")),
    start: bound("The first key; not together with key and prefix."),
    end: bound("The first key that is not in the range any more."),
    ...WATCH_PARAMETERS,
  },
  headers: { ...WATCH_REQUEST_HEADERS, Accept: `${SSE_TYPE} for server-sent events.` },
  answers: {
    200: {
      description: "The frames, until the client or the server ends them.",
      headers: WATCH_HEADERS,
      body: [
        { description: "A frame a line.", type: NDJSON_TYPE, schema: frameShape },
        { description: "A frame an event.", type: SSE_TYPE },
      ],
    },
  },
  errors: [...STORE_ERRORS, "compacted", "too_large", "too_many_requests"],
  handle(call, parameters) {
    const type = negotiate(call.request.headers.get("accept"), [NDJSON_TYPE, SSE_TYPE]);
    const range = rangesFromJson(parameters);
    return streamWatch(call, type === SSE_TYPE ? "sse" : "ndjson", { ...parameters, range });
  },
});
