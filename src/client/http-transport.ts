/**
 * One request over `fetch`: its timeout, its abort, and what its failure means. Knows status codes
 * only as far as telling a redirect and an answer of kv from anything else; what an answer says is
 * read above.
 */

import { KvError } from "../errors.ts";
import { errorFromJson } from "../json.ts";
import { CLIENT_TIMEOUT_MS } from "../limits.ts";
import { NDJSON_TYPE } from "../protocol.ts";
import { decodeUtf8 } from "../text.ts";
import {
  answeredByOther,
  closed,
  connectionFailed,
  pathUnknown,
  redirected,
  timedOut,
  type Attempt,
} from "./failures.ts";
import { Stop } from "./stop.ts";
import type { ServerUrl } from "./url.ts";

export interface RequestOptions {
  /** Gives up with the signal's reason; a write may still be applied then. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for the whole request, its answer included; `Infinity` = as long as it takes. */
  readonly timeoutMs?: number | undefined;
}

export interface HttpRequest extends RequestOptions {
  readonly method: "GET" | "PUT" | "POST";
  /** From its slash on, with the query: what follows the server's address. */
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  /**
   * Milliseconds for which the server may hold its answer back, on top of the timeout. Above 0, 304
   * is an answer too (nothing has happened), and `close` ends the request.
   */
  readonly waitMs?: number;
}

/** An answer that goes on until its reader cancels it or the server ends it. */
export interface HttpStream {
  /** The next bytes; `undefined` at the end. @throws `unavailable` when the connection breaks. */
  read(): Promise<Uint8Array | undefined>;
  /** Lets go of the connection; a read that waits for it rejects. */
  cancel(): void;
}

/** An answer with a status below 300; 304 where it was waited for. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

export interface TransportOptions {
  /** For requests that name none; milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Ends every request, those in flight too, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

export class HttpTransport {
  readonly url: ServerUrl;
  /** Milliseconds for requests that name none. */
  readonly timeoutMs: number;
  /** Ends every request with its reason. */
  readonly signal: AbortSignal | undefined;
  readonly #running = new Set<Promise<unknown>>();
  /** Ends the requests that wait. */
  readonly #ending = new AbortController();
  #closed = false;

  constructor(url: ServerUrl, options: TransportOptions = {}) {
    this.url = url;
    this.timeoutMs = options.timeoutMs ?? CLIENT_TIMEOUT_MS;
    this.signal = options.signal;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /**
   * Does a piece of work that makes requests; `close` waits for its end.
   * @throws `unavailable` when the transport is closed.
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw closed();
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /**
   * Sends a request once and reads the whole answer.
   * @throws the error that kv answered; `unavailable` when no kv was reached; `outcome_unknown`
   * when a write may have reached it; the reason of `signal`.
   */
  async request(request: HttpRequest): Promise<HttpAnswer> {
    const attempt = { url: this.url.http, write: request.method !== "GET" };
    const { waitMs = 0 } = request;
    const ending = waitMs > 0 ? this.#ending.signal : undefined;
    const sources = [this.signal, request.signal, ending];
    for (const source of sources) source?.throwIfAborted();
    const timeoutMs = (request.timeoutMs ?? this.timeoutMs) + waitMs;
    const stop = new Stop(timeoutMs, sources);
    try {
      const answer = await this.#fetch(request, stop.signal);
      if (waitMs > 0 && answer.status === 304) return answer;
      throwIfError(attempt, answer);
      return answer;
    } catch (error) {
      if (error instanceof KvError) throw error;
      if (stop.timedOut) throw timedOut(attempt, timeoutMs);
      for (const source of sources) source?.throwIfAborted();
      throw connectionFailed(attempt, error);
    } finally {
      stop.forget();
    }
  }

  /** As `request`, for an answer in JSON that `isShape` accepts; anything else is not kv's. */
  async json<T>(request: HttpRequest, isShape: (json: Partial<T>) => boolean): Promise<T> {
    const answer = await this.request(request);
    const json = parse(answer.bytes) as T;
    if (typeof json === "object" && json !== null && isShape(json)) return json;
    throw this.notKv(request, answer);
  }

  /**
   * Begins a stream of JSON lines, or of what else `type` says; `timeoutMs` is for its beginning
   * alone.
   * @throws as `request`; a stream that cannot be begun is `unavailable`.
   */
  async stream(
    path: string,
    options: RequestOptions,
    type: string = NDJSON_TYPE,
  ): Promise<HttpStream> {
    const attempt = { url: this.url.http, write: false };
    const sources = [this.signal, options.signal];
    for (const source of sources) source?.throwIfAborted();
    const { timeoutMs = this.timeoutMs } = options;
    const stop = new Stop(timeoutMs, sources);
    try {
      const headers = { Accept: type };
      const response = await this.#send(
        { method: "GET", path, headers, endless: true },
        stop.signal,
      );
      const isStream = response.headers.get("Content-Type")?.startsWith(type) ?? false;
      if (response.status !== 200 || !isStream || response.body === null) {
        const answer = await readWhole(response);
        throwIfError(attempt, answer);
        throw this.notKv({ method: "GET", path }, answer);
      }
      stop.endTimeout();
      return streamOf(response.body, stop, attempt);
    } catch (error) {
      stop.forget();
      if (error instanceof KvError) throw error;
      if (stop.timedOut) throw timedOut(attempt, timeoutMs);
      for (const source of sources) source?.throwIfAborted();
      throw connectionFailed(attempt, error);
    }
  }

  /** The error for an answer that is none of kv's. */
  notKv(request: HttpRequest, answer: HttpAnswer): KvError {
    const attempt = { url: this.url.http, write: request.method !== "GET" };
    return answeredByOther(attempt, answer.status, answer.headers.get("Content-Type"));
  }

  /**
   * Later work fails with `unavailable`, and so do the requests that wait; resolves when what runs
   * has ended.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#ending.abort(closed());
    await Promise.allSettled(this.#running);
  }

  async #fetch(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    return readWhole(await this.#send(request, signal));
  }

  #send(request: HttpRequest & { endless?: boolean }, signal: AbortSignal): Promise<Response> {
    const { waitMs = 0, endless = false } = request;
    return fetch(`${this.url.http}${request.path}`, {
      method: request.method,
      headers: request.headers ?? {},
      ...(request.body === undefined ? undefined : { body: request.body }),
      signal,
      redirect: "manual",
      // A browser's cache would share one answer among all who wait for the same.
      ...(waitMs > 0 || endless ? { cache: "no-store" } : undefined),
      // Bun sends a PUT again by itself when a reused connection breaks before the answer, which
      // could apply it twice. A connection of its own keeps it from that; it never does so to a
      // POST.
      ...(request.method === "PUT" ? { keepalive: false } : undefined),
      // Bun would cut what is silent for five minutes.
      ...(endless ? { timeout: false } : undefined),
      // Bun would send even this machine's own addresses through HTTP_PROXY.
      ...(this.url.loopback ? { proxy: false } : undefined),
    } as RequestInit);
  }
}

// --- internal ---

async function readWhole(response: Response): Promise<HttpAnswer> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, bytes };
}

function streamOf(body: ReadableStream<Uint8Array>, stop: Stop, attempt: Attempt): HttpStream {
  const reader = body.getReader();
  return {
    async read() {
      try {
        const { done, value } = await reader.read();
        if (done) stop.forget();
        return done ? undefined : value;
      } catch (error) {
        stop.forget();
        throw connectionFailed(attempt, error);
      }
    },
    cancel() {
      stop.forget();
      stop.abort();
    },
  };
}

function throwIfError(attempt: Attempt, answer: HttpAnswer): void {
  const { status, headers, bytes } = answer;
  // A browser shows a redirect as status 0.
  if (status === 0 || (status >= 300 && status < 400)) {
    throw redirected(attempt, status, headers.get("Location"));
  }
  if (status < 400) return;
  const error = errorFromJson(parse(bytes));
  if (error === undefined) throw answeredByOther(attempt, status, headers.get("Content-Type"));
  throw error.code === "unknown_path" ? pathUnknown(attempt, error) : error;
}

/** The JSON of an answer; `undefined` when it is none. */
function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8(bytes) ?? "");
  } catch {
    return undefined;
  }
}
