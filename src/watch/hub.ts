/**
 * The hub: who watches what, who is caught up, who is behind. It stands on a `Store` and on what
 * `subscriber.ts` asks of a transport; it knows neither disk nor cluster nor sockets.
 */

import { KvError } from "../errors.ts";
import { checkRange, type Range } from "../keys.ts";
import type { Status, Store } from "../kv.ts";
import { PROGRESS_MS, SOCKET_WATCHES_MAX, WATCHER_UNSENT_BYTES_MAX } from "../limits.ts";
import type { EndReason } from "../messages.ts";
import { checkWatchable } from "../rules.ts";
import { CatchingUp } from "./catching-up.ts";
import { Filters } from "./filters.ts";
import { endFrame, progressFrame } from "./frames.ts";
import { Live } from "./live.ts";
import type { Publisher, Subscriber } from "./subscriber.ts";
import type { Session, Watcher } from "./watcher.ts";

/** What the client is told of a new watch before its first frame. */
export interface CreatedWatch {
  /** Names the filter: the same on every connection. */
  readonly watch: number;
  /** Every matching change above this revision will be sent, and none at or below it. */
  readonly revision: number;
  readonly store: string;
}

export interface WatchRequest {
  readonly range: Range;
  /**
   * The first revision wanted. Without it the watch begins above a revision that is not older than
   * anything answered before the call.
   */
  readonly from?: number;
  /** Called before the first frame, in the same turn in which the watch comes to be. */
  readonly created: (watch: CreatedWatch) => void;
}

/** The watches of one connection. */
export interface WatchSession {
  /**
   * Begins a watch.
   * @throws `conflict` for a second one of the same range, `compacted` for a `from` that is gone,
   * `invalid_argument` for one beyond the next revision, `too_many_requests`.
   */
  watch(request: WatchRequest): Promise<void>;
  /** Ends a watch: no frame of it follows. False when there is none of that number. */
  unwatch(watch: number): boolean;
  /** To be called when the connection was sent something large. */
  sent(): void;
  /** To be called when the connection has taken some of what was unsent. */
  drained(): void;
  /** Forgets the connection. */
  close(): void;
}

export interface HubOptions {
  readonly store: Store;
  /** Milliseconds between two looks at which watches were silent while the store moved. */
  readonly progressMs?: number;
}

export class Hub {
  readonly #store: Store;
  readonly #filters = new Filters();
  readonly #sessions = new Set<Session>();
  readonly #live: Live;
  readonly #catchingUp: CatchingUp;
  readonly #timer: Timer;
  #publisher: Publisher | undefined;
  #stopped = false;

  constructor({ store, progressMs = PROGRESS_MS }: HubOptions) {
    this.#store = store;
    this.#live = new Live({
      store,
      publisher: { publish: (topic, frame) => this.#publisher?.publish(topic, frame) },
      sessions: this.#sessions,
      behind: (watcher) => this.#catchingUp.add(watcher),
    });
    this.#catchingUp = new CatchingUp({
      store,
      position: () => this.#live.position,
      settle: (watcher) => this.#live.settle(watcher),
      check: (session) => this.#live.check(session),
      end: (watcher, reason) => this.#end(watcher, reason),
    });
    this.#timer = setInterval(() => this.#progress(), progressMs);
    this.#timer.unref();
  }

  /** Watches of all connections. */
  get watchers(): number {
    let count = 0;
    for (const { watchers } of this.#sessions) count += watchers.size;
    return count;
  }

  /** Sets the way to all connections on a topic. A hub has one transport with topics. */
  publishThrough(publisher: Publisher): void {
    this.#publisher = publisher;
  }

  /** A new connection without watches. */
  connect(subscriber: Subscriber): WatchSession {
    const session: Session = { subscriber, watchers: new Map(), stalled: false, closed: false };
    this.#sessions.add(session);
    return {
      watch: (request) => this.#watch(session, request),
      unwatch: (watch) => this.#unwatch(session, watch),
      sent: () => this.#live.check(session),
      drained: () => this.#drained(session),
      close: () => this.#close(session),
    };
  }

  /** Ends every watch with reason `shutdown`. Later ones are refused. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#live.stop();
    for (const session of this.#sessions) {
      for (const watcher of session.watchers.values()) this.#end(watcher, "shutdown");
    }
  }

  async #watch(session: Session, { range, from, created }: WatchRequest): Promise<void> {
    checkRange(range);
    // Asked before the status, so that a refusal costs nothing, and after it, when it may have
    // changed.
    this.#checkWatch(session, range);
    const status = await this.#store.status();
    this.#checkWatch(session, range);
    const next = firstRevision(status, from);
    this.#live.start(status.revision);

    const filter = this.#filters.acquire(range);
    const watcher: Watcher = {
      filter,
      session,
      state: "ahead",
      next,
      sentEvents: 0,
      toldThrough: next - 1,
      pull: undefined,
    };
    session.watchers.set(filter.number, watcher);
    created({ watch: filter.number, revision: next - 1, store: status.store });
    // The announcement may have stalled the connection, or broken it.
    if (watcher.state === "ahead") this.#live.settle(watcher);
  }

  #checkWatch(session: Session, range: Range): void {
    if (this.#stopped) throw new KvError("unavailable", "the server is stopping; connect again");
    if (session.closed) throw new KvError("unavailable", "the connection is closed");
    const filter = this.#filters.find(range);
    if (filter !== undefined && session.watchers.has(filter.number)) {
      throw new KvError(
        "conflict",
        `this connection has the same watch already, as number ${filter.number}`,
      );
    }
    if (session.watchers.size >= SOCKET_WATCHES_MAX) {
      throw new KvError(
        "too_many_requests",
        `this connection has ${SOCKET_WATCHES_MAX} watches, the most allowed; open another one`,
        { limit: SOCKET_WATCHES_MAX },
      );
    }
  }

  #unwatch(session: Session, watch: number): boolean {
    const watcher = session.watchers.get(watch);
    if (watcher === undefined) return false;
    this.#remove(watcher);
    return true;
  }

  #drained(session: Session): void {
    // Half of the limit, so that a slow reader does not change over at every frame.
    if (!session.stalled) return;
    if (session.subscriber.unsentBytes() > WATCHER_UNSENT_BYTES_MAX / 2) return;
    session.stalled = false;
    for (const watcher of session.watchers.values()) {
      if (watcher.state === "stalled") this.#live.settle(watcher);
    }
  }

  #close(session: Session): void {
    session.closed = true;
    this.#sessions.delete(session);
    for (const watcher of session.watchers.values()) this.#remove(watcher);
  }

  #end(watcher: Watcher, reason: EndReason): void {
    this.#remove(watcher);
    watcher.session.subscriber.send(endFrame(watcher.filter.number, reason));
  }

  #remove(watcher: Watcher): void {
    this.#live.leave(watcher);
    this.#catchingUp.remove(watcher);
    watcher.state = "ended";
    watcher.session.watchers.delete(watcher.filter.number);
    this.#filters.release(watcher.filter);
  }

  /** Tells those who have heard nothing while the store moved how far they have come. */
  #progress(): void {
    for (const filter of this.#filters.values()) this.#live.progress(filter);
    for (const session of this.#sessions) {
      for (const watcher of session.watchers.values()) {
        if (session.stalled) break;
        if (watcher.state !== "behind" || watcher.sentEvents > 0) continue;
        const through = watcher.next - 1;
        if (through <= watcher.toldThrough) continue;
        watcher.toldThrough = through;
        session.subscriber.send(progressFrame(watcher.filter.number, through));
      }
    }
  }
}

// --- internal ---

/** The first revision that a watch wants to see. */
function firstRevision({ revision, oldest }: Status, from: number | undefined): number {
  if (from === undefined) return revision + 1;
  checkWatchable(from, revision, oldest);
  return from;
}
