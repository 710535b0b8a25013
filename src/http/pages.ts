/** Answers that are read at one revision of the store: their tag, and conditions on it. */

import { KvError } from "../errors.ts";
import { etag, json } from "./answers.ts";
import { evaluateRead, type Conditions } from "./conditions.ts";

export const PAGE_HEADERS = {
  ETag: "The revision at which the page was read, in quotes.",
  "Cache-Control": "no-cache: a cache asks again each time.",
};

export const PAGE_CONDITION_HEADERS = {
  "If-Match": "Only if the page is read at this revision of the store.",
  "If-None-Match": "304 when the page is still read at this revision of the store.",
};

/** `page` as JSON, or 304. Throws `precondition_failed`. */
export function pageResponse(
  page: { readonly revision: number },
  conditions: Conditions | undefined,
  more: Readonly<Record<string, string>> = {},
): Response {
  const headers = { ETag: etag(page.revision), "Cache-Control": "no-cache", ...more };
  const isNew = evaluatePage(conditions, page.revision);
  return isNew ? json(200, page, headers) : new Response(null, { status: 304, headers });
}

/** Has the client something else than what is read at `revision`? Throws `precondition_failed`. */
export function evaluatePage(conditions: Conditions | undefined, revision: number): boolean {
  const verdict = evaluateRead(conditions, revision);
  if (verdict !== "failed") return verdict === "answer";
  throw new KvError(
    "precondition_failed",
    `the listing is at revision ${revision}, which is not what If-Match asks for`,
    { revision, storeRevision: revision },
  );
}
