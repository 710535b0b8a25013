/**
 * Waiting for the next change of a key. One stream of changes is followed for all who wait, from
 * the first of them to the last. Knows no HTTP; what the change means is decided in `wait-for.ts`.
 */

import { KvError } from "../errors.ts";
import type { Changes, Store } from "../kv.ts";
import { KEY_WAITS_MAX } from "../limits.ts";

export interface WaitOptions {
  /** Milliseconds from the beginning of the wait to its end, however often it is woken. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Why `next` has returned: look at the key again, or give up. */
export type Woken = "changed" | "unsure" | "timeout";

/**
 * One who waits. Changes are noted from the beginning on, so whoever reads the key after it and
 * then calls `next` with the revision of that read can miss none in between. To be disposed of.
 */
export interface KeyWait extends Disposable {
  /** Once `next` has said `timeout`: up to here nothing has happened. */
  readonly through: number;
  /**
   * Resolves with `changed` once the key has changed above `revision`, with `unsure` where it may
   * have: look again. `timeout` comes after either.
   * @throws `unavailable` when the store or the server goes, or the wait was given up by its
   * signal; what the store's stream fails with.
   */
  next(revision: number): Promise<Woken>;
}

export class KeyWaits {
  readonly #store: Store;
  readonly #countMax: number;
  readonly #byKey = new Map<string, Set<Waiter>>();
  #count = 0;
  /** Stops the stream; `undefined` while nobody waits. */
  #feed: AbortController | undefined;
  /** Changes up to here were told to those who waited; counts only while there is a feed. */
  #position = 0;
  #stopped = false;

  constructor(store: Store, countMax: number = KEY_WAITS_MAX) {
    this.#store = store;
    this.#countMax = countMax;
  }

  /** Those who wait now. */
  get size(): number {
    return this.#count;
  }

  /**
   * Begins to note the changes of a key above `revision`, which some read has answered.
   * @throws `too_many_requests` when too many wait already, `unavailable` after `stop` and for a
   * signal that has aborted.
   */
  begin(key: string, revision: number, options: WaitOptions): KeyWait {
    if (this.#stopped) throw stoppingError();
    if (options.signal?.aborted === true) throw givenUpError();
    if (this.#count >= this.#countMax) throw tooManyError(this.#countMax);
    if (this.#feed === undefined) this.#follow(revision);
    // What the stream told before was told to others; a look from now on cannot be older.
    const waiter = new Waiter(this.#position, options, {
      position: () => this.#position,
      remove: () => this.#remove(key, waiter),
    });
    const waiters = this.#byKey.get(key);
    if (waiters === undefined) this.#byKey.set(key, new Set([waiter]));
    else waiters.add(waiter);
    this.#count++;
    return waiter;
  }

  /** Everybody who waits fails with `unavailable`, and so do those who come later. */
  stop(): void {
    this.#stopped = true;
    this.#fail(stoppingError());
  }

  #remove(key: string, waiter: Waiter): void {
    const waiters = this.#byKey.get(key);
    if (waiters?.delete(waiter) !== true) return;
    if (waiters.size === 0) this.#byKey.delete(key);
    this.#count--;
    if (this.#count === 0) this.#endFeed();
  }

  #endFeed(): void {
    this.#feed?.abort();
    this.#feed = undefined;
  }

  #follow(revision: number): void {
    const feed = new AbortController();
    this.#feed = feed;
    this.#position = revision;
    void this.#run(feed);
  }

  async #run(feed: AbortController): Promise<void> {
    const isOver = (): boolean => this.#feed !== feed;
    while (!isOver()) {
      try {
        const changes = this.#store.changes(this.#position + 1, { signal: feed.signal });
        for await (const chunk of changes) {
          if (isOver()) return;
          this.#tell(chunk);
        }
        if (!isOver()) throw new KvError("unavailable", "the store ended the changes");
      } catch (error) {
        if (!isOver()) await this.#recover(error, isOver);
      }
    }
  }

  #tell({ commits, through }: Changes): void {
    for (const { revision, events } of commits) {
      for (const { key } of events) {
        for (const waiter of this.#byKey.get(key) ?? []) waiter.changed(revision);
      }
    }
    this.#position = through;
  }

  /**
   * Where compaction has passed the position, the stream goes on at the store's revision, and
   * everybody has to look for themselves; any other fault ends all waits.
   */
  async #recover(error: unknown, isOver: () => boolean): Promise<void> {
    if (!(error instanceof KvError && error.code === "compacted")) return this.#fail(error);
    try {
      const { revision } = await this.#store.status();
      if (isOver()) return;
      this.#position = Math.max(this.#position, revision);
      for (const waiter of this.#all()) waiter.unsure(this.#position);
    } catch (error) {
      if (!isOver()) this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#endFeed();
    const waiters = [...this.#all()];
    this.#byKey.clear();
    this.#count = 0;
    for (const waiter of waiters) waiter.failed(error);
  }

  *#all(): Iterable<Waiter> {
    for (const waiters of this.#byKey.values()) yield* waiters;
  }
}

// --- internal ---

/** What a waiter asks of those who tell it what happens. */
interface Teller {
  readonly position: () => number;
  readonly remove: () => void;
}

/**
 * What has happened is kept and not only told, so it does not matter whether anybody listens just
 * then.
 */
class Waiter implements KeyWait {
  through = 0;
  /** The newest change that was noted. */
  #changedAt = -1;
  /** Nothing is known of the changes up to here. */
  #since: number;
  #timedOut = false;
  #failure: { readonly error: unknown } | undefined;
  #wake = (): void => {};
  readonly #timer: Timer;
  readonly #signal: AbortSignal | undefined;
  readonly #teller: Teller;

  constructor(since: number, { timeoutMs, signal }: WaitOptions, teller: Teller) {
    this.#since = since;
    this.#teller = teller;
    this.#timer = setTimeout(() => {
      this.#timedOut = true;
      this.#wake();
    }, timeoutMs);
    this.#signal = signal;
    signal?.addEventListener("abort", this.#aborted, { once: true });
  }

  async next(revision: number): Promise<Woken> {
    while (true) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (this.#changedAt > revision) return "changed";
      if (this.#since > revision) return "unsure";
      if (this.#timedOut) {
        // Looked up here: more may be told before the caller goes on.
        this.through = Math.max(revision, this.#teller.position());
        return "timeout";
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  changed(revision: number): void {
    this.#changedAt = revision;
    this.#wake();
  }

  unsure(since: number): void {
    this.#since = since;
    this.#wake();
  }

  failed(error: unknown): void {
    this.#failure ??= { error };
    this[Symbol.dispose]();
    this.#wake();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#aborted);
    this.#teller.remove();
  }

  readonly #aborted = (): void => this.failed(givenUpError());
}

function givenUpError(): KvError {
  return new KvError("unavailable", "the wait was given up before it was answered");
}

function stoppingError(): KvError {
  return new KvError("unavailable", "the server is stopping; wait again");
}

function tooManyError(limit: number): KvError {
  const message = `${limit} requests wait for changes, the most allowed; try again later`;
  return new KvError("too_many_requests", message, { limit });
}
