/**
 * A connection of a load over WebSocket: binary frames of many operations, one frame at a time.
 */

import { decodeAnswers } from "../binary-answer.ts";
import {
  ANSWER_FIELD,
  ANSWER_HEADER,
  FRAME,
  FRAME_FIELD,
  FRAME_HEADER,
  OPERATION_HEADER,
  STATUS,
  TYPE_WRITTEN,
} from "../binary-frame.ts";
import { encodeRequest, operationBytes, type FrameOperation } from "../binary-request.ts";
import type { ServerUrl } from "../client/url.ts";
import { KvError } from "../errors.ts";
import { MANY } from "../many.ts";
import { encodeUtf8 } from "../text.ts";
import { anyKey, isRead, KEY_DIGITS, writeDigits } from "./bench-link.ts";
import type { Link, LinkEvents, Traffic } from "./bench-link.ts";
import { openSocket } from "./bench-socket.ts";

/** Opens a connection that sends frames of `operations`. @throws `unavailable`. */
export async function openFrames(
  url: ServerUrl,
  traffic: Traffic,
  operations: number,
  events: LinkEvents,
): Promise<Link> {
  const receive = (data: string | ArrayBuffer): void => {
    if (typeof data === "string") throw new Error("a text where a frame was due");
    receiveFrame(new Uint8Array(data), operations, events);
  };
  const socket = await openSocket(url, receive, (error) => events.lost(error));
  const next = frames(traffic, operations);
  return {
    send: () => socket.send(next()),
    close: () => socket.close(),
  };
}

// --- internal ---

/** The frames of a connection: bytes that are written anew only where they differ. */
function frames(traffic: Traffic, operations: number): () => Uint8Array<ArrayBuffer> {
  const { reads } = traffic;
  // Of a mixture each frame is another one.
  if (reads > 0 && reads < 100) return () => mixed(traffic, operations);
  const operation = operationOf(traffic, reads === 100);
  const frame = encodeRequest(
    1,
    Array.from({ length: operations }, () => operation),
  );
  const step = operationBytes(operation);
  const first = FRAME_HEADER + OPERATION_HEADER + operation.key.length - KEY_DIGITS;
  return () => {
    for (let index = 0; index < operations; index++) {
      writeDigits(frame, first + index * step, anyKey(traffic));
    }
    return frame;
  };
}

function mixed(traffic: Traffic, operations: number): Uint8Array<ArrayBuffer> {
  return encodeRequest(
    1,
    Array.from({ length: operations }, () => {
      const operation = operationOf(traffic, isRead(traffic));
      writeDigits(operation.key, operation.key.length - KEY_DIGITS, anyKey(traffic));
      return operation;
    }),
  );
}

function operationOf({ prefix, value }: Traffic, isGet: boolean): FrameOperation {
  const key = encodeUtf8(prefix + "0".repeat(KEY_DIGITS));
  if (isGet) return { kind: MANY.get, key };
  return { kind: MANY.put, key, value, contentType: "text/plain; charset=utf-8" };
}

function receiveFrame(bytes: Uint8Array, operations: number, events: LinkEvents): void {
  const succeeded = successes(bytes);
  if (succeeded < operations) tellErrors(bytes, operations, events);
  events.answered(succeeded);
}

/** How many operations of a frame succeeded, without making anything for each of them. */
function successes(bytes: Uint8Array): number {
  if (bytes[FRAME_FIELD.kind] !== FRAME.answer) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let count = 0;
  for (let at = FRAME_HEADER; at + ANSWER_HEADER <= bytes.length;) {
    const status = bytes[at + ANSWER_FIELD.status]!;
    if (status === STATUS.found || status === STATUS.put) count++;
    const isTyped = bytes[at + ANSWER_FIELD.contentType] === TYPE_WRITTEN;
    const typeBytes = isTyped ? 1 + (bytes[at + ANSWER_HEADER] ?? 0) : 0;
    at += ANSWER_HEADER + typeBytes + view.getUint32(at + ANSWER_FIELD.valueBytes, true);
  }
  return count;
}

function tellErrors(bytes: Uint8Array, operations: number, events: LinkEvents): void {
  const { answers } = decodeAnswers(bytes);
  if (answers instanceof KvError) return events.failed(answers, operations);
  for (const { status, error } of answers) {
    if (status === STATUS.found || status === STATUS.put) continue;
    if (status === STATUS.absent) events.failed(new KvError("not_found", "a key is gone"), 1);
    else if (status === STATUS.unread) events.failed(unread(), 1);
    else events.failed(error ?? new KvError("internal", `an answer of kind ${status}`), 1);
  }
}

function unread(): KvError {
  return new KvError("too_large", "the values of a frame do not fit into its answer");
}
