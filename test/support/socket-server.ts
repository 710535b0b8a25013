/** The WebSocket endpoint alone on a port of its own, with a hub whose times a test can choose. */

import type { Store } from "../../src/kv.ts";
import { createSocketEndpoint, type SocketData } from "../../src/http/socket.ts";
import { Hub } from "../../src/watch/hub.ts";

export interface SocketServer extends AsyncDisposable {
  readonly url: string;
  readonly hub: Hub;
  /** Faults that the endpoint reported; a test that expects none looks here. */
  readonly errors: readonly unknown[];
  stop(): Promise<void>;
}

/** Those of the server when they are left out. */
export interface SocketSettings {
  readonly connectionsMax?: number;
  readonly progressMs?: number;
  readonly pingMs?: number;
  readonly closeMs?: number;
}

export function startSocketServer(store: Store, settings: SocketSettings = {}): SocketServer {
  const hub = new Hub({ store, ...settings });
  const errors: unknown[] = [];
  const endpoint = createSocketEndpoint({
    store,
    hub,
    onError: (error) => errors.push(error),
    ...settings,
  });
  const server = Bun.serve<SocketData>({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    websocket: endpoint.websocket,
    fetch: (request, server) => endpoint.upgrade(request, server),
  });
  const stop = async (): Promise<void> => {
    await endpoint.stop();
    await server.stop(true);
  };
  return {
    url: `http://127.0.0.1:${server.port}`,
    hub,
    errors,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
