/**
 * Pages of ranges over the wire. The API goes on inside a listing by a cursor, which it has for
 * places of that listing only, and lists no range of one key; here any `after` and any range are
 * made into what it has.
 */

import { pageFromJson, type JsonPage } from "../json.ts";
import {
  checkRange,
  compareKeys,
  folderOf,
  inRange,
  prefixEnd,
  rangeStart,
  utf8Bytes,
} from "../keys.ts";
import type { ListOptions, ListResult, Range } from "../kv.ts";
import { LIMITS } from "../limits.ts";
import { decodeCursor, encodeCursor, PATHS, queryValue } from "../protocol.ts";
import { checkList } from "../rules.ts";
import type { HttpTransport, RequestOptions } from "./http-transport.ts";
import { waiting } from "./operations.ts";

/** @throws `compacted`, `invalid_argument` as `Store.list`. */
export async function listPage(
  transport: HttpTransport,
  range: Range,
  options: ListOptions & RequestOptions = {},
): Promise<ListResult> {
  checkRange(range);
  checkList(options, LIMITS);
  if (range.key !== undefined) return listPage(transport, boundsOfOne(range.key), options);
  const { after, ...others } = options;
  const place = after === undefined ? "beginning" : placeOf(range, after, options);
  if (place === "beginning") return request(transport, range, others);
  if (place !== "end") return request(transport, range, { ...others, after: place.after });
  // Nothing is left, and still the store's revision is the answer.
  const { limit: _, ...same } = others;
  const { revision, folders } = await request(transport, range, { ...same, limit: 1, keys: true });
  return { revision, entries: [], ...(folders && { folders: [] }), more: false };
}

// --- internal ---

interface JsonListAnswer extends JsonPage {
  revision: number;
  cursor?: string;
}

async function request(
  transport: HttpTransport,
  range: Range,
  options: ListOptions & RequestOptions,
): Promise<ListResult> {
  const answer = await transport.json<JsonListAnswer>(
    { method: "GET", path: `${PATHS.kv}${listQuery(range, options)}`, ...waiting(options) },
    ({ revision, entries, count }) =>
      Number.isSafeInteger(revision) && (Array.isArray(entries) || Number.isSafeInteger(count)),
  );
  const { revision, cursor } = answer;
  const page = pageFromJson(answer, cursor !== undefined);
  if (cursor === undefined) return { revision, ...page };
  return { revision, ...page, next: decodeCursor(cursor).after };
}

function listQuery(range: Range, options: ListOptions): string {
  const { limit, keys, after, reverse, delimiter, count, revision } = options;
  const query: string[] = [];
  if (after === undefined) {
    for (const [name, text] of Object.entries({ ...range, delimiter })) {
      if (text !== undefined) query.push(`${name}=${queryValue(text)}`);
    }
    if (revision !== undefined) query.push(`revision=${revision}`);
    if (reverse === true) query.push("reverse=true");
  } else {
    const shape = { ...(reverse === true && { reverse }), ...(delimiter && { delimiter }) };
    const at = revision === undefined ? undefined : { revision };
    query.push(`cursor=${encodeCursor({ range, after, ...at, ...shape })}`);
  }
  if (limit !== undefined) query.push(`limit=${limit}`);
  if (keys === true) query.push("keys=true");
  if (count === true) query.push("count=true");
  return query.length === 0 ? "" : `?${query.join("&")}`;
}

/**
 * Where a listing goes on that goes on behind `after`: at a place that a cursor can have, which is
 * a text inside the range or a folder, or at one of the listing's ends.
 */
function placeOf(
  range: Range,
  after: string,
  { reverse = false, delimiter }: ListOptions,
): "beginning" | "end" | { readonly after: string } {
  if (after !== "" && inRange(range, after)) return { after };
  if (delimiter !== undefined && after.endsWith(delimiter)) return { after };
  const start = rangeStart(range);
  const isBelow = after === "" || compareKeys(after, start) < 0;
  if (!isBelow) return reverse ? "beginning" : "end";
  // At most one folder begins below the range that holds keys of it: the one of its start.
  const folder = delimiter === undefined ? undefined : folderOf(range, delimiter, start);
  const isPassed = folder !== undefined && compareKeys(folder, after) < 0;
  if (!isPassed) return reverse ? "end" : "beginning";
  if (!reverse) return { after: folder };
  return inRange(range, start) ? { after: start } : "end";
}

/** Bounds between which there is this key and no other one. */
function boundsOfOne(key: string): Range {
  const next = `${key}\u0000`;
  if (utf8Bytes(next) <= LIMITS.keyBytesMax) return { start: key, end: next };
  // It has all the bytes that keys may have. So no key goes on where it ends; and where a bound
  // has more bytes because of a larger last character, so would every key with that character.
  const characters = [...key];
  let end = prefixEnd(key);
  while (end !== undefined && utf8Bytes(end) > LIMITS.keyBytesMax) {
    characters.pop();
    end = prefixEnd(characters.join(""));
  }
  return end === undefined ? { start: key } : { start: key, end };
}
