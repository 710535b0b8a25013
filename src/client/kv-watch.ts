/** A watch as the SDK hands it out: commits to loop over. */

import type { Changes, Commit } from "../kv.ts";
import { readableCommit, type KvCommit } from "./entries.ts";
import type { Watcher, WatchStart } from "./watcher.ts";

/**
 * Commits in revision order, each exactly once, for ever: through lost connections and restarts of
 * the server. It runs from the call on, and what the loop has not taken waits, a few MiB at most;
 * then the server is asked again later. Leaving the loop ends it, and so do `close`, its signal and
 * the client's end.
 *
 * The loop throws `compacted` when the history it needs is gone (then list and watch anew), and on
 * its first connection what `connect` says of requests, unless `waitForServer` was set.
 */
export class KvWatch implements AsyncIterableIterator<KvCommit> {
  /**
   * Where it began: every change above this revision will come. Rejects when it could not begin.
   *
   * @example
   * const watch = kv.watch({ prefix: "jobs/" });
   * const { revision } = await watch.started;
   */
  readonly started: Promise<WatchStart>;
  readonly #watcher: Watcher;
  readonly #release: () => void;
  #ready: readonly Commit[] = [];
  #taken = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(watcher: Watcher, signal: AbortSignal | undefined) {
    this.#watcher = watcher;
    this.started = watcher.started;
    const close = (): void => this.close();
    this.#release = () => signal?.removeEventListener("abort", close);
    signal?.addEventListener("abort", close);
    if (signal?.aborted === true) this.close();
  }

  /** Ends the watch; a loop over it ends without an error. */
  close(): void {
    this.#release();
    this.#ready = [];
    this.#watcher.stop();
  }

  next(): Promise<IteratorResult<KvCommit, undefined>> {
    const next = this.#turn.then(() => this.#next());
    this.#turn = next.catch(() => {});
    return next;
  }

  return(): Promise<IteratorResult<KvCommit, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  async #next(): Promise<IteratorResult<KvCommit, undefined>> {
    while (this.#taken >= this.#ready.length) {
      const chunk = await this.#pull();
      if (chunk === undefined) return { done: true, value: undefined };
      this.#ready = chunk.commits;
      this.#taken = 0;
    }
    return { done: false, value: readableCommit(this.#ready[this.#taken++]!) };
  }
  /** A loop does not call `return` when it is the watch that ends. */
  async #pull(): Promise<Changes | undefined> {
    let chunk: Changes | undefined;
    try {
      chunk = await this.#watcher.pull();
      return chunk;
    } finally {
      if (chunk === undefined) this.#release();
    }
  }
}
