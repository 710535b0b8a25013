/**
 * A connection of a load over HTTP/1.1: one request at a time on a plain socket, or over TLS. The
 * client of the SDK could not ask as fast as a server can answer.
 */

import type { Socket } from "bun";
import { connectionFailed, answeredByOther, type Attempt } from "../client/failures.ts";
import type { ServerUrl } from "../client/url.ts";
import { KvError } from "../errors.ts";
import { errorFromJson } from "../json.ts";
import { keyPath } from "../protocol.ts";
import { encodeUtf8 } from "../text.ts";
import { anyKey, isRead, KEY_DIGITS, writeDigits } from "./bench-link.ts";
import type { Link, LinkEvents, Traffic } from "./bench-link.ts";

/** The numbers of the next request. */
export interface Numbers {
  /** Of its key. */
  key(): number;
  /** What its value begins with, if it is a put; else values are all the same. */
  value?(): number;
}

/**
 * Opens a connection. Each request is for any key, unless `numbers` says otherwise.
 * @throws `unavailable`.
 */
export async function openHttp(
  url: ServerUrl,
  traffic: Traffic,
  events: LinkEvents,
  numbers: Numbers = { key: () => anyKey(traffic) },
): Promise<Link> {
  const link = new HttpLink(url, traffic, events, numbers);
  await link.open();
  return link;
}

// --- internal ---

/** Bytes of a request whose key's number is written anew each time. */
interface Template {
  readonly bytes: Uint8Array;
  readonly digitsAt: number;
  readonly bodyAt: number;
}

class HttpLink implements Link {
  readonly #url: ServerUrl;
  readonly #attempt: Attempt;
  readonly #traffic: Traffic;
  readonly #events: LinkEvents;
  readonly #numbers: Numbers;
  readonly #get: Template;
  readonly #put: Template;
  readonly #reader: AnswerReader;
  #socket: Socket | undefined;
  /** Bytes of the request that the socket had no room for. */
  #unsent: Uint8Array | undefined;
  /** Counts the sockets that it has had; what is told of an earlier one is over. */
  #turn = 0;
  #isOpen = false;
  /** Does the server end the connection behind what it has answered? */
  #isEnded = false;
  #closed = false;

  constructor(url: ServerUrl, traffic: Traffic, events: LinkEvents, numbers: Numbers) {
    this.#url = url;
    this.#attempt = { url: url.http, write: traffic.reads < 100 };
    this.#traffic = traffic;
    this.#events = events;
    this.#numbers = numbers;
    this.#get = template(url, traffic, "GET", new Uint8Array(0));
    // Each connection would have a copy of the value.
    this.#put = traffic.reads === 100 ? this.#get : template(url, traffic, "PUT", traffic.value);
    this.#reader = new AnswerReader(this.#attempt);
  }

  async open(): Promise<void> {
    const { protocol, hostname, port } = new URL(this.#url.http);
    const secure = protocol === "https:";
    const host = hostname.replace(/^\[|\]$/g, "");
    const connected = Promise.withResolvers<void>();
    const turn = ++this.#turn;
    const lost = (error: Error): void => {
      connected.reject(error);
      if (turn === this.#turn) this.#lost(error);
    };
    try {
      this.#socket = await Bun.connect({
        hostname: host,
        port: Number(port || (secure ? 443 : 80)),
        tls: secure ? { serverName: host, rejectUnauthorized: true } : false,
        socket: {
          binaryType: "buffer",
          open() {
            if (!secure) connected.resolve();
          },
          handshake: (_, success, error) => {
            if (success && error === null) connected.resolve();
            else connected.reject(error ?? new Error("the TLS handshake failed"));
          },
          data: (_, chunk) => {
            if (turn === this.#turn) this.#receive(chunk);
          },
          drain: () => this.#write(this.#unsent),
          close: () => lost(new Error("it was closed")),
          error: (_, error) => lost(error),
        },
      });
      await connected.promise;
      this.#isOpen = true;
    } catch (error) {
      this.close();
      throw connectionFailed(this.#attempt, error);
    }
  }

  send(): void {
    if (this.#isEnded) return void this.#sendAnew();
    const { bytes, digitsAt, bodyAt } = isRead(this.#traffic) ? this.#get : this.#put;
    writeDigits(bytes, digitsAt, this.#numbers.key());
    const { value } = this.#numbers;
    if (value !== undefined) writeDigits(bytes, bodyAt, value());
    this.#write(bytes);
  }

  close(): void {
    this.#closed = true;
    this.#socket?.terminate();
  }

  /** The server has ended the connection behind its last answer. */
  async #sendAnew(): Promise<void> {
    this.#socket?.terminate();
    this.#isEnded = false;
    this.#isOpen = false;
    try {
      await this.open();
    } catch (error) {
      if (!this.#closed) this.#events.lost(error as KvError);
      return;
    }
    if (this.#closed) this.#socket?.terminate();
    else this.send();
  }

  #write(bytes: Uint8Array | undefined): void {
    if (bytes === undefined || this.#socket === undefined) return;
    const written = Math.max(0, this.#socket.write(bytes));
    this.#unsent = written < bytes.length ? bytes.subarray(written) : undefined;
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    let answer: Answer | undefined;
    try {
      answer = this.#reader.read(chunk);
    } catch (error) {
      this.close();
      this.#events.lost(error as KvError);
      return;
    }
    if (answer === undefined) return;
    const { error, isLast } = answer;
    if (error !== undefined) this.#events.failed(error, 1);
    this.#isEnded = isLast;
    this.#events.answered(error === undefined ? 1 : 0);
  }

  #lost(error: Error): void {
    if (this.#closed || this.#isEnded || !this.#isOpen) return;
    this.#closed = true;
    this.#events.lost(connectionFailed(this.#attempt, error));
  }
}

function template(url: ServerUrl, traffic: Traffic, method: string, body: Uint8Array): Template {
  const { host, pathname } = new URL(url.http);
  const base = pathname === "/" ? "" : pathname;
  const start = encodeUtf8(`${method} ${base}${keyPath(traffic.prefix)}`);
  const length = method === "PUT" ? `Content-Length: ${body.length}\r\n` : "";
  const type = method === "PUT" ? "Content-Type: text/plain; charset=utf-8\r\n" : "";
  const end = encodeUtf8(` HTTP/1.1\r\nHost: ${host}\r\n${type}${length}\r\n`);
  const bytes = Buffer.concat([start, new Uint8Array(KEY_DIGITS), end, body]);
  return { bytes, digitsAt: start.length, bodyAt: bytes.length - body.length };
}

interface Answer {
  readonly error?: KvError;
  /** The server closes the connection behind it. */
  readonly isLast: boolean;
}

/** Finds the ends of answers; keeps of their bodies no more than an error needs. */
class AnswerReader {
  readonly #attempt: Attempt;
  /** A head that is not whole, or an error with its head. */
  #kept: Buffer | undefined;
  /** Bytes of a body that are still to come and that nobody needs. */
  #skip = 0;
  #isLast = false;

  constructor(attempt: Attempt) {
    this.#attempt = attempt;
  }

  /** The answer that ends with these bytes, if one does. @throws `KvError` for what is none. */
  read(chunk: Buffer): Answer | undefined {
    if (this.#skip > 0) {
      this.#skip -= chunk.length;
      return this.#skip > 0 ? undefined : { isLast: this.#isLast };
    }
    const bytes = this.#kept === undefined ? chunk : Buffer.concat([this.#kept, chunk]);
    this.#kept = undefined;
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd === -1) {
      if (bytes.length > HEAD_BYTES_MAX) throw this.#other(0);
      this.#kept = Buffer.from(bytes);
      return undefined;
    }
    const head = bytes.toString("latin1", 0, headEnd);
    const status = Number(head.slice(9, 12));
    const length = Number(LENGTH.exec(head)?.[1] ?? Number.NaN);
    if (!(status >= 200 && status < 600) || Number.isNaN(length)) throw this.#other(status);
    this.#isLast = CLOSE.test(head);
    const missing = headEnd + HEAD_END.length + length - bytes.length;
    if (status < 300) {
      this.#skip = Math.max(0, missing);
      return missing > 0 ? undefined : { isLast: this.#isLast };
    }
    if (length > ERROR_BYTES_MAX) throw this.#other(status);
    if (missing > 0) this.#kept = Buffer.from(bytes);
    if (missing > 0) return undefined;
    return { error: this.#errorOf(status, bytes.subarray(-length)), isLast: this.#isLast };
  }

  #errorOf(status: number, body: Buffer): KvError {
    try {
      return errorFromJson(JSON.parse(body.toString())) ?? this.#other(status);
    } catch {
      return this.#other(status);
    }
  }

  /** What is no answer of kv, or one that something in between has changed. */
  #other(status: number): KvError {
    return answeredByOther(this.#attempt, status, null);
  }
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CLOSE = /\r\nconnection: *close/i;
/** What is longer is no head of an answer of kv, or no error of it. */
const HEAD_BYTES_MAX = 16 * 1024;
const ERROR_BYTES_MAX = 64 * 1024;
