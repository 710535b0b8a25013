/**
 * `KvReader`: what the SDK can ask a server without changing anything. Every read shows at least
 * what had been answered before it was asked.
 */

import type { JsonStatus } from "../json.ts";
import type { Range } from "../kv.ts";
import { PAGE_ENTRIES_DEFAULT } from "../limits.ts";
import { definedOnly } from "./defined-only.ts";
import { readable, type KvEntry, type KvListedEntry } from "./entries.ts";
import type { HttpTransport, RequestOptions } from "./http-transport.ts";
import { listPage } from "./listing.ts";
import { getEntry, getHistory, getStatus } from "./operations.ts";
import type {
  KvCountOptions,
  KvGetOptions,
  KvHistoryOptions,
  KvListOptions,
  KvPage,
  KvPageOptions,
  KvPastEvent,
  KvWaitOptions,
} from "./options.ts";
import { waitForKey } from "./wait.ts";

/** The reading half of a client. */
export class KvReader {
  readonly #transport: HttpTransport;

  constructor(transport: HttpTransport) {
    this.#transport = transport;
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
   * The state of the store and the limits of the server.
   *
   * @example
   * const { revision, keys } = await kv.status();
   */
  status(options: RequestOptions = {}): Promise<JsonStatus> {
    return this.#transport.run(() => getStatus(this.#transport, options));
  }
}
