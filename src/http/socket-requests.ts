/**
 * The requests of a WebSocket: from the text of a message to what it asks of the store and the hub,
 * and to its answer. Knows no order and no limits of a connection; `socket-connection.ts` does.
 */

import { assert, KvError } from "../errors.ts";
import { entryToJson, valueFromJson, type JsonTxn } from "../json.ts";
import { commitResultToJson, txnFromJson } from "../txn-json.ts";
import { checkKey } from "../keys.ts";
import type { Check, MaybePromise, Store } from "../kv.ts";
import {
  socketRequestSchema,
  type RequestId,
  type SocketRequest,
  type SocketResults,
} from "../messages.ts";
import { SOCKET_ID_CHARS_MAX } from "../limits.ts";
import { defaultContentType } from "../protocol.ts";
import { validate } from "../schema.ts";
import type { CreatedWatch, WatchSession } from "../watch/hub.ts";
import { listPage, readRange } from "./listing.ts";
import { absentKey, deleteAnswer, deleteTxn, putAnswer, putTxn } from "./single.ts";

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
 * Whether the effect of a request is a change: those that change are handed to the store in the
 * order sent without waiting for each other, and so are those that do not.
 */
export function isWrite({ op }: SocketRequest): boolean {
  return op === "put" || op === "delete" || op === "txn";
}

/** What a message asks for. @throws `RequestError` for anything that is no well-formed request. */
export function parseRequest(text: string): SocketRequest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
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
  const { store } = context;
  switch (request.op) {
    case "get":
      return get(store, request);
    case "put":
      return put(store, request);
    case "delete":
      return remove(store, request);
    case "list":
      return listPage(store, request);
    case "txn":
      return txn(store, request);
    case "watch":
      return watch(context, request);
    case "unwatch":
      return unwatch(context.session, request);
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

function get(store: Store, { key, revision }: Request<"get">): MaybePromise<SocketResults["get"]> {
  checkKey(key);
  const answer = ({ revision, entry }: Awaited<ReturnType<Store["get"]>>) => {
    if (entry === undefined) throw absentKey(key, revision);
    return { revision, entry: entryToJson(entry) };
  };
  const found = store.get(key, revision === undefined ? undefined : { revision });
  return found instanceof Promise ? found.then(answer) : answer(found);
}

async function put(store: Store, request: Request<"put">): Promise<SocketResults["put"]> {
  const { key } = request;
  checkKey(key);
  const value = valueFromJson(request, "the request");
  const contentType = request.contentType ?? defaultContentType(value);
  const txn = putTxn({ key, value, contentType }, checksOf(request));
  return putAnswer(key, await store.commit(txn));
}

async function remove(store: Store, request: Request<"delete">): Promise<SocketResults["delete"]> {
  const { key } = request;
  checkKey(key);
  return deleteAnswer(key, await store.commit(deleteTxn(key, checksOf(request))));
}

function checksOf(request: Request<"put"> | Request<"delete">): Check[] {
  const { key, ifRevision } = request;
  const ifAbsent = request.op === "put" && request.ifAbsent === true;
  if (ifAbsent && ifRevision !== undefined) {
    throw new KvError("invalid_argument", `"ifAbsent" and "ifRevision" exclude each other`);
  }
  if (ifAbsent) return [{ key, revision: 0 }];
  return ifRevision === undefined ? [] : [{ key, revision: ifRevision }];
}

async function txn(store: Store, request: Request<"txn">): Promise<SocketResults["txn"]> {
  const json: JsonTxn = request;
  return commitResultToJson(await store.commit(txnFromJson(json)));
}

async function watch(context: RequestContext, request: Request<"watch">): Promise<undefined> {
  const { id, from } = request;
  const range = readRange(request);
  let announced = false;
  await context.session.watch({
    range,
    ...(from === undefined ? undefined : { from }),
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
