/** A watch as the SDK hands it out: frames to loop over. */

import { readable, readableEvent, type KvEvent, type KvListedEntry } from "./entries.ts";
import type { WatchPart, WatchStart } from "./parts.ts";
import type { Chunk, Watcher } from "./watcher.ts";

/**
 * All events of one revision: what one write or one transaction did to the keys that are watched.
 * With `latest`, to who is behind: the newest event of each key since the change before, in the
 * order of their revisions, the last of which is `revision`.
 */
export interface KvChange {
  readonly type: "change";
  readonly revision: number;
  readonly events: readonly KvEvent[];
  /** With `latest`: the number of older events that are left out; absent when there are none. */
  readonly skipped?: number;
}

/** With `initial`: a part of what is there, in key order. */
export interface KvState {
  readonly type: "state";
  readonly entries: readonly KvListedEntry[];
}

/** With `initial`: the state is whole. It is that of `revision`; every change above it follows. */
export interface KvSync extends WatchStart {
  readonly type: "sync";
}

/**
 * With `initial`: what came so far counts no more, because the history to go on from it is gone, or
 * the server has another store now. Forget it: the state as it is follows, and a `sync` again.
 */
export interface KvReset extends WatchStart {
  readonly type: "reset";
}

/** What a watch brings: tell them apart by `type`. Without `initial` there are changes only. */
export type KvFrame = KvChange | KvState | KvSync | KvReset;

/**
 * Frames in revision order, each exactly once, for ever: through lost connections and restarts of
 * the server. It runs from the call on, and what the loop has not taken waits, a few MiB at most;
 * then the server is asked again later. Leaving the loop ends it, and so do `close`, its signal and
 * the client's end.
 *
 * The loop throws `compacted` when the history it needs is gone and `initial` was not asked for
 * (then list and watch anew), and on its first connection what `connect` says of requests, unless
 * `waitForServer` was set.
 */
export class KvWatch<F extends KvFrame = KvChange> implements AsyncIterableIterator<F> {
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
  #ready: Chunk = { parts: [], through: undefined };
  #taken = 0;
  #revision: number | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(watcher: Watcher, signal: AbortSignal | undefined) {
    this.#watcher = watcher;
    this.started = watcher.started;
    const close = (): void => this.close();
    this.#release = () => signal?.removeEventListener("abort", close);
    signal?.addEventListener("abort", close);
    if (signal?.aborted === true) this.close();
  }

  /**
   * Everything up to this revision has been handed out, or was nothing that is watched: a later
   * watch goes on behind it with `from: revision + 1`. `undefined` before the first frame, and from
   * a `reset` to its `sync`.
   */
  get revision(): number | undefined {
    return this.#revision;
  }

  /** Ends the watch; a loop over it ends without an error. */
  close(): void {
    this.#release();
    this.#ready = { parts: [], through: undefined };
    this.#watcher.stop();
  }

  next(): Promise<IteratorResult<F, undefined>> {
    const next = this.#turn.then(() => this.#next());
    this.#turn = next.catch(() => {});
    return next;
  }

  return(): Promise<IteratorResult<F, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  async #next(): Promise<IteratorResult<F, undefined>> {
    while (this.#taken >= this.#ready.parts.length) {
      const chunk = await this.#pull();
      if (chunk === undefined) return { done: true, value: undefined };
      this.#ready = chunk;
      this.#taken = 0;
      if (chunk.parts.length === 0) this.#revision = chunk.through;
    }
    const { parts, through } = this.#ready;
    const part = parts[this.#taken++]!;
    if (part.type === "reset") this.#revision = undefined;
    else if (part.type !== "state") this.#revision = part.revision;
    // Behind the last one may lie revisions in which nothing was to be shown.
    if (this.#taken === parts.length) this.#revision = through ?? this.#revision;
    // Which frames come is what the watch was asked for.
    return { done: false, value: toFrame(part) as F };
  }

  /** A loop does not call `return` when it is the watch that ends. */
  async #pull(): Promise<Chunk | undefined> {
    let chunk: Chunk | undefined;
    try {
      chunk = await this.#watcher.pull();
      return chunk;
    } finally {
      if (chunk === undefined) this.#release();
    }
  }
}

// --- internal ---

function toFrame(part: WatchPart): KvFrame {
  if (part.type === "state") return { ...part, entries: part.entries.map(readable) };
  return part.type === "change" ? { ...part, events: part.events.map(readableEvent) } : part;
}
