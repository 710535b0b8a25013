/** Operations of binary frames as tests write them, and answers as they compare them. */

import type { FrameAnswer } from "../../src/binary-answer.ts";
import { STATUS } from "../../src/binary-frame.ts";
import type { FrameOperation } from "../../src/binary-request.ts";
import { KvError } from "../../src/errors.ts";
import { MANY } from "../../src/many.ts";
import { decodeUtf8, encodeUtf8 } from "../../src/text.ts";

export function getFrame(key: string): FrameOperation {
  return { kind: MANY.get, key: encodeUtf8(key) };
}

export function putFrame(
  key: string,
  value: string | Uint8Array,
  options: { contentType?: string; ttl?: number } = {},
): FrameOperation {
  const bytes = typeof value === "string" ? encodeUtf8(value) : value;
  return { kind: MANY.put, key: encodeUtf8(key), value: bytes, ...options };
}

export function deleteFrame(key: string): FrameOperation {
  return { kind: MANY.delete, key: encodeUtf8(key) };
}

/** The answers of a frame in one word each: `found one`, `put 3`, `failed too_large`. */
export function shown(answers: readonly FrameAnswer[] | KvError): string[] {
  if (answers instanceof KvError) return [`refused ${answers.code}`];
  return answers.map(({ status, revision, value, error }) => {
    const [name] = Object.entries(STATUS).find(([, code]) => code === status)!;
    if (status === STATUS.found) return `found ${decodeUtf8(value)}`;
    if (status === STATUS.failed) return `failed ${error!.code}`;
    return status === STATUS.unread ? name : `${name} ${revision}`;
  });
}
