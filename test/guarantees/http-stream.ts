/** The answer to one request over HTTP as it comes, on a bare connection that can stop reading. */

import { connect } from "node:net";

export interface HttpStream {
  /** Sends the request; to be called once. */
  get(target: string, headers: readonly string[], answer: HttpStreamAnswer): void;
  pause(): void;
  resume(): void;
  destroy(): void;
  readonly ended: Promise<unknown>;
}

export interface HttpStreamAnswer {
  /** Gets the body of a 200 line by line, without the line ends. */
  take(line: string): void;
  /** Gets the whole body of any other answer. */
  refuse(text: string): void;
}

/** Connects to a server by its `http:` address. Rejects when nobody listens there. */
export async function openHttpStream(url: string): Promise<HttpStream> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const opened = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  socket.on("connect", () => opened.resolve());
  socket.on("error", (error) => opened.reject(error));
  socket.on("close", () => ended.resolve());
  await opened.promise;
  return {
    get(target, headers, answer) {
      const reader = new AnswerReader(answer);
      socket.on("data", (data: Buffer) => reader.push(data));
      const lines = [`GET ${target} HTTP/1.1`, `Host: ${hostname}:${port}`, ...headers];
      socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    destroy: () => void socket.destroy(),
    ended: ended.promise,
  };
}

// --- internal ---

const NOTHING = Buffer.alloc(0);

/** Reads the head, then the chunks, and hands out the lines in them. */
class AnswerReader {
  readonly #answer: HttpStreamAnswer;
  #bytes: Buffer = NOTHING;
  #pieces: Buffer[] = [];
  #body: ((bytes: Buffer) => Buffer) | undefined;
  /** What of the body is no whole line yet. */
  #rest: Buffer[] = [];
  #length = 0;
  /** Bytes that have to be there before it is worth a look. */
  #needed = 0;

  constructor(answer: HttpStreamAnswer) {
    this.#answer = answer;
  }

  push(data: Buffer): void {
    this.#pieces.push(data);
    this.#length += data.length;
    if (this.#length < this.#needed) return;
    this.#bytes = Buffer.concat(this.#pieces);
    if (this.#body === undefined) this.#readHead();
    if (this.#body !== undefined) this.#bytes = this.#body(this.#bytes);
    this.#pieces = [this.#bytes];
    this.#length = this.#bytes.length;
  }

  #readHead(): void {
    const end = this.#bytes.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = this.#bytes.toString("latin1", 0, end);
    this.#bytes = this.#bytes.subarray(end + 4);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
    if (!head.startsWith("HTTP/1.1 200 ")) this.#body = (bytes) => this.#readRefusal(bytes, length);
    else if (length >= 0) this.#body = (bytes) => this.#readLines(bytes);
    else if (/^transfer-encoding: chunked$/im.test(head)) this.#body = this.#readChunks.bind(this);
    else throw new Error(`a body of no known length:\n${head}`);
  }

  #readRefusal(bytes: Buffer, length: number): Buffer {
    if (bytes.length === length) this.#answer.refuse(bytes.toString());
    return bytes;
  }

  #readChunks(bytes: Buffer): Buffer {
    for (let rest = bytes; ;) {
      const end = rest.indexOf("\r\n");
      const size = end < 0 ? Number.NaN : Number.parseInt(rest.toString("latin1", 0, end), 16);
      const whole = end + 2 + size + 2;
      this.#needed = end < 0 ? 0 : whole;
      if (end < 0 || rest.length < whole) return rest;
      this.#readLines(rest.subarray(end + 2, whole - 2));
      rest = rest.subarray(whole);
    }
  }

  /** Keeps what is no whole line. */
  #readLines(chunk: Buffer): Buffer {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      this.#rest.push(chunk.subarray(from, end));
      const line = Buffer.concat(this.#rest).toString();
      this.#rest = [];
      from = end + 1;
      this.#answer.take(line);
    }
    if (from < chunk.length) this.#rest.push(chunk.subarray(from));
    return NOTHING;
  }
}
