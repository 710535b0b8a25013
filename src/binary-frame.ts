/**
 * What binary frames on the socket are made of: the layout that `docs/websocket.md` describes, as
 * offsets and codes. All numbers are little-endian. Reading and writing stand in
 * `binary-request.ts` and `binary-answer.ts`.
 */

import { BYTES_TYPE, JSON_TYPE, TEXT_TYPE } from "./protocol.ts";

/** The first byte of every frame. */
export const FRAME_VERSION = 1;

/** The second byte: what the frame is. */
export const FRAME = { request: 1, answer: 2, error: 3 } as const;

/** Bytes of a frame before its first operation or answer, and where its fields are. */
export const FRAME_HEADER = 12;
export const FRAME_FIELD = { version: 0, kind: 1, reserved: 2, id: 4, count: 8 } as const;

/** Bytes of an operation before its key, and where its fields are. */
export const OPERATION_HEADER = 16;
export const OPERATION_FIELD = {
  kind: 0,
  contentType: 1,
  keyBytes: 2,
  valueBytes: 4,
  ttl: 8,
} as const;

/** Bytes of an answer before its value, and where its fields are. */
export const ANSWER_HEADER = 40;
export const ANSWER_FIELD = {
  status: 0,
  contentType: 1,
  reserved: 2,
  valueBytes: 4,
  revision: 8,
  createRevision: 16,
  version: 24,
  expiresAt: 32,
} as const;

/** What became of an operation. */
export const STATUS = { found: 0, absent: 1, put: 2, deleted: 3, unread: 4, failed: 5 } as const;

/** Content types that have a number; 0 is none. */
export const CONTENT_TYPES = ["", BYTES_TYPE, TEXT_TYPE, JSON_TYPE] as const;
/** The content type is written out: a byte with its length, then its characters. */
export const TYPE_WRITTEN = 255;

/** The number of a content type: 255 where it has none of its own. */
export function contentTypeCode(contentType: string): number {
  // These are constants of the program most times, which are compared by address.
  if (contentType === BYTES_TYPE) return 1;
  if (contentType === TEXT_TYPE) return 2;
  if (contentType === JSON_TYPE) return 3;
  return TYPE_WRITTEN;
}

/** Writes an integer of 0 to 2^53 - 1. */
export function setUint64(view: DataView, at: number, value: number): void {
  // As signed halves: these are machine integers, which costs a tenth of unsigned ones.
  view.setInt32(at, value | 0, true);
  view.setInt32(at + 4, (value / 2 ** 32) | 0, true);
}

/** Reads what `setUint64` writes; what is larger than 2^53 - 1 is not exact. */
export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

/** A view of bytes that may begin anywhere in their buffer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The id of a frame, if it is long enough to have one; 0 stands for none. */
export function frameId(bytes: Uint8Array): number {
  if (bytes.length < FRAME_FIELD.id + 4) return 0;
  return viewOf(bytes).getUint32(FRAME_FIELD.id, true);
}
