/** Starts and stops the HTTP server over a store. */

import { KvError } from "../errors.ts";
import type { Store } from "../kv.ts";
import { JSON_BODY_BYTES_MAX } from "../limits.ts";
import { VERSION } from "../version.ts";
import { makeGuard } from "./guard.ts";
import { makeHandler, type Handler } from "./handler.ts";
import type { HttpServer } from "./route.ts";

export interface ServerOptions {
  readonly store: Store;
  /** An address or a name to listen on. */
  readonly host: string;
  /** 0 = the system picks one. */
  readonly port: number;
  readonly allowedHosts?: readonly string[];
  readonly allowedOrigins?: readonly string[];
  readonly version?: string;
  /** Gets what no client is told: errors that are bugs or faults of the server. */
  readonly onError?: (error: unknown) => void;
}

export interface RunningServer {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Finishes what is in flight, ends watches, closes connections. Does not close the store. */
  stop(): Promise<void>;
}

/** @throws `invalid_argument` for a bad option, `unavailable` when the port cannot be had. */
export function startServer(options: ServerOptions): RunningServer {
  const { store, host, onError = () => {} } = options;
  let stopping = false;
  const handler = makeHandler({
    context: {
      store,
      version: options.version ?? VERSION,
      startedAt: Date.now(),
      watchers: () => 0,
      upgrade: () => undefined,
      stopping: () => stopping,
    },
    guard: makeGuard({
      allowedHosts: options.allowedHosts ?? [],
      allowedOrigins: options.allowedOrigins ?? [],
    }),
    onError,
  });
  const server = listen(options, handler, onError);
  return {
    host,
    port: server.port!,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    async stop() {
      stopping = true;
      await server.stop();
    },
  };
}

// --- internal ---

function listen(
  { host, port }: ServerOptions,
  handler: Handler,
  onError: (error: unknown) => void,
): Bun.Server<unknown> {
  try {
    return Bun.serve<unknown>({
      hostname: host,
      port,
      development: false,
      maxRequestBodySize: JSON_BODY_BYTES_MAX,
      // The platform matches routes on the raw path, before dot segments are resolved.
      routes: {
        "/v1/kv/*": (request: Request, server: HttpServer) =>
          handler(request, server, true) as Response,
      },
      fetch: (request, server) => handler(request, server, false) as Response,
      error(error) {
        onError(error);
        return new Response(null, { status: 500 });
      },
    });
  } catch (error) {
    throw cannotListen(error, host, port);
  }
}

function cannotListen(error: unknown, host: string, port: number): KvError {
  const code = (error as { code?: unknown }).code;
  const reasons: Record<string, string> = {
    EADDRINUSE: "something else is listening there; choose another with --port",
    EACCES: "this user may not use that port; choose one from 1024 up with --port",
    EADDRNOTAVAIL: "this machine does not have that address; choose another with --host",
  };
  const reason = typeof code === "string" ? (reasons[code] ?? code) : String(error);
  return new KvError("unavailable", `cannot listen on ${host} port ${port}: ${reason}`, {}, error);
}
