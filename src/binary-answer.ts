/**
 * Answers as binary frames: written by the server into bytes that are used again and again, and
 * read by clients.
 */

import {
  ANSWER_FIELD,
  ANSWER_HEADER,
  CONTENT_TYPES,
  contentTypeCode,
  FRAME,
  FRAME_FIELD,
  FRAME_HEADER,
  FRAME_VERSION,
  getUint64,
  setUint64,
  STATUS,
  TYPE_WRITTEN,
  viewOf,
} from "./binary-frame.ts";
import { copyBytes } from "./copy-bytes.ts";
import { KvError } from "./errors.ts";
import { errorFromJson, errorToJson } from "./json.ts";
import { FRAME_ANSWER_BYTES } from "./limits.ts";
import type { ManyAnswers } from "./many.ts";
import { decodeUtf8, encodeUtf8 } from "./text.ts";

/** Bytes that are kept for the next frame, at most; what a larger one took is let go. */
const KEPT_BYTES_MAX = 256 * 1024;

/** Writes one frame of answers at a time. */
export class AnswerWriter implements ManyAnswers {
  // Small at first: a frame that waits for the disk must not cost far more than it has bytes.
  #bytes = new Uint8Array(256);
  #view = viewOf(this.#bytes);
  #at = FRAME_HEADER;
  #count = 0;
  readonly #onInternal: (error: KvError) => void;
  isFull = false;

  /** `onInternal` gets the failures that are faults of the server. */
  constructor(onInternal: (error: KvError) => void) {
    this.#onInternal = onInternal;
  }

  /** Begins the answer to the frame of that id. */
  begin(id: number): void {
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#replace(KEPT_BYTES_MAX);
    writeHeader(this.#view, FRAME.answer, id);
    this.#at = FRAME_HEADER;
    this.#count = 0;
    this.isFull = false;
  }

  /** How many answers were written. */
  get count(): number {
    return this.#count;
  }

  /** The whole frame. It is valid until the next one begins. */
  end(): Uint8Array {
    this.#view.setUint32(FRAME_FIELD.count, this.#count, true);
    return this.#bytes.subarray(0, this.#at);
  }

  found(
    contentType: string,
    revision: number,
    createRevision: number,
    version: number,
    deadline: number,
    bytes: Uint8Array,
    start = 0,
    end = bytes.length,
  ): void {
    const valueBytes = end - start;
    const code = contentTypeCode(contentType);
    const typed = code === TYPE_WRITTEN ? 1 + contentType.length : 0;
    const at = this.#next(typed + valueBytes);
    this.#write(at, STATUS.found, revision, createRevision, version, deadline);
    this.#view.setUint8(at + ANSWER_FIELD.contentType, code);
    this.#view.setUint32(at + ANSWER_FIELD.valueBytes, valueBytes, true);
    if (typed > 0) this.#writeType(at + ANSWER_HEADER, contentType);
    copyBytes(bytes, start, end, this.#bytes, at + ANSWER_HEADER + typed);
  }

  absent(revision: number): void {
    this.#write(this.#next(0), STATUS.absent, revision, 0, 0, 0);
  }

  put(revision: number, createRevision: number, version: number, deadline: number): void {
    this.#write(this.#next(0), STATUS.put, revision, createRevision, version, deadline);
  }

  deleted(revision: number): void {
    this.#write(this.#next(0), STATUS.deleted, revision, 0, 0, 0);
  }

  unread(): void {
    this.#write(this.#next(0), STATUS.unread, 0, 0, 0, 0);
  }

  failed(error: KvError): void {
    if (error.code === "internal") this.#onInternal(error);
    const text = encodeUtf8(JSON.stringify(errorToJson(error)));
    const at = this.#next(text.length);
    this.#write(at, STATUS.failed, 0, 0, 0, 0);
    this.#view.setUint32(at + ANSWER_FIELD.valueBytes, text.length, true);
    this.#bytes.set(text, at + ANSWER_HEADER);
  }

  /** Makes room for an answer with that many bytes behind its header; returns where it begins. */
  #next(bytes: number): number {
    const at = this.#at;
    const end = at + ANSWER_HEADER + bytes;
    if (end > this.#bytes.length) this.#replace(Math.max(end, 2 * this.#bytes.length));
    if (end > FRAME_ANSWER_BYTES) this.isFull = true;
    this.#at = end;
    this.#count++;
    return at;
  }

  /** All that is fixed; the bytes may have been used before. */
  #write(
    at: number,
    status: number,
    revision: number,
    createRevision: number,
    version: number,
    deadline: number,
  ): void {
    const view = this.#view;
    view.setUint32(at, status, true);
    view.setUint32(at + ANSWER_FIELD.valueBytes, 0, true);
    setUint64(view, at + ANSWER_FIELD.revision, revision);
    setUint64(view, at + ANSWER_FIELD.createRevision, createRevision);
    setUint64(view, at + ANSWER_FIELD.version, version);
    setUint64(view, at + ANSWER_FIELD.expiresAt, deadline);
  }

  #writeType(at: number, contentType: string): void {
    this.#bytes[at] = contentType.length;
    for (let index = 0; index < contentType.length; index++) {
      this.#bytes[at + 1 + index] = contentType.charCodeAt(index);
    }
  }

  /** Other bytes of that length, with what was written so far. */
  #replace(length: number): void {
    const before = this.#bytes;
    this.#bytes = new Uint8Array(length);
    this.#view = viewOf(this.#bytes);
    this.#bytes.set(before.subarray(0, Math.min(this.#at, length)));
  }
}

/** A frame that says why none of the operations of another one were run. */
export function encodeError(id: number, error: KvError): Uint8Array {
  const text = encodeUtf8(JSON.stringify(errorToJson(error)));
  const bytes = new Uint8Array(FRAME_HEADER + text.length);
  writeHeader(viewOf(bytes), FRAME.error, id);
  bytes.set(text, FRAME_HEADER);
  return bytes;
}

/** An answer as a client reads it; what does not go with its status is 0 or empty. */
export interface FrameAnswer {
  /** Of `STATUS`. */
  readonly status: number;
  readonly contentType: string;
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
  /** Milliseconds since 1970; 0 = never. */
  readonly expiresAt: number;
  /** A part of the frame: copy it to keep it without the rest. */
  readonly value: Uint8Array;
  /** What has failed. */
  readonly error?: KvError;
}

export interface FrameAnswers {
  readonly id: number;
  /** One for each operation; or why there is none. */
  readonly answers: readonly FrameAnswer[] | KvError;
}

/** Reads a frame of a server. @throws `Error` unless it is one. */
export function decodeAnswers(bytes: Uint8Array): FrameAnswers {
  const view = viewOf(bytes);
  if (bytes.length < FRAME_HEADER || bytes[FRAME_FIELD.version] !== FRAME_VERSION) {
    throw new Error("a binary message that is no frame");
  }
  const id = view.getUint32(FRAME_FIELD.id, true);
  const kind = bytes[FRAME_FIELD.kind];
  if (kind === FRAME.error) return { id, answers: readError(bytes.subarray(FRAME_HEADER)) };
  if (kind !== FRAME.answer) throw new Error("a frame of a kind that is not known");
  const count = view.getUint32(FRAME_FIELD.count, true);
  const answers: FrameAnswer[] = [];
  let at = FRAME_HEADER;
  while (answers.length < count) {
    const start = at + ANSWER_HEADER;
    if (start > bytes.length) throw new Error("a frame that is cut off");
    const status = view.getUint8(at + ANSWER_FIELD.status);
    const code = view.getUint8(at + ANSWER_FIELD.contentType);
    const typed = code === TYPE_WRITTEN ? 1 + (bytes[start] ?? 0) : 0;
    const valueStart = start + typed;
    const end = valueStart + view.getUint32(at + ANSWER_FIELD.valueBytes, true);
    if (end > bytes.length) throw new Error("a frame that is cut off");
    const value = bytes.subarray(valueStart, end);
    answers.push({
      status,
      contentType: readType(bytes, code, start),
      revision: getUint64(view, at + ANSWER_FIELD.revision),
      createRevision: getUint64(view, at + ANSWER_FIELD.createRevision),
      version: getUint64(view, at + ANSWER_FIELD.version),
      expiresAt: getUint64(view, at + ANSWER_FIELD.expiresAt),
      value,
      ...(status === STATUS.failed ? { error: readError(value) } : undefined),
    });
    at = end;
  }
  if (at < bytes.length) throw new Error("a frame with more than its answers");
  return { id, answers };
}

// --- internal ---

function writeHeader(view: DataView, kind: number, id: number): void {
  view.setUint32(0, FRAME_VERSION | (kind << 8), true);
  view.setUint32(FRAME_FIELD.id, id, true);
  view.setUint32(FRAME_FIELD.count, 0, true);
}

function readType(bytes: Uint8Array, code: number, start: number): string {
  if (code === TYPE_WRITTEN) {
    return decodeUtf8(bytes.subarray(start + 1, start + 1 + bytes[start]!)) ?? "";
  }
  const known = CONTENT_TYPES[code];
  if (known === undefined) throw new Error("a content type that is not known");
  return known;
}

function readError(bytes: Uint8Array): KvError {
  const error = errorFromJson(JSON.parse(decodeUtf8(bytes) ?? "null"));
  if (error === undefined) throw new Error("an error without a code");
  return error;
}
