/** Requests of a history over the WebSocket, each with the operation made for it. */

import type { JsonCommitResult, JsonEntry } from "../../src/json.ts";
import type { Answer } from "./history.ts";
import {
  done,
  entryOf,
  errorAnswer,
  singleAnswer,
  stepToJson,
  txnAnswer,
  txnToJson,
  type RevisionCheck,
  type Sent,
  type SingleBody,
  type WireError,
} from "./wire.ts";

/** An answer by what comes with every one, and the fields of its kind. */
export type SocketBody =
  | { readonly type: "error"; readonly error: WireError }
  | ({ readonly type: "result" } & Readonly<Record<string, unknown>>);

/** The fields of a request but its id. */
export function toSocket({ asked, single }: Sent): Record<string, unknown> {
  if (single === undefined) return { op: "txn", ...txnToJson(asked) };
  const condition = single.check === undefined ? undefined : conditionOf(single.check);
  const revision = asked.at === undefined ? undefined : { revision: asked.at };
  return { ...stepToJson(single.step), ...condition, ...revision };
}

export function fromSocket(sent: Sent, body: SocketBody): Answer {
  if (body.type === "error") return errorAnswer(sent, body.error);
  const { single } = sent;
  if (single === undefined) return txnAnswer(body as unknown as JsonCommitResult);
  if (single.step.op !== "get") return singleAnswer(single.step, body as unknown as SingleBody);
  const { revision, entry } = body as unknown as { revision: number; entry: JsonEntry };
  return done(revision, { entry: entryOf(entry) });
}

// --- internal ---

function conditionOf({ revision, not = false }: RevisionCheck): Record<string, unknown> {
  if (revision === 0) return not ? { ifPresent: true } : { ifAbsent: true };
  return not ? { ifNotRevision: revision } : { ifRevision: revision };
}
