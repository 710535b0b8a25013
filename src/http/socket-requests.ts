/**
 * The requests of a WebSocket: from the text of a message to what it asks of the store and the hub,
 * and to its answer. Knows no order and no limits of a connection; `socket-connection.ts` does.
 */

import { assert, KvError } from "../errors.ts";
import { errorToJson, rangesFromJson } from "../json.ts";
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
import { RequestError, type Send, type Turn, type TurnKind } from "./socket-turn.ts";

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
type RequestResult = SocketResults[keyof SocketResults] | undefined;

/**
 * The request of a message.
 * @throws `RequestError` for anything that is no well-formed request.
 */
export function parseRequest(context: RequestContext, text: string): Turn {
  let json: unknown;
  try {
    json = parseJson(text);
  } catch (error) {
    if (error instanceof KvError) throw requestError(null, error);
    throw requestError(
      null,
      new KvError("invalid_argument", "the message is not JSON; send one object a message"),
    );
  }
  try {
    validate(socketRequestSchema, json, "the request");
    return new JsonTurn(context, json as SocketRequest, text.length);
  } catch (error) {
    throw requestError(readableId(json), error);
  }
}

// --- internal ---

class JsonTurn implements Turn {
  readonly bytes: number;
  readonly #context: RequestContext;
  readonly #request: SocketRequest;

  constructor(context: RequestContext, request: SocketRequest, bytes: number) {
    this.#context = context;
    this.#request = request;
    this.bytes = bytes;
  }

  get kind(): TurnKind {
    return kindOf(this.#request);
  }

  run(send: Send): MaybePromise<void> {
    const { id } = this.#request;
    const answer = (result: RequestResult): void => {
      if (result !== undefined) send(JSON.stringify({ id, type: "result", ...result }));
    };
    const running = runRequest(this.#context, this.#request);
    return running instanceof Promise ? running.then(answer) : answer(running);
  }

  refusal(error: KvError): string {
    return errorMessage(this.#request.id, error);
  }
}

function kindOf({ op }: SocketRequest): TurnKind {
  switch (op) {
    case "put":
    case "delete":
    case "deleteRange":
    case "incr":
    case "touch":
    case "txn":
      return "write";
    case "compact":
      return "alone";
    default:
      return "read";
  }
}

/** Whatever it throws or rejects with becomes the error answer. */
function runRequest(context: RequestContext, request: SocketRequest): MaybePromise<RequestResult> {
  switch (request.op) {
    case "watch":
      return watch(context, request);
    case "unwatch":
      return unwatch(context.session, request);
    default:
      return runOperation(context.store, request);
  }
}

function requestError(id: RequestId | null, cause: unknown): RequestError {
  return new RequestError((error) => errorMessage(id, error), cause);
}

function errorMessage(id: RequestId | null, error: KvError): string {
  return JSON.stringify({ id, type: "error", ...errorToJson(error) });
}

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
