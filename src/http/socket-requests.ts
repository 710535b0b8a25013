/**
 * The requests of a WebSocket: from the text of a message to what it asks of the store and the hub,
 * and to its answer. Knows no order and no limits of a connection; `socket-connection.ts` does.
 */

import { assert, KvError } from "../errors.ts";
import { rangesFromJson } from "../json.ts";
import type { MaybePromise, Store } from "../kv.ts";
import { SOCKET_ID_CHARS_MAX } from "../limits.ts";
import {
  socketRequestSchema,
  type JsonWatch,
  type RequestId,
  type SocketRequest,
  type SocketResults,
} from "../messages.ts";
import { validate } from "../schema.ts";
import type { CreatedWatch, WatchSession } from "../watch/watch-session.ts";
import { parseJson } from "./json-text.ts";
import { runOperation } from "./socket-operations.ts";

type Operation = SocketRequest["op"];
type Request<O extends Operation> = Extract<SocketRequest, { op: O }>;

/** What a request is run with. */
export interface RequestContext {
  readonly store: Store;
  readonly session: WatchSession;
  /** Sends the answer to a watch, ahead of its first frame. */
  readonly created: (id: RequestId, watch: CreatedWatch) => void;
}

/** The fields of a `result` answer; nothing for a watch, which has been answered by `created`. */
export type RequestResult = SocketResults[keyof SocketResults] | undefined;

/**
 * Requests that may run at the same time as others of their kind: the store takes writes in the
 * order in which they are handed over, and reads change nothing. Forgetting history has to wait for
 * what is written before it, so it runs alone.
 */
export type RequestKind = "read" | "write" | "compact";

export function kindOf({ op }: SocketRequest): RequestKind {
  switch (op) {
    case "put":
    case "delete":
    case "deleteRange":
    case "incr":
    case "touch":
    case "txn":
      return "write";
    case "compact":
      return "compact";
    default:
      return "read";
  }
}

/** What a message asks for. @throws `RequestError` for anything that is no well-formed request. */
export function parseRequest(text: string): SocketRequest {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    if (error instanceof KvError) throw new RequestError(null, error);
    throw new RequestError(
      null,
      new KvError("invalid_argument", "the message is not JSON; send one object a message"),
    );
  }
  try {
    validate(socketRequestSchema, json, "the request");
    return json as SocketRequest;
  } catch (error) {
    throw new RequestError(readableId(json), error);
  }
}

/** A message that is no request, with as much of its id as can be read. */
export class RequestError extends Error {
  readonly id: RequestId | null;

  constructor(id: RequestId | null, cause: unknown) {
    super("not a request", { cause });
    this.id = id;
  }
}

/** Runs a request; whatever it throws or rejects with becomes its error answer. */
export function runRequest(
  context: RequestContext,
  request: SocketRequest,
): MaybePromise<RequestResult> {
  switch (request.op) {
    case "watch":
      return watch(context, request);
    case "unwatch":
      return unwatch(context.session, request);
    default:
      return runOperation(context.store, request);
  }
}

// --- internal ---

function readableId(json: unknown): RequestId | null {
  if (typeof json !== "object" || json === null || !Object.hasOwn(json, "id")) return null;
  const { id } = json as { id: unknown };
  if (Number.isSafeInteger(id)) return id as number;
  const isShort = typeof id === "string" && id.length > 0 && id.length <= SOCKET_ID_CHARS_MAX;
  return isShort && id.isWellFormed() ? id : null;
}

async function watch(context: RequestContext, request: Request<"watch">): Promise<undefined> {
  const { id, op: _, key, prefix, start, end, ...options } = request;
  let announced = false;
  await context.session.watch({
    ...options,
    range: rangesFromJson({ key, prefix, start, end } as JsonWatch),
    created: (watch) => {
      announced = true;
      context.created(id, watch);
    },
  });
  assert(announced, "a watch is answered when it comes to be");
}

function unwatch(session: WatchSession, { watch }: Request<"unwatch">): SocketResults["unwatch"] {
  if (session.unwatch(watch)) return { watch };
  throw new KvError("not_found", `this connection has no watch ${watch}`);
}
