/**
 * The SDK of kv: `connect()` and what it hands out. Needs nothing but `fetch`, and for watches
 * `WebSocket` where there is one, so it runs in browsers, Bun, Deno and Node.js.
 */

export { connect, KvClient } from "./client.ts";
export { KvManyError, type KvManyPut } from "./many.ts";
export type * from "./options.ts";
export { KvReader } from "./reader.ts";
export type {
  KvDeleteEvent,
  KvEntry,
  KvEvent,
  KvListedEntry,
  KvPutEvent,
  Readable,
} from "./entries.ts";
export {
  KvWatch,
  type KvChange,
  type KvFrame,
  type KvReset,
  type KvState,
  type KvSync,
} from "./kv-watch.ts";
export type { WatchStart } from "./parts.ts";
export type { WatchTransport } from "./watches.ts";
export type { RequestOptions } from "./http-transport.ts";
export type {
  KvCheck,
  KvDeleteRangeOperation,
  KvGetResult,
  KvListResult,
  KvOperation,
  KvOperationResult,
  KvTxn,
  KvTxnResult,
  KvValueCheck,
} from "./txn.ts";
export type {
  KvDuration,
  KvIncrOperation,
  KvPutOperation,
  KvTouchOperation,
  KvValue,
} from "./values.ts";
export { DEFAULT_PORT, DEFAULT_URL } from "./url.ts";
export { KvError, type ErrorCode, type ErrorDetails } from "../errors.ts";
export type { JsonStatus } from "../json.ts";
export type { Conditions } from "../conditions.ts";
export type { DeleteEvent, Range, Ranges } from "../kv.ts";
