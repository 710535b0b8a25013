/** A `Store` that is a server somewhere: the same interface, over HTTP and WebSocket. */

import { KvError } from "../errors.ts";
import type {
  Capabilities,
  Changes,
  ChangesOptions,
  CommitResult,
  CompactResult,
  Event,
  GetResult,
  HistoryOptions,
  HistoryResult,
  Limits,
  ListOptions,
  ListResult,
  Range,
  ReadOptions,
  SnapshotOptions,
  Status,
  Store,
  Txn,
} from "../kv.ts";
import { checkTxn } from "../rules.ts";
import { closed } from "./failures.ts";
import { filterOf } from "./filter.ts";
import { HttpTransport, type TransportOptions } from "./http-transport.ts";
import { commitLargePut } from "./large-put.ts";
import { listPage } from "./listing.ts";
import { getEntry, getHistory, getStatus, postCompact, postTxn } from "./operations.ts";
import { getSnapshot } from "./snapshot.ts";
import { parseServerUrl } from "./url.ts";
import type { Chunk } from "./watcher.ts";
import { Watches, type WatchTransport } from "./watches.ts";

export interface RemoteStoreOptions extends TransportOptions {
  /** How `changes` come; over WebSocket when left out, where the platform has it. */
  readonly transport?: WatchTransport | undefined;
}

/**
 * The store behind the server at `url`. `changes` goes on by itself when a connection is lost; what
 * was delivered is not repeated, and nothing is left out.
 * @throws `unavailable` when no kv answers there, `invalid_argument` when the address is none.
 *
 * @example
 * const store = await openRemoteStore("http://127.0.0.1:5000");
 * const { entry } = await store.get("greeting");
 */
export async function openRemoteStore(
  url: string,
  options: RemoteStoreOptions = {},
): Promise<Store> {
  const transport = new HttpTransport(parseServerUrl(url), options);
  const { limits, capabilities } = await getStatus(transport);
  return new RemoteStore(transport, limits, capabilities, options);
}

// --- internal ---

class RemoteStore implements Store {
  readonly limits: Limits;
  readonly capabilities: Capabilities;
  readonly #transport: HttpTransport;
  readonly #watches: Watches;
  /** Lets go of the signal, which may live longer. */
  readonly #release: () => void;

  constructor(
    transport: HttpTransport,
    limits: Limits,
    capabilities: Capabilities,
    { timeoutMs, signal, transport: watching }: RemoteStoreOptions,
  ) {
    this.limits = limits;
    this.capabilities = capabilities;
    this.#transport = transport;
    this.#watches = new Watches(transport, { timeoutMs, transport: watching });
    const end = (): void => this.#watches.close(signal?.reason);
    signal?.addEventListener("abort", end);
    this.#release = () => signal?.removeEventListener("abort", end);
  }

  get(key: string, options?: ReadOptions): Promise<GetResult> {
    return this.#transport.run(() => getEntry(this.#transport, key, options));
  }

  list(range: Range, options?: ListOptions): Promise<ListResult> {
    return this.#transport.run(() => listPage(this.#transport, range, options));
  }

  history(key: string, options?: HistoryOptions): Promise<HistoryResult> {
    return this.#transport.run(() => getHistory(this.#transport, key, options));
  }

  commit(txn: Txn): Promise<CommitResult> {
    return this.#transport.run(async () => {
      // What cannot be said in JSON or in headers must not get as far as them.
      checkTxn(txn, this.limits);
      return commitLargePut(this.#transport, txn) ?? postTxn(this.#transport, txn);
    });
  }

  compact(revision: number): Promise<CompactResult> {
    return this.#transport.run(() => postCompact(this.#transport, revision));
  }

  async *changes(
    from: number,
    { range = {}, prev, signal }: ChangesOptions = {},
  ): AsyncGenerator<Changes, void> {
    if (signal?.aborted === true) return;
    if (from < 1) await this.#refuseForgotten(from);
    const watcher = this.#watches.watch({ filter: filterOf(range, { prev }), from });
    const stop = (): void => watcher.stop();
    signal?.addEventListener("abort", stop);
    try {
      for (;;) {
        const chunk = await watcher.pull();
        if (chunk === undefined) return;
        yield toChanges(chunk);
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      watcher.stop();
    }
  }

  snapshot(options?: SnapshotOptions): AsyncIterable<Uint8Array> {
    return getSnapshot(this.#transport, options);
  }

  status(): Promise<Status> {
    return this.#transport.run(async () => {
      const status = await getStatus(this.#transport);
      const { store, revision, oldest, keys, bytes, engine, durability, lag } = status;
      const own = { store, revision, oldest, keys, bytes, engine, durability };
      return lag === undefined ? own : { ...own, lag };
    });
  }

  async close(): Promise<void> {
    this.#watches.close(closed());
    await this.#transport.close();
    this.#release();
  }

  /** The wire has no revision below 1, which a store answers like any other that is forgotten. */
  async #refuseForgotten(from: number): Promise<void> {
    const oldest = (await this.status()).oldest + 1;
    const what = `revision ${from} is forgotten`;
    const message = `${what}; the oldest that can be watched from is ${oldest}`;
    throw new KvError("compacted", message, { oldest });
  }
}

/** Without `initial` and `keys` there are changes only, and their events have values. */
function toChanges({ parts, through }: Chunk): Changes {
  const commits = parts.flatMap((part) =>
    part.type === "change" ? { revision: part.revision, events: part.events as Event[] } : [],
  );
  return { commits, through: through! };
}
