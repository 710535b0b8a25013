/**
 * The WebSocket endpoint `/v1/ws`: upgrades, the platform's handlers, pings, and the end. What
 * happens on a connection stands in `socket-connection.ts`. Host and Origin are checked before it.
 */

import { KvError } from "../errors.ts";
import type { Store } from "../kv.ts";
import {
  SOCKET_BACKPRESSURE_BYTES_MAX,
  SOCKET_CLOSE_MS,
  SOCKET_CONNECTIONS_MAX,
  SOCKET_IDLE_SECONDS,
  SOCKET_MESSAGE_BYTES_MAX,
  SOCKET_PING_SECONDS,
} from "../limits.ts";
import { PATHS, SUBPROTOCOL } from "../protocol.ts";
import type { Hub } from "../watch/hub.ts";
import { failure } from "./answers.ts";
import { Connection } from "./socket-connection.ts";
import { FramePool } from "./socket-frames.ts";

/** What the platform keeps for each socket. */
export interface SocketData {
  connection: Connection | undefined;
}

export interface SocketEndpointOptions {
  readonly store: Store;
  readonly hub: Hub;
  /** Gets what is a fault of the server; by default it is written to stderr. */
  readonly onError?: (error: unknown) => void;
  /** Connections at the same time. */
  readonly connectionsMax?: number;
  /** Milliseconds between pings. */
  readonly pingMs?: number;
  /** Milliseconds that a stop waits for clients to take what was sent to them. */
  readonly closeMs?: number;
}

export interface SocketEndpoint {
  readonly websocket: Bun.WebSocketHandler<SocketData>;
  /** Takes the connection over, or answers why not. */
  upgrade(request: Request, server: Bun.Server<SocketData>): Response | undefined;
  /**
   * Ends all watches with reason `shutdown`, answers what has begun, refuses what has not, and
   * closes with 1001. Resolves when all connections are closed.
   */
  stop(): Promise<void>;
}

export function createSocketEndpoint(options: SocketEndpointOptions): SocketEndpoint {
  const { store, hub, onError = console.error } = options;
  const { connectionsMax = SOCKET_CONNECTIONS_MAX, closeMs = SOCKET_CLOSE_MS } = options;
  const { pingMs = SOCKET_PING_SECONDS * 1_000 } = options;
  const connections = new Set<Connection>();
  const frames = new FramePool(store, onError);
  const requests = { bytes: 0 };
  let publisher: Bun.Server<SocketData> | undefined;
  let stopping = false;
  hub.publishThrough({
    publish(topic, frame) {
      // A frame that only streams get need not be written for sockets.
      if (publisher === undefined || publisher.subscriberCount(topic) === 0) return;
      publisher.publish(topic, frame.socketText);
    },
  });
  const pings = setInterval(() => {
    for (const connection of connections) connection.ping();
  }, pingMs);
  pings.unref();

  const websocket: Bun.WebSocketHandler<SocketData> = {
    perMessageDeflate: false,
    closeOnBackpressureLimit: true,
    backpressureLimit: SOCKET_BACKPRESSURE_BYTES_MAX,
    maxPayloadLength: SOCKET_MESSAGE_BYTES_MAX,
    idleTimeout: SOCKET_IDLE_SECONDS,
    sendPings: false,
    open(socket) {
      const connection = new Connection(socket, { store, hub, frames, requests, onError });
      socket.data.connection = connection;
      connections.add(connection);
      if (stopping) void connection.stop(1001, STOPPING);
    },
    message: (socket, message) => socket.data.connection?.receive(message),
    pong: (socket) => socket.data.connection?.heard(),
    drain: (socket) => socket.data.connection?.drained(),
    close(socket) {
      const { connection } = socket.data;
      if (connection === undefined) return;
      connections.delete(connection);
      connection.closed();
    },
  };

  return {
    websocket,
    upgrade(request, server) {
      publisher = server;
      if (stopping) return failure(new KvError("unavailable", STOPPING), onError);
      if (connections.size >= connectionsMax) return failure(tooMany(connectionsMax), onError);
      const offered = request.headers.get("sec-websocket-protocol")?.split(",") ?? [];
      const selected = offered.some((protocol) => protocol.trim() === SUBPROTOCOL);
      const headers: Record<string, string> = selected
        ? { "Sec-WebSocket-Protocol": SUBPROTOCOL }
        : {};
      const data: SocketData = { connection: undefined };
      if (server.upgrade(request, { data, headers })) return undefined;
      return failure(notAnUpgrade(), onError);
    },
    async stop() {
      stopping = true;
      clearInterval(pings);
      hub.stop();
      const stops = [...connections].map((connection) => connection.stop(1001, STOPPING));
      const timer = setTimeout(() => {
        for (const connection of connections) connection.terminate();
      }, closeMs);
      await Promise.all(stops);
      clearTimeout(timer);
    },
  };
}

// --- internal ---

const STOPPING = "the server is stopping";

function tooMany(limit: number): KvError {
  const message = `there are ${limit} WebSocket connections, the most allowed; try again later`;
  return new KvError("too_many_requests", message, { limit });
}

/** Status 426 would say the same; but to every other client the fault is in the request. */
function notAnUpgrade(): KvError {
  return new KvError(
    "invalid_argument",
    `${PATHS.socket} speaks WebSocket only: use a WebSocket client on ws://…${PATHS.socket}; it ` +
      `sends GET with "Connection: Upgrade" and "Upgrade: websocket"`,
  );
}
