/** The distinct filters that are watched now, each with its number. Knows nothing of delivery. */

import { distinctRanges, isEverything } from "../keys.ts";
import type { Range, Ranges } from "../kv.ts";
import type { Filter } from "./watcher.ts";

/** What a watch shows, as it is asked for. */
export interface FilterRequest {
  /** Keys and prefixes together, or one range. */
  readonly range: Ranges;
  /** Each event with what was there before. */
  readonly prev?: boolean;
  /** Leave the values out. */
  readonly keys?: boolean;
  /** Who is behind gets only the newest event of each key. */
  readonly latest?: boolean;
}

/** The one way to write a filter. */
export type WantedFilter = Pick<Filter, "name" | "ranges" | "prev" | "keys" | "latest">;

export function wantedFilter(request: FilterRequest): WantedFilter {
  const { range, prev = false, keys = false, latest = false } = request;
  const ranges = distinctRanges(range).map(plainest);
  const texts = ranges.map(({ key, prefix, start = "", end }) =>
    key === undefined ? (prefix === undefined ? [start, end ?? null] : [prefix]) : key,
  );
  const name = JSON.stringify([texts, prev, keys, latest]);
  return { name, ranges, prev, keys, latest };
}

export class Filters {
  readonly #byName = new Map<string, Filter>();
  #lastNumber = 0;

  /** All filters that someone watches. */
  values(): Iterable<Filter> {
    return this.#byName.values();
  }

  find({ name }: WantedFilter): Filter | undefined {
    return this.#byName.get(name);
  }

  /** Counts one more watcher of the filter. Each call needs a `release`. */
  acquire(wanted: WantedFilter): Filter {
    const filter = this.find(wanted) ?? this.#create(wanted);
    filter.watchers++;
    return filter;
  }

  release(filter: Filter): void {
    filter.watchers--;
    if (filter.watchers === 0) this.#byName.delete(filter.name);
  }

  #create(wanted: WantedFilter): Filter {
    const number = ++this.#lastNumber;
    const filter: Filter = {
      ...wanted,
      number,
      topic: `watch-${number}`,
      watchers: 0,
      live: new Set(),
      uncheckedBytes: 0,
      toldThrough: 0,
    };
    this.#byName.set(filter.name, filter);
    return filter;
  }
}

// --- internal ---

/** No range, an empty prefix and an empty start are every key. */
function plainest(range: Range): Range {
  return isEverything(range) ? { prefix: "" } : range;
}
