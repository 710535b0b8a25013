/**
 * The live half of the hub: one feed of all changes, published on a topic for each filter. Owns the
 * position and the decision where a watcher goes on; knows nothing of how watchers catch up.
 */

import { setTimeout } from "node:timers/promises";
import { KvError } from "../errors.ts";
import type { Changes, Commit, Event, Store } from "../kv.ts";
import {
  FRAME_BYTES_MAX,
  PUBLISHED_CHECK_BYTES,
  TOPIC_CHECK_BYTES,
  WATCHER_UNSENT_BYTES_MAX,
} from "../limits.ts";
import { EncodedCommit } from "./encoded-commit.ts";
import { progressFrame, type Frame } from "./frames.ts";
import { Matcher } from "./matcher.ts";
import type { Pace } from "./pace.ts";
import type { Publisher } from "./subscriber.ts";
import type { Filter, Session, Watcher } from "./watcher.ts";

/** Milliseconds before a feed that the store refused is tried again. */
const RETRY_MS = 100;

export interface LiveOptions {
  readonly store: Store;
  readonly publisher: Publisher;
  readonly pace: Pick<Pace, "waitMs" | "publishedTo">;
  /** All sessions, for the look at what they have unsent. */
  readonly sessions: Iterable<Session>;
  /** Takes a watcher that has become `behind`. */
  readonly behind: (watcher: Watcher) => void;
}

export class Live {
  readonly #options: LiveOptions;
  readonly #matcher = new Matcher<Filter>();
  readonly #ahead = new Set<Watcher>();
  readonly #stopped = new AbortController();
  #uncheckedBytes = 0;
  /** Everything up to here was published; -1 before the feed has begun. */
  #position = -1;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  get position(): number {
    return this.#position;
  }

  /** Begins to follow the store above `revision`; a feed that runs already stays as it is. */
  start(revision: number): void {
    if (this.#position >= 0 || this.#stopped.signal.aborted) return;
    this.#position = revision;
    void this.#follow();
  }

  stop(): void {
    this.#stopped.abort();
  }

  /**
   * Puts a watcher that is in no state where it goes on, in one synchronous step: nothing can be
   * published between the comparison and the subscription.
   */
  settle(watcher: Watcher): void {
    if (watcher.session.stalled) watcher.state = "stalled";
    else if (watcher.next <= this.#position || hasBegun(watcher)) {
      watcher.state = "behind";
      this.#options.behind(watcher);
    } else if (watcher.next === this.#position + 1) this.#joinTold(watcher);
    else {
      watcher.state = "ahead";
      this.#ahead.add(watcher);
    }
  }

  /** Takes a watcher out of `live` or `ahead`; `next` says where it goes on. */
  leave(watcher: Watcher): void {
    if (watcher.state === "ahead") this.#ahead.delete(watcher);
    if (watcher.state !== "live") return;
    const { filter } = watcher;
    watcher.session.subscriber.unsubscribe(filter.topic);
    // Between two commits it may have joined with less to see than what the hub has published.
    watcher.next = Math.max(watcher.next, this.#position + 1);
    watcher.toldThrough = filter.toldThrough;
    filter.live.delete(watcher);
    if (filter.live.size === 0) this.#matcher.remove(filter);
  }

  /** Tells the watchers of a filter that was silent how far they have come. */
  progress(filter: Filter): void {
    if (filter.live.size === 0 || filter.toldThrough >= this.#position) return;
    this.#publish(filter, progressFrame(filter.number, this.#position));
    filter.toldThrough = this.#position;
  }

  /** A watcher for which there was nothing in the log learns how far it has come, at once. */
  #joinTold(watcher: Watcher): void {
    const { filter, session } = watcher;
    const isTold = watcher.toldThrough >= this.#position;
    watcher.toldThrough = this.#position;
    this.#join(watcher);
    if (!isTold) session.subscriber.send(progressFrame(filter.number, this.#position));
  }

  #join(watcher: Watcher): void {
    const { filter } = watcher;
    if (filter.live.size === 0) {
      this.#matcher.add(filter);
      filter.toldThrough = watcher.toldThrough;
    }
    filter.live.add(watcher);
    watcher.state = "live";
    watcher.session.subscriber.subscribe(filter.topic);
  }

  /**
   * Lets those join who have seen everything below `revision`, of which nothing is published yet.
   */
  #joinAhead(revision: number): void {
    for (const watcher of this.#ahead) {
      if (watcher.next > revision) continue;
      this.#ahead.delete(watcher);
      this.#join(watcher);
    }
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        const changes = this.#options.store.changes(this.#position + 1, { signal });
        for await (const chunk of changes) {
          const waitMs = this.#options.pace.waitMs();
          if (waitMs > 0) await setTimeout(waitMs, undefined, { ref: false });
          if (signal.aborted) return;
          this.#publishChunk(chunk);
        }
        if (!signal.aborted) throw new KvError("unavailable", "the store ended the feed");
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  /**
   * A store that is away for a while is asked again for the same position. Where it has lost the
   * position, the feed goes on at the store's revision, and each watcher learns what it has lost
   * from its own pull.
   */
  async #recover(error: unknown): Promise<void> {
    if (!(error instanceof KvError)) {
      // No fault of the store: who was published what is unknown, so nobody may go on from here.
      for (const { subscriber } of this.#options.sessions) subscriber.fail(error);
    }
    try {
      const { revision } = await this.#options.store.status();
      const away = error instanceof KvError && error.code === "unavailable";
      if (!away && revision > this.#position) {
        this.#skipTo(revision);
        return;
      }
    } catch {
      // Still away.
    }
    await setTimeout(RETRY_MS, undefined, { ref: false });
  }

  #skipTo(revision: number): void {
    const affected: Watcher[] = [];
    for (const { watchers } of this.#options.sessions) {
      for (const watcher of watchers.values()) {
        if (watcher.state !== "live" && watcher.state !== "ahead") continue;
        this.leave(watcher);
        affected.push(watcher);
      }
    }
    this.#position = revision;
    for (const watcher of affected) this.settle(watcher);
  }

  #publishChunk({ commits, through }: Changes): void {
    for (const commit of commits) this.#publishCommit(commit);
    this.#position = through;
    this.#joinAhead(through + 1);
  }

  #publishCommit(commit: Commit): void {
    const { revision } = commit;
    this.#joinAhead(revision);
    const encoded = new EncodedCommit(commit, (event) => this.#withPrevious(event));
    const displaced: Watcher[] = [];
    const published: Filter[] = [];
    let connections = 0;
    for (const [filter, positions] of this.#match(commit)) {
      const frame = encoded.frame(filter, positions, FRAME_BYTES_MAX);
      if (frame === undefined) displaced.push(...filter.live);
      else {
        this.#publish(filter, frame);
        filter.toldThrough = revision;
        published.push(filter);
        connections += filter.live.size;
      }
    }
    this.#options.pace.publishedTo(connections);
    // They leave at the position before this commit, and so see all of it from the log.
    for (const watcher of displaced) this.leave(watcher);
    this.#position = revision;
    for (const watcher of displaced) this.settle(watcher);
    for (const filter of published) this.#checkFilter(filter);
    if (this.#uncheckedBytes >= PUBLISHED_CHECK_BYTES) this.#checkAll();
  }

  /** Nothing where the store has to wait for it, or has forgotten it: the log knows what to do. */
  #withPrevious(event: Event): Event | undefined {
    try {
      const found = this.#options.store.get(event.key, { revision: event.revision - 1 });
      if (found instanceof Promise) {
        found.catch(() => {});
        return undefined;
      }
      return found.entry === undefined ? event : { ...event, prev: found.entry };
    } catch {
      return undefined;
    }
  }

  /** The filters that want the commit, each with the positions of its events. */
  #match(commit: Commit): Map<Filter, number[]> {
    const matches = new Map<Filter, number[]>();
    for (const [position, event] of commit.events.entries()) {
      this.#matcher.match(event.key, (filter) => {
        const positions = matches.get(filter);
        if (positions === undefined) matches.set(filter, [position]);
        else positions.push(position);
      });
    }
    return matches;
  }

  #publish(filter: Filter, frame: Frame): void {
    this.#options.publisher.publish(filter.topic, frame);
    filter.uncheckedBytes += frame.bytes;
    this.#uncheckedBytes += frame.bytes;
  }

  #checkFilter(filter: Filter): void {
    if (filter.uncheckedBytes < TOPIC_CHECK_BYTES) return;
    filter.uncheckedBytes = 0;
    for (const { session } of filter.live) this.check(session);
  }

  /** A connection with many watches can be behind while each of its topics had little. */
  #checkAll(): void {
    this.#uncheckedBytes = 0;
    for (const session of this.#options.sessions) this.check(session);
  }

  /** Takes all live watchers of a connection that has too much unsent off their topics. */
  check(session: Session): void {
    if (session.stalled) return;
    if (session.subscriber.unsentBytes() <= WATCHER_UNSENT_BYTES_MAX) return;
    session.stalled = true;
    for (const watcher of session.watchers.values()) {
      if (watcher.state !== "live" && watcher.state !== "ahead") continue;
      this.leave(watcher);
      watcher.state = "stalled";
    }
  }
}

// --- internal ---

/** In the middle of the state or of a change only the store can go on; it has the rest already. */
function hasBegun({ place, sentEvents }: Watcher): boolean {
  return place !== undefined || sentEvents > 0;
}
