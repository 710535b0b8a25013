/**
 * What both ends of the wire share beyond JSON shapes: paths, header names, keys in URLs, cursors,
 * the content type of a value that came without one. Knows no server and no client.
 */

import { fromBase64, toBase64 } from "./base64.ts";
import { KvError } from "./errors.ts";
import type { Range } from "./keys.ts";
import { decodeUtf8, encodeUtf8, quote } from "./text.ts";

export const PATHS = {
  root: "/",
  live: "/livez",
  ready: "/readyz",
  kv: "/v1/kv",
  incr: "/v1/incr",
  touch: "/v1/touch",
  txn: "/v1/txn",
  history: "/v1/history",
  compact: "/v1/compact",
  watch: "/v1/watch",
  snapshot: "/v1/snapshot",
  status: "/v1/status",
  openapi: "/v1/openapi.json",
  socket: "/v1/ws",
} as const;

/** The WebSocket subprotocol that is selected when a client offers it. */
export const SUBPROTOCOL = "kv.v1";

export const HEADERS = {
  createRevision: "KV-Create-Revision",
  version: "KV-Version",
  expiresAt: "KV-Expires-At",
  /** Of a request: when the entry expires. */
  ttl: "KV-TTL",
  /** The store's revision at the read. */
  storeRevision: "KV-Store-Revision",
  /** The id of the store that was read. */
  storeId: "KV-Store-Id",
} as const;

export const TEXT_TYPE = "text/plain; charset=utf-8";
export const BYTES_TYPE = "application/octet-stream";
export const JSON_TYPE = "application/json";
/** Server-sent events. */
export const SSE_TYPE = "text/event-stream";
/** One JSON object a line. */
export const NDJSON_TYPE = "application/x-ndjson";
/** A copy of a store, or of its newest part. */
export const SNAPSHOT_TYPE = "application/x-kv-snapshot";

/** The content type of a value that came without one: text when the bytes are UTF-8. */
export function defaultContentType(value: Uint8Array): string {
  return decodeUtf8(value) === undefined ? BYTES_TYPE : TEXT_TYPE;
}

/** The path of a key below `base`: every byte outside `A-Za-z0-9-_.~/` percent-encoded. */
export function keyPath(key: string, base: string = PATHS.kv): string {
  return `${base}/${percentEncode(key)}`;
}

/** A value of a query parameter: every byte outside `A-Za-z0-9-_.~/` percent-encoded. */
export function queryValue(text: string): string {
  return percentEncode(text);
}

/**
 * Undoes percent-encoding, strictly: a malformed escape or escapes that are no UTF-8 throw
 * `invalid_argument` and are never replaced by U+FFFD. `what` names the place in the message.
 */
export function percentDecode(text: string, what: string): string {
  if (!text.includes("%")) return text;
  const bad = /%(?![0-9A-Fa-f]{2})/.exec(text);
  if (bad !== null) {
    const escape = quote(text.slice(bad.index, bad.index + 3));
    throw new KvError(
      "invalid_argument",
      `${what} has the malformed escape ${escape}; write a percent sign as %25`,
    );
  }
  try {
    return decodeURIComponent(text);
  } catch {
    throw new KvError("invalid_argument", `${what} has escapes that are not well-formed UTF-8`);
  }
}

/** Where a listing goes on. Opaque to users, who pass back what they got. */
export interface Cursor {
  readonly range: Range;
  /** The last key or folder of the page before. */
  readonly after: string;
  /** The revision of the first page; now when absent. */
  readonly revision?: number;
  readonly reverse?: boolean;
  readonly delimiter?: string;
}

export function encodeCursor(cursor: Cursor): string {
  const { after, revision, reverse, delimiter } = cursor;
  const { key, prefix, start, end } = cursor.range;
  // One order of the fields, and no others: a cursor has one spelling. Undefined ones are left out.
  const json = JSON.stringify({
    range: { key, prefix, start, end },
    after,
    revision,
    reverse: reverse === true ? true : undefined,
    delimiter,
  });
  const base64 = toBase64(encodeUtf8(json));
  return base64.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_");
}

/** @throws `invalid_argument` for anything that `encodeCursor` did not make. */
export function decodeCursor(text: string): Cursor {
  const cursor = parseCursor(text);
  // Base64 has many spellings of the same bytes, and JSON too; only our own is a cursor.
  if (cursor === undefined || encodeCursor(cursor) !== text) {
    throw new KvError(
      "invalid_argument",
      "cursor is not one that a listing answered; pass it back unchanged, or leave it out",
    );
  }
  return cursor;
}

// --- internal ---

const PLAIN = /^[A-Za-z0-9\-_.~/]*$/;

function percentEncode(text: string): string {
  if (PLAIN.test(text)) return text;
  let encoded = "";
  for (const byte of encodeUtf8(text)) {
    const character = String.fromCharCode(byte);
    const escape = `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    encoded += byte < 0x80 && PLAIN.test(character) ? character : escape;
  }
  return encoded;
}

function parseCursor(text: string): Cursor | undefined {
  try {
    const base64 = text.replaceAll("-", "+").replaceAll("_", "/");
    const bytes = fromBase64(base64.padEnd(Math.ceil(text.length / 4) * 4, "="));
    const cursor = JSON.parse(decodeUtf8(bytes!)!) as Cursor;
    const { range, after, revision, reverse, delimiter } = cursor;
    if (typeof after !== "string" || typeof range !== "object" || range === null) return undefined;
    if (revision !== undefined && !Number.isSafeInteger(revision)) return undefined;
    if (reverse !== undefined && reverse !== true) return undefined;
    if (delimiter !== undefined && typeof delimiter !== "string") return undefined;
    const texts = [range.key, range.prefix, range.start, range.end];
    if (!texts.every((part) => part === undefined || typeof part === "string")) return undefined;
    return cursor;
  } catch {
    return undefined;
  }
}
