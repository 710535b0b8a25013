/**
 * Listing: the range that a request names, one page of it, and the cursor to the next page. Used by
 * everything that lists, however its parameters came.
 */

import { KvError } from "../errors.ts";
import { entryToJson, type JsonEntry } from "../json.ts";
import { checkKey, checkRange, inRange, type Range } from "../keys.ts";
import type { ListResult, MaybePromise, Store } from "../kv.ts";
import type { JsonRange } from "../json.ts";
import { decodeCursor, encodeCursor } from "../protocol.ts";

export interface ListRequest extends Omit<JsonRange, "key"> {
  readonly limit?: number;
  /** With it the range may be left out; given, it must be the cursor's. */
  readonly cursor?: string;
  readonly keys?: boolean;
  readonly revision?: number;
}

export interface ListAnswer {
  revision: number;
  entries: JsonEntry[];
  /** There when there are further entries. */
  cursor?: string;
}

/**
 * One page. Every page of a listing is read at the revision of its first one, which the cursor
 * keeps.
 */
export function listPage(store: Store, request: ListRequest): MaybePromise<ListAnswer> {
  const { limit, keys } = request;
  const place = request.cursor === undefined ? undefined : placeOf(request, request.cursor);
  const range = place?.range ?? readRange(request);
  const revision = place?.revision ?? request.revision;
  const result = store.list(range, {
    ...(limit === undefined ? undefined : { limit }),
    ...(keys === undefined ? undefined : { keys }),
    ...(revision === undefined ? undefined : { revision }),
    ...(place === undefined ? undefined : { after: place.after }),
  });
  if (result instanceof Promise) return result.then((page) => pageAnswer(range, page));
  return pageAnswer(range, result);
}

/**
 * The range of a request.
 * @throws `invalid_argument` when it names more than one kind of range, or a key that is none.
 */
export function readRange({ key, prefix, start, end }: JsonRange): Range {
  const kinds = Object.entries({ key, prefix, start: start ?? end })
    .filter(([, text]) => text !== undefined)
    .map(([kind]) => (kind === "start" ? '"start" with "end"' : `"${kind}"`));
  if (kinds.length > 1) {
    throw new KvError(
      "invalid_argument",
      `${kinds.join(" and ")} name different ranges; give one of them`,
    );
  }
  const range = rangeOf({ key, prefix, start, end });
  checkRange(range);
  return range;
}

// --- internal ---

function rangeOf({ key, prefix, start, end }: JsonRange): Range {
  if (key !== undefined) return { key };
  if (prefix !== undefined) return { prefix };
  return {
    ...(start === undefined ? undefined : { start }),
    ...(end === undefined ? undefined : { end }),
  };
}

/** Where a cursor goes on; what the request says beside it must say the same. */
function placeOf(request: ListRequest, cursor: string) {
  const { range: texts, after, revision } = decodeCursor(cursor);
  const range = readRange(texts);
  // A cursor comes back from outside: one that no listing made is refused like any bad input.
  checkKey(after, "key in the cursor");
  if (range.key !== undefined || !inRange(range, after) || (revision ?? 0) < 0) {
    throw new KvError(
      "invalid_argument",
      "the cursor is not one that a listing answered; leave it out to start over",
    );
  }
  const { prefix, start, end } = request;
  const named = prefix !== undefined || start !== undefined || end !== undefined;
  if (named && !sameRange(readRange({ ...request }), range)) {
    throw new KvError(
      "invalid_argument",
      "the cursor belongs to another range; leave the range out, or give the one it was made with",
    );
  }
  if (request.revision !== undefined && request.revision !== revision) {
    throw new KvError(
      "invalid_argument",
      `the cursor reads at revision ${revision ?? "now"}; leave "revision" out beside it`,
    );
  }
  return { range, after, revision };
}

function sameRange(a: Range, b: Range): boolean {
  return a.prefix === b.prefix && a.start === b.start && a.end === b.end;
}

function pageAnswer(range: Range, { revision, entries, more }: ListResult): ListAnswer {
  const last = entries.at(-1);
  return {
    revision,
    entries: entries.map(entryToJson),
    ...(more && last !== undefined
      ? { cursor: encodeCursor({ range, after: last.key, revision }) }
      : undefined),
  };
}
