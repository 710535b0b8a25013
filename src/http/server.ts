/** Starts and stops the HTTP server over a store, and the WebSocket endpoint with its hub in it. */

import { KvError } from "../errors.ts";
import type { Store } from "../kv.ts";
import {
  CONNECTION_IDLE_SECONDS,
  STOP_MS,
  STREAM_HEARTBEAT_MS,
  STREAM_IDLE_SECONDS,
} from "../limits.ts";
import { VERSION } from "../version.ts";
import { Hub } from "../watch/hub.ts";
import { KeyWaits } from "../watch/key-waits.ts";
import { makeGuard } from "./guard.ts";
import { makeHandler, type Handler } from "./handler.ts";
import type { HttpServer } from "./route.ts";
import { KEYED_RESOURCES } from "./routes.ts";
import { createSocketEndpoint, type SocketEndpoint } from "./socket.ts";
import { WatchStreams } from "./watch-streams.ts";

export interface ServerOptions {
  readonly store: Store;
  /** An address or a name to listen on. */
  readonly host: string;
  /** 0 = the system picks one. */
  readonly port: number;
  /** Names that `Host` may have besides addresses and local names. */
  readonly allowedHosts?: readonly string[];
  /** Origins (`https://app.example.com`) whose pages may use the API. */
  readonly allowedOrigins?: readonly string[];
  readonly version?: string;
  /** Milliseconds between two looks at which watches were silent while the store moved. */
  readonly progressMs?: number;
  /** Milliseconds between two signs of life on a stream of a watch that has nothing to say. */
  readonly heartbeatMs?: number;
  /** Seconds of silence after which a connection is closed; the platform looks every four. */
  readonly idleSeconds?: number;
  /** Seconds after which a stream is cut of which nothing is taken. */
  readonly streamIdleSeconds?: number;
  /** Gets what no client is told: bugs, and faults of the server. By default they go to stderr. */
  readonly onError?: (error: unknown) => void;
}

export interface RunningServer {
  readonly host: string;
  /** The one that the system picked, when it was asked to. */
  readonly port: number;
  readonly url: string;
  /**
   * Ends watches with reason `shutdown` and blocking reads with `unavailable`, finishes what is in
   * flight, for `STOP_MS` at most, and closes every connection. Does not close the store.
   */
  stop(): Promise<void>;
}

/** @throws `invalid_argument` for a bad option, `unavailable` when the port cannot be had. */
export function startServer(options: ServerOptions): RunningServer {
  const { store, host, version = VERSION, onError = console.error } = options;
  const guard = makeGuard(options.allowedHosts ?? [], options.allowedOrigins ?? []);
  const { progressMs, idleSeconds = CONNECTION_IDLE_SECONDS } = options;
  const hub = new Hub({ store, ...(progressMs === undefined ? undefined : { progressMs }) });
  const waits = new KeyWaits(store);
  const watchStreams = new WatchStreams();
  const endpoint = createSocketEndpoint({ store, hub, onError });
  let stopped: Promise<void> | undefined;
  const context = {
    store,
    version,
    startedAt: Date.now(),
    idleSeconds,
    streamIdleSeconds: options.streamIdleSeconds ?? STREAM_IDLE_SECONDS,
    bodies: { bytes: 0 },
    streams: { count: 0 },
    snapshots: { count: 0 },
    waits,
    hub,
    watchStreams,
    heartbeatMs: options.heartbeatMs ?? STREAM_HEARTBEAT_MS,
    upgrade: endpoint.upgrade,
    stopping: () => stopped !== undefined,
    onError,
  };
  const server = listen(options, makeHandler({ context, guard }), endpoint);
  return {
    host,
    port: server.port!,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    stop: () => {
      waits.stop();
      return (stopped ??= stop(server, endpoint, watchStreams));
    },
  };
}

/**
 * Throws what `startServer` with these options would, before there is a store. The port is let go
 * of again, so that `startServer` may still find it taken.
 */
export async function checkStart(options: Omit<ServerOptions, "store">): Promise<void> {
  const { host, port } = options;
  makeGuard(options.allowedHosts ?? [], options.allowedOrigins ?? []);
  try {
    await Bun.serve({ ...address(host, port), fetch: notYet }).stop(true);
  } catch (error) {
    throw cannotListen(error, host, port);
  }
}

// --- internal ---

/** Milliseconds between two looks at whether anything is in flight that is worth waiting for. */
const STOP_LOOK_MS = 20;

function notYet(): Response {
  return new Response(null, { status: 503 });
}

function address(hostname: string, port: number) {
  // Outside of development the platform would share a taken port with whoever has it.
  return { hostname, port, development: false, reusePort: false } as const;
}

function listen(options: ServerOptions, handler: Handler, endpoint: SocketEndpoint): HttpServer {
  const { host, port, onError = console.error, idleSeconds = CONNECTION_IDLE_SECONDS } = options;
  try {
    return Bun.serve({
      ...address(host, port),
      idleTimeout: idleSeconds,
      // Bodies have their bounds where they are read, with an answer that says so.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      // The platform matches routes on the raw path, before dot segments are resolved.
      routes: Object.fromEntries(
        KEYED_RESOURCES.map((resource) => [
          `${resource.keyStart}*`,
          (request: Request, server: HttpServer) => handler(request, server, resource) as Response,
        ]),
      ),
      fetch: (request, server) => handler(request, server) as Response,
      websocket: endpoint.websocket,
      error(error) {
        onError(error);
        return new Response(null, { status: 500 });
      },
    });
  } catch (error) {
    throw cannotListen(error, host, port);
  }
}

async function stop(
  server: HttpServer,
  endpoint: SocketEndpoint,
  watchStreams: WatchStreams,
): Promise<void> {
  const finished = server.stop();
  // The end of the endpoint is the end of the hub, and so of every watch.
  const [broken] = await Promise.all([watchStreams.stop(), endpoint.stop()]);
  // A request whose body never ends would hold the stop for ever. The platform counts a stream that
  // was broken off until its client takes what was sent before.
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, STOP_MS);
  const look = setInterval(() => {
    if (server.pendingRequests <= broken) late.resolve();
  }, STOP_LOOK_MS);
  await Promise.race([finished, late.promise]);
  clearTimeout(timer);
  clearInterval(look);
  await server.stop(true);
}

function cannotListen(error: unknown, host: string, port: number): KvError {
  const code = (error as { code?: unknown }).code;
  const unknown =
    "that host is not known, or no address of this machine; choose another with --host";
  const reasons: Record<string, string> = {
    EADDRINUSE: "something else is listening there; choose another with --port",
    EACCES: "this user may not use that port; choose one from 1024 up with --port",
    EINVAL: unknown,
    ENOTFOUND: unknown,
    ERR_INVALID_ARG_TYPE: unknown,
    EADDRNOTAVAIL: "this machine does not have that address; choose another with --host",
  };
  const reason = typeof code === "string" ? (reasons[code] ?? code) : String(error);
  return new KvError("unavailable", `cannot listen on ${host} port ${port}: ${reason}`, {}, error);
}
