/**
 * `KvClient`: the SDK over one server. Reads and writes go over `fetch`, watches over one
 * WebSocket. Nothing is sent twice by itself: a write whose answer was lost is the caller's to
 * look into.
 */

import { KvError } from "../errors.ts";
import type { JsonStatus } from "../json.ts";
import { checkKey } from "../keys.ts";
import type {
  Check,
  ListOptions,
  ListResult,
  Operation,
  OperationResult,
  PutOperation,
  Range,
  Txn,
} from "../kv.ts";
import { LIMITS } from "../limits.ts";
import { quote } from "../text.ts";
import { readable, type KvEntry, type KvListedEntry } from "./entries.ts";
import { HttpTransport, type RequestOptions } from "./http-transport.ts";
import { checkValueSize, largePutHeaders, putLarge, type PutOutcome } from "./large-put.ts";
import { getEntry, getStatus, listPage, postTxn } from "./operations.ts";
import { KvWatch } from "./kv-watch.ts";
import { DEFAULT_URL, parseServerUrl } from "./url.ts";
import { toPut, toTxn, toTxnResult, type KvTxn, type KvTxnResult, type KvValue } from "./values.ts";
import { Watches } from "./watches.ts";

export interface ConnectOptions {
  /**
   * Milliseconds for each request, its answer included; 10,000 when left out, `Infinity` = no
   * bound.
   */
  readonly timeoutMs?: number | undefined;
  /** Closes the client at once when it aborts: requests reject with its reason, watches end. */
  readonly signal?: AbortSignal | undefined;
}

export interface KvGetOptions extends RequestOptions {
  /** Read the value as it was at this revision; now when left out. */
  readonly revision?: number | undefined;
}

export interface KvPutOptions extends RequestOptions {
  /**
   * Up to 255 characters. Without it: the blob's type, else text when the value is UTF-8, else
   * bytes.
   */
  readonly contentType?: string | undefined;
  /** Only if the key has this revision; 0 = only if it is absent. */
  readonly ifRevision?: number | undefined;
  /** Only if the key is absent. Not together with `ifRevision`. */
  readonly ifAbsent?: boolean | undefined;
}

export interface KvDeleteOptions extends RequestOptions {
  /** Only if the key has this revision. */
  readonly ifRevision?: number | undefined;
}

export interface KvListOptions extends RequestOptions {
  /** Entries at most; all when left out. */
  readonly limit?: number | undefined;
  /** Leave the values out. */
  readonly keys?: boolean | undefined;
  /** List what was there at this revision; now when left out. */
  readonly revision?: number | undefined;
}

export interface KvWatchOptions {
  /** The first revision wanted: history first, then what comes. From now on when left out. */
  readonly from?: number | undefined;
  /** Ends the watch without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Keep trying when not even the first connection can be had; false when left out. */
  readonly waitForServer?: boolean | undefined;
  /** The connection was lost and is being tried again, for ever. Called once for each loss. */
  readonly onDisconnect?: ((error: KvError) => void) | undefined;
  /** The watch goes on where it was. Called once after each loss. */
  readonly onReconnect?: (() => void) | undefined;
}

export interface KvPut {
  readonly key: string;
  /** The revision of this put. */
  readonly revision: number;
  /** The revision that created the key; equal to `revision` when this put did. */
  readonly createRevision: number;
  /** Changes since creation; 1 = this put created the key. */
  readonly version: number;
}

export interface KvDelete {
  /** 1 when the key was there, 0 when there was nothing to delete. */
  readonly deleted: number;
  /** The revision of the deletion; the store's when there was nothing to delete. */
  readonly revision: number;
}

/**
 * A client of one server. Made by `connect`. Every method rejects with a `KvError`: `unavailable`
 * when the server cannot be reached or does not answer in time, `invalid_argument` and `too_large`
 * for what it refuses; a write also with `outcome_unknown` when it may have been applied or not.
 * After an abort the rejection is the signal's reason, and a write may have been applied as well.
 */
export class KvClient {
  readonly #transport: HttpTransport;
  readonly #watches: Watches;
  /** Lets go of the signal, which may live longer. */
  readonly #release: () => void;

  constructor(url: string, options: ConnectOptions = {}) {
    const { timeoutMs, signal } = options;
    this.#transport = new HttpTransport(parseServerUrl(url), options);
    this.#watches = new Watches(this.#transport.url, {
      ...(timeoutMs === undefined ? undefined : { timeoutMs }),
      probe: () => getStatus(this.#transport),
    });
    const end = (): void => this.#watches.close();
    if (signal?.aborted === true) end();
    signal?.addEventListener("abort", end);
    this.#release = () => signal?.removeEventListener("abort", end);
  }

  /** The server's address: `http://127.0.0.1:5000`. */
  get url(): string {
    return this.#transport.url.http;
  }

  /**
   * The entry of a key; `undefined` when it is absent.
   * @throws `compacted` when `revision` is older than what the server kept.
   *
   * @example
   * const text = (await kv.get("greeting"))?.text();
   */
  get(key: string, options: KvGetOptions = {}): Promise<KvEntry | undefined> {
    return this.#transport.run(async () => {
      const { entry } = await getEntry(this.#transport, key, definedOnly(options));
      return entry === undefined ? undefined : readable(entry);
    });
  }

  /**
   * Stores a value: 0 bytes to 16 MiB.
   * @throws `precondition_failed` when a condition failed; `details.revision` is the key's
   * revision, 0 when it is absent.
   *
   * @example
   * await kv.put("greeting", "hello");
   * await kv.put("lock", "mine", { ifAbsent: true });
   */
  put(key: string, value: KvValue, options: KvPutOptions = {}): Promise<KvPut> {
    return this.#transport.run(async () => {
      checkKey(key);
      const checks = conditionChecks(key, options);
      const put = await toPut({ op: "put", key, value, contentType: options.contentType });
      const outcome = await this.#put(put, checks, options);
      if (!outcome.succeeded) throw conditionFailed(key, outcome.revision, outcome.storeRevision);
      const { revision, createRevision, version } = outcome.result;
      return { key, revision, createRevision, version };
    });
  }

  /**
   * Deletes a key. Without a condition an absent key is no error: `deleted` is 0 then.
   * @throws `precondition_failed` when the key does not have `ifRevision`; `details.revision` says
   * which.
   *
   * @example
   * const { deleted } = await kv.delete("greeting");
   */
  delete(key: string, options: KvDeleteOptions = {}): Promise<KvDelete> {
    return this.#transport.run(async () => {
      checkKey(key);
      const txn = singleTxn({ op: "delete", key }, conditionChecks(key, options));
      const { succeeded, revision, results } = await postTxn(this.#transport, txn, options);
      const [first] = results;
      if (!succeeded) throw conditionFailed(key, foundRevision(first), revision);
      return { deleted: first?.op === "delete" ? first.deleted : 0, revision };
    });
  }

  /**
   * Every entry of a range in key order: all keys, those with a `prefix`, or from `start` up to but
   * not including `end`. Read in pages as the loop goes on, all of them at the revision of the
   * first.
   * @throws `compacted` when the loop takes so long that its revision is gone; start over then.
   *
   * @example
   * for await (const { key, revision } of kv.list({ prefix: "users/" }, { keys: true })) {
   *   console.log(key, revision);
   * }
   */
  async *list(range: Range = {}, options: KvListOptions = {}): AsyncGenerator<KvListedEntry, void> {
    let { limit: left = Infinity, revision } = options;
    let after: string | undefined;
    while (left > 0) {
      const limit = Math.min(left, PAGE_ENTRIES);
      const page = await this.page(range, { ...options, limit, revision, after });
      for (const entry of page.entries) yield entry;
      if (!page.more) return;
      left -= page.entries.length;
      after = page.entries.at(-1)!.key;
      revision = page.revision;
    }
  }

  /**
   * One page of a range. The next one is asked for with `after` = the last key, at `revision`.
   * @throws `compacted` when `revision` is older than what the server kept.
   *
   * @example
   * const { entries, revision, more } = await kv.page({ prefix: "users/" }, { limit: 10 });
   */
  page(
    range: Range = {},
    options: KvListOptions & { readonly after?: string | undefined } = {},
  ): Promise<ListResult & { readonly entries: readonly KvListedEntry[] }> {
    return this.#transport.run(async () => {
      const page = await listPage(this.#transport, range, definedOnly<ListOptions>(options));
      return { ...page, entries: page.entries.map(readable) };
    });
  }

  /**
   * Runs a transaction: all of it takes effect at one revision, or nothing. Failed checks are no
   * error.
   *
   * @example
   * const { succeeded } = await kv.txn({
   *   checks: [{ key: "from", revision: 7 }],
   *   then: [{ op: "put", key: "from", value: "90" }, { op: "put", key: "to", value: "10" }],
   * });
   */
  txn(txn: KvTxn, options: RequestOptions = {}): Promise<KvTxnResult> {
    return this.#transport.run(async () =>
      toTxnResult(await postTxn(this.#transport, await toTxn(txn), options)),
    );
  }

  /**
   * The changes of a range, one commit after another, as an endless loop; see `KvWatch`. A commit
   * has all its events of the range: what a transaction did together arrives together.
   * @throws at the call `invalid_argument` for a bad range or `from`; in the loop `compacted` when
   * that history is gone, `unsupported` where there is no `WebSocket` (Node.js before 22).
   *
   * @example
   * for await (const { revision, events } of kv.watch({ prefix: "users/" })) {
   *   for (const event of events) {
   *     if (event.type === "put") console.log(revision, event.key, event.text());
   *     else console.log(revision, event.key, "is gone");
   *   }
   * }
   */
  watch(range: Range = {}, options: KvWatchOptions = {}): KvWatch {
    return new KvWatch(this.#watches.watch({ ...options, range }), options.signal);
  }

  /**
   * The state of the store and the limits of the server.
   *
   * @example
   * const { revision, keys } = await kv.status();
   */
  status(options: RequestOptions = {}): Promise<JsonStatus> {
    return this.#transport.run(() => getStatus(this.#transport, options));
  }

  /** Ends watches, waits for the requests in flight; later calls fail with `unavailable`. */
  async close(): Promise<void> {
    this.#watches.close();
    await this.#transport.close();
    this.#release();
  }

  /** `await using kv = connect()` closes the client at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #put(
    put: PutOperation,
    checks: readonly Check[],
    options: RequestOptions,
  ): Promise<PutOutcome> {
    // The server may allow more than is usual, so it is asked when that matters.
    if (put.value.length > LIMITS.valueBytesMax) {
      checkValueSize(put, (await getStatus(this.#transport, options)).limits);
    }
    const headers = largePutHeaders(put, checks);
    if (headers !== undefined) return putLarge(this.#transport, put, headers, options);
    const result = await postTxn(this.#transport, singleTxn(put, checks), options);
    const [first] = result.results;
    if (result.succeeded && first?.op === "put") return { succeeded: true, result: first };
    return {
      succeeded: false,
      revision: foundRevision(first),
      storeRevision: result.revision,
    };
  }
}

/**
 * A client of the server at `url`: `http://host:port/prefix`, `host:port` or `:port`. Nothing is
 * sent before the first call.
 * @throws `invalid_argument` when the address is none.
 *
 * @example
 * const kv = connect("http://127.0.0.1:5000");
 * await kv.put("greeting", "hello");
 * console.log((await kv.get("greeting"))?.text());
 * await kv.close();
 */
export function connect(url: string = DEFAULT_URL, options: ConnectOptions = {}): KvClient {
  return new KvClient(url, options);
}

// --- internal ---

const PAGE_ENTRIES = 1_000;

function conditionChecks(key: string, options: KvPutOptions): Check[] {
  const { ifRevision, ifAbsent } = options;
  if (ifRevision !== undefined && ifAbsent !== undefined) {
    throw new KvError("invalid_argument", "ifRevision and ifAbsent cannot be used together");
  }
  if (ifRevision !== undefined) return [{ key, revision: ifRevision }];
  return ifAbsent === true ? [{ key, revision: 0 }] : [];
}

/** When the check fails, the same transaction says what the key is instead. */
function singleTxn(operation: Operation, checks: readonly Check[]): Txn {
  if (checks.length === 0) return { checks, then: [operation] };
  return { checks, then: [operation], else: [{ op: "get", key: operation.key, keys: true }] };
}

function foundRevision(result: OperationResult | undefined): number {
  return result?.op === "get" ? (result.entry?.revision ?? 0) : 0;
}

function conditionFailed(key: string, revision: number, storeRevision: number): KvError {
  const state = revision === 0 ? "is absent" : `is at revision ${revision}`;
  return new KvError(
    "precondition_failed",
    `the key ${quote(key)} ${state}, which is not what the condition asks for`,
    { revision, storeRevision },
  );
}

/** Options without the fields that are `undefined`: an explicit `undefined` means "left out". */
function definedOnly<T extends object>(options: object): T {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as T;
}
