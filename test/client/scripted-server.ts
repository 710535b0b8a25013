/** A WebSocket endpoint whose every message a test writes by hand. */

import type { ServerWebSocket } from "bun";
import type { SocketMessage, SocketRequest } from "../../src/messages.ts";
import { SUBPROTOCOL } from "../../src/protocol.ts";
import { until } from "./until.ts";

export interface ScriptedConnection {
  /** Every request that came and was not taken by `next`. */
  readonly requests: SocketRequest[];
  readonly isClosed: boolean;
  /** Milliseconds from its opening to its end, which must have come. */
  readonly lifeMs: number;
  /** Waits for a request, which must be of this kind. */
  next<O extends SocketRequest["op"]>(op: O): Promise<Extract<SocketRequest, { op: O }>>;
  send(...messages: SocketMessage[]): void;
  close(): void;
}

export interface ScriptedServer extends AsyncDisposable {
  readonly url: string;
  readonly connections: readonly ScriptedConnection[];
  /** Waits for the connection of this number, counted from 0. */
  connection(index: number): Promise<ScriptedConnection>;
}

/** Answers what is no WebSocket with `http`; without it, as something that is not kv. */
export function startScriptedServer(
  http: (url: URL) => Response | Promise<Response> = () => new Response("<html>"),
): ScriptedServer {
  const connections: Connection[] = [];
  const server = Bun.serve<{ connection?: Connection }>({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      const headers = { "Sec-WebSocket-Protocol": SUBPROTOCOL };
      if (server.upgrade(request, { data: {}, headers })) return undefined;
      return http(new URL(request.url));
    },
    websocket: {
      open(socket) {
        socket.data.connection = new Connection(socket);
        connections.push(socket.data.connection);
      },
      message(socket, text) {
        socket.data.connection!.requests.push(JSON.parse(text as string) as SocketRequest);
      },
      close(socket) {
        socket.data.connection!.closed();
      },
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    connections,
    async connection(index) {
      await until(() => connections.length > index);
      return connections[index]!;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

// --- internal ---

class Connection implements ScriptedConnection {
  readonly requests: SocketRequest[] = [];
  isClosed = false;
  lifeMs = 0;
  readonly #opened = performance.now();
  readonly #socket: ServerWebSocket<unknown>;

  constructor(socket: ServerWebSocket<unknown>) {
    this.#socket = socket;
  }

  async next<O extends SocketRequest["op"]>(op: O): Promise<Extract<SocketRequest, { op: O }>> {
    await until(() => this.requests.length > 0);
    const request = this.requests.shift()!;
    if (request.op !== op) throw new Error(`${JSON.stringify(request)} instead of a ${op}`);
    return request as Extract<SocketRequest, { op: O }>;
  }

  send(...messages: SocketMessage[]): void {
    for (const message of messages) this.#socket.send(JSON.stringify(message));
  }

  closed(): void {
    this.isClosed = true;
    this.lifeMs = performance.now() - this.#opened;
  }

  close(): void {
    this.#socket.close(1001, "the server is stopping");
  }
}
