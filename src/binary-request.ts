/**
 * Requests as binary frames: written by clients, and read by the server into columns that are used
 * again and again, so that nothing is made for each operation.
 */

import {
  CONTENT_TYPES,
  contentTypeCode,
  FRAME,
  FRAME_FIELD,
  FRAME_HEADER,
  FRAME_VERSION,
  getUint64,
  OPERATION_FIELD,
  OPERATION_HEADER,
  setUint64,
  TYPE_WRITTEN,
  viewOf,
} from "./binary-frame.ts";
import { KvError } from "./errors.ts";
import { FRAME_OPERATIONS_MAX } from "./limits.ts";
import { MANY, type Many } from "./many.ts";
import { defaultContentType } from "./protocol.ts";
import { encodeUtf8 } from "./text.ts";

/** One operation of a frame that is to be written. */
export interface FrameOperation {
  /** Of `MANY`. */
  readonly kind: number;
  /** In UTF-8. */
  readonly key: Uint8Array;
  /** Of a put. */
  readonly value?: Uint8Array;
  /** Of a put; by its value when left out. */
  readonly contentType?: string;
  /** Milliseconds until the entry of a put expires; never when left out. */
  readonly ttl?: number | undefined;
}

/** Bytes that an operation has in a frame. */
export function operationBytes({ key, value, contentType }: FrameOperation): number {
  const written = contentType === undefined || contentTypeCode(contentType) !== TYPE_WRITTEN;
  const typeBytes = written ? 0 : 1 + contentType.length;
  return OPERATION_HEADER + typeBytes + key.length + (value?.length ?? 0);
}

/** A frame of operations. Keys, values and content types must be within the limits of a store. */
export function encodeRequest(
  id: number,
  operations: readonly FrameOperation[],
): Uint8Array<ArrayBuffer> {
  let length = FRAME_HEADER;
  for (const operation of operations) length += operationBytes(operation);
  const bytes = new Uint8Array(length);
  const view = viewOf(bytes);
  view.setUint8(FRAME_FIELD.version, FRAME_VERSION);
  view.setUint8(FRAME_FIELD.kind, FRAME.request);
  view.setUint32(FRAME_FIELD.id, id, true);
  view.setUint32(FRAME_FIELD.count, operations.length, true);
  let at = FRAME_HEADER;
  for (const { kind, key, value, contentType, ttl = 0 } of operations) {
    const code = contentType === undefined ? 0 : contentTypeCode(contentType);
    view.setUint8(at + OPERATION_FIELD.kind, kind);
    view.setUint8(at + OPERATION_FIELD.contentType, code);
    view.setUint16(at + OPERATION_FIELD.keyBytes, key.length, true);
    view.setUint32(at + OPERATION_FIELD.valueBytes, value?.length ?? 0, true);
    setUint64(view, at + OPERATION_FIELD.ttl, ttl);
    at += OPERATION_HEADER;
    if (code === TYPE_WRITTEN) {
      view.setUint8(at++, contentType!.length);
      bytes.set(encodeUtf8(contentType!), at);
      at += contentType!.length;
    }
    bytes.set(key, at);
    at += key.length;
    if (value === undefined) continue;
    bytes.set(value, at);
    at += value.length;
  }
  return bytes;
}

const NOTHING: Uint8Array = new Uint8Array(0);

/** The operations of one frame at a time, as columns. */
export class RequestColumns implements Many {
  count = 0;
  bytes = NOTHING;
  kinds = new Uint8Array(0);
  keyStarts = new Uint32Array(0);
  keyEnds = new Uint32Array(0);
  valueStarts = new Uint32Array(0);
  valueEnds = new Uint32Array(0);
  contentTypes: string[] = [];
  ttls = new Float64Array(0);
  /** The frame's own, for its answer. */
  id = 0;
  /** Does it read; does it write? */
  reads = false;
  writes = false;

  /**
   * Takes a frame in the place of the one before. Keys and values stay where they are in `bytes`.
   * @throws `unsupported` for another version; `invalid_argument` for anything that is no frame of
   * operations, `too_large` for too many of them.
   */
  decode(bytes: Uint8Array): void {
    const view = viewOf(bytes);
    const count = readHeader(bytes, view);
    if (count > this.kinds.length) this.#grow(count);
    this.id = view.getUint32(FRAME_FIELD.id, true);
    this.bytes = bytes;
    this.count = count;
    let seen = 0;
    let at = FRAME_HEADER;
    for (let index = 0; index < count; index++) {
      const start = at + OPERATION_HEADER;
      if (start > bytes.length) throw cutOff(index, count, bytes.length);
      const kind = view.getUint8(at + OPERATION_FIELD.kind);
      const code = view.getUint8(at + OPERATION_FIELD.contentType);
      const keyBytes = view.getUint16(at + OPERATION_FIELD.keyBytes, true);
      const valueBytes = view.getUint32(at + OPERATION_FIELD.valueBytes, true);
      const ttl = getUint64(view, at + OPERATION_FIELD.ttl);
      if (kind !== MANY.put && (code !== 0 || valueBytes !== 0 || ttl !== 0)) {
        throw kind > MANY.delete ? unknownKind(index, kind) : onlyPuts(index);
      }
      const typed = code === TYPE_WRITTEN ? 1 + (bytes[start] ?? 0) : 0;
      const keyStart = start + typed;
      const keyEnd = keyStart + keyBytes;
      at = keyEnd + valueBytes;
      if (at > bytes.length) throw cutOff(index, count, bytes.length);
      this.kinds[index] = kind;
      this.keyStarts[index] = keyStart;
      this.keyEnds[index] = keyEnd;
      seen |= 1 << kind;
      if (kind !== MANY.put) {
        if (kind > MANY.delete) throw unknownKind(index, kind);
        continue;
      }
      this.valueStarts[index] = keyEnd;
      this.valueEnds[index] = at;
      this.ttls[index] = ttl;
      this.contentTypes[index] = readContentType(bytes, index, code, start, keyEnd, at);
    }
    if (at < bytes.length) throw tooLong(count, bytes.length - at);
    this.reads = (seen & (1 << MANY.get)) !== 0;
    this.writes = (seen & ~(1 << MANY.get)) !== 0;
  }

  /** Lets go of the bytes of a frame that is done with. */
  release(): void {
    this.count = 0;
    this.bytes = NOTHING;
  }

  #grow(count: number): void {
    const room = Math.max(16, count);
    this.kinds = new Uint8Array(room);
    this.keyStarts = new Uint32Array(room);
    this.keyEnds = new Uint32Array(room);
    this.valueStarts = new Uint32Array(room);
    this.valueEnds = new Uint32Array(room);
    this.ttls = new Float64Array(room);
    this.contentTypes = Array.from({ length: room }, () => "");
  }
}

// --- internal ---

/** The number of operations that the header names. */
function readHeader(bytes: Uint8Array, view: DataView): number {
  if (bytes.length < FRAME_HEADER) {
    throw invalid(`the frame has ${bytes.length} bytes; its header alone has ${FRAME_HEADER}`);
  }
  const version = view.getUint8(FRAME_FIELD.version);
  if (version !== FRAME_VERSION) {
    const what = `the frame begins with version ${version}; this server knows ${FRAME_VERSION}`;
    throw new KvError("unsupported", what);
  }
  const kind = view.getUint8(FRAME_FIELD.kind);
  if (kind !== FRAME.request) {
    throw invalid(`the frame is of kind ${kind}; requests are of kind ${FRAME.request}`);
  }
  if (view.getUint16(FRAME_FIELD.reserved, true) !== 0) {
    throw invalid("the third and fourth byte of the frame are not 0");
  }
  const count = view.getUint32(FRAME_FIELD.count, true);
  if (count > FRAME_OPERATIONS_MAX) {
    const what = `${count} operations in one frame; at most ${FRAME_OPERATIONS_MAX} are allowed`;
    throw new KvError("too_large", what, { limit: FRAME_OPERATIONS_MAX });
  }
  return count;
}

function readContentType(
  bytes: Uint8Array,
  index: number,
  code: number,
  start: number,
  valueStart: number,
  valueEnd: number,
): string {
  if (code === 0) return defaultContentType(bytes.subarray(valueStart, valueEnd));
  if (code !== TYPE_WRITTEN) {
    const known = CONTENT_TYPES[code];
    if (known !== undefined) return known;
    throw invalid(`operation ${index} has the unknown content type ${code}`);
  }
  // What is not ASCII is refused by the store.
  const end = start + 1 + bytes[start]!;
  let text = "";
  for (let at = start + 1; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}

function unknownKind(index: number, kind: number): KvError {
  return invalid(`operation ${index} is of the unknown kind ${kind}`);
}

function onlyPuts(index: number): KvError {
  return invalid(`operation ${index} is no put, but has a value, a content type or a time to live`);
}

function cutOff(index: number, count: number, length: number): KvError {
  return invalid(`the frame ends after ${length} bytes, within operation ${index} of ${count}`);
}

function tooLong(count: number, rest: number): KvError {
  return invalid(`the frame has ${rest} bytes behind its ${count} operations`);
}

function invalid(what: string): KvError {
  return new KvError("invalid_argument", what);
}
