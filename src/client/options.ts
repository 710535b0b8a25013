/** What the methods of the SDK take beside their subject, and what they answer. */

import type { Conditions } from "../conditions.ts";
import type { KvError } from "../errors.ts";
import type { DeleteEvent, Page } from "../kv.ts";
import type { KvEntry, KvListedEntry } from "./entries.ts";
import type { RequestOptions } from "./http-transport.ts";
import type { KvDuration } from "./values.ts";
import type { WatchTransport } from "./watches.ts";

export interface ConnectOptions {
  /**
   * Milliseconds for each request, its answer included; 10,000 when left out, `Infinity` = no
   * bound.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * How watches reach the server: `"websocket"`, which all of them share, or `"http"`, a request
   * each, for networks that let no WebSocket pass. WebSocket when left out, where the platform has
   * it (Node.js from version 22 on). Many operations at once, and single ones that are asked for
   * in the same turn, go over WebSockets too, which are closed again when nobody uses them; where
   * there can be none, they are requests like any other.
   */
  readonly transport?: WatchTransport | undefined;
  /** Closes the client at once when it aborts: requests reject with its reason, watches end. */
  readonly signal?: AbortSignal | undefined;
}

export interface KvGetOptions extends RequestOptions {
  /** Read the value as it was at this revision; now when left out. */
  readonly revision?: number | undefined;
}

/** What every write of one key takes: conditions, and what happens when its answer is lost. */
export interface KvWriteOptions extends RequestOptions, Conditions {
  /**
   * Send it again when the answer is lost, until one comes or the time is over. Left out, that is
   * done where it cannot take effect twice: with an `ifRevision` other than 0, since a revision
   * never comes back. With `ifAbsent` it has to be asked for: a key that is deleted or expires
   * before the second attempt would be created again. Without either it is refused.
   *
   * Where no attempt succeeds the error is `outcome_unknown`, also when the condition fails then:
   * the first attempt may be the reason.
   */
  readonly retry?: boolean | undefined;
}

export interface KvPutOptions extends KvWriteOptions {
  /**
   * Up to 255 characters. Without it: the blob's type, else text when the value is UTF-8, else
   * bytes.
   */
  readonly contentType?: string | undefined;
  /**
   * The entry expires after this time, 1 ms to 3,650 days; `"keep"` leaves the deadline as it is.
   * Left out, the entry never expires, also where it did before.
   */
  readonly ttl?: KvDuration | undefined;
}

export interface KvDeleteOptions extends KvWriteOptions {}

export interface KvIncrOptions extends KvWriteOptions {
  /**
   * The entry expires after this time, counted from its creation: it matters only when this call
   * creates the key.
   */
  readonly ttl?: KvDuration | undefined;
}

export interface KvTouchOptions extends KvWriteOptions {}

export interface KvDeleteRangeOptions extends RequestOptions {
  /** Keys at most, the first ones of the range: 1 to 10,000. */
  readonly limit?: number | undefined;
  /** Yes, every key of the store: needed when the range is everything, refused when it is not. */
  readonly all?: boolean | undefined;
}

export interface KvClearOptions extends RequestOptions {
  /** Yes, every key of the store: needed when the range is everything, refused when it is not. */
  readonly all?: boolean | undefined;
}

export interface KvCountOptions extends RequestOptions {
  /** Count what was there at this revision; now when left out. */
  readonly revision?: number | undefined;
}

export interface KvListOptions extends RequestOptions {
  /** Entries at most; all when left out. */
  readonly limit?: number | undefined;
  /** Leave the values out. */
  readonly keys?: boolean | undefined;
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined;
  /** List what was there at this revision; now when left out. */
  readonly revision?: number | undefined;
}

export interface KvPageOptions extends RequestOptions {
  /** Entries and folders at most: 1 to 10,000, 1,000 when left out. */
  readonly limit?: number | undefined;
  /** Leave the values out. */
  readonly keys?: boolean | undefined;
  /** From the last key to the first. */
  readonly reverse?: boolean | undefined;
  /**
   * Keys that have it behind the range's prefix are not listed one by one: they share a folder,
   * which is their beginning up to and with it.
   */
  readonly delimiter?: string | undefined;
  /** Only what lies behind this, in the order of the listing: `next` of the page before. */
  readonly after?: string | undefined;
  /** List what was there at this revision: that of the page before. Now when left out. */
  readonly revision?: number | undefined;
}

export interface KvHistoryOptions extends RequestOptions {
  /** Changes at most; all when left out. */
  readonly limit?: number | undefined;
  /** Only changes below this revision. */
  readonly before?: number | undefined;
  /** Leave the values out. */
  readonly keys?: boolean | undefined;
}

export interface KvSnapshotOptions extends RequestOptions {
  /** Only commits above this revision; everything when left out. */
  readonly since?: number | undefined;
}

export interface KvWaitOptions {
  /**
   * Wait until the key has changed above this revision, or was deleted above it. Without it, and
   * without `until`: until the key is there.
   */
  readonly after?: number | undefined;
  /**
   * Wait until this holds for the key's entry, `undefined` where it is absent. Looked at at once,
   * and at every change; of changes that come close together only the last may be seen.
   */
  readonly until?: ((entry: KvEntry | undefined) => boolean) | undefined;
  /** Milliseconds to wait at most; as long as it takes when left out. */
  readonly timeoutMs?: number | undefined;
  /** Gives up with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface KvWatchOptions {
  /** The first revision wanted: history first, then what comes. From now on when left out. */
  readonly from?: number | undefined;
  /**
   * First what is there, as `state` frames and one `sync`, then what comes. With `from` it is
   * history that comes first, and the state only if that history is gone, behind a `reset`.
   */
  readonly initial?: boolean | undefined;
  /** Each event with what was there before. */
  readonly prev?: boolean | undefined;
  /** Leave the values out. */
  readonly keys?: boolean | undefined;
  /**
   * A loop that is behind gets only the newest event of each key, all at once, and how many were
   * `skipped`: so a slow one never falls further behind. Every change when left out.
   */
  readonly latest?: boolean | undefined;
  /** Ends the watch without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Keep trying when not even the first connection can be had; false when left out. */
  readonly waitForServer?: boolean | undefined;
  /** The connection was lost and is being tried again, for ever. Called once for each loss. */
  readonly onDisconnect?: ((error: KvError) => void) | undefined;
  /** The watch goes on where it was. Called once after each loss. */
  readonly onReconnect?: (() => void) | undefined;
}

/** What a write made of an entry. */
export interface KvPut {
  readonly key: string;
  /** The revision of this write. */
  readonly revision: number;
  /** The revision that created the key; equal to `revision` when this write did. */
  readonly createRevision: number;
  /** Changes since creation; 1 = this write created the key. */
  readonly version: number;
  /** When the entry expires, in milliseconds since 1970; absent when it never does. */
  readonly expiresAt?: number;
}

export interface KvIncr extends KvPut {
  /** The sum. */
  readonly value: bigint;
}

export interface KvDelete {
  /** 1 when the key was there, 0 when there was nothing to delete. */
  readonly deleted: number;
  /** The revision of the deletion; the store's when there was nothing to delete. */
  readonly revision: number;
}

export interface KvDeleteRange {
  /** Keys that were there and are gone. */
  readonly deleted: number;
  /** The revision of the deletion; the store's when there was nothing to delete. */
  readonly revision: number;
  /** The range has further keys, which `limit` left. */
  readonly more: boolean;
}

export interface KvClear {
  /** Keys that were there and are gone. */
  readonly deleted: number;
  /** The revision of the last deletion; the store's when there was nothing to delete. */
  readonly revision: number;
}

export interface KvPage extends Omit<Page, "count"> {
  /** The revision at which the page was read. Ask for the next page at this one. */
  readonly revision: number;
  readonly entries: readonly KvListedEntry[];
  /** `after` of the next page, when there is more. Pass it back unchanged. */
  readonly next?: string;
}

/** A change of a key as its history shows it: tell them apart by `type`. */
export type KvPastEvent = (KvListedEntry & { readonly type: "put" }) | DeleteEvent;

export interface KvCompact {
  /** The smallest revision that can be read from now on. */
  readonly oldest: number;
}
