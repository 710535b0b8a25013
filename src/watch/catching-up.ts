/**
 * The half of the hub that serves watchers from the store: a queue of those that are `behind`, of
 * which a few pull at a time, a chunk each. Between chunks a watcher holds a revision and nothing
 * else.
 */

import { setImmediate } from "node:timers/promises";
import { assert, KvError } from "../errors.ts";
import type { Changes, Commit, Store } from "../kv.ts";
import type { EndReason } from "../messages.ts";
import { FRAME_BYTES_MAX, WATCHER_PULLS_MAX } from "../limits.ts";
import { EncodedCommit } from "./frames.ts";
import type { Session, Watcher } from "./watcher.ts";

/** Milliseconds before a pull that the store refused is tried again. */
const RETRY_MS = 100;

export interface CatchingUpOptions {
  readonly store: Store;
  /** Everything up to here was published. */
  readonly position: () => number;
  /** Decides where a watcher goes on that has been sent a chunk. */
  readonly settle: (watcher: Watcher) => void;
  /** Marks the watcher's connection as stalled, when it has too much unsent. */
  readonly check: (session: Session) => void;
  readonly end: (watcher: Watcher, reason: EndReason) => void;
}

export class CatchingUp {
  readonly #options: CatchingUpOptions;
  /** A set keeps the order of insertion and forgets in constant time: a queue that can be left. */
  readonly #queue = new Set<Watcher>();
  #pulls = 0;

  constructor(options: CatchingUpOptions) {
    this.#options = options;
  }

  /** Takes a watcher whose state has become `behind`. */
  add(watcher: Watcher): void {
    this.#queue.add(watcher);
    this.#pullNext();
  }

  /** Lets go of a watcher in any state; what a pull under way brings for it is dropped. */
  remove(watcher: Watcher): void {
    this.#queue.delete(watcher);
    watcher.pull?.abort();
    watcher.pull = undefined;
  }

  #pullNext(): void {
    for (const watcher of this.#queue) {
      if (this.#pulls >= WATCHER_PULLS_MAX) return;
      this.#queue.delete(watcher);
      if (watcher.session.stalled) watcher.state = "stalled";
      else void this.#occupy(watcher);
    }
  }

  async #occupy(watcher: Watcher): Promise<void> {
    this.#pulls++;
    await this.#pull(watcher);
    // Lets the event loop serve everybody else: a store may answer every pull in the same turn.
    await setImmediate();
    this.#pulls--;
    this.#pullNext();
  }

  /** Pulls for one watcher until it has caught up or stalls, or until another one waits. */
  async #pull(watcher: Watcher): Promise<void> {
    const pull = new AbortController();
    watcher.pull = pull;
    try {
      const { range } = watcher.filter;
      const changes = this.#options.store.changes(watcher.next, { range, signal: pull.signal });
      for await (const chunk of changes) {
        if (watcher.pull !== pull) return;
        const goesOn = this.#deliver(watcher, chunk);
        if (goesOn && watcher.next <= this.#options.position() && this.#queue.size === 0) {
          await setImmediate();
          continue;
        }
        watcher.pull = undefined;
        this.#settle(watcher);
        return;
      }
      throw new KvError("unavailable", "the store ended the changes");
    } catch (error) {
      // An abort ends the changes; whoever aborted has taken the watcher elsewhere.
      if (watcher.pull !== pull) return;
      watcher.pull = undefined;
      this.#fail(watcher, error);
    }
  }

  /** A fault in here must not pass for the end of a pull, which nobody waits for any more. */
  #settle(watcher: Watcher): void {
    try {
      this.#options.settle(watcher);
    } catch (error) {
      watcher.session.subscriber.fail(error);
    }
  }

  /** Sends a chunk; false when the connection stalled on the way. */
  #deliver(watcher: Watcher, { commits, through }: Changes): boolean {
    for (const commit of commits) {
      if (!this.#send(watcher, commit)) return false;
    }
    watcher.next = through + 1;
    return true;
  }

  #send(watcher: Watcher, commit: Commit): boolean {
    const { session, filter } = watcher;
    const { subscriber } = session;
    assert(
      watcher.sentEvents === 0 || watcher.next === commit.revision,
      "a split commit goes on with its own events",
    );
    watcher.next = commit.revision;
    const encoded = new EncodedCommit(commit);
    while (watcher.sentEvents < commit.events.length) {
      this.#options.check(session);
      if (session.stalled) return false;
      const frame = encoded.frameFrom(filter.number, watcher.sentEvents, FRAME_BYTES_MAX);
      watcher.sentEvents = frame.end;
      subscriber.send(frame.text);
    }
    watcher.next = commit.revision + 1;
    watcher.sentEvents = 0;
    watcher.toldThrough = commit.revision;
    return true;
  }

  #fail(watcher: Watcher, error: unknown): void {
    const code = error instanceof KvError ? error.code : "internal";
    if (code === "compacted") this.#options.end(watcher, "compacted");
    else if (code !== "unavailable") watcher.session.subscriber.fail(error);
    else {
      setTimeout(() => {
        if (watcher.state === "behind") this.add(watcher);
      }, RETRY_MS).unref();
    }
  }
}
