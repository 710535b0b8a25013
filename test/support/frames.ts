/** Operations of binary frames as tests write them, and answers as they compare them. */

import { AnswerWriter, decodeAnswers, type FrameAnswer } from "../../src/binary-answer.ts";
import { STATUS } from "../../src/binary-frame.ts";
import { encodeRequest, RequestColumns, type FrameOperation } from "../../src/binary-request.ts";
import { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
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

/**
 * Hands operations over, and answers what `shown` makes of the answers, or what it threw. Failures
 * that are faults of the server go to `internal`.
 */
export async function many(
  store: Store,
  operations: readonly FrameOperation[],
  internal: (error: KvError) => void = thrown,
): Promise<string[]> {
  const columns = new RequestColumns();
  columns.decode(encodeRequest(1, operations));
  const writer = new AnswerWriter(internal);
  writer.begin(1);
  await store.many!(columns, writer);
  const { answers } = decodeAnswers(writer.end());
  if (answers instanceof KvError) throw answers;
  return shown(answers);
}

// --- internal ---

function thrown(error: KvError): never {
  throw error;
}
