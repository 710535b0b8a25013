/**
 * The operations that a WebSocket request can ask of the store, each from its JSON to the fields of
 * its answer. What they share with HTTP is in `single.ts` and `listing.ts`.
 */

import { checksOfConditions } from "../conditions.ts";
import { entryToJson, valueFromJson } from "../json.ts";
import { checkKey } from "../keys.ts";
import type { GetResult, MaybePromise, Store } from "../kv.ts";
import type { SocketRequest, SocketResults } from "../messages.ts";
import { defaultContentType } from "../protocol.ts";
import { ttlFromText } from "../ttl.ts";
import { commitResultToJson, incrementFromText, txnFromJson } from "../txn-json.ts";
import { deleteRangeAnswer, deleteRangeTxn, historyPage, listPage } from "./listing.ts";
import {
  absentKey,
  deleteAnswer,
  deleteTxn,
  incrAnswer,
  incrTxn,
  putAnswer,
  putTxn,
  singleResult,
  touchAnswer,
  touchTxn,
} from "./single.ts";

/** The requests that are answered by the store alone. */
export type StoreRequest = Exclude<SocketRequest, { op: "watch" | "unwatch" }>;
type Request<O extends StoreRequest["op"]> = Extract<StoreRequest, { op: O }>;

/** Runs one; throws or rejects with what the store does, and with `invalid_argument`. */
export function runOperation(
  store: Store,
  request: StoreRequest,
): MaybePromise<SocketResults[StoreRequest["op"]]> {
  switch (request.op) {
    case "get":
      return get(store, request);
    case "put":
      return put(store, request);
    case "delete":
      return remove(store, request);
    case "deleteRange":
      return removeRange(store, request);
    case "incr":
      return incr(store, request);
    case "touch":
      return touch(store, request);
    case "list":
      return listPage(store, request);
    case "history":
      return history(store, request);
    case "txn":
      return txn(store, request);
    case "compact":
      return store.compact(request.revision);
  }
}

// --- internal ---

function get(store: Store, { key, revision }: Request<"get">): MaybePromise<SocketResults["get"]> {
  checkKey(key);
  const answer = ({ revision, entry }: GetResult): SocketResults["get"] => {
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
  const ttl = request.ttl === undefined ? undefined : ttlFromText(request.ttl, "ttl", "keep");
  const lifetime = ttl === undefined ? undefined : { ttl };
  const txn = putTxn({ key, value, contentType, ...lifetime }, checksOfConditions(key, request));
  return putAnswer(key, await singleResult(store.commit(txn)));
}

async function remove(store: Store, request: Request<"delete">): Promise<SocketResults["delete"]> {
  const { key } = request;
  checkKey(key);
  const txn = deleteTxn(key, checksOfConditions(key, request));
  return deleteAnswer(key, await singleResult(store.commit(txn)));
}

async function removeRange(
  store: Store,
  request: Request<"deleteRange">,
): Promise<SocketResults["deleteRange"]> {
  return deleteRangeAnswer(await singleResult(store.commit(deleteRangeTxn(request))));
}

async function incr(store: Store, request: Request<"incr">): Promise<SocketResults["incr"]> {
  const { key } = request;
  checkKey(key);
  const by = incrementFromText(request.by ?? "1", "by");
  const ttl = request.ttl === undefined ? undefined : ttlFromText(request.ttl, "ttl");
  const txn = incrTxn(
    { key, by, ...(ttl === undefined ? undefined : { ttl }) },
    checksOfConditions(key, request),
  );
  return incrAnswer(key, await singleResult(store.commit(txn)));
}

async function touch(store: Store, request: Request<"touch">): Promise<SocketResults["touch"]> {
  const { key } = request;
  checkKey(key);
  const ttl = ttlFromText(request.ttl, "ttl", "keep", "none");
  const txn = touchTxn({ key, ttl }, checksOfConditions(key, request));
  return touchAnswer(key, await singleResult(store.commit(txn)));
}

function history(
  store: Store,
  request: Request<"history">,
): MaybePromise<SocketResults["history"]> {
  checkKey(request.key);
  return historyPage(store, request.key, request);
}

async function txn(store: Store, request: Request<"txn">): Promise<SocketResults["txn"]> {
  return commitResultToJson(await store.commit(txnFromJson(request)));
}
