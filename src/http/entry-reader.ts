/**
 * Reads all of a range at one revision, piece after piece, as lines of JSON. Holds one piece at a
 * time, and leaves little behind: how much memory a stream takes is decided here. The revision is
 * pinned as long as there is more to read.
 */

import { edenGC } from "bun:jsc";
import { giveEntry } from "../entry-sink.ts";
import type {
  ListedEntry,
  ListResult,
  MaybePromise,
  Range,
  ScanOptions,
  ScanResult,
  Store,
} from "../kv.ts";
import { STREAM_GARBAGE_BYTES, STREAM_READ_BYTES, STREAM_READ_ENTRIES_MAX } from "../limits.ts";
import { EntryLines } from "./entry-lines.ts";

export interface EntryReaderOptions {
  readonly keys: boolean;
  readonly reverse: boolean;
  /** Entries in all; no limit when left out. */
  readonly limit?: number;
}

export class EntryReader {
  readonly #scan: Scan;
  readonly #pin: Store["pin"];
  readonly #shape: Pick<ScanOptions, "keys" | "reverse">;
  /** Entries that are still to be read. */
  #wanted: number;
  readonly #lines = new EntryLines();
  #next: Pick<ScanOptions, "after" | "revision"> = {};
  #more = true;
  #unpin: (() => void) | undefined;

  constructor(store: Store, range: Range, options: EntryReaderOptions) {
    this.#scan = scanOf(store, range);
    this.#pin = store.pin?.bind(store);
    const { limit = Number.POSITIVE_INFINITY, ...shape } = options;
    this.#shape = shape;
    this.#wanted = limit;
  }

  /**
   * Reads the first piece, at `revision` or now, and answers at which revision that was. Call it
   * first, and `end` at last. Throws what the store's `list` throws.
   */
  async begin(revision?: number): Promise<number> {
    if (revision !== undefined) this.#next = { revision };
    const readAt = await this.#read();
    if (this.#more) this.#unpin = this.#pin?.(readAt);
    return readAt;
  }

  /** Lets go of the revision: nothing more will be read. May be called again. */
  end(): void {
    this.#unpin?.();
    this.#unpin = undefined;
  }

  /** Some lines, each with its line end; `undefined` behind the last one. Throws as `begin`. */
  async lines(): Promise<Uint8Array | undefined> {
    for (;;) {
      const lines = this.#lines.take();
      if (lines.length > 0) {
        garbageBytes += lines.length;
        return lines;
      }
      if (!this.#more) return undefined;
      // A turn of its own for each piece: a client that takes all at once is not alone.
      await new Promise<void>((resolve) => setImmediate(resolve));
      collectGarbage();
      await this.#read();
      if (!this.#more) this.end();
    }
  }

  async #read(): Promise<number> {
    const limit = Number.isFinite(this.#wanted) ? { limit: this.#wanted } : undefined;
    const options = { ...this.#shape, ...this.#next, ...limit };
    const { revision, next } = await this.#scan(options, this.#lines);
    this.#wanted -= this.#lines.count;
    this.#more = next !== undefined && this.#wanted > 0;
    if (next !== undefined) this.#next = { after: next, revision };
    return revision;
  }
}

// --- internal ---

type Scan = (options: ScanOptions, sink: EntryLines) => MaybePromise<ScanResult>;

function scanOf(store: Store, range: Range): Scan {
  if (store.scan === undefined) return scanByPages(store, range);
  return (options, sink) => store.scan!(range, options, sink);
}

const NO_PAGE: ListResult = { revision: 0, entries: [], more: true };

/** Reads pages, and hands over as much of one as there is room for. */
function scanByPages(store: Store, range: Range): Scan {
  /** Entries to ask for, as many as those before let expect to fit. */
  let pageEntries = 64;
  let page = NO_PAGE;
  let at = 0;
  return async ({ limit = pageEntries, ...options }, sink) => {
    if (at === page.entries.length) {
      page = await store.list(range, { ...options, limit: Math.min(limit, pageEntries) });
      pageEntries = fittingEntries(page.entries);
      at = 0;
    }
    const { revision, entries } = page;
    sink.clear();
    while (at < entries.length && !sink.isFull) giveEntry(sink, entries[at++]!);
    const isLeft = at < entries.length;
    const next = isLeft ? entries[at - 1]!.key : page.next;
    // Let go of at once: see `collectGarbage`.
    if (!isLeft) [page, at] = [NO_PAGE, 0];
    return { revision, ...(next === undefined ? undefined : { next }) };
  };
}

/** How many entries like these a page should have. */
function fittingEntries(entries: readonly ListedEntry[]): number {
  let bytes = 1;
  for (const { key, value } of entries) bytes += key.length + (value?.length ?? 0);
  const fitting = Math.floor((entries.length * STREAM_READ_BYTES) / bytes);
  return Math.max(1, Math.min(fitting, STREAM_READ_ENTRIES_MAX));
}

/** Bytes of lines that all streams together have made since the last collection. */
let garbageBytes = 0;

/**
 * The platform lets young garbage grow until it is as large as all that lives, hundreds of MiB
 * where there are a million keys. So it is sent for it, between two pages: what it finds in use
 * then grows old, and old garbage stays for long.
 */
function collectGarbage(): void {
  if (garbageBytes < STREAM_GARBAGE_BYTES) return;
  garbageBytes = 0;
  edenGC();
}
