/**
 * A whole range as a stream, an entry a line, all read at one revision. Pull-only: nothing is made
 * ahead of the client, so neither a slow client nor a long range takes memory. The stream ends
 * whole or with a broken connection, never as if it were whole.
 */

import { KvError } from "../errors.ts";
import { rangeFromJson } from "../json.ts";
import { ENTRY_STREAMS_MAX } from "../limits.ts";
import { HEADERS, NDJSON_TYPE } from "../protocol.ts";
import { etag } from "./answers.ts";
import type { Conditions } from "./conditions.ts";
import { EntryReader } from "./entry-reader.ts";
import { rangeTexts, type ListRequest } from "./listing.ts";
import { evaluatePage } from "./pages.ts";
import type { Call } from "./route.ts";
import { streamBody } from "./stream-body.ts";

/** What a stream has beside the headers of a page. */
export const STREAM_HEADERS = {
  [HEADERS.storeRevision]: "Of a stream: the revision at which all of it is read.",
  "X-Accel-Buffering": "Of a stream, no: proxies hand it on as it comes.",
};

/**
 * Answers once the first entries are there, so that what is wrong from the start is a status.
 * @throws `invalid_argument` for what a stream has not, `too_many_requests` when there are too
 * many, and what the store's `list` throws.
 */
export async function streamEntries(
  call: Call,
  request: ListRequest,
  conditions: Conditions | undefined,
): Promise<Response> {
  const { store } = call.context;
  refusePages(request);
  const { limit, keys = false, reverse = false } = request;
  const range = rangeFromJson(rangeTexts(request));
  const options = { keys, reverse, ...(limit === undefined ? undefined : { limit }) };
  const reader = new EntryReader(store, range, options);
  const revision = await reader.begin(request.revision);
  try {
    return answer(call, reader, revision, conditions);
  } catch (error) {
    reader.end();
    throw error;
  }
}

// --- internal ---

/** The head at once, and the lines of `reader` behind it where they are wanted. */
function answer(
  call: Call,
  reader: EntryReader,
  revision: number,
  conditions: Conditions | undefined,
): Response {
  const { streams } = call.context;
  const headers: Record<string, string> = {
    ETag: etag(revision),
    // Nothing that may end too early is for a cache.
    "Cache-Control": "no-store",
    [HEADERS.storeRevision]: String(revision),
    "X-Accel-Buffering": "no",
    Vary: "Accept",
  };
  const isNew = evaluatePage(conditions, revision);
  if (isNew) headers["Content-Type"] = NDJSON_TYPE;
  if (!isNew || call.request.method === "HEAD") {
    reader.end();
    return new Response(null, { status: isNew ? 200 : 304, headers });
  }
  if (streams.count >= ENTRY_STREAMS_MAX) throw tooManyStreams();
  return new Response(bodyOf(reader, call), { headers });
}

function refusePages({ count, delimiter, cursor }: ListRequest): void {
  const [name] = Object.entries({ count: count === true || undefined, delimiter, cursor })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);
  if (name === undefined) return;
  throw new KvError(
    "invalid_argument",
    `a stream has no ${name}; ask for ${name} with Accept: application/json`,
  );
}

function tooManyStreams(): KvError {
  return new KvError(
    "too_many_requests",
    `there are ${ENTRY_STREAMS_MAX} streams, the most allowed; try again later`,
    { limit: ENTRY_STREAMS_MAX },
  );
}

function bodyOf(reader: EntryReader, call: Call): ReadableStream {
  const { streams } = call.context;
  streams.count++;
  const { stream } = streamBody(call, {
    next: () => reader.lines(),
    ended() {
      streams.count--;
      reader.end();
    },
  });
  return stream;
}
