/**
 * A watch as the answer to a request: server-sent events, or a JSON object a line. What is wrong
 * from the start is a status; from then on everything is a frame.
 */

import { KvError } from "../errors.ts";
import { SSE_RETRY_MS } from "../limits.ts";
import { NDJSON_TYPE, SSE_TYPE } from "../protocol.ts";
import { encodeUtf8, quote } from "../text.ts";
import type { WatchOptions } from "../watch/watch-session.ts";
import { progressFrame } from "../watch/frames.ts";
import type { StreamTransport, WatchStream } from "../watch/stream-subscriber.ts";
import { refuseConditions } from "./conditions.ts";
import type { Call } from "./route.ts";
import { streamBody } from "./stream-body.ts";
import type { StreamPlace } from "./watch-streams.ts";

/** What the answers have beside their type. */
export const WATCH_HEADERS = {
  "Cache-Control": "no-store.",
  "X-Accel-Buffering": "no: proxies hand the stream on as it comes.",
  Vary: "Accept.",
};

export const LAST_EVENT_ID = "Last-Event-ID";

/** What the route reads of the headers of a request. */
export const WATCH_REQUEST_HEADERS = {
  [LAST_EVENT_ID]: "The id of the last event received: as from, one higher, and instead of it.",
};

/**
 * Answers once the watch has begun.
 * @throws what `Hub.openStream` does; `invalid_argument` for a header that says nothing here,
 * `too_many_requests` where there are too many streams.
 */
export async function streamWatch(
  call: Call,
  transport: StreamTransport,
  options: WatchOptions,
): Promise<Response> {
  const { context, request } = call;
  const { hub, watchStreams } = context;
  refuseConditions(request.headers, "a watch has no revision");
  const begun = withLastEventId(options, request.headers);
  const place = watchStreams.take();
  let watch: WatchStream;
  try {
    watch = await hub.openStream(transport, begun);
  } catch (error) {
    watchStreams.free(place);
    if (transport !== "sse" || !context.stopping()) throw error;
    return new Response(GOODBYE, init(transport));
  }
  if (request.method === "HEAD") {
    watch.close();
    watchStreams.free(place);
    return new Response(null, init(transport));
  }
  // Where the client has gone meanwhile, the platform cancels the body at once.
  return new Response(bodyOf(call, transport, watch, place), init(transport));
}

// --- internal ---

/** What a browser makes of the end of a stream is decided here: it comes back after this time. */
const RETRY = `retry: ${SSE_RETRY_MS}\n\n`;

/** A browser that gets a status instead of a stream never comes back, and this server soon does. */
const GOODBYE = `${RETRY}event: end\ndata: {"reason":"shutdown"}\n\n`;

const TYPES: Readonly<Record<StreamTransport, string>> = { sse: SSE_TYPE, ndjson: NDJSON_TYPE };

const COMMENT = encodeUtf8(":\n\n");

/**
 * What shows that the connection is alive while there is nothing to say. A line of JSON repeats how
 * far the watch has come, unless it is in the middle of something.
 */
function heartbeat(transport: StreamTransport, { through }: WatchStream): Uint8Array | undefined {
  if (transport === "sse") return COMMENT;
  return through === undefined ? undefined : progressFrame(0, through).ndjson;
}

function init(transport: StreamTransport): ResponseInit {
  const headers = {
    "Content-Type": TYPES[transport],
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    Vary: "Accept",
  };
  return { headers };
}

function withLastEventId(options: WatchOptions, headers: Headers): WatchOptions {
  const id = headers.get(LAST_EVENT_ID);
  if (id === null) return options;
  const revision = Number(id);
  if (/^(0|[1-9][0-9]*)$/.test(id) && Number.isSafeInteger(revision + 1)) {
    return { ...options, from: revision + 1 };
  }
  throw new KvError(
    "invalid_argument",
    `${LAST_EVENT_ID} is ${quote(id)}; it must be the id of an event of this server, a revision`,
  );
}

function bodyOf(
  call: Call,
  transport: StreamTransport,
  watch: WatchStream,
  place: StreamPlace,
): ReadableStream<Uint8Array> {
  const { watchStreams, heartbeatMs } = call.context;
  let head = transport === "sse" ? encodeUtf8(RETRY) : undefined;
  const { stream, abort } = streamBody(call, {
    async next() {
      for (;;) {
        const read = await watch.read(heartbeatMs);
        if (read === "end") return undefined;
        const piece = read === "idle" ? heartbeat(transport, watch) : read;
        if (piece === undefined) continue;
        if (head === undefined) return piece;
        const first = Buffer.concat([head, piece]);
        head = undefined;
        return first;
      }
    },
    ended() {
      watchStreams.free(place);
      watch.close();
    },
  });
  place.abort = abort;
  return stream;
}
