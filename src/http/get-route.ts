/** `GET /v1/kv/{key}`: one value as raw bytes, now, at a revision, or as soon as it changes. */

import { KvError } from "../errors.ts";
import type { Entry, GetResult } from "../kv.ts";
import { WAIT_MS_DEFAULT, WAIT_MS_MAX } from "../limits.ts";
import { HEADERS, PATHS, SSE_TYPE } from "../protocol.ts";
import { durationToText } from "../ttl.ts";
import { waitFor, type WaitResult } from "../watch/wait-for.ts";
import { prefers } from "./accept.ts";
import { unlimited } from "./commit.ts";
import { CONDITION_HEADERS, evaluateRead, readConditions, type Conditions } from "./conditions.ts";
import { duration, flag, integer, type ParameterValues } from "./parameters.ts";
import { STORE_ERRORS, defineRoute, type Call, type Route } from "./route.ts";
import { absentKey, preconditionFailed } from "./single.ts";
import { headersOf } from "./value-headers.ts";
import { WATCH_PARAMETERS } from "./watch-route.ts";
import { WATCH_HEADERS, WATCH_REQUEST_HEADERS, streamWatch } from "./watch-stream.ts";

const valueHeaders = {
  ETag: "The revision of the key, in quotes.",
  "Cache-Control": "no-cache: a cache asks again each time; of a watch no-store.",
  "X-Content-Type-Options": "nosniff.",
  "Content-Security-Policy": "Keeps a value that a browser could run from running.",
  [HEADERS.createRevision]: "With meta: the revision that created the key.",
  [HEADERS.version]: "With meta: changes since creation.",
  [HEADERS.expiresAt]: "With meta: when the entry expires (RFC 3339), if it does.",
  [HEADERS.storeRevision]: "With meta, and when a wait is over: the store's revision at the read.",
};

const getParameters = {
  revision: integer("Read the value as it was at this revision.", 0),
  meta: flag("Answer the KV- headers too; HEAD always does."),
  wait: integer("Answer once the key has changed above this revision; 304 when it has not.", 0),
  timeout: duration(
    `How long to wait at most; ${durationToText(WAIT_MS_DEFAULT)} when left out.`,
    WAIT_MS_MAX,
  ),
  ...WATCH_PARAMETERS,
};

export const getRoute: Route = defineRoute({
  method: "GET",
  path: `${PATHS.kv}/{key}`,
  id: "getValue",
  summary: "Read the value of a key",
  parameters: getParameters,
  headers: {
    ...CONDITION_HEADERS,
    ...WATCH_REQUEST_HEADERS,
    Accept: `${SSE_TYPE} to follow the changes of the key instead.`,
  },
  answers: {
    200: {
      description: "The bytes of the value, with the content type they were put with.",
      headers: { ...WATCH_HEADERS, ...valueHeaders },
      body: [
        { description: "The value.", type: "*/*" },
        { description: "The frames of a watch of the key.", type: SSE_TYPE },
      ],
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
  handle(call, parameters) {
    const { context, request, key } = call;
    if (prefers(request.headers.get("accept"), SSE_TYPE)) return watchKey(call, parameters);
    const { revision, meta, wait, timeout, from, initial, prev, keys, latest } = parameters;
    if ((from ?? initial ?? prev ?? keys ?? latest) !== undefined) {
      refuse({ from, initial, prev, keys, latest }, `goes with Accept: ${SSE_TYPE} only`);
    }
    const shown: Shown = {
      key,
      conditions: readConditions(request.headers),
      withMeta: meta === true || request.method === "HEAD",
    };
    if (wait !== undefined) {
      if (revision !== undefined) throw excluding("wait", "revision");
      return answerWait(call, shown, wait, timeout ?? WAIT_MS_DEFAULT);
    }
    if (timeout !== undefined) refuse({ timeout }, "goes with wait only");
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

/** The changes of the key instead of its value. */
function watchKey(
  call: Call,
  { revision, meta, wait, timeout, ...options }: ParameterValues<typeof getParameters>,
): Promise<Response> {
  refuse({ revision, meta, wait, timeout }, `is not for a watch (Accept: ${SSE_TYPE})`);
  return streamWatch(call, "sse", { range: { key: call.key }, ...options });
}

/** None of the parameters may be given; `reason` says why. */
function refuse(parameters: Readonly<Record<string, unknown>>, reason: string): void {
  for (const name in parameters) {
    if (parameters[name] === undefined) continue;
    throw new KvError("invalid_argument", `the parameter ${name} ${reason}`);
  }
}

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
  const shared = headersOf(entry);
  const isNew = verdict === "answer";
  const headers = withMeta || !isNew ? new Headers(shared) : shared;
  if (withMeta) addMeta(headers, entry, result.revision);
  if (!isNew) return notModified(headers);
  return new Response(entry.value as Uint8Array<ArrayBuffer>, { headers });
}

/** Nothing changed in time: of a key that is absent there is a store's revision only. */
function answerUnchanged(shown: Shown, { revision, entry }: WaitResult): Response {
  const { key, conditions, withMeta } = shown;
  const headers = new Headers(
    entry === undefined ? { "Cache-Control": "no-cache" } : headersOf(entry),
  );
  if (entry !== undefined) {
    const verdict = evaluateRead(conditions, entry.revision);
    if (verdict === "failed") throw preconditionFailed(key, entry.revision, revision);
    if (withMeta) addMeta(headers, entry, revision);
  }
  headers.set(HEADERS.storeRevision, String(revision));
  return notModified(headers);
}

function notModified(headers: Headers): Response {
  headers.delete("Content-Type");
  return new Response(null, { status: 304, headers });
}

function addMeta(headers: Headers, entry: Entry, storeRevision: number): void {
  headers.set(HEADERS.createRevision, String(entry.createRevision));
  headers.set(HEADERS.version, String(entry.version));
  headers.set(HEADERS.storeRevision, String(storeRevision));
  if (entry.expiresAt !== undefined) {
    headers.set(HEADERS.expiresAt, new Date(entry.expiresAt).toISOString());
  }
}
