/**
 * Reads entries: the newest from the index and the cache of values, older ones by following a key's
 * records back through the log.
 */

import { assert } from "../errors.ts";
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
import { utf8Bytes } from "../keys.ts";
import { PAGE_ENTRIES_DEFAULT, type Limits } from "../limits.ts";
import { sameBytes } from "./bytes.ts";
import { KIND, recordBytes, recordValue } from "./format.ts";
import type { KeyIndex, Newest } from "./key-index.ts";
import type { Log } from "./log.ts";
import { PastSearch } from "./past-search.ts";
import { entryOf, keyOf } from "./records.ts";
import type { ScannedRecord } from "./segment.ts";
import { Slice } from "./slice.ts";
import type { ValueCache } from "./value-cache.ts";

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
  /** One of many that are read: its value is not kept in memory, where it would displace others. */
  readonly scan?: boolean;
}

export class Reader {
  readonly #log: Log;
  readonly #index: KeyIndex;
  readonly #cache: ValueCache;
  readonly #limits: Limits;
  readonly #checkOpen: () => void;

  constructor({ log, index, cache, limits, checkOpen }: ReaderOptions) {
    this.#checkOpen = checkOpen;
    this.#log = log;
    this.#index = index;
    this.#cache = cache;
    this.#limits = limits;
  }

  /**
   * A key's entry at a revision that can be read, or the search for it where that takes long: give
   * it to `complete`.
   * @throws `internal` when a record is damaged.
   */
  entry(
    key: string,
    newest: Newest | undefined,
    revision: number,
    { keys = false, scan = false }: EntryOptions = {},
  ): ListedEntry | PastSearch | undefined {
    if (newest === undefined) return undefined;
    if (newest.revision > revision) {
      const search = new PastSearch(this.#log, key, () => this.#index.get(key), revision);
      let steps = 0;
      if (!search.run(() => ++steps === PAST_STEPS)) return search;
      return entryFound(search, keys);
    }
    if (newest.version === 0) return undefined;
    const { contentType, createRevision, version, deadline } = newest;
    const entry: { -readonly [Field in keyof ListedEntry]: ListedEntry[Field] } = {
      key,
      contentType,
      revision: newest.revision,
      createRevision,
      version,
    };
    if (!keys) entry.value = this.value(key, newest, !scan);
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
   * The value of a key's newest record; kept in memory unless `keep` is false.
   * @throws `internal` when it is damaged.
   */
  value(key: string, { position, bytes }: Newest, keep = true): Uint8Array {
    const cached = this.#cache.get(position);
    if (cached !== undefined) return cached;
    const record = this.#log.read(position, bytes);
    assert(keyOf(record) === key, "the index points at a record of its key");
    // A copy: a part of the record would keep all of it alive, its key of up to 1 KiB too.
    const value = recordValue(record.bytes, record.at, record.header).slice();
    if (keep) this.#cache.add(position, value);
    return value;
  }

  /** Is this the value of a key's newest record? Reads it only where its size is the same. */
  hasValue(key: string, newest: Newest, value: Uint8Array): boolean {
    const bytes = recordBytes({
      keyBytes: utf8Bytes(key),
      contentTypeBytes: newest.contentType.length,
      extensionBytes: 0,
      valueBytes: value.length,
    });
    // As far as the size of the record tells, which is padded.
    if (bytes !== newest.bytes) return false;
    return sameBytes(this.value(key, newest), value);
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

function listed(entry: ListedEntry, keys: boolean): ListedEntry {
  if (!keys) return entry;
  const { value: _, ...info } = entry;
  return info;
}
