/**
 * Answers: JSON that ends in a newline, and errors. The only place that knows which status an error
 * code becomes.
 */

import { KvError, type ErrorCode } from "../errors.ts";
import { errorToJson } from "../json.ts";
import { HEADERS } from "../protocol.ts";

export const STATUSES: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  unknown_path: 404,
  method_not_allowed: 405,
  conflict: 409,
  compacted: 410,
  precondition_failed: 412,
  too_large: 413,
  unsupported: 415,
  too_many_requests: 429,
  outcome_unknown: 500,
  internal: 500,
  unavailable: 503,
  storage_full: 507,
};

export const JSON_TYPE = "application/json";

/** Seconds after which a client that was turned away should try again. */
const RETRY_AFTER_SECONDS = "1";

/** `body` as JSON, with `headers` besides the content type. */
export function json(
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): Response {
  headers["Content-Type"] = JSON_TYPE;
  return new Response(jsonText(body), { status, headers });
}

/** `body` as the text of an answer. */
export function jsonText(body: unknown): string {
  return `${JSON.stringify(body)}\n`;
}

/** The entity tag of a revision. */
export function etag(revision: number): string {
  return `"${revision}"`;
}

/**
 * The answer for anything thrown while a request was handled. What is no `KvError` is a bug:
 * `onError` gets it, the client learns only that there was one.
 */
export function failure(error: unknown, onError: (error: unknown) => void): Response {
  const known = error instanceof KvError ? error : undefined;
  if (known === undefined || known.code === "internal") onError(error);
  return errorAnswer(
    known ?? new KvError("internal", "an unexpected error; the log of the server has the details"),
  );
}

// --- internal ---

function errorAnswer(error: KvError): Response {
  const { code, details } = error;
  const headers: Record<string, string> = {};
  if (code === "unavailable" || code === "too_many_requests") {
    headers["Retry-After"] = RETRY_AFTER_SECONDS;
  }
  if (details.storeRevision !== undefined) {
    headers[HEADERS.storeRevision] = String(details.storeRevision);
  }
  // An absent key has no representation and so no tag, although its revision, 0, stands in the
  // body.
  if (code === "precondition_failed" && details.revision) {
    headers["ETag"] = etag(details.revision);
  }
  return json(STATUSES[code], errorToJson(error), headers);
}
