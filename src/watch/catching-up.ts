/**
 * The half of the hub that serves watchers from the store: a queue of those that are `behind`, of
 * which a few pull at a time, a part each. Between two parts a watcher holds a place and nothing
 * else; but a few may be gathering the newest events of each key.
 */

import { setImmediate } from "node:timers/promises";
import { assert, KvError } from "../errors.ts";
import type { Changes, Commit, Store } from "../kv.ts";
import { BACKGROUND_SLICE_MS, FRAME_BYTES_MAX, WATCHER_PULLS_MAX } from "../limits.ts";
import type { EndReason } from "../messages.ts";
import { Slice } from "../slice.ts";
import { EncodedCommit } from "./encoded-commit.ts";
import { resetFrame, syncFrame, type StorePosition } from "./frames.ts";
import { readState, statePlace } from "./initial-state.ts";
import { NewestEvents } from "./newest-events.ts";
import type { Session, Watcher } from "./watcher.ts";

/** Milliseconds before a pull that the store refused is tried again. */
const RETRY_MS = 100;
/** Commits that are sent between two looks at the time. */
const COMMITS_A_LOOK = 8;
/** Watchers that have something gathered at the same time. */
const GATHERING_MAX = 16;

export interface CatchingUpOptions {
  readonly store: Store;
  /** Everything up to here was published. */
  readonly position: () => number;
  /** Decides where a watcher goes on that has been sent a part. */
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
  readonly #gathered = new Map<Watcher, NewestEvents>();
  /** Those that have to wait until fewer are gathering. */
  readonly #waiting = new Set<Watcher>();
  /** Lets go of the revisions at which states are being sent. */
  readonly #unpin = new Map<Watcher, () => void>();

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
    this.#waiting.delete(watcher);
    this.#letGo(watcher);
    watcher.pull?.abort();
    watcher.pull = undefined;
    this.#forget(watcher);
  }

  /** Lets a watch begin with the state, or anew with it; what was sent in part does not count. */
  begin(watcher: Watcher, at: StorePosition, isReset: boolean): void {
    const { filter, session } = watcher;
    watcher.place = statePlace(at);
    watcher.next = at.revision + 1;
    this.#letGo(watcher);
    // A long state must not be forgotten on the way, and sent over and over again.
    const unpin = this.#options.store.pin?.(at.revision);
    if (unpin !== undefined) this.#unpin.set(watcher, unpin);
    if (isReset) session.subscriber.send(resetFrame(filter.number, at));
  }

  #pullNext(): void {
    for (const watcher of this.#queue) {
      if (this.#pulls >= WATCHER_PULLS_MAX) return;
      this.#queue.delete(watcher);
      if (watcher.session.stalled) this.#stall(watcher);
      else if (this.#mayPull(watcher)) void this.#occupy(watcher);
      else this.#waiting.add(watcher);
    }
  }

  #mayPull(watcher: Watcher): boolean {
    if (!isGathering(watcher) || this.#gathered.has(watcher)) return true;
    return this.#gathered.size < GATHERING_MAX;
  }

  #stall(watcher: Watcher): void {
    watcher.state = "stalled";
    this.#forget(watcher);
  }

  /** Drops what was gathered: it can be gathered again. Whoever waits for the room has its turn. */
  #forget(watcher: Watcher): void {
    if (!this.#gathered.delete(watcher)) return;
    const [first] = this.#waiting;
    if (first === undefined) return;
    this.#waiting.delete(first);
    this.add(first);
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
      if (watcher.place !== undefined) await this.#pullState(watcher, pull);
      else if (isGathering(watcher)) await this.#pullNewest(watcher, pull);
      else await this.#pullChanges(watcher, pull);
    } catch (error) {
      // An abort ends the pull; whoever aborted has taken the watcher elsewhere.
      if (watcher.pull !== pull) return;
      await this.#fail(watcher, pull, error);
    }
    if (watcher.pull !== pull) return;
    watcher.pull = undefined;
    this.#settle(watcher);
  }

  /** A fault in here must not pass for the end of a pull, which nobody waits for any more. */
  #settle(watcher: Watcher): void {
    try {
      if (watcher.session.stalled) this.#forget(watcher);
      this.#options.settle(watcher);
    } catch (error) {
      watcher.session.subscriber.fail(error);
    }
  }

  /** May the pull go on? Lets others have their turn; asked where a place is noted. */
  async #goesOn(watcher: Watcher, pull: AbortController): Promise<boolean> {
    if (watcher.session.stalled || this.#queue.size > 0) return false;
    await setImmediate();
    return watcher.pull === pull;
  }

  async #pullChanges(watcher: Watcher, pull: AbortController): Promise<void> {
    const { ranges, prev } = watcher.filter;
    const { store, position } = this.#options;
    const { signal } = pull;
    for await (const chunk of store.changes(watcher.next, { range: ranges, prev, signal })) {
      if (watcher.pull !== pull) return;
      if (!(await this.#deliver(watcher, pull, chunk)) || watcher.next > position()) return;
      if (!(await this.#goesOn(watcher, pull))) return;
    }
    if (watcher.pull === pull) throw new KvError("unavailable", "the store ended the changes");
  }

  /** Sends a chunk, in slices; false when the pull does not go on behind it. */
  async #deliver(
    watcher: Watcher,
    pull: AbortController,
    { commits, through }: Changes,
  ): Promise<boolean> {
    const slice = new Slice(COMMITS_A_LOOK, BACKGROUND_SLICE_MS);
    let goesOn = true;
    for (let at = 0; at < commits.length;) {
      if (at > 0) await slice.next();
      if (watcher.pull !== pull) return false;
      watcher.session.subscriber.together(() => {
        do goesOn = this.#sendCommit(watcher, commits[at++]!);
        while (goesOn && at < commits.length && !slice.isOver());
      });
      if (!goesOn) return false;
    }
    watcher.next = through + 1;
    return true;
  }

  /** False when the connection stalled on the way. */
  #sendCommit(watcher: Watcher, commit: Commit): boolean {
    assert(
      watcher.sentEvents === 0 || watcher.next === commit.revision,
      "a split commit goes on with its own events",
    );
    watcher.next = commit.revision;
    const encoded = new EncodedCommit(commit);
    while (watcher.sentEvents < commit.events.length) {
      if (this.#isStalled(watcher)) return false;
      const part = encoded.frameFrom(watcher.filter, watcher.sentEvents, FRAME_BYTES_MAX);
      watcher.sentEvents = part.end;
      watcher.session.subscriber.send(part.frame);
    }
    this.#sentThrough(watcher, commit.revision, commit.revision);
    return true;
  }

  /** Sends the newest event of each key between the watcher's place and the hub's. */
  async #pullNewest(watcher: Watcher, pull: AbortController): Promise<void> {
    const { filter, next, sentEvents, mergedThrough } = watcher;
    const { store, position } = this.#options;
    const gathered =
      this.#gathered.get(watcher) ?? new NewestEvents(next, mergedThrough ?? position());
    this.#gathered.set(watcher, gathered);
    if (!(await this.#gather(watcher, pull, gathered))) return;
    if (!gathered.isEmpty) {
      // From here on it has to be the same ones, also when they are gathered anew.
      watcher.mergedThrough = gathered.lastRevision;
      for await (const { frame, end } of gathered.frames(store, filter, sentEvents)) {
        if (watcher.pull !== pull || this.#isStalled(watcher)) return;
        watcher.sentEvents = end;
        watcher.session.subscriber.send(frame);
        await setImmediate();
      }
      if (watcher.pull !== pull) return;
    }
    this.#sentThrough(watcher, gathered.lastRevision, gathered.next - 1);
    this.#forget(watcher);
  }

  /** True when all is gathered; false when the watcher has to wait for its next turn. */
  async #gather(watcher: Watcher, pull: AbortController, gathered: NewestEvents): Promise<boolean> {
    if (gathered.isWhole) return true;
    const { signal } = pull;
    const range = watcher.filter.ranges;
    for await (const chunk of this.#options.store.changes(gathered.next, { range, signal })) {
      if (watcher.pull !== pull) return false;
      gathered.add(chunk);
      if (gathered.isWhole) return true;
      // As long as there is nothing to send, the place moves on.
      if (gathered.isEmpty) watcher.next = gathered.next;
      if (!(await this.#goesOn(watcher, pull))) return false;
    }
    throw new KvError("unavailable", "the store ended the changes");
  }

  async #pullState(watcher: Watcher, pull: AbortController): Promise<void> {
    const { filter, session } = watcher;
    const begin = watcher.place!;
    const { revision } = begin;
    for await (const part of readState(this.#options.store, filter, begin, pull.signal)) {
      if (watcher.pull !== pull || this.#isStalled(watcher)) return;
      session.subscriber.send(part.frame);
      if (part.place === undefined) break;
      watcher.place = part.place;
      if (!(await this.#goesOn(watcher, pull))) return;
    }
    if (watcher.pull !== pull) return;
    watcher.place = undefined;
    this.#letGo(watcher);
    session.subscriber.send(syncFrame(filter.number, begin));
    this.#sentThrough(watcher, revision, revision);
  }

  /** The state is sent, or not wanted any more: its revision may be forgotten. */
  #letGo(watcher: Watcher): void {
    this.#unpin.get(watcher)?.();
    this.#unpin.delete(watcher);
  }

  #isStalled({ session }: Watcher): boolean {
    this.#options.check(session);
    return session.stalled;
  }

  #sentThrough(watcher: Watcher, told: number, through: number): void {
    watcher.next = through + 1;
    watcher.sentEvents = 0;
    watcher.mergedThrough = undefined;
    watcher.toldThrough = Math.max(watcher.toldThrough, told);
  }

  /** Leaves the watcher where it can go on, or ends it, or breaks its connection. */
  async #fail(watcher: Watcher, pull: AbortController, error: unknown): Promise<void> {
    const code = error instanceof KvError ? error.code : "internal";
    this.#forget(watcher);
    if (code === "compacted") await this.#lost(watcher, pull);
    else if (code === "unavailable") this.#retry(watcher);
    else {
      watcher.pull = undefined;
      watcher.session.subscriber.fail(error);
    }
  }

  /** What the watcher had still to be sent is forgotten. */
  async #lost(watcher: Watcher, pull: AbortController): Promise<void> {
    if (!watcher.initial) return this.#options.end(watcher, "compacted");
    try {
      const status = await this.#options.store.status();
      if (watcher.pull === pull) this.begin(watcher, status, true);
    } catch (error) {
      if (watcher.pull === pull) await this.#fail(watcher, pull, error);
    }
  }

  #retry(watcher: Watcher): void {
    watcher.pull = undefined;
    setTimeout(() => {
      if (watcher.state === "behind" && watcher.pull === undefined) this.add(watcher);
    }, RETRY_MS).unref();
  }
}

// --- internal ---

/** Does the watcher get the newest event of each key only? */
function isGathering({ filter, place }: Watcher): boolean {
  return filter.latest && place === undefined;
}
