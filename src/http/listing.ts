/**
 * Ranges: one page of a listing and the cursor to the next one, the changes of a key, and the
 * deletion of a range. Used by everything that takes ranges, however their parameters came.
 */

import { KvError } from "../errors.ts";
import {
  deletedRangeFromJson,
  historyToJson,
  pageToJson,
  rangeFromJson,
  type JsonHistory,
  type JsonListShape,
  type JsonPage,
  type JsonRange,
} from "../json.ts";
import { checkBound, inRange, type Range } from "../keys.ts";
import type {
  CommitResult,
  HistoryOptions,
  HistoryResult,
  ListOptions,
  ListResult,
  MaybePromise,
  Store,
  Txn,
} from "../kv.ts";
import { decodeCursor, encodeCursor, type Cursor } from "../protocol.ts";
import { listShapeOf } from "../txn-json.ts";

export interface ListRequest extends Omit<JsonRange, "key">, Readonly<JsonListShape> {
  /** With it the range may be left out; given, it must be the cursor's. */
  readonly cursor?: string;
  readonly revision?: number;
}

export interface ListAnswer extends JsonPage {
  revision: number;
  /** There when there is more. */
  cursor?: string;
}

export interface DeleteRangeRequest extends JsonRange {
  readonly limit?: number;
  /** Needed for a range that is every key. */
  readonly all?: boolean;
}

export interface DeleteRangeAnswer {
  deleted: number;
  revision: number;
  more?: true;
}

/**
 * One page. Every page of a listing is read at the revision of its first one, which the cursor
 * keeps.
 */
export function listPage(store: Store, request: ListRequest): MaybePromise<ListAnswer> {
  const { range, options } = readListing(request);
  const result = store.list(range, options);
  if (result instanceof Promise) return result.then((page) => pageAnswer(range, options, page));
  return pageAnswer(range, options, result);
}

/** One page of the changes of a key. */
export function historyPage(
  store: Store,
  key: string,
  { limit, before, keys }: Pick<HistoryOptions, "limit" | "before" | "keys">,
): MaybePromise<JsonHistory> {
  const page: MaybePromise<HistoryResult> = store.history(key, {
    ...(limit === undefined ? undefined : { limit }),
    ...(before === undefined ? undefined : { before }),
    ...(keys === undefined ? undefined : { keys }),
  });
  return page instanceof Promise ? page.then(historyToJson) : historyToJson(page);
}

/** @throws `invalid_argument` when the request names no range that may be deleted. */
export function deleteRangeTxn(request: DeleteRangeRequest): Txn {
  const range = deletedRangeFromJson(request);
  const { limit } = request;
  const options = limit === undefined ? undefined : { limit };
  return { checks: [], then: [{ op: "deleteRange", range, ...options }] };
}

export function deleteRangeAnswer({ revision, results }: CommitResult): DeleteRangeAnswer {
  const [first] = results;
  if (first?.op !== "deleteRange") throw new Error("a deleted range answers as one");
  const { deleted, more } = first;
  return more ? { deleted, revision, more } : { deleted, revision };
}

/** The texts of a range that are given, and no others. */
export function rangeTexts({ prefix, start, end }: ListRequest): JsonRange {
  return {
    ...(prefix === undefined ? undefined : { prefix }),
    ...(start === undefined ? undefined : { start }),
    ...(end === undefined ? undefined : { end }),
  };
}

// --- internal ---

/** What a listing asks of the store; what stands beside a cursor must say the same as it. */
function readListing(request: ListRequest): { range: Range; options: ListOptions } {
  const shape = listShapeOf(request);
  const { cursor, revision } = request;
  if (cursor === undefined) {
    const options = revision === undefined ? shape : { ...shape, revision };
    return { range: rangeFromJson(rangeTexts(request)), options };
  }
  if (request.count === true) {
    throw new KvError("invalid_argument", "count and cursor exclude each other");
  }
  const place = decodeCursor(cursor);
  const range = rangeOfCursor(place);
  checkSame(request, place, range);
  const options: ListOptions = {
    ...shape,
    after: place.after,
    ...(place.revision === undefined ? undefined : { revision: place.revision }),
    ...(place.reverse === undefined ? undefined : { reverse: place.reverse }),
    ...(place.delimiter === undefined ? undefined : { delimiter: place.delimiter }),
  };
  return { range, options };
}

/** A cursor comes back from outside: one that no listing made is refused like any bad input. */
function rangeOfCursor({ range: texts, after, revision, delimiter }: Cursor): Range {
  const range = rangeFromJson(texts);
  checkBound(after, "place in the cursor");
  // A folder may lie below the start of a range that it holds keys of.
  const isFolder = delimiter !== undefined && delimiter !== "" && after.endsWith(delimiter);
  const fits = after !== "" && (isFolder || inRange(range, after));
  if (range.key === undefined && fits && (revision ?? 0) >= 0) return range;
  throw new KvError(
    "invalid_argument",
    "the cursor is not one that a listing answered; leave it out to start over",
  );
}

function checkSame(request: ListRequest, place: Cursor, range: Range): void {
  const { revision, reverse, delimiter } = request;
  const texts = rangeTexts(request);
  if (Object.keys(texts).length > 0 && !sameRange(rangeFromJson(texts), range)) {
    throw new KvError(
      "invalid_argument",
      "the cursor belongs to another range; leave the range out, or give the one it was made with",
    );
  }
  if (revision !== undefined && revision !== place.revision) {
    throw new KvError(
      "invalid_argument",
      `the cursor reads at revision ${place.revision ?? "now"}; leave "revision" out beside it`,
    );
  }
  const otherWay = reverse !== undefined && reverse !== (place.reverse ?? false);
  if (otherWay || (delimiter !== undefined && delimiter !== place.delimiter)) {
    const name = otherWay ? "reverse" : "delimiter";
    throw new KvError(
      "invalid_argument",
      `the cursor belongs to a listing with another "${name}"; leave it out beside the cursor`,
    );
  }
}

function sameRange(a: Range, b: Range): boolean {
  return a.prefix === b.prefix && a.start === b.start && a.end === b.end;
}

function pageAnswer(range: Range, options: ListOptions, result: ListResult): ListAnswer {
  const { revision, next } = result;
  const answer: ListAnswer = { revision, ...pageToJson(result) };
  if (next === undefined) return answer;
  const { reverse = false, delimiter } = options;
  answer.cursor = encodeCursor({
    range,
    after: next,
    revision,
    ...(reverse ? { reverse } : undefined),
    ...(delimiter === undefined ? undefined : { delimiter }),
  });
  return answer;
}
