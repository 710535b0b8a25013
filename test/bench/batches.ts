/**
 * Many operations in one message: a binary frame of kv (docs/websocket.md has its bytes), or commands
 * of Redis behind one another. Answers have a length that is known, so that one of another length
 * tells of a failure.
 */

import { failed, type AnswerSize } from "./answers.ts";
import { KEY_BYTES, keyOf, numberAt, VALUE_BYTES, valueOf, writeKey } from "./keys.ts";
import { respRequest, type Operation } from "./requests.ts";
import { clientFrameHeader, serverFrameHeaderBytes } from "./frames.ts";

export type BatchDialect = "kv" | "redis";

export class Batch {
  /** The message. */
  readonly bytes: Buffer;
  /** How long its answer has to be. */
  readonly answerBytes: number;
  readonly #layout: Layout;
  readonly #isPut: boolean;
  readonly #numbers: Uint32Array;

  constructor(dialect: BatchDialect, operation: Operation, count: number) {
    this.#layout = layouts[dialect](operation, count);
    this.#isPut = operation === "put";
    this.#numbers = new Uint32Array(count);
    this.bytes = Buffer.concat([this.#layout.head, ...Array(count).fill(this.#layout.operation)]);
    this.answerBytes = this.#layout.answerHeadBytes + count * this.#layout.answerBytes;
  }

  get count(): number {
    return this.#numbers.length;
  }

  /** Has the operation `index` be about the key of `number`. */
  setKey(index: number, number: number): void {
    const { head, operation, keyAt, valueAt } = this.#layout;
    const start = head.length + index * operation.length;
    this.#numbers[index] = number;
    writeKey(this.bytes, start + keyAt, number);
    if (this.#isPut) writeKey(this.bytes, start + valueAt, number);
  }

  /** Is it the answer to this batch, each part of it to its operation? Throws when not. */
  check(answer: Buffer): void {
    const { answerHeadBytes, answerBytes, answerMark, answerKeyAt } = this.#layout;
    if (answer.length !== this.answerBytes) throw failed(answer);
    for (const [index, number] of this.#numbers.entries()) {
      const start = answerHeadBytes + index * answerBytes;
      if (answer[start] !== answerMark) throw failed(answer.subarray(start));
      if (!this.#isPut && numberAt(answer, start + answerKeyAt) !== number) {
        throw failed(answer.subarray(start));
      }
    }
  }
}

/** Answers of one length, which begin with `first`. What is longer is for the caller to judge. */
export function fixedAnswerBytes(length: number, first: number): AnswerSize {
  return (bytes) => {
    if (bytes[0] !== first) throw failed(bytes);
    return bytes.length < length ? undefined : length;
  };
}

/** With what every answer begins. */
export const FIRST_BYTE = { get: { kv: 0x82, redis: 0x24 }, put: { kv: 0x82, redis: 0x2b } };

// --- internal ---

interface Layout {
  /** What the message begins with. */
  readonly head: Buffer;
  /** One operation, with a key and a value to be written over. */
  readonly operation: Buffer;
  readonly keyAt: number;
  readonly valueAt: number;
  readonly answerHeadBytes: number;
  /** Of the answer to one operation. */
  readonly answerBytes: number;
  /** Its first byte. */
  readonly answerMark: number;
  /** Where the value that was found begins in it, with the key in front. */
  readonly answerKeyAt: number;
}

const layouts: Record<BatchDialect, (operation: Operation, count: number) => Layout> = {
  kv: kvLayout,
  redis: redisLayout,
};

function kvLayout(operation: Operation, count: number): Layout {
  const isPut = operation === "put";
  const one = Buffer.alloc(16 + KEY_BYTES + (isPut ? VALUE_BYTES : 0), "x");
  one.fill(0, 0, 16);
  one.writeUInt8(isPut ? 1 : 0, 0);
  one.writeUInt16LE(KEY_BYTES, 2);
  one.writeUInt32LE(isPut ? VALUE_BYTES : 0, 4);
  const head = Buffer.alloc(12);
  head.writeUInt8(1, 0);
  head.writeUInt8(1, 1);
  head.writeUInt32LE(count, 8);
  const answerBytes = 40 + (isPut ? 0 : VALUE_BYTES);
  return {
    head: Buffer.concat([clientFrameHeader(2, 12 + count * one.length), head]),
    operation: one,
    keyAt: 16,
    valueAt: 16 + KEY_BYTES,
    answerHeadBytes: serverFrameHeaderBytes(12 + count * answerBytes) + 12,
    answerBytes,
    answerMark: isPut ? 2 : 0,
    answerKeyAt: 40,
  };
}

function redisLayout(operation: Operation): Layout {
  const isPut = operation === "put";
  const [key, value] = [keyOf(0), valueOf(0)];
  const one = Buffer.from(isPut ? respRequest("SET", key, value) : respRequest("GET", key));
  const answer = isPut ? "+OK\r\n" : `$${VALUE_BYTES}\r\n${value}\r\n`;
  const keyAt = one.indexOf("key:");
  return {
    head: Buffer.alloc(0),
    operation: one,
    keyAt,
    valueAt: one.indexOf("key:", keyAt + KEY_BYTES),
    answerHeadBytes: 0,
    answerBytes: answer.length,
    answerMark: answer.charCodeAt(0),
    answerKeyAt: answer.indexOf("key:"),
  };
}
