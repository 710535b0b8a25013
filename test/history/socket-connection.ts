/** One WebSocket connection with any number of requests under way. */

import { PATHS } from "../../src/protocol.ts";
import type { SocketFrame } from "../../src/messages.ts";
import { Broken } from "./http-connection.ts";
import type { SocketBody } from "./socket-wire.ts";

export type CreatedBody = { readonly type: "created"; readonly revision: number };

export class SocketConnection {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, PromiseWithResolvers<SocketBody | CreatedBody>>();
  readonly #onFrame: (frame: SocketFrame) => void;
  readonly #ended = Promise.withResolvers<void>();
  #lastId = 0;

  private constructor(socket: WebSocket, onFrame: (frame: SocketFrame) => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
  }

  /** @throws when nobody listens there. */
  static async open(
    port: number,
    onFrame: (frame: SocketFrame) => void = () => {},
  ): Promise<SocketConnection> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${PATHS.socket}`);
    const connection = new SocketConnection(socket, onFrame);
    const opened = Promise.withResolvers<void>();
    socket.addEventListener("open", () => opened.resolve());
    socket.addEventListener("message", ({ data }) => connection.receive(data as string));
    socket.addEventListener("close", () => {
      opened.reject(new Error("no connection"));
      connection.end();
    });
    await opened.promise;
    return connection;
  }

  /** Resolves when the connection has ended, for whatever reason. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get closed(): boolean {
    return this.#socket.readyState !== WebSocket.OPEN;
  }

  /** @throws `Broken` */
  send(fields: Record<string, unknown>): Promise<SocketBody | CreatedBody> {
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<SocketBody | CreatedBody>();
    if (this.closed) waiting.reject(new Broken());
    else {
      this.#waiting.set(id, waiting);
      this.#socket.send(JSON.stringify({ id, ...fields }));
    }
    return waiting.promise;
  }

  close(): void {
    this.#socket.close();
  }

  private receive(text: string): void {
    const message = JSON.parse(text) as SocketFrame | ({ id: number } & SocketBody);
    if ("watch" in message && !("id" in message)) this.#onFrame(message);
    else {
      const { id } = message as { id: number };
      this.#waiting.get(id)?.resolve(message as SocketBody | CreatedBody);
      this.#waiting.delete(id);
    }
  }

  private end(): void {
    for (const waiting of this.#waiting.values()) waiting.reject(new Broken());
    this.#waiting.clear();
    this.#ended.resolve();
  }
}
