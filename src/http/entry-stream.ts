/**
 * A whole range as a stream, an entry a line, all read at one revision. Pull-only: nothing is read
 * ahead of the client but a part of one page, so neither a slow client nor a long range takes
 * memory. The stream ends whole or with a broken connection, never as if it were whole.
 */

import { KvError } from "../errors.ts";
import { entryToJson, rangeFromJson } from "../json.ts";
import type { ListedEntry, ListOptions, ListResult, Range, Store } from "../kv.ts";
import {
  ENTRY_STREAMS_MAX,
  STREAM_PIECE_BYTES,
  STREAM_READ_BYTES,
  STREAM_READ_ENTRIES_MAX,
} from "../limits.ts";
import { HEADERS, NDJSON_TYPE } from "../protocol.ts";
import { encodeUtf8 } from "../text.ts";
import { etag } from "./answers.ts";
import type { Conditions } from "./conditions.ts";
import type { ListRequest } from "./listing.ts";
import { evaluatePage } from "./pages.ts";
import type { Call } from "./route.ts";

/** What a stream has beside the headers of a page. */
export const STREAM_HEADERS = {
  [HEADERS.storeRevision]: "Of a stream: the revision at which all of it is read.",
  "X-Accel-Buffering": "Of a stream, no: proxies hand it on as it comes.",
};

/**
 * Answers once the first entries are there, so that what is wrong from the start is a status.
 * @throws `invalid_argument` for what a stream has not, `too_many_requests` when there are too many,
 * and what the store's `list` throws.
 */
export async function streamEntries(
  call: Call,
  request: ListRequest,
  conditions: Conditions | undefined,
): Promise<Response> {
  const { store, streams } = call.context;
  refusePages(request);
  const { prefix, start, end, limit, keys = false, reverse = false, revision } = request;
  const range = rangeFromJson({
    ...(prefix === undefined ? undefined : { prefix }),
    ...(start === undefined ? undefined : { start }),
    ...(end === undefined ? undefined : { end }),
  });
  const reader = new EntryReader(store, range, { keys, reverse }, limit);
  const first = await reader.read(revision);
  const headers = {
    ETag: etag(first.revision),
    "Content-Type": NDJSON_TYPE,
    // Nothing that may end too early is for a cache.
    "Cache-Control": "no-store",
    [HEADERS.storeRevision]: String(first.revision),
    "X-Accel-Buffering": "no",
    Vary: "Accept",
  };
  if (!evaluatePage(conditions, first.revision)) {
    const { "Content-Type": _, ...others } = headers;
    return new Response(null, { status: 304, headers: others });
  }
  if (call.request.method === "HEAD") return new Response(null, { headers });
  if (streams.count >= ENTRY_STREAMS_MAX) throw tooManyStreams();
  return new Response(lines(call, reader), { headers });
}

// --- internal ---

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

/** Reads a range page after page, each as large as the entries before let expect. */
class EntryReader {
  readonly #store: Store;
  readonly #range: Range;
  readonly #shape: Pick<ListOptions, "keys" | "reverse">;
  /** Entries that are still wanted. */
  #wanted: number;
  #pageEntries = 64;
  #next: Pick<ListOptions, "after" | "revision"> = {};
  #more = true;
  #entries: readonly ListedEntry[] = [];
  #at = 0;

  constructor(
    store: Store,
    range: Range,
    shape: Pick<ListOptions, "keys" | "reverse">,
    limit = Number.POSITIVE_INFINITY,
  ) {
    this.#store = store;
    this.#range = range;
    this.#shape = shape;
    this.#wanted = limit;
  }

  /** The next entry of those that were read; `undefined` behind the last one. */
  take(): ListedEntry | undefined {
    return this.#entries[this.#at++];
  }

  /** There may be entries that have not been read. */
  get more(): boolean {
    return this.#more && this.#wanted > 0;
  }

  /** Reads the next page, the first one at `revision`. */
  async read(revision?: number): Promise<ListResult> {
    const limit = Math.min(this.#pageEntries, this.#wanted);
    const page = await this.#store.list(this.#range, {
      ...this.#shape,
      ...(revision === undefined ? undefined : { revision }),
      ...this.#next,
      limit,
    });
    this.#entries = page.entries;
    this.#at = 0;
    this.#wanted -= page.entries.length;
    this.#more = page.more;
    if (page.next !== undefined) this.#next = { after: page.next, revision: page.revision };
    this.#pageEntries = nextPageEntries(page);
    return page;
  }
}

function nextPageEntries({ entries }: ListResult): number {
  let bytes = 1;
  for (const { key, value } of entries) bytes += key.length + (value?.length ?? 0);
  const fitting = Math.floor((entries.length * STREAM_READ_BYTES) / bytes);
  return Math.max(1, Math.min(fitting, STREAM_READ_ENTRIES_MAX));
}

function lines(call: Call, reader: EntryReader): ReadableStream<Uint8Array> {
  const { context, request, server } = call;
  const { streams } = context;
  let isOpen = true;
  const ended = (): void => {
    if (isOpen) streams.count--;
    isOpen = false;
  };
  streams.count++;
  return new ReadableStream(
    {
      async pull(controller) {
        // Whoever asks for more has taken what there was.
        server.timeout(request, context.streamIdleSeconds);
        try {
          const piece = await nextPiece(reader);
          if (!isOpen) return;
          if (piece !== undefined) return controller.enqueue(piece);
          controller.close();
        } catch (error) {
          // The status has been sent: all that is left to say it with is the connection.
          if (!(error instanceof KvError) || error.code === "internal") context.onError(error);
          if (isOpen) controller.error(error);
        }
        ended();
      },
      cancel: ended,
    },
    { highWaterMark: 0 },
  );
}

/** Some lines; `undefined` behind the last one. */
async function nextPiece(reader: EntryReader): Promise<Uint8Array | undefined> {
  let text = "";
  while (text.length < STREAM_PIECE_BYTES) {
    const entry = reader.take();
    if (entry !== undefined) {
      text += `${JSON.stringify(entryToJson(entry))}\n`;
      continue;
    }
    if (!reader.more || text !== "") break;
    // A turn of its own for each page: a client that takes all at once is not alone.
    await new Promise<void>((resolve) => setImmediate(resolve));
    await reader.read();
  }
  return text === "" ? undefined : encodeUtf8(text);
}
