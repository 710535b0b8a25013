/**
 * The state that a watch begins with, read page by page at one revision. Between two parts nothing
 * is held but a place in it.
 */

import { entryToJson } from "../json.ts";
import { utf8Bytes } from "../keys.ts";
import type { ListOptions, Range, Store } from "../kv.ts";
import { FRAME_BYTES_MAX, STREAM_READ_BYTES, STREAM_READ_ENTRIES_MAX } from "../limits.ts";
import { FRAME_AROUND_BYTES, stateFrame, type Frame, type StorePosition } from "./frames.ts";

/** Entries that the first page asks for: nothing is known of their size. */
const FIRST_PAGE_ENTRIES = 64;

/** Where the state goes on. */
export interface StatePlace extends StorePosition {
  /** The range that is read, counted in the order of the filter's. */
  readonly range: number;
  /** The last key that was sent of it. */
  readonly after: string | undefined;
  /** Entries that the next page asks for. */
  readonly pageEntries: number;
}

/** A part of the state, and where it goes on behind it; nowhere, where it is the last. */
export interface StatePart {
  readonly frame: Frame;
  readonly place: StatePlace | undefined;
}

/** The beginning of the state at a revision. */
export function statePlace({ revision, store }: StorePosition): StatePlace {
  return { revision, store, range: 0, after: undefined, pageEntries: FIRST_PAGE_ENTRIES };
}

/** What a filter shows of the state. */
export interface StateFilter {
  readonly number: number;
  /** In key order, without an overlap. */
  readonly ranges: readonly Range[];
  readonly keys: boolean;
}

/**
 * The rest of the state from a place on, in key order, in frames of `FRAME_BYTES_MAX`; an entry
 * that is larger has a frame of its own. Whoever stops taking goes on at the last part's place.
 * @throws what the store's `list` does; `compacted` when the revision is forgotten on the way.
 */
export async function* readState(
  store: Store,
  filter: StateFilter,
  begin: StatePlace,
  signal: AbortSignal,
): AsyncGenerator<StatePart> {
  let part = new Part(filter.number);
  let place = begin;
  for await (const { range, entry, pageEntries } of entries(store, filter, begin, signal)) {
    const text = JSON.stringify(entryToJson(entry));
    const size = utf8Bytes(text) + 1;
    if (!part.takes(size)) {
      yield { frame: part.frame(), place };
      part = new Part(filter.number);
    }
    part.add(text, size);
    place = { ...begin, range, after: entry.key, pageEntries };
  }
  if (!part.isEmpty) yield { frame: part.frame(), place: undefined };
}

// --- internal ---

class Part {
  readonly #watch: number;
  readonly #texts: string[] = [];
  #bytes = 0;

  constructor(watch: number) {
    this.#watch = watch;
  }

  get isEmpty(): boolean {
    return this.#texts.length === 0;
  }

  takes(bytes: number): boolean {
    return this.isEmpty || FRAME_AROUND_BYTES + this.#bytes + bytes <= FRAME_BYTES_MAX;
  }

  add(text: string, bytes: number): void {
    this.#texts.push(text);
    this.#bytes += bytes;
  }

  frame(): Frame {
    return stateFrame(this.#watch, this.#texts, this.#bytes);
  }
}

/** Each entry of the state behind a place, with what a later page should ask for. */
async function* entries(
  store: Store,
  { ranges, keys }: StateFilter,
  begin: StatePlace,
  signal: AbortSignal,
) {
  let { after, pageEntries } = begin;
  for (let range = begin.range; range < ranges.length; range++) {
    for (let more = true; more;) {
      const options: ListOptions = { revision: begin.revision, limit: pageEntries, keys, signal };
      const page = await store.list(
        ranges[range]!,
        after === undefined ? options : { ...options, after },
      );
      pageEntries = nextPageEntries(pageEntries, page.entries);
      for (const entry of page.entries) yield { range, entry, pageEntries };
      ({ more, next: after } = page);
    }
  }
}

/** As many as fill a frame or so, going by those that were read. */
function nextPageEntries(
  before: number,
  entries: readonly { readonly key: string; readonly value?: Uint8Array }[],
): number {
  if (entries.length === 0) return before;
  let bytes = 0;
  for (const { key, value } of entries) bytes += key.length + (value?.length ?? 0);
  const fitting = Math.floor((entries.length * STREAM_READ_BYTES) / bytes);
  return Math.max(1, Math.min(fitting, STREAM_READ_ENTRIES_MAX));
}
