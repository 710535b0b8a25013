/** `GET /v1/kv/{key}`: one value as raw bytes, now, at a revision, or as soon as it changes. */

import { KvError } from "../errors.ts";
import type { Entry, GetResult } from "../kv.ts";
import { WAIT_MS_DEFAULT, WAIT_MS_MAX } from "../limits.ts";
import { HEADERS, PATHS } from "../protocol.ts";
import { durationToText } from "../ttl.ts";
import { waitFor, type WaitResult } from "../watch/wait-for.ts";
import { etag } from "./answers.ts";
import { unlimited } from "./commit.ts";
import { CONDITION_HEADERS, evaluateRead, readConditions, type Conditions } from "./conditions.ts";
import { duration, flag, integer } from "./parameters.ts";
import { STORE_ERRORS, defineRoute, type Call, type Route } from "./route.ts";
import { absentKey, preconditionFailed } from "./single.ts";

const valueHeaders = {
  ETag: "The revision of the key, in quotes.",
  "Cache-Control": "no-cache: a cache asks again each time.",
  "X-Content-Type-Options": "nosniff.",
  "Content-Security-Policy": "Keeps a value that a browser could run from running.",
  [HEADERS.createRevision]: "With meta: the revision that created the key.",
  [HEADERS.version]: "With meta: changes since creation.",
  [HEADERS.expiresAt]: "With meta: when the entry expires (RFC 3339), if it does.",
  [HEADERS.storeRevision]: "With meta, and when a wait is over: the store's revision at the read.",
};

export const getRoute: Route = defineRoute({
  method: "GET",
  path: `${PATHS.kv}/{key}`,
  id: "getValue",
  summary: "Read the value of a key",
  parameters: {
    revision: integer("Read the value as it was at this revision.", 0),
    meta: flag("Answer the KV- headers too; HEAD always does."),
    wait: integer("Answer once the key has changed above this revision; 304 when it has not.", 0),
    timeout: duration(
      `How long to wait at most; ${durationToText(WAIT_MS_DEFAULT)} when left out.`,
      WAIT_MS_MAX,
    ),
  },
  headers: CONDITION_HEADERS,
  answers: {
    200: {
      description: "The bytes of the value, with the content type they were put with.",
      headers: valueHeaders,
      body: { description: "The value.", type: "*/*" },
    },
    304: {
      description:
        "If-None-Match names the revision that the key has, or nothing changed during the wait.",
      headers: valueHeaders,
    },
  },
  errors: [
    ...STORE_ERRORS,
    "not_found",
    "compacted",
    "precondition_failed",
    "too_large",
    "too_many_requests",
  ],
  handle(call, { revision, meta, wait, timeout }) {
    const { context, request, key } = call;
    const shown: Shown = {
      key,
      conditions: readConditions(request.headers),
      withMeta: meta === true || request.method === "HEAD",
    };
    if (wait !== undefined) {
      if (revision !== undefined) throw excluding("wait", "revision");
      return answerWait(call, shown, wait, timeout ?? WAIT_MS_DEFAULT);
    }
    if (timeout !== undefined) {
      throw new KvError("invalid_argument", "the parameter timeout goes with wait only");
    }
    const options = revision === undefined ? undefined : { revision };
    const result = context.store.get(key, options);
    // Most values are at hand, and an answer in the same turn is the faster one.
    if (result instanceof Promise) return result.then((late) => answerGet(shown, late));
    return answerGet(shown, result);
  },
});

// --- internal ---

/** What a read is answered for, and with. */
interface Shown {
  readonly key: string;
  readonly conditions: Conditions | undefined;
  readonly withMeta: boolean;
}

/** Types that no browser runs, whole: a list of types or an odd parameter is not one of them. */
const INERT =
  /^(text\/plain|application\/json|application\/octet-stream|image\/(png|jpeg|gif|webp|avif|bmp))(; ?charset=[\w-]+)?$/i;

function excluding(a: string, b: string): KvError {
  return new KvError("invalid_argument", `the parameters ${a} and ${b} exclude each other`);
}

async function answerWait(
  call: Call,
  shown: Shown,
  above: number,
  timeoutMs: number,
): Promise<Response> {
  const { context, request, key } = call;
  const options = { timeoutMs, signal: request.signal };
  const result = await unlimited(call, () =>
    waitFor(context.store, context.waits, key, above, options),
  );
  return result.changed ? answerGet(shown, result) : answerUnchanged(shown, result);
}

function answerGet(shown: Shown, result: GetResult): Response {
  const { key, conditions, withMeta } = shown;
  const { entry } = result;
  if (entry === undefined) throw absentKey(key, result.revision);
  const verdict = evaluateRead(conditions, entry.revision);
  if (verdict === "failed") throw preconditionFailed(key, entry.revision, result.revision);
  const headers = headersOf(entry);
  if (withMeta) addMeta(headers, entry, result.revision);
  if (verdict === "not_modified") return notModified(headers);
  return new Response(entry.value as Uint8Array<ArrayBuffer>, { headers });
}

/** Nothing changed in time: of a key that is absent there is a store's revision only. */
function answerUnchanged(shown: Shown, { revision, entry }: WaitResult): Response {
  const { key, conditions, withMeta } = shown;
  const headers = entry === undefined ? { "Cache-Control": "no-cache" } : headersOf(entry);
  if (entry !== undefined) {
    const verdict = evaluateRead(conditions, entry.revision);
    if (verdict === "failed") throw preconditionFailed(key, entry.revision, revision);
    if (withMeta) addMeta(headers, entry, revision);
  }
  headers[HEADERS.storeRevision] = String(revision);
  return notModified(headers);
}

function notModified(headers: Record<string, string>): Response {
  delete headers["Content-Type"];
  return new Response(null, { status: 304, headers });
}

function headersOf(entry: Entry): Record<string, string> {
  const headers: Record<string, string> = {
    ETag: etag(entry.revision),
    "Content-Type": entry.contentType,
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
  };
  if (!INERT.test(entry.contentType)) {
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'";
  }
  return headers;
}

function addMeta(headers: Record<string, string>, entry: Entry, storeRevision: number): void {
  headers[HEADERS.createRevision] = String(entry.createRevision);
  headers[HEADERS.version] = String(entry.version);
  headers[HEADERS.storeRevision] = String(storeRevision);
  if (entry.expiresAt !== undefined) {
    headers[HEADERS.expiresAt] = new Date(entry.expiresAt).toISOString();
  }
}
