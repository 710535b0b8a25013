/**
 * One HTTP connection that is kept open, one request at a time. Never sends a request twice, as
 * `fetch` may do when a connection breaks.
 */

import type { Socket } from "bun";
import type { HttpAnswer, HttpRequest } from "./http-wire.ts";

/** The connection ended before the answer; what had been asked may have been done. */
export class Broken extends Error {}

export class HttpConnection {
  readonly #socket: Socket;
  #received = "";
  #waiting: PromiseWithResolvers<HttpAnswer> | undefined;
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** @throws when nobody listens there. */
  static async open(port: number): Promise<HttpConnection> {
    let connection: HttpConnection | undefined;
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_, bytes) => connection?.receive(bytes.toString("latin1")),
        close: () => connection?.end(),
        error: () => connection?.end(),
      },
    });
    connection = new HttpConnection(socket);
    return connection;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** @throws `Broken` */
  send({ method, target, headers, body }: HttpRequest): Promise<HttpAnswer> {
    const lines = [`${method} ${target} HTTP/1.1`, "Host: localhost", ...headers];
    if (method !== "GET") lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    if (this.#closed) this.end();
    else this.#socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
    return promise;
  }

  close(): void {
    this.#socket.end();
  }

  private receive(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const answer = parseHead(this.#received.slice(0, end));
    const length = Number(answer.headers.get("content-length"));
    if (Number.isNaN(length)) throw new Error(`an answer without a length: ${this.#received}`);
    const whole = end + 4 + length;
    if (this.#received.length < whole) return;
    const body = Buffer.from(this.#received.slice(end + 4, whole), "latin1").toString("utf8");
    this.#received = this.#received.slice(whole);
    this.#waiting?.resolve({ ...answer, body });
    this.#waiting = undefined;
  }

  private end(): void {
    this.#closed = true;
    this.#waiting?.reject(new Broken());
    this.#waiting = undefined;
  }
}

// --- internal ---

function parseHead(head: string): Omit<HttpAnswer, "body"> {
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(statusLine.split(" ")[1]), headers };
}
