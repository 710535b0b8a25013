/** The distinct filters that are watched now, each with its number. Knows nothing of delivery. */

import type { Range } from "../kv.ts";
import type { Filter } from "./watcher.ts";

export class Filters {
  readonly #byName = new Map<string, Filter>();
  #lastNumber = 0;

  /** All filters that someone watches. */
  values(): Iterable<Filter> {
    return this.#byName.values();
  }

  find(range: Range): Filter | undefined {
    return this.#byName.get(nameOf(range));
  }

  /** Counts one more watcher of the range. Each call needs a `release`. */
  acquire(range: Range): Filter {
    const filter = this.find(range) ?? this.#create(range);
    filter.watchers++;
    return filter;
  }

  release(filter: Filter): void {
    filter.watchers--;
    if (filter.watchers === 0) this.#byName.delete(filter.name);
  }

  #create(range: Range): Filter {
    const number = ++this.#lastNumber;
    const name = nameOf(range);
    const filter: Filter = {
      number,
      topic: `watch-${number}`,
      name,
      range,
      watchers: 0,
      live: new Set(),
      uncheckedBytes: 0,
      toldThrough: 0,
    };
    this.#byName.set(name, filter);
    return filter;
  }
}

// --- internal ---

/** An empty prefix and an empty start are every key, as no range is. */
function nameOf(range: Range): string {
  if (range.key !== undefined) return JSON.stringify(["key", range.key]);
  if (range.prefix !== undefined && range.prefix !== "") {
    return JSON.stringify(["prefix", range.prefix]);
  }
  return JSON.stringify(["range", range.start ?? "", range.end ?? null]);
}
