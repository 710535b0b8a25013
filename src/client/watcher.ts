/**
 * One consumer of changes: what it has not pulled yet, within a bound, and how far it has come. It
 * knows no connection; the streams of `link.ts` feed it, and it may change from one to another.
 */

import { KvError } from "../errors.ts";
import type { Changes, Commit, Range } from "../kv.ts";
import { CLIENT_WATCH_COMMITS_MAX } from "../limits.ts";

/** Where a watch began. */
export interface WatchStart {
  /** Changes above this revision are delivered, and none at or below it. */
  readonly revision: number;
  /** The id of the store. */
  readonly store: string;
}

export interface WatcherOptions {
  readonly range: Range;
  /** The first revision wanted; from now on when left out. */
  readonly from?: number | undefined;
  /** Keep trying when not even the first connection can be had. */
  readonly waitForServer?: boolean | undefined;
  /** The connection was lost; it is being tried again. Once for each loss. */
  readonly onDisconnect?: ((error: KvError) => void) | undefined;
  /** The watch goes on after a loss. */
  readonly onReconnect?: (() => void) | undefined;
}

/** What the watcher asks of those who feed it. */
export interface WatcherFeed {
  /** The watcher was paused and has room again. */
  resume(watcher: Watcher): void;
  /** The watcher has ended, in whichever way. */
  ended(watcher: Watcher): void;
}

/**
 * waiting ──begin──▶ following ──queue full──▶ paused ──pulled empty──▶ following …
 * Each state may end. Between `lost` and the next `begin` it goes on with what it has.
 */
export class Watcher {
  readonly range: Range;
  /** Settles when the watch has begun for the first time, or could not. */
  readonly started: Promise<WatchStart>;
  readonly #options: WatcherOptions;
  readonly #feed: WatcherFeed;
  readonly #bytesMax: number;
  #resolveStart!: (start: WatchStart) => void;
  #rejectStart!: (error: unknown) => void;
  /**
   * It has been taken in up to, but not including, this revision; unknown until it begins from now.
   */
  #next: number | undefined;
  /** What was pulled: up to and including this revision. */
  #pulled = 0;
  #store: string | undefined;
  #commits: Commit[] = [];
  #bytes = 0;
  #paused = false;
  #disconnected = false;
  #end: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(options: WatcherOptions, feed: WatcherFeed, bytesMax: number) {
    this.range = options.range;
    this.#options = options;
    this.#feed = feed;
    this.#bytesMax = bytesMax;
    this.#next = options.from;
    // `Promise.withResolvers` came to Node.js with version 22.
    this.started = new Promise((resolve, reject) => {
      this.#resolveStart = resolve;
      this.#rejectStart = reject;
    });
    // Whoever pulls gets the error too; nobody has to look here.
    this.started.catch(() => {});
  }

  get next(): number | undefined {
    return this.#next;
  }

  /** Has it ever begun? Only then are losses of the connection survived without being asked to. */
  get isStarted(): boolean {
    return this.#store !== undefined;
  }

  /** Has it no room, until it asks for more by itself? */
  get isPaused(): boolean {
    return this.#paused;
  }

  get isEnded(): boolean {
    return this.#end !== undefined;
  }

  // For the consumer

  /**
   * What has come since the last pull; waits for it. `undefined` after the end. One pull at a time.
   * @throws what ended the watch, after everything before it was pulled.
   */
  async pull(): Promise<Changes | undefined> {
    for (;;) {
      const chunk = this.#takeChunk();
      if (chunk !== undefined) return chunk;
      if (this.#end !== undefined) {
        if (this.#end.error === undefined) return undefined;
        throw this.#end.error;
      }
      const woken = new Promise<void>((wake) => (this.#wake = wake));
      if (this.#paused) {
        this.#paused = false;
        this.#feed.resume(this);
      }
      await woken;
    }
  }

  /** Ends it without an error and forgets what was not pulled. */
  stop(): void {
    this.#commits = [];
    this.#pulled = Infinity;
    this.end();
    this.#end = { error: undefined };
  }

  // For the feed

  /** A stream that delivers everything above `revision` has been made for it. */
  begin({ revision, store }: WatchStart): void {
    if (this.#store === undefined) {
      this.#store = store;
      this.#next ??= revision + 1;
      this.#pulled = this.#next - 1;
      this.#resolveStart({ revision: this.#pulled, store });
    } else if (this.#store !== store) {
      this.end(anotherStore());
      return;
    }
    if (!this.#disconnected) return;
    this.#disconnected = false;
    // In a turn of their own, so that what they throw breaks nothing in here.
    queueMicrotask(() => this.#options.onReconnect?.());
  }

  /**
   * Takes a commit in, unless it had it. False when it has no room: it is paused then and must not
   * be given anything before it asks for `resume`.
   */
  take(commit: Commit, bytes: number): boolean {
    if (commit.revision < this.#next!) return true;
    if (this.#commits.length >= CLIENT_WATCH_COMMITS_MAX || this.#bytes >= this.#bytesMax) {
      this.#paused = true;
      return false;
    }
    this.#commits.push(commit);
    this.#bytes += bytes;
    this.advance(commit.revision);
    return true;
  }

  /** Everything up to `revision` has been given to it. */
  advance(revision: number): void {
    if (revision < this.#next!) return;
    this.#next = revision + 1;
    this.#wakeUp();
  }

  /** The connection is gone. */
  lost(error: KvError): void {
    if (!this.isStarted && this.#options.waitForServer !== true) {
      this.end(error);
    } else if (!this.#disconnected) {
      this.#disconnected = true;
      queueMicrotask(() => this.#options.onDisconnect?.(error));
    }
  }

  /** The server says that the watch cannot be had from here on. */
  refused(error: KvError): void {
    // A store that has not come as far as this watcher is not the one that it followed.
    const isBehind = error.code === "invalid_argument" && this.isStarted;
    this.end(isBehind ? anotherStore() : error);
  }

  end(error?: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#rejectStart(error ?? new KvError("unavailable", "the watch was ended"));
    this.#feed.ended(this);
    this.#wakeUp();
  }

  #takeChunk(): Changes | undefined {
    const through = (this.#next ?? 0) - 1;
    if (through <= this.#pulled || !this.isStarted) return undefined;
    const commits = this.#commits;
    this.#commits = [];
    this.#bytes = 0;
    this.#pulled = through;
    return { commits, through };
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

// --- internal ---

function anotherStore(): KvError {
  return new KvError(
    "compacted",
    "the server has another store now (restored or replaced), so the watch cannot go on " +
      "where it was; read anew and watch from there",
  );
}
