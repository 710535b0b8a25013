/**
 * The hub: who watches what, who is caught up, who is behind. It stands on a `Store` and on what
 * `subscriber.ts` asks of a transport; it knows neither disk nor cluster nor sockets.
 */

import { KvError } from "../errors.ts";
import { checkRanges } from "../keys.ts";
import type { Status, Store } from "../kv.ts";
import {
  PROGRESS_MS,
  SOCKET_RANGES_MAX,
  SOCKET_WATCHES_MAX,
  WATCHER_UNSENT_BYTES_MAX,
} from "../limits.ts";
import type { EndReason } from "../messages.ts";
import { checkInteger, checkWatchable } from "../rules.ts";
import { CatchingUp } from "./catching-up.ts";
import { Filters, wantedFilter, type WantedFilter } from "./filters.ts";
import { createdFrame, endFrame, progressFrame, type Frame } from "./frames.ts";
import { Live, type LiveOptions } from "./live.ts";
import { Pace } from "./pace.ts";
import { StreamSubscriber, type StreamTransport, type WatchStream } from "./stream-subscriber.ts";
import type { Publisher, Subscriber } from "./subscriber.ts";
import { Topics } from "./topics.ts";
import { describeWatcher, type WatcherDescription } from "./watcher-description.ts";
import type { WatchOptions, WatchRequest, WatchSession } from "./watch-session.ts";
import type { Session, Watcher } from "./watcher.ts";

export interface HubOptions {
  readonly store: Store;
  /** Milliseconds between two looks at which watches were silent while the store moved. */
  readonly progressMs?: number;
  /** When to publish again. */
  readonly pace?: LiveOptions["pace"];
}

export class Hub {
  readonly #store: Store;
  readonly #filters = new Filters();
  readonly #sessions = new Set<Session>();
  readonly #live: Live;
  readonly #catchingUp: CatchingUp;
  readonly #timer: Timer;
  /** The ways to the readers of topics; that of the streams is always there. */
  readonly #topics = new Topics();
  readonly #publishers: Publisher[] = [this.#topics];
  #stopped = false;

  constructor({ store, progressMs = PROGRESS_MS, pace = new Pace() }: HubOptions) {
    this.#store = store;
    this.#live = new Live({
      store,
      publisher: { publish: (topic, frame) => this.#publish(topic, frame) },
      pace,
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

  /** Adds a way to all connections on a topic, of a transport with topics of its own. */
  publishThrough(publisher: Publisher): void {
    this.#publishers.push(publisher);
  }

  /**
   * A watch as a stream that is pulled, with `created` as its first frame.
   * @throws as `WatchSession.watch`.
   */
  async openStream(transport: StreamTransport, options: WatchOptions): Promise<WatchStream> {
    const subscriber = new StreamSubscriber(transport, this.#topics);
    const session = this.connect(subscriber);
    subscriber.begin(session);
    try {
      await session.watch({ ...options, created: ({ frame }) => subscriber.send(frame) });
      return subscriber;
    } catch (error) {
      subscriber.close();
      throw error;
    }
  }

  /** The watchers of all connections, `limit` of them and some thousands of ranges at most. */
  describeWatchers(limit: number): WatcherDescription[] {
    const described: WatcherDescription[] = [];
    let ranges = 0;
    for (const { watchers } of this.#sessions) {
      for (const watcher of watchers.values()) {
        ranges += watcher.filter.ranges.length;
        const isFull = ranges > DESCRIBED_RANGES_MAX && described.length > 0;
        if (described.length === limit || isFull) return described;
        described.push(describeWatcher(watcher, this.#live.position));
      }
    }
    return described;
  }

  /** A new connection without watches. */
  connect(subscriber: Subscriber): WatchSession {
    const session: Session = {
      subscriber,
      watchers: new Map(),
      ranges: 0,
      stalled: false,
      closed: false,
    };
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

  #publish(topic: string, frame: Frame): void {
    for (const publisher of this.#publishers) publisher.publish(topic, frame);
  }

  async #watch(session: Session, request: WatchRequest): Promise<void> {
    checkRanges(request.range);
    const wanted = wantedFilter(request);
    // Asked before the status, so that a refusal costs nothing, and after it, when it may have
    // changed.
    this.#checkWatch(session, wanted);
    const status = await this.#store.status();
    this.#checkWatch(session, wanted);
    const { next, begins } = startOf(status, request);
    this.#live.start(status.revision);

    const filter = this.#filters.acquire(wanted);
    const watcher: Watcher = {
      filter,
      session,
      initial: request.initial === true,
      state: "ahead",
      place: undefined,
      next,
      sentEvents: 0,
      mergedThrough: undefined,
      toldThrough: next - 1,
      pull: undefined,
    };
    session.watchers.set(filter.number, watcher);
    session.ranges += filter.ranges.length;
    const at = { revision: next - 1, store: status.store };
    const frame = createdFrame(filter.number, at, begins === "changes");
    request.created({ watch: filter.number, ...at, frame });
    // The announcement may have broken the connection, or stalled it.
    if (isOver(watcher)) return;
    if (begins !== "changes") this.#catchingUp.begin(watcher, at, begins === "reset");
    if (watcher.state === "ahead") this.#live.settle(watcher);
  }

  #checkWatch(session: Session, wanted: WantedFilter): void {
    if (this.#stopped) throw new KvError("unavailable", "the server is stopping; connect again");
    if (session.closed) throw new KvError("unavailable", "the connection is closed");
    const filter = this.#filters.find(wanted);
    if (filter !== undefined && session.watchers.has(filter.number)) {
      throw new KvError(
        "conflict",
        `this connection has the same watch already, as number ${filter.number}`,
      );
    }
    if (session.watchers.size >= SOCKET_WATCHES_MAX) throw tooMany("watches", SOCKET_WATCHES_MAX);
    if (session.ranges + wanted.ranges.length > SOCKET_RANGES_MAX) {
      throw tooMany("watched keys and prefixes", SOCKET_RANGES_MAX);
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
    const { session, filter } = watcher;
    session.watchers.delete(filter.number);
    session.ranges -= filter.ranges.length;
    this.#filters.release(filter);
  }

  /** Tells those who have heard nothing while the store moved how far they have come. */
  #progress(): void {
    for (const filter of this.#filters.values()) this.#live.progress(filter);
    for (const session of this.#sessions) {
      for (const watcher of session.watchers.values()) {
        if (session.stalled) break;
        const { place, sentEvents } = watcher;
        if (watcher.state !== "behind" || place !== undefined || sentEvents > 0) continue;
        const through = watcher.next - 1;
        if (through <= watcher.toldThrough) continue;
        watcher.toldThrough = through;
        session.subscriber.send(progressFrame(watcher.filter.number, through));
      }
    }
  }
}

// --- internal ---

/** Keys and prefixes of all the watchers that are described together. */
const DESCRIBED_RANGES_MAX = 10_000;

function tooMany(what: string, limit: number): KvError {
  return new KvError(
    "too_many_requests",
    `a connection has ${limit} ${what} at most; open another one`,
    { limit },
  );
}

/** The first revision that a watch wants to see, and what it begins with. */
interface Start {
  readonly next: number;
  readonly begins: "changes" | "state" | "reset";
}

function startOf(status: Status, { from, initial = false }: WatchOptions): Start {
  const { revision, oldest } = status;
  const next = revision + 1;
  if (from === undefined) return { next, begins: initial ? "state" : "changes" };
  checkInteger("from", from, 0);
  const isServed = from > oldest && from <= next;
  if (initial && !isServed) return { next, begins: "reset" };
  checkWatchable(from, revision, oldest);
  return { next: from, begins: "changes" };
}

function isOver({ state }: Watcher): boolean {
  return state === "ended";
}
