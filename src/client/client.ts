/**
 * `KvClient`: the SDK over one server. Reads and writes go over `fetch`, watches over one WebSocket
 * or over HTTP streams. No write is sent twice unless its condition keeps it from taking effect
 * twice.
 */

import type { Range, Ranges } from "../kv.ts";
import { definedOnly } from "./defined-only.ts";
import { filterOf } from "./filter.ts";
import { HttpTransport, type RequestOptions } from "./http-transport.ts";
import { KvWatch, type KvChange, type KvFrame } from "./kv-watch.ts";
import { postCompact, postTxn } from "./operations.ts";
import type {
  ConnectOptions,
  KvClear,
  KvClearOptions,
  KvCompact,
  KvDelete,
  KvDeleteOptions,
  KvDeleteRange,
  KvDeleteRangeOptions,
  KvIncr,
  KvIncrOptions,
  KvPut,
  KvPutOptions,
  KvSnapshotOptions,
  KvTouchOptions,
  KvWatchOptions,
} from "./options.ts";
import { KvReader } from "./reader.ts";
import { deleteKeys, writeOne } from "./single-write.ts";
import { getSnapshot } from "./snapshot.ts";
import { toDeleteRange, toTxn, toTxnResult, type KvTxn, type KvTxnResult } from "./txn.ts";
import { DEFAULT_URL, parseServerUrl } from "./url.ts";
import { toIncr, toPut, toTouch, type KvDuration, type KvValue } from "./values.ts";
import { Watches } from "./watches.ts";

/**
 * A client of one server. Made by `connect`. Every method rejects with a `KvError`: `unavailable`
 * when the server cannot be reached or does not answer in time, `invalid_argument` and `too_large`
 * for what it refuses; a write also with `outcome_unknown` when it may have been applied or not.
 * After an abort the rejection is the signal's reason, and a write may have been applied as well.
 */
export class KvClient extends KvReader {
  readonly #transport: HttpTransport;
  readonly #watches: Watches;
  /** Lets go of the signal, which may live longer. */
  readonly #release: () => void;

  constructor(url: string, options: ConnectOptions = {}) {
    const transport = new HttpTransport(parseServerUrl(url), options);
    super(transport);
    const { timeoutMs, transport: watching, signal } = options;
    this.#transport = transport;
    this.#watches = new Watches(transport, { timeoutMs, transport: watching });
    const end = (): void => this.#watches.close();
    if (signal?.aborted === true) end();
    signal?.addEventListener("abort", end);
    this.#release = () => signal?.removeEventListener("abort", end);
  }

  /**
   * Stores a value: 0 bytes to 16 MiB.
   * @throws `precondition_failed` when a condition failed; `details.revision` is the key's
   * revision, 0 when it is absent. `invalid_argument` for conditions that contradict each other.
   * `outcome_unknown` when the answer was lost; see `retry` for when it is sent again.
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
   * A consistent copy of the store as a stream of bytes, made while writes go on: what `kv restore`
   * makes a store of. With `since` only what was committed above that revision, for a copy that
   * reaches up to it. `timeoutMs` is for the beginning, and for each wait in between.
   *
   * A copy that was cut off ends with an error, and `kv restore` refuses what is left of it.
   * @throws at a pull: `compacted` when `since` is older than the history that is kept,
   * `invalid_argument` above the store's revision, `too_many_requests` when there are too many
   * copies being made, `unavailable` when the connection breaks.
   *
   * @example
   * const file = Bun.file("all.kvbackup").writer();
   * for await (const piece of kv.snapshot()) await file.write(piece);
   * await file.end();
   */
  snapshot(options: KvSnapshotOptions = {}): AsyncIterable<Uint8Array> {
    return getSnapshot(this.#transport, definedOnly(options));
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
   * The changes of keys as an endless loop: of a key, a prefix, a range from `start` to `end`, or
   * several keys and prefixes together; of all keys when left out. A change is what one write or
   * one transaction did, whole. See `KvWatch`.
   *
   * With `initial` what is there comes first: `state` frames and a `sync`; and where the history is
   * gone that would be needed to go on, a `reset` and the state again, in the place of an error.
   * @throws at the call `invalid_argument` for a bad range or `from`; in the loop `compacted` when
   * that history is gone, without `initial`.
   *
   * @example
   * for await (const { revision, events } of kv.watch({ prefix: "users/" })) {
   *   for (const event of events) {
   *     if (event.type === "put") console.log(revision, event.key, event.text());
   *     else console.log(revision, event.key, "is gone");
   *   }
   * }
   *
   * @example
   * const users = new Map<string, string>();
   * for await (const frame of kv.watch({ prefix: "users/" }, { initial: true })) {
   *   if (frame.type === "reset") users.clear();
   *   if (frame.type === "state") {
   *     for (const user of frame.entries) users.set(user.key, user.text());
   *   }
   *   if (frame.type !== "change") continue;
   *   for (const event of frame.events) {
   *     if (event.type === "put") users.set(event.key, event.text());
   *     else users.delete(event.key);
   *   }
   * }
   */
  watch(
    ranges?: Ranges,
    options?: KvWatchOptions & { readonly initial?: false | undefined },
  ): KvWatch<KvChange>;
  watch(ranges: Ranges, options: KvWatchOptions): KvWatch<KvFrame>;
  watch(ranges: Ranges = {}, options: KvWatchOptions = {}): KvWatch<KvFrame> {
    const filter = filterOf(ranges, options);
    return new KvWatch(this.#watches.watch({ ...options, filter }), options.signal);
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
