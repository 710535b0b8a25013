/**
 * One consumer of a watch: what it has not pulled yet, within a bound, and how far it has come. It
 * knows no connection; streams (`stream.ts`) and the reader of states (`state-rest.ts`) feed it,
 * and it may change from one to another.
 */

import { KvError } from "../errors.ts";
import type { ListedEntry } from "../kv.ts";
import type { Filter } from "./filter.ts";
import { PartQueue, type Change, type WatchPart, type WatchStart } from "./parts.ts";

export interface WatcherOptions {
  readonly filter: Filter;
  /** The first revision wanted; from now on when left out. */
  readonly from?: number | undefined;
  /** First what is there; also where the history from `from` on is gone. */
  readonly initial?: boolean | undefined;
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
 * What a watcher has to be given next: `from` is the only one in which a server can be asked to go
 * on. A state that breaks off is not asked for again but read on, at its revision, behind `after`.
 */
export type Need =
  | { readonly type: "now" }
  | { readonly type: "state" }
  | { readonly type: "rest"; readonly revision: number; readonly after: string | undefined }
  | { readonly type: "from"; readonly revision: number };

export interface Chunk {
  readonly parts: readonly WatchPart[];
  /** Everything up to here has been given; unknown within a state. */
  readonly through: number | undefined;
}

/**
 * ```
 *  now ───────────begin───────────────────────────▶ from ──reset──▶ rest
 *  state ──begin──▶ rest ──sync─────────────────────▶ │
 *    ▲               │ └─the rest is read, sync due──▶ │ begin: sync
 *    └─ its revision is forgotten, or another store ◀──┘
 * ```
 * In each it may be paused for want of room, lose its connection, or end.
 */
export class Watcher {
  readonly filter: Filter;
  readonly initial: boolean;
  /** Settles when the watch has begun for the first time, or could not. */
  readonly started: Promise<WatchStart>;
  readonly #options: WatcherOptions;
  readonly #feed: WatcherFeed;
  readonly #queue: PartQueue;
  #resolveStart!: (start: WatchStart) => void;
  #rejectStart!: (error: unknown) => void;
  #need: Need;
  /** The state is read up to its end; whether the store is still the same is not known. */
  #isSyncDue = false;
  /** What was pulled: up to and including this revision. */
  #pulled = 0;
  #store: string | undefined;
  #paused = false;
  #disconnected = false;
  #end: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(options: WatcherOptions, feed: WatcherFeed, bytesMax: number) {
    const { filter, from, initial = false } = options;
    this.filter = filter;
    this.initial = initial;
    this.#options = options;
    this.#feed = feed;
    this.#queue = new PartQueue(bytesMax, filter.latest);
    if (from === undefined) this.#need = { type: initial ? "state" : "now" };
    else this.#need = { type: "from", revision: from };
    // `Promise.withResolvers` came to Node.js with version 22.
    this.started = new Promise((resolve, reject) => {
      this.#resolveStart = resolve;
      this.#rejectStart = reject;
    });
    // Whoever pulls gets the error too; nobody has to look here.
    this.started.catch(() => {});
  }

  get need(): Need {
    return this.#need;
  }

  /** The id of the store that it follows, once it has begun. */
  get store(): string | undefined {
    return this.#store;
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
  async pull(): Promise<Chunk | undefined> {
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
    this.#queue.takeAll();
    this.#pulled = Infinity;
    this.end();
    this.#end = { error: undefined };
  }

  // For the feed

  /**
   * What it needs has been asked for and is going to come. False when it is of no use: the store is
   * another one, and the watcher has ended, or needs the whole state of that store.
   */
  begin({ revision, store }: WatchStart): boolean {
    const isOther = this.#store !== undefined && this.#store !== store;
    if (isOther && !this.initial) {
      this.end(anotherStore());
      return false;
    }
    if (isOther && this.#need.type !== "state") {
      this.startOver();
      return false;
    }
    if (this.#need.type === "state") {
      this.#beginState({ revision, store }, this.isStarted);
      return true;
    }
    if (this.#need.type === "now") this.#need = { type: "from", revision: revision + 1 };
    this.#begun({ revision: this.#need.revision - 1, store });
    if (this.#isSyncDue) this.sync();
    return true;
  }

  /** The history that it needs is gone: the state as it is at a later revision follows. */
  reset(start: WatchStart): void {
    this.#isSyncDue = false;
    this.#beginState(start, true);
  }

  /** The state that it was given is forgotten: it needs all of a later one. */
  startOver(): void {
    this.#isSyncDue = false;
    this.#need = { type: "state" };
  }

  /** Takes a part of the state in; false when it has no room: as `take`. */
  takeState(entries: readonly ListedEntry[], bytes: number): boolean {
    if (this.#need.type !== "rest" || entries.length === 0) return true;
    if (this.pauseIfFull()) return false;
    this.#need = { ...this.#need, after: entries.at(-1)!.key };
    this.#push({ type: "state", entries }, bytes);
    return true;
  }

  /** The state is whole; above its revision it is followed. */
  sync(): void {
    this.endRest();
    if (!this.#isSyncDue || this.#need.type !== "from") return;
    this.#isSyncDue = false;
    this.#push({ type: "sync", revision: this.#need.revision - 1, store: this.#store! });
  }

  /** The state was read to its end, as far as its reader knows. */
  endRest(): void {
    if (this.#need.type !== "rest") return;
    this.#need = { type: "from", revision: this.#need.revision + 1 };
    this.#isSyncDue = true;
  }

  /**
   * Takes a change in, unless it had it. False when it has no room: it is paused then and must not
   * be given anything before it asks for `resume`.
   */
  take(change: Change, bytes: number): boolean {
    if (this.#need.type !== "from" || change.revision < this.#need.revision) return true;
    if (this.pauseIfFull()) return false;
    const { revision: next } = this.#need;
    // What `latest` puts together may begin below what this watcher needs.
    const isCut = change.events.some(({ revision }) => revision < next);
    const events = isCut ? change.events.filter((event) => event.revision >= next) : change.events;
    if (events.length > 0) this.#queue.push(isCut ? { ...change, events } : change, bytes);
    this.advance(change.revision);
    return true;
  }

  /** Everything up to `revision` has been given to it. */
  advance(revision: number): void {
    if (this.#need.type !== "from" || revision < this.#need.revision) return;
    this.#need = { type: "from", revision: revision + 1 };
    this.#wakeUp();
  }

  /** Pauses it when it has no room; true when it is paused. */
  pauseIfFull(): boolean {
    this.#paused ||= this.#queue.isFull;
    return this.#paused;
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

  #beginState(start: WatchStart, isReset: boolean): void {
    this.#need = { type: "rest", revision: start.revision, after: undefined };
    this.#begun(start);
    if (isReset) this.#push({ type: "reset", ...start });
  }

  #begun(start: WatchStart): void {
    if (!this.isStarted) this.#pulled = start.revision;
    this.#store = start.store;
    this.#resolveStart(start);
    if (!this.#disconnected) return;
    this.#disconnected = false;
    // In a turn of their own, so that what they throw breaks nothing in here.
    queueMicrotask(() => this.#options.onReconnect?.());
  }

  #push(part: WatchPart, bytes = 0): void {
    this.#queue.push(part, bytes);
    this.#wakeUp();
  }

  #takeChunk(): Chunk | undefined {
    if (!this.isStarted) return undefined;
    const through =
      this.#need.type === "from" && !this.#isSyncDue ? this.#need.revision - 1 : undefined;
    const parts = this.#queue.takeAll();
    if (parts.length === 0 && (through ?? 0) <= this.#pulled) return undefined;
    this.#pulled = through ?? this.#pulled;
    return { parts, through };
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
