/**
 * Requests as bytes, made before the clock starts, and what their answers have to say. One loader
 * sends all of them: what differs between servers is only what is written here.
 */

import { bodyStart, failed, httpAnswerBytes, respAnswerBytes, type AnswerSize } from "./answers.ts";
import { keyOf, Picker, valueOf, writeKey } from "./keys.ts";

/** Who is spoken to: kv (a bare route answers the same), etcd by its JSON gateway, Redis. */
export type Dialect = "kv" | "etcd" | "redis";
export type Operation = "get" | "put";

export interface RequestPlan {
  readonly dialect: Dialect;
  readonly operation: Operation;
  /** Keys from 0 up to this number. */
  readonly keys: number;
}

/** Requests, one behind the other, in a random order of keys. */
export class RequestBlock {
  readonly answerBytes: AnswerSize;
  readonly #plan: RequestPlan;
  readonly #bytes: Buffer;
  readonly #ends: Uint32Array;
  readonly #numbers: Uint32Array;
  readonly #picker: Picker;
  /** Where the key stands in a request, and again in the value that it puts; negative = nowhere. */
  readonly #keyAt: number;
  readonly #valueAt: number;
  /** There are more keys than requests: each gets another key whenever it is sent. */
  readonly #isRenewed: boolean;

  constructor(plan: RequestPlan) {
    const picker = new Picker(plan.keys, 42);
    this.#picker = picker;
    const count = Math.min(Math.max(plan.keys, 10_000), BLOCK_REQUESTS_MAX);
    this.#plan = plan;
    this.answerBytes = plan.dialect === "redis" ? respAnswerBytes : httpAnswerBytes;
    this.#numbers = Uint32Array.from({ length: count }, () => picker.next());
    this.#ends = new Uint32Array(count);
    // Requests of one plan differ in their keys only, which are of one length.
    const example = requestOf(plan, 0);
    const first = example.length;
    this.#keyAt = example.indexOf(keyOf(0));
    this.#valueAt = example.indexOf(keyOf(0), this.#keyAt + 1);
    this.#isRenewed = plan.keys > count && this.#keyAt >= 0;
    this.#bytes = Buffer.allocUnsafe(first * count);
    for (let index = 0; index < count; index++) {
      const text = requestOf(plan, this.#numbers[index]!);
      if (text.length !== first) throw new Error("requests of one plan have one length");
      this.#bytes.write(text, first * index, "latin1");
      this.#ends[index] = first * (index + 1);
    }
  }

  /** Connections begin at different places, and begin anew at the end. */
  request(connection: number, n: number): Uint8Array {
    const index = this.#indexOf(connection, n);
    if (this.#isRenewed) this.#renew(index);
    return this.#bytes.subarray(index === 0 ? 0 : this.#ends[index - 1], this.#ends[index]);
  }

  /** Is it the answer to this request? Length and status have been compared; this looks at the rest. */
  check(answer: Buffer, connection: number, n: number): void {
    const number = this.#numbers[this.#indexOf(connection, n)]!;
    if (!answer.includes(expectedOf(this.#plan, number))) throw failed(answer);
    const { dialect, operation } = this.#plan;
    if (dialect !== "kv" || operation !== "get") return;
    const body = answer.toString("latin1", bodyStart(answer));
    if (body !== valueOf(number)) throw failed(answer);
  }

  #renew(index: number): void {
    const start = index === 0 ? 0 : this.#ends[index - 1]!;
    const number = this.#picker.next();
    this.#numbers[index] = number;
    writeKey(this.#bytes, start + this.#keyAt, number);
    if (this.#valueAt >= 0) writeKey(this.#bytes, start + this.#valueAt, number);
  }

  #indexOf(connection: number, n: number): number {
    return (connection * 7_919 + n) % this.#numbers.length;
  }
}

/** The bytes of one HTTP/1.1 request. */
export function httpRequest(method: string, path: string, body?: string): string {
  const length = body === undefined ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${length}\r\n${body ?? ""}`;
}

/** A command in RESP: an array of bulk strings. */
export function respRequest(...words: readonly string[]): string {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join("")}`;
}

// --- internal ---

/**
 * More take memory. A server that keeps the values it was asked for would soon know all of these, so
 * where there are more keys they do not stay the same.
 */
const BLOCK_REQUESTS_MAX = 500_000;

/** One request, as text of one byte a character. */
export function requestOf({ dialect, operation }: RequestPlan, number: number): string {
  const key = keyOf(number);
  const value = valueOf(number);
  switch (dialect) {
    case "kv":
      return operation === "get"
        ? httpRequest("GET", `/v1/kv/${key}`)
        : httpRequest("PUT", `/v1/kv/${key}`, value);
    case "etcd":
      return operation === "get"
        ? httpRequest("POST", "/v3/kv/range", `{"key":"${btoa(key)}"}`)
        : httpRequest("POST", "/v3/kv/put", `{"key":"${btoa(key)}","value":"${btoa(value)}"}`);
    case "redis":
      return operation === "get" ? respRequest("GET", key) : respRequest("SET", key, value);
  }
}

/** What has to stand in the answer. */
function expectedOf({ dialect, operation }: RequestPlan, number: number): string {
  switch (dialect) {
    case "kv":
      return operation === "get" ? valueOf(number) : `{"key":"${keyOf(number)}","revision":`;
    case "etcd":
      return operation === "get" ? `"value":"${btoa(valueOf(number))}"` : `"revision":"`;
    case "redis":
      return operation === "get" ? valueOf(number) : "+OK\r\n";
  }
}
