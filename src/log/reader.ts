/**
 * Reads entries: the newest from the index and the cache of values, older ones by following a key's
 * records back through the log.
 */

import type {
  Changes,
  Commit,
  Entry,
  Event,
  HistoryOptions,
  HistoryResult,
  ListedEntry,
  PastEvent,
} from "../kv.ts";
import { PAGE_ENTRIES_DEFAULT, type Limits } from "../limits.ts";
import { Slice } from "../slice.ts";
import { sameBytes } from "./bytes.ts";
import type { Ahead } from "./entries-ahead.ts";
import { KIND, recordBytes } from "./format.ts";
import type { KeyIndex } from "./key-index.ts";
import type { Log } from "./log.ts";
import { PastSearch } from "./past-search.ts";
import { entryOf } from "./records.ts";
import type { ScannedRecord } from "./segment.ts";
import type { ValueCache } from "./value-cache.ts";
import { ValueRead } from "./value-read.ts";
import { WindowRead } from "./window-read.ts";

export interface ReaderOptions {
  readonly log: Log;
  readonly index: KeyIndex;
  readonly cache: ValueCache;
  readonly limits: Limits;
  /** Throws once the files are closed; asked after each pause. */
  readonly checkOpen: () => void;
}

export interface EntryOptions {
  /** Leave the value out. */
  readonly keys?: boolean;
  /**
   * It is one of many that are read, which are known: its value is not kept in memory, where it
   * would displace others.
   */
  readonly ahead?: Ahead;
}

export class Reader {
  /** What `seek` has found last. */
  bytes: Uint8Array;
  start = 0;
  end = 0;
  readonly #log: Log;
  readonly #index: KeyIndex;
  readonly #cache: ValueCache;
  readonly #limits: Limits;
  readonly #checkOpen: () => void;
  readonly #valueRead: ValueRead;
  readonly #window: WindowRead;

  constructor({ log, index, cache, limits, checkOpen }: ReaderOptions) {
    this.#checkOpen = checkOpen;
    this.#log = log;
    this.#index = index;
    this.#cache = cache;
    this.bytes = cache.ring;
    this.#limits = limits;
    this.#valueRead = new ValueRead(log, index);
    this.#window = new WindowRead(log, index);
  }

  /**
   * The entry of a key at a revision that can be read, or the search for it where that takes long:
   * give it to `complete`. `number` is that of the key in the index.
   * @throws `internal` when a record is damaged.
   */
  entry(
    key: string,
    number: number,
    revision: number,
    { keys = false, ahead }: EntryOptions = {},
  ): ListedEntry | PastSearch | undefined {
    const index = this.#index;
    if (index.revision(number) > revision) {
      const search = new PastSearch(this.#log, key, () => this.#index.get(key), revision);
      let steps = 0;
      if (!search.run(() => ++steps === PAST_STEPS)) return search;
      return entryFound(search, keys);
    }
    const version = index.version(number);
    if (version === 0) return undefined;
    const entry: { -readonly [Field in keyof ListedEntry]: ListedEntry[Field] } = {
      key,
      contentType: index.contentType(number),
      revision: index.revision(number),
      createRevision: index.createRevision(number),
      version,
    };
    if (!keys) entry.value = ahead === undefined ? this.value(number) : this.#scanned(ahead);
    const deadline = index.deadline(number);
    if (deadline !== 0) entry.expiresAt = deadline;
    return entry;
  }

  /** Brings a long search to its end, in slices. @throws `internal` when a record is damaged. */
  async complete(search: PastSearch): Promise<Entry | undefined> {
    const slice = new Slice();
    while (!search.run(() => slice.isOver())) await this.#pause(slice);
    return entryFound(search, false) as Entry | undefined;
  }

  /**
   * A copy of the value of an entry's newest record; kept in memory unless `keep` is false.
   * @throws `internal` when it is damaged.
   */
  value(entry: number, keep = true): Uint8Array {
    const cached = this.#cache.get(entry);
    if (cached !== undefined) return cached;
    const { bytes, start, end } = this.#read(entry, keep);
    return bytes.slice(start, end);
  }

  /**
   * Finds the value of an entry's newest record: from `start` to `end` of `bytes`, until the next
   * one is looked for. Kept in memory unless `keep` is false.
   * @throws `internal` when it is damaged.
   */
  seek(entry: number, keep = true): void {
    const cache = this.#cache;
    const at = cache.find(entry);
    if (at >= 0) {
      this.bytes = cache.ring;
      this.start = at;
      this.end = at + cache.length(at);
      return;
    }
    const { bytes, start, end } = this.#read(entry, keep);
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** As `seek`, of the entry that a listing looks at; its value is not kept in memory. */
  seekAhead(ahead: Ahead): void {
    const window = this.#window;
    if (!window.seek(ahead)) return this.seek(ahead.entries[ahead.at]!, false);
    this.bytes = window.bytes;
    this.start = window.start;
    this.end = window.end;
  }

  /** Reads ahead where the values of many entries are in memory, before they are asked for. */
  touch(entries: Int32Array, count: number): void {
    this.#cache.touch(entries, count);
  }

  /** A copy of the value of the entry that a listing looks at. */
  #scanned(ahead: Ahead): Uint8Array {
    this.seekAhead(ahead);
    return this.bytes.slice(this.start, this.end);
  }

  #read(entry: number, keep: boolean): ValueRead {
    const read = this.#valueRead;
    read.read(entry);
    if (keep) this.#cache.offer(entry, read.bytes, read.start, read.end);
    return read;
  }

  /** Is this the value of an entry's newest record? Reads it only where its size is the same. */
  hasValue(entry: number, value: Uint8Array): boolean {
    const bytes = recordBytes({
      keyBytes: this.#index.keyBytes(entry),
      contentTypeBytes: this.#index.contentType(entry).length,
      extensionBytes: 0,
      valueBytes: value.length,
    });
    // As far as the size of the record tells, which is padded.
    if (bytes !== this.#index.bytes(entry)) return false;
    this.seek(entry);
    return sameBytes(this.bytes.subarray(this.start, this.end), value);
  }

  /**
   * The changes of a key at or below `revision`, newest first, down to the entry that it had at
   * `oldest`. In slices: a key may have many.
   * @throws `internal` when a record is damaged.
   */
  async history(
    key: string,
    { limit = PAGE_ENTRIES_DEFAULT, before = Infinity, keys = false }: HistoryOptions,
    oldest: number,
  ): Promise<Omit<HistoryResult, "revision">> {
    const entries: PastEvent[] = [];
    const slice = new Slice();
    let bytes = 0;
    for (
      let record = this.#newestBefore(key, before);
      record !== undefined;
      record = this.#previous(key, record)
    ) {
      const { revision } = record.header;
      const isPut = record.header.kind === KIND.put;
      // A deletion that compaction has passed is no part of any state that can be read.
      if (revision <= oldest && !isPut) break;
      if (revision < before) {
        const full = entries.length === limit || bytes > this.#limits.pageBytesMax;
        if (full) return { entries, more: true };
        const event = pastEvent(key, record, keys);
        entries.push(event);
        bytes += event.type === "put" ? (event.value?.length ?? 0) : 0;
      }
      if (revision <= oldest) break;
      if (slice.isOver()) await this.#pause(slice);
    }
    return { entries, more: false };
  }

  /**
   * Changes, each event with what was there before. In slices: each takes a look into the log.
   * @throws `internal` when a record is damaged.
   */
  async withPrevious({ commits, through }: Changes): Promise<Changes> {
    const slice = new Slice(1);
    const whole: Commit[] = [];
    for (const { revision, events } of commits) {
      const withPrevious: Event[] = [];
      for (const event of events) {
        const prev = this.#before(event);
        withPrevious.push(prev === undefined ? event : { ...event, prev });
        if (slice.isOver()) await this.#pause(slice);
      }
      whole.push({ revision, events: withPrevious });
    }
    return { commits: whole, through };
  }

  /** What was there before an event: its own record says where to look. */
  #before({ key, revision }: Event): Entry | undefined {
    const newest = this.#index.get(key);
    const isNewest = newest?.revision === revision;
    const record = isNewest
      ? this.#log.read(newest.position, newest.bytes)
      : this.#log.find(revision, key);
    // Left out by a merge: a deletion, or the event itself is history that is gone by now.
    const before = record && this.#previous(key, record);
    return before?.header.kind === KIND.put ? entryOf(key, before) : undefined;
  }

  async #pause(slice: Slice): Promise<void> {
    await slice.next();
    this.#checkOpen();
  }

  /** A record of a key from which its records below `before` can be followed back. */
  #newestBefore(key: string, before: number): ScannedRecord | undefined {
    const newest = this.#index.get(key);
    if (newest === undefined) return undefined;
    // Most callers go on below a change of this key.
    if (newest.revision > before) {
      const record = this.#log.search(before, key);
      if (record !== undefined) return record;
    }
    return this.#log.read(newest.position, newest.bytes);
  }

  #previous(key: string, { header }: ScannedRecord): ScannedRecord | undefined {
    const { previousRevision } = header;
    return previousRevision === 0 ? undefined : this.#log.find(previousRevision, key);
  }
}

/** An entry as it is listed: without its value where only `keys` are wanted. */
export function listed(entry: ListedEntry, keys: boolean): ListedEntry {
  if (!keys) return entry;
  const { value: _, ...info } = entry;
  return info;
}

// --- internal ---

/** Steps of a search that are taken at once: a few milliseconds. */
const PAST_STEPS = 64;

function entryFound({ key, found }: PastSearch, keys: boolean): ListedEntry | undefined {
  if (found === undefined || found.header.kind !== KIND.put) return undefined;
  return listed(entryOf(key, found), keys);
}

function pastEvent(key: string, record: ScannedRecord, keys: boolean): PastEvent {
  const { kind, revision } = record.header;
  if (kind === KIND.put) return { type: "put", ...listed(entryOf(key, record), keys) };
  return { type: kind === KIND.expire ? "expire" : "delete", key, revision };
}
