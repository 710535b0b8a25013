/**
 * Reads all of a range at one revision, page after page, as lines of JSON. Holds one page at a
 * time, and leaves little behind: how much memory a stream takes is decided here. The revision is
 * pinned as long as there is more to read.
 */

import { edenGC } from "bun:jsc";
import { entryToJson } from "../json.ts";
import type { ListedEntry, ListOptions, Range, Store } from "../kv.ts";
import {
  STREAM_GARBAGE_BYTES,
  STREAM_PIECE_BYTES,
  STREAM_READ_BYTES,
  STREAM_READ_ENTRIES_MAX,
} from "../limits.ts";

export interface EntryReaderOptions {
  readonly keys: boolean;
  readonly reverse: boolean;
  /** Entries in all; no limit when left out. */
  readonly limit?: number;
}

export class EntryReader {
  readonly #store: Store;
  readonly #range: Range;
  readonly #shape: Pick<ListOptions, "keys" | "reverse">;
  /** Entries that are still to be read. */
  #wanted: number;
  /** Entries to ask for, as many as those before let expect to fit. */
  #pageEntries = 64;
  #next: Pick<ListOptions, "after" | "revision"> = {};
  #more = true;
  #entries: readonly ListedEntry[] = [];
  #at = 0;
  #unpin: (() => void) | undefined;

  constructor(store: Store, range: Range, options: EntryReaderOptions) {
    const { limit = Number.POSITIVE_INFINITY, ...shape } = options;
    this.#store = store;
    this.#range = range;
    this.#shape = shape;
    this.#wanted = limit;
  }

  /**
   * Reads the first page, at `revision` or now, and answers at which revision that was. Call it
   * first, and `end` at last. Throws what the store's `list` throws.
   */
  async begin(revision?: number): Promise<number> {
    if (revision !== undefined) this.#next = { revision };
    const readAt = await this.#read();
    if (this.#goesOn) this.#unpin = this.#store.pin?.(readAt);
    return readAt;
  }

  /** Lets go of the revision: nothing more will be read. May be called again. */
  end(): void {
    this.#unpin?.();
    this.#unpin = undefined;
  }

  /** Some lines, each with its line end; none behind the last one. Throws as `begin`. */
  async lines(): Promise<string> {
    for (;;) {
      const lines = this.#takeLines();
      if (lines !== "" || !this.#goesOn) return lines;
      // A turn of its own for each page: a client that takes all at once is not alone.
      await new Promise<void>((resolve) => setImmediate(resolve));
      collectGarbage();
      await this.#read();
      if (!this.#goesOn) this.end();
    }
  }

  /** Is there a page behind the one that was read? */
  get #goesOn(): boolean {
    return this.#more && this.#wanted > 0;
  }

  async #read(): Promise<number> {
    const limit = Math.min(this.#pageEntries, this.#wanted);
    const page = await this.#store.list(this.#range, { ...this.#shape, ...this.#next, limit });
    const { revision, entries, more, next } = page;
    this.#entries = entries;
    this.#at = 0;
    this.#wanted -= entries.length;
    this.#more = more;
    if (next !== undefined) this.#next = { after: next, revision };
    this.#pageEntries = fittingEntries(entries);
    return revision;
  }

  #takeLines(): string {
    let lines = "";
    while (lines.length < STREAM_PIECE_BYTES) {
      const entry = this.#entries[this.#at++];
      if (entry === undefined) {
        // Let go of at once: see `collectGarbage`.
        this.#entries = [];
        break;
      }
      lines += `${JSON.stringify(entryToJson(entry))}\n`;
    }
    garbageBytes += lines.length;
    return lines;
  }
}

// --- internal ---

/** How many entries like these a page should have. */
function fittingEntries(entries: readonly ListedEntry[]): number {
  let bytes = 1;
  for (const { key, value } of entries) bytes += key.length + (value?.length ?? 0);
  const fitting = Math.floor((entries.length * STREAM_READ_BYTES) / bytes);
  return Math.max(1, Math.min(fitting, STREAM_READ_ENTRIES_MAX));
}

/** Lines that all streams together have made since the last collection. */
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
