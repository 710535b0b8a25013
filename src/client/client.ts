/**
 * `KvClient`: the SDK over one server. Reads and writes go over `fetch`, many at once in binary
 * frames over a WebSocket, watches over another one or over HTTP streams. No write is sent twice
 * unless its condition keeps it from taking effect twice.
 */

import { checkKey } from "../keys.ts";
import type { PutOperation, Range, Ranges } from "../kv.ts";
import { CLIENT_LARGE_VALUE_BYTES } from "../limits.ts";
import { definedOnly } from "./defined-only.ts";
import type { KvEntry } from "./entries.ts";
import { filterOf } from "./filter.ts";
import { Frames } from "./frames.ts";
import { Gathering } from "./gathering.ts";
import { HttpTransport, type RequestOptions } from "./http-transport.ts";
import { deleteMany, getMany, putMany, type KvManyPut } from "./many.ts";
import type { ManyTools } from "./many-run.ts";
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
  KvGetOptions,
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
import { deleteSingle, getSingle, putSingle } from "./singles.ts";
import { getSnapshot } from "./snapshot.ts";
import { toDeleteRange, toTxn, toTxnResult, type KvTxn, type KvTxnResult } from "./txn.ts";
import { DEFAULT_URL, parseServerUrl } from "./url.ts";
import { toIncr, toPut, toTouch, type KvDuration, type KvValue } from "./values.ts";
import { platformTransport, Watches } from "./watches.ts";

/**
 * A client of one server. Made by `connect`. Every method rejects with a `KvError`: `unavailable`
 * when the server cannot be reached or does not answer in time, `invalid_argument` and `too_large`
 * for what it refuses; a write also with `outcome_unknown` when it may have been applied or not.
 * Calls that overlap take effect in any order: wait for one that another has to come behind.
 * After an abort the rejection is the signal's reason, and a write may have been applied as well.
 */
export class KvClient extends KvReader {
  readonly #transport: HttpTransport;
  readonly #watches: Watches;
  /** Connections of their own: a read behind a write on the same one would wait for it. */
  readonly #reads: ManyTools;
  readonly #writes: ManyTools;
  readonly #gets: Gathering;
  readonly #puts: Gathering;
  /** Lets go of the signal, which may live longer. */
  readonly #release: () => void;

  constructor(url: string, options: ConnectOptions = {}) {
    const transport = new HttpTransport(parseServerUrl(url), options);
    super(transport);
    const { timeoutMs, transport: watching, signal } = options;
    this.#transport = transport;
    this.#watches = new Watches(transport, { timeoutMs, transport: watching });
    const isOff = (watching ?? platformTransport()) === "http";
    const tools = (): ManyTools => ({
      transport,
      // Where it does not open, there must be time left to do without.
      frames: new Frames(transport.url.socket, { timeoutMs: transport.timeoutMs / 2, isOff }),
    });
    this.#reads = tools();
    this.#writes = tools();
    this.#gets = new Gathering(this.#reads);
    this.#puts = new Gathering(this.#writes);
    const end = (): void => {
      this.#watches.close();
      this.#reads.frames.close();
      this.#writes.frames.close();
    };
    if (signal?.aborted === true) end();
    signal?.addEventListener("abort", end);
    this.#release = () => signal?.removeEventListener("abort", end);
  }

  // As in `KvReader`; calls of the same turn may share a request.
  override get(key: string, options: KvGetOptions = {}): Promise<KvEntry | undefined> {
    if (!isPlain(options)) return super.get(key, options);
    return this.#transport.run(async () => {
      checkKey(key);
      return this.#gets.run(getSingle(this.#transport, key));
    });
  }

  /**
   * The entries of many keys, in the order of the keys; `undefined` for those that are absent. Each
   * is read for itself: what is written meanwhile may show in some and not in others. To read keys
   * as they are at one revision, use `txn`.
   *
   * @throws the first failure; `details.index` says of which key.
   *
   * @example
   * const [ada, grace] = await kv.getMany(["users/ada", "users/grace"]);
   * console.log(ada?.text(), grace?.text());
   */
  getMany(keys: readonly string[], options: RequestOptions = {}): Promise<(KvEntry | undefined)[]> {
    return this.#transport.run(() => getMany(this.#reads, keys, options));
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
      const made = toPut({ op: "put", key, value, contentType, ttl });
      // Without a wait, so that calls of the same turn keep their order.
      const put = made instanceof Promise ? await made : made;
      if (isPlain(options) && isSmall(put)) {
        checkKey(key);
        return this.#puts.run(putSingle(this.#transport, put));
      }
      const { op: _, ...answer } = (await writeOne(this.#transport, put, options)).result;
      return answer;
    });
  }

  /**
   * Stores many values, far faster than one by one. Each is a put of its own, with a revision of
   * its own; others can see a part of them. They take effect in this order, but where there is no
   * WebSocket only those of one key do. To put all or nothing, use `txn`.
   *
   * @throws `KvManyError` when some have failed, whose `results` say what became of each;
   * `invalid_argument` and `too_large` before anything is sent, `details.index` says of which.
   * When a connection breaks, lost writes are `outcome_unknown`, those not sent `unavailable`.
   *
   * @example
   * await kv.putMany([
   *   { key: "users/ada", value: "Ada" },
   *   { key: "sessions/7", value: "ada", ttl: "30m" },
   * ]);
   */
  putMany(entries: readonly KvManyPut[], options: RequestOptions = {}): Promise<KvPut[]> {
    return this.#transport.run(() => putMany(this.#writes, entries, options));
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
      if (isPlain(options)) {
        checkKey(key);
        return this.#puts.run(deleteSingle(this.#transport, key));
      }
      const { result, revision } = await writeOne(this.#transport, { op: "delete", key }, options);
      return { deleted: result.deleted, revision };
    });
  }

  /**
   * Deletes many keys, each by a delete of its own; of those that were absent `deleted` is 0. To
   * delete a range, use `deleteRange` or `clear`.
   * @throws as `putMany`.
   *
   * @example
   * const results = await kv.deleteMany(["users/ada", "users/grace"]);
   */
  deleteMany(keys: readonly string[], options: RequestOptions = {}): Promise<KvDelete[]> {
    return this.#transport.run(() => deleteMany(this.#writes, keys, options));
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
    this.#reads.frames.close();
    this.#writes.frames.close();
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

// --- internal ---

/** Has a call no options but those of a put itself? Then it may go with others. */
function isPlain(options: KvGetOptions | KvPutOptions | KvDeleteOptions): boolean {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && name !== "contentType" && name !== "ttl") return false;
  }
  return true;
}

/** Can a put go in a frame, and does it not fill one? */
function isSmall(put: PutOperation): put is PutOperation & { ttl?: number } {
  return put.ttl !== "keep" && put.value.length < CLIENT_LARGE_VALUE_BYTES;
}
