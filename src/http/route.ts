/**
 * What a route is. One table of them drives routing, the strict reading of parameters, 405 and
 * OPTIONS, and the API description, so that none of these can disagree.
 */

import type { ErrorCode } from "../errors.ts";
import type { MaybePromise, Store } from "../kv.ts";
import type { Schema } from "../schema.ts";
import type { Hub } from "../watch/hub.ts";
import type { KeyWaits } from "../watch/key-waits.ts";
import type { QueryParameters, ParameterValues } from "./parameters.ts";
import type { SocketEndpoint } from "./socket.ts";
import type { WatchStreams } from "./watch-streams.ts";

export type Method = "GET" | "PUT" | "DELETE" | "POST";

/** What the handlers share: everything that outlives a request. */
export interface Context {
  readonly store: Store;
  /** Version of the server, as `/` and `/v1/status` answer it. */
  readonly version: string;
  /** When the server started, in milliseconds since 1970. */
  readonly startedAt: number;
  /** Seconds without a request or a piece of a body after which a connection is closed. */
  readonly idleSeconds: number;
  /** Seconds after which a stream is cut of which nothing is taken. */
  readonly streamIdleSeconds: number;
  /** Bytes of large bodies that are being read now, on all connections. */
  readonly bodies: { bytes: number };
  /** Streams of entries that are open now. */
  readonly streams: { count: number };
  /** Copies of the store that are being streamed now. */
  readonly snapshots: { count: number };
  /** Blocking reads that wait for a change. */
  readonly waits: KeyWaits;
  /** Who watches what. */
  readonly hub: Hub;
  /** Streams of watches that are open now. */
  readonly watchStreams: WatchStreams;
  /** Milliseconds between two signs of life on a stream that has nothing to say. */
  readonly heartbeatMs: number;
  /** Switches a checked request over to WebSocket; a response when it does not. */
  readonly upgrade: SocketEndpoint["upgrade"];
  /** The server has begun to stop. */
  readonly stopping: () => boolean;
  /** Gets what no client is told: bugs, and faults of the server. */
  readonly onError: (error: unknown) => void;
}

/** The platform's server. */
export type HttpServer = Parameters<SocketEndpoint["upgrade"]>[1];

/** One request on its way to a handler. */
export interface Call {
  readonly context: Context;
  readonly request: Request;
  readonly server: HttpServer;
  /** The key in the path; empty where the path has none. */
  readonly key: string;
}

/** A body of a request or an answer: JSON of a schema, or bytes and text as they are. */
export interface Body {
  readonly description: string;
  readonly type: string;
  readonly schema?: Schema;
}

export interface Answer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Several where the client chooses the type. */
  readonly body?: Body | readonly Body[];
}

export interface Route<P extends QueryParameters = QueryParameters> {
  readonly method: Method;
  /** `{key}` stands for the rest of the path, slashes included. */
  readonly path: string;
  /** Name of the operation in the API description. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters: P;
  /** Headers that the handler reads, and what they say. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  /** By status. A GET answers HEAD too, with the same headers and no body. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** What it may fail with beyond a bad request. */
  readonly errors: readonly ErrorCode[];
  /** The platform's `Response`, or nothing once the connection was handed to a socket. */
  readonly handle: (
    call: Call,
    parameters: ParameterValues<P>,
  ) => MaybePromise<Response | undefined>;
}

/** What every route that asks the store may fail with. */
export const STORE_ERRORS: readonly ErrorCode[] = ["permission_denied", "internal", "unavailable"];

/** What every route that writes may fail with. */
export const WRITE_ERRORS: readonly ErrorCode[] = [
  ...STORE_ERRORS,
  "too_large",
  "outcome_unknown",
  "storage_full",
];

/** Ties the handler's parameters to their descriptions, then forgets the types. */
export function defineRoute<P extends QueryParameters>(route: Route<P>): Route {
  return route as unknown as Route;
}
