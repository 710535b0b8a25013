/**
 * `KvClient`: the SDK over one server. Reads and writes go over `fetch`, watches over one
 * WebSocket. Nothing is sent twice by itself: a write whose answer was lost is the caller's to
 * look into.
 */

import type { JsonStatus } from "../json.ts";
import type { Range } from "../kv.ts";
import { PAGE_ENTRIES_DEFAULT } from "../limits.ts";
import { definedOnly } from "./defined-only.ts";
import { readable, type KvEntry, type KvListedEntry } from "./entries.ts";
import { HttpTransport, type RequestOptions } from "./http-transport.ts";
import { KvWatch } from "./kv-watch.ts";
import { listPage } from "./listing.ts";
import { getEntry, getHistory, getStatus, postCompact, postTxn } from "./operations.ts";
import type {
  ConnectOptions,
  KvClear,
  KvClearOptions,
  KvCompact,
  KvCountOptions,
  KvDelete,
  KvDeleteOptions,
  KvDeleteRange,
  KvDeleteRangeOptions,
  KvGetOptions,
  KvHistoryOptions,
  KvIncr,
  KvIncrOptions,
  KvListOptions,
  KvPage,
  KvPageOptions,
  KvPastEvent,
  KvPut,
  KvPutOptions,
  KvTouchOptions,
  KvWaitOptions,
  KvWatchOptions,
} from "./options.ts";
import { deleteKeys, writeOne } from "./single-write.ts";
import { toDeleteRange, toTxn, toTxnResult, type KvTxn, type KvTxnResult } from "./txn.ts";
import { DEFAULT_URL, parseServerUrl } from "./url.ts";
import { toIncr, toPut, toTouch, type KvDuration, type KvValue } from "./values.ts";
import { waitForKey } from "./wait.ts";
import { Watches } from "./watches.ts";

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
   * revision, 0 when it is absent. `invalid_argument` for conditions that contradict each other.
   *
   * @example
   * await kv.put("greeting", "hello");
   * await kv.put("session/7", "Ada", { ttl: "30m" });
   * await kv.put("lock", "mine", { ifAbsent: true, ttl: "10s" });
   */
  put(key: string, value: KvValue, options: KvPutOptions = {}): Promise<KvPut> {
    return this.#transport.run(async () => {
      const { contentType, ttl } = options;
      const put = await toPut({ op: "put", key, value, contentType, ttl });
      const { op: _, ...answer } = (await writeOne(this.#transport, put, options)).result;
      return answer;
    });
  }

  /**
   * Deletes a key. Without a condition an absent key is no error: `deleted` is 0 then.
   * @throws `precondition_failed` as `put`.
   *
   * @example
   * const { deleted } = await kv.delete("greeting");
   */
  delete(key: string, options: KvDeleteOptions = {}): Promise<KvDelete> {
    return this.#transport.run(async () => {
      const { result, revision } = await writeOne(this.#transport, { op: "delete", key }, options);
      return { deleted: result.deleted, revision };
    });
  }

  /**
   * Adds to the integer of 64 bits that a value is, as decimal text; an absent key counts as 0. The
   * content type and the deadline stay as they are. A `by` below 0 subtracts.
   * @throws `conflict` when the value is no integer or the sum does not fit; `precondition_failed`
   * as `put`.
   *
   * @example
   * const { value } = await kv.incr("visits");
   * // At most 100 requests a minute for each address: the minute begins with the first one.
   * const { value: requests } = await kv.incr(`rate/${address}`, 1, { ttl: "1m" });
   * if (requests > 100n) throw new Error("too many requests");
   */
  incr(key: string, by: number | bigint = 1n, options: KvIncrOptions = {}): Promise<KvIncr> {
    return this.#transport.run(async () => {
      const incr = toIncr({ op: "incr", key, by, ttl: options.ttl });
      const { op: _, ...answer } = (await writeOne(this.#transport, incr, options)).result;
      return answer;
    });
  }

  /**
   * Gives an entry a new deadline; its value stays. `"none"` takes the deadline away.
   * @throws `not_found` when the key is absent, perhaps because its time has run out;
   * `precondition_failed` as `put`.
   *
   * @example
   * const { expiresAt } = await kv.touch("session/7", "30m");
   */
  touch(key: string, ttl: KvDuration, options: KvTouchOptions = {}): Promise<KvPut> {
    return this.#transport.run(async () => {
      const touch = toTouch({ op: "touch", key, ttl });
      const { op: _, ...answer } = (await writeOne(this.#transport, touch, options)).result;
      return answer;
    });
  }

  /**
   * Deletes the keys of a range at one revision: all of them, or the first `limit` ones. Every key
   * of the store only with `all`.
   * @throws `too_large` when the range has more than 10,000 keys and there is no `limit`; see
   * `clear`. `invalid_argument` for every key without `all`.
   *
   * @example
   * const { deleted } = await kv.deleteRange({ prefix: "session/" });
   */
  deleteRange(range: Range, options: KvDeleteRangeOptions = {}): Promise<KvDeleteRange> {
    return this.#transport.run(async () =>
      deleteKeys(this.#transport, toDeleteRange({ range, ...options }), options),
    );
  }

  /**
   * Deletes the keys of a range, however many they are, in steps as large as a commit may be. Each
   * is a commit of its own, so others can see a part of it, and what fails leaves the steps before
   * it done.
   * @throws `invalid_argument` for every key without `all`.
   *
   * @example
   * await kv.clear({ prefix: "cache/" });
   * await kv.clear({}, { all: true });
   */
  async clear(range: Range, options: KvClearOptions = {}): Promise<KvClear> {
    const { commitEventsMax: limit } = (await this.status(options)).limits;
    let deleted = 0;
    for (;;) {
      const step = await this.deleteRange(range, { ...options, limit });
      deleted += step.deleted;
      if (!step.more) return { deleted, revision: step.revision };
    }
  }

  /**
   * Every entry of a range in key order, or with `reverse` from the last to the first: all keys,
   * those with a `prefix`, or from `start` up to but not including `end`. Read in pages as the loop
   * goes on, all of them at the revision of the first.
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
      const limit = Math.min(left, PAGE_ENTRIES_DEFAULT);
      const page = await this.page(range, { ...options, limit, revision, after });
      for (const entry of page.entries) yield entry;
      if (!page.more) return;
      left -= page.entries.length;
      after = page.next;
      revision = page.revision;
    }
  }

  /**
   * One page of a range. The next one is asked for with `after` = `next`, at `revision`. With a
   * `delimiter` the keys that have it behind the prefix are put together as `folders`.
   * @throws `compacted` when `revision` is older than what the server kept.
   *
   * @example
   * const users = { prefix: "users/" };
   * const { entries, revision, next } = await kv.page(users, { limit: 10 });
   * const second = await kv.page(users, { limit: 10, revision, after: next });
   * const { folders } = await kv.page({}, { delimiter: "/" });
   */
  page(range: Range = {}, options: KvPageOptions = {}): Promise<KvPage> {
    return this.#transport.run(async () => {
      const { count: _, ...page } = await listPage(this.#transport, range, {
        ...definedOnly(options),
        count: false,
      });
      return { ...page, entries: page.entries.map(readable) };
    });
  }

  /**
   * How many keys a range has.
   * @throws `compacted` when `revision` is older than what the server kept.
   *
   * @example
   * const users = await kv.count({ prefix: "users/" });
   */
  count(range: Range = {}, options: KvCountOptions = {}): Promise<number> {
    return this.#transport.run(async () => {
      const asked = { ...definedOnly(options), count: true };
      return (await listPage(this.#transport, range, asked)).count!;
    });
  }

  /**
   * The changes of a key, the newest first: puts with what they put, deletions and expiries. They
   * reach back to the entry that the key had at the oldest revision that the server kept. Read in
   * pages as the loop goes on.
   * @throws `compacted` when that revision has gone past `before`, or past where the loop is.
   *
   * @example
   * for await (const past of kv.history("config", { limit: 10 })) {
   *   if (past.type === "put") console.log(past.revision, past.text());
   *   else console.log(past.revision, "is gone");
   * }
   */
  async *history(key: string, options: KvHistoryOptions = {}): AsyncGenerator<KvPastEvent, void> {
    let { limit: left = Infinity, before } = options;
    while (left > 0) {
      const limit = Math.min(left, PAGE_ENTRIES_DEFAULT);
      const asked = { ...definedOnly({ ...options, before }), limit };
      const page = await this.#transport.run(() => getHistory(this.#transport, key, asked));
      for (const past of page.entries) yield past.type === "put" ? readable(past) : past;
      if (!page.more) return;
      left -= page.entries.length;
      before = page.entries.at(-1)!.revision;
    }
  }

  /**
   * Forgets history: `revision` becomes the oldest one that can be read, and changes at or below it
   * cannot be watched any more. Entries that are there stay.
   * @throws `compacted` when the oldest one is above it already, `invalid_argument` when the store
   * has not come to it.
   *
   * @example
   * const { revision } = await kv.status();
   * await kv.compact(revision);
   */
  compact(revision: number, options: RequestOptions = {}): Promise<KvCompact> {
    return this.#transport.run(() => postCompact(this.#transport, revision, options));
  }

  /**
   * Runs a transaction: all of it takes effect at one revision, or nothing. Failed checks are no
   * error.
   * @throws `conflict` and `not_found` of an operation; `details.index` says which, and nothing of
   * the transaction took effect. `too_large` past 10,000 changes or 32 MiB.
   *
   * @example
   * const { succeeded } = await kv.txn({
   *   checks: [{ key: "from", revision: 7 }],
   *   then: [{ op: "put", key: "from", value: "90" }, { op: "incr", key: "to", by: 10 }],
   * });
   */
  txn(txn: KvTxn, options: RequestOptions = {}): Promise<KvTxnResult> {
    return this.#transport.run(async () =>
      toTxnResult(await postTxn(this.#transport, await toTxn(txn), options)),
    );
  }

  /**
   * Waits for one key: until it is there; with `after`, until it has changed above that revision;
   * with `until`, until that holds. Answers the entry, `undefined` where it was deleted. It holds a
   * request open meanwhile; to follow many keys, `watch` them.
   * @throws `precondition_failed`, named `TimeoutError`, when `timeoutMs` is over. With `after`:
   * `compacted` when the key is absent and it is forgotten whether it was deleted since,
   * `invalid_argument` when the store has not come to that revision. Waiting anew is always safe.
   *
   * @example
   * const result = await kv.wait("job/1/result", { timeoutMs: 60_000 });
   * const changed = await kv.wait("config", { after: config.revision });
   * await kv.wait("job/1", { until: (job) => job?.text() === "done" });
   * await kv.wait("lock", { until: (lock) => lock === undefined });
   */
  wait(key: string, options: KvWaitOptions = {}): Promise<KvEntry | undefined> {
    return this.#transport.run(() => waitForKey(this.#transport, key, options));
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

  /**
   * Ends watches, and waits with `unavailable`; other requests in flight are answered first. Later
   * calls fail with `unavailable`.
   */
  async close(): Promise<void> {
    this.#watches.close();
    await this.#transport.close();
    this.#release();
  }

  /** `await using kv = connect()` closes the client at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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
