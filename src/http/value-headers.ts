/**
 * Headers that tell of one revision of a key. They are made once for each content type: the
 * platform copies them into a response in half the time that it takes to read an object.
 */

import type { JsonChanged } from "../json.ts";
import type { Entry } from "../kv.ts";
import { CONTENT_TYPES_KEPT_MAX } from "../limits.ts";
import { JSON_TYPE, etag, jsonText } from "./answers.ts";

/**
 * What every answer with an entry says of it. A response takes its own copy; until then it is
 * everybody's, which the next call changes: copy it before anything is added.
 */
export function headersOf({ contentType, revision }: Entry): Headers {
  const headers = kept.get(contentType) ?? keep(contentType);
  headers.set("ETag", etag(revision));
  return headers;
}

/** The answer to a change of a key, as `json`. */
export function changed(status: number, answer: JsonChanged): Response {
  ofChange.set("ETag", etag(answer.revision));
  return new Response(jsonText(answer), { status, headers: ofChange });
}

// --- internal ---

/** By content type. */
const kept = new Map<string, Headers>();

const ofChange = new Headers({ ETag: "", "Content-Type": JSON_TYPE });

/** Types that no browser runs, whole: a list of types or an odd parameter is not one of them. */
const INERT =
  /^(text\/plain|application\/json|application\/octet-stream|image\/(png|jpeg|gif|webp|avif|bmp))(; ?charset=[\w-]+)?$/i;

function keep(contentType: string): Headers {
  const headers = new Headers({
    ETag: "",
    "Content-Type": contentType,
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
  });
  if (!INERT.test(contentType)) {
    headers.set("Content-Security-Policy", "sandbox; default-src 'none'");
  }
  // Whoever makes types up pushes those in use out, which are soon back.
  if (kept.size === CONTENT_TYPES_KEPT_MAX) kept.clear();
  kept.set(contentType, headers);
  return headers;
}
