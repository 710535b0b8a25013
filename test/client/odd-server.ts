/** TCP servers that misbehave in chosen ways, for what a client must make of them. */

import { createConnection, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

export interface OddServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** The first lines of all requests, in order, on whichever connection. */
  readonly requests: readonly string[];
  stop(): Promise<void>;
}

/** Calls `answer` for each piece that comes in; most requests of the tests come in one. */
export async function startOddServer(
  answer: (socket: Socket, text: string, count: number) => void,
): Promise<OddServer> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    track(sockets, socket);
    socket.on("data", (data) => {
      const text = data.toString("latin1");
      if (/^[A-Z]+ \/\S* HTTP/.test(text)) requests.push(text.slice(0, text.indexOf(" HTTP")));
      answer(socket, text, requests.length);
    });
  });
  const port = await listen(server);
  const stop = (): Promise<void> => stopServer(server, sockets);
  return { url: `http://127.0.0.1:${port}`, port, requests, stop, [Symbol.asyncDispose]: stop };
}

/** An answer of HTTP/1.1 with a length. */
export function reply(status: string, headers: string, body: string): string {
  return `HTTP/1.1 ${status}\r\n${headers}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

export interface CuttingProxy extends AsyncDisposable {
  readonly url: string;
  /** Connections that were made through it so far. */
  readonly count: number;
  /** Those of them that are open. */
  readonly open: number;
  /** Cuts every connection, at whatever byte it is. */
  cut(): void;
  /** Lets nothing through any more, and keeps all connections open. */
  freeze(): void;
  stop(): Promise<void>;
}

/** Passes everything on to a port of this machine, as it is by then, until it is told not to. */
export async function startCuttingProxy(port: number | (() => number)): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let frozen = false;
  let count = 0;
  let open = 0;
  const server = createServer((front) => {
    count++;
    open++;
    front.on("close", () => open--);
    const back = createConnection(typeof port === "number" ? port : port(), "127.0.0.1");
    for (const [from, to] of [
      [front, back],
      [back, front],
    ] as const) {
      track(sockets, from);
      from.on("data", (data) => {
        if (frozen || to.write(data)) return;
        from.pause();
        to.once("drain", () => from.resume());
      });
      from.on("close", () => to.destroy());
    }
  });
  const own = await listen(server);
  const stop = (): Promise<void> => stopServer(server, sockets);
  return {
    url: `http://127.0.0.1:${own}`,
    get count() {
      return count;
    },
    get open() {
      return open;
    },
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    freeze() {
      frozen = true;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Which way of a request and its answer breaks: before it arrives, or after it took effect. */
export type Loss = "request" | "answer" | undefined;

export interface LossyProxy extends AsyncDisposable {
  readonly url: string;
  /** The first lines of all requests that came, in order. */
  readonly requests: readonly string[];
}

/** Passes requests on to a port of this machine, and loses what `lose` says of each one. */
export async function startLossyProxy(
  port: number,
  lose: (line: string, count: number) => Loss,
): Promise<LossyProxy> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((front) => {
    const back = createConnection(port, "127.0.0.1");
    let loss: Loss;
    for (const socket of [front, back]) track(sockets, socket);
    front.on("data", (data) => {
      const line = /^([A-Z]+ \/\S*) HTTP/.exec(data.toString("latin1"))?.[1];
      if (line !== undefined) loss = lose(line, requests.push(line));
      if (loss === "request") front.destroy();
      else back.write(data);
    });
    back.on("data", (data) => {
      if (loss === "answer") front.destroy();
      else front.write(data);
    });
    for (const socket of [front, back]) {
      socket.on("close", () => (socket === front ? back : front).destroy());
    }
  });
  const own = await listen(server);
  return {
    url: `http://127.0.0.1:${own}`,
    requests,
    [Symbol.asyncDispose]: () => stopServer(server, sockets),
  };
}

/** A port of this machine on which nobody listens. */
export async function unusedPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await stopServer(server, new Set());
  return port;
}

// --- internal ---

function track(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.on("error", () => {});
  socket.on("close", () => sockets.delete(socket));
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function stopServer(server: Server, sockets: Set<Socket>): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  for (const socket of sockets) socket.destroy();
  await closed;
}
