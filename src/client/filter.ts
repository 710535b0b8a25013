/** What a watch shows, and how a server is asked for it. */

import { checkRanges, distinctRanges } from "../keys.ts";
import type { Range, Ranges } from "../kv.ts";
import type { JsonWatch } from "../messages.ts";
import { PATHS, queryValue } from "../protocol.ts";

/** Two watches of the same name can be served by one on the server. */
export interface Filter {
  readonly name: string;
  /** In key order; none of them overlap. */
  readonly ranges: readonly Range[];
  /** Each event with what was there before. */
  readonly prev: boolean;
  /** Without values. */
  readonly keys: boolean;
  /** Only the newest event of each key to who is behind. */
  readonly latest: boolean;
}

export interface FilterOptions {
  readonly prev?: boolean | undefined;
  readonly keys?: boolean | undefined;
  readonly latest?: boolean | undefined;
}

/** @throws `invalid_argument`, `too_large` as `checkRanges`. */
export function filterOf(given: Ranges, options: FilterOptions = {}): Filter {
  checkRanges(given);
  const ranges = distinctRanges(given);
  const { prev = false, keys = false, latest = false } = options;
  const name = JSON.stringify([ranges.map(nameOf), prev, keys, latest]);
  return { name, ranges, prev, keys, latest };
}

/** Where a watch is to begin: now, at a revision, or with what is there. */
export interface Beginning {
  readonly from?: number;
  /** First what is there; with `from` only if the history from there on is gone. */
  readonly initial?: boolean;
}

/** The fields of the request for a watch. */
export function watchToJson(
  { ranges, ...filter }: Filter,
  { from, initial }: Beginning,
): JsonWatch {
  const given = (name: "prev" | "keys" | "latest"): JsonWatch =>
    filter[name] ? { [name]: true } : {};
  return {
    ...rangesToJson(ranges),
    ...(from === undefined ? undefined : { from }),
    ...(initial === true ? { initial } : undefined),
    ...given("prev"),
    ...given("keys"),
    ...given("latest"),
  };
}

/** The path of the stream that `watch` asks for. */
export function watchPath(watch: JsonWatch): string {
  const query = Object.entries(watch).flatMap(([name, values]) =>
    [values].flat().map((value) => `${name}=${queryValue(String(value))}`),
  );
  return query.length === 0 ? PATHS.watch : `${PATHS.watch}?${query.join("&")}`;
}

// --- internal ---

/** Ranges that the server takes for the same have the same name. */
function nameOf(range: Range): readonly (string | null)[] {
  if (range.key !== undefined) return ["key", range.key];
  if (range.prefix !== undefined && range.prefix !== "") return ["prefix", range.prefix];
  return ["range", range.start ?? "", range.end ?? null];
}

function rangesToJson(ranges: readonly Range[]): JsonWatch {
  const [first, ...others] = ranges;
  if (others.length === 0) return { ...first };
  const keys = ranges.flatMap(({ key }) => key ?? []);
  const prefixes = ranges.flatMap(({ prefix }) => prefix ?? []);
  return {
    ...(keys.length === 0 ? undefined : { key: keys }),
    ...(prefixes.length === 0 ? undefined : { prefix: prefixes }),
  };
}
