/** Content negotiation: which of two types an `Accept` header gets. */

import { expect, test } from "bun:test";
import { negotiate } from "../../src/http/accept.ts";

const JSON_TYPE = "application/json";
const LINES = "application/x-ndjson";

test.each([
  [null, JSON_TYPE],
  ["", JSON_TYPE],
  ["*/*", JSON_TYPE],
  ["application/*", JSON_TYPE],
  ["application/json", JSON_TYPE],
  ["application/x-ndjson", LINES],
  ["APPLICATION/X-NDJSON", LINES],
  [" application/x-ndjson ", LINES],
  ["application/x-ndjson, application/json", JSON_TYPE],
  ["application/json, application/x-ndjson", JSON_TYPE],
  ["application/x-ndjson, */*", LINES],
  ["application/x-ndjson, application/*", LINES],
  ["*/*, application/x-ndjson", LINES],
  ["application/x-ndjson;q=0.9, */*", JSON_TYPE],
  ["application/x-ndjson, application/json;q=0.9", LINES],
  ["application/json;q=0.001, application/x-ndjson;q=0.002", LINES],
  ["application/x-ndjson;q=0.5, application/json;q=0.6", JSON_TYPE],
  ["application/x-ndjson; Q=1.000 , application/json ; q = 0.1", LINES],
  ["application/x-ndjson;q=0", JSON_TYPE],
  ["application/x-ndjson;q=0, */*", JSON_TYPE],
  ["application/json;q=0, */*", LINES],
  ["application/json;q=0, application/*;q=0.1", LINES],
  ["application/*;q=0.2, application/json;q=0.1", LINES],
  ["*/*;q=0.1, application/*;q=0", JSON_TYPE],
  ["application/json;charset=utf-8, application/x-ndjson;q=0.5", JSON_TYPE],
  ["application/x-ndjson;charset=utf-8", LINES],
  ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON_TYPE],
  ["text/html", JSON_TYPE],
  ["text/event-stream", JSON_TYPE],
  ["text/event-stream, application/x-ndjson;q=0.1", LINES],
  ["application/x-ndjson;q=2, application/json", JSON_TYPE],
  ["application/x-ndjson;q=, application/json;q=0.1", JSON_TYPE],
  ["application/x-ndjson;q=0.5555, application/json;q=0.1", JSON_TYPE],
  ["*/x-ndjson", JSON_TYPE],
  ["x-ndjson", JSON_TYPE],
  [",;,/,*", JSON_TYPE],
])("%p gets %s", (accept, type) => {
  expect(negotiate(accept, [JSON_TYPE, LINES])).toBe(type);
});
