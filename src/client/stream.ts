/**
 * One watch on the server and the watchers that it feeds: frames become parts, each delivered once
 * and in order, to all of them. It sends nothing; `link.ts` asks for it and ends it.
 */

import { entryFromJson, eventFromJson, listedEventFromJson } from "../json.ts";
import type { ListedEvent } from "../kv.ts";
import { CLIENT_JOINING_BYTES_MAX } from "../limits.ts";
import type { WatchFrame } from "../messages.ts";
import type { Beginning, Filter } from "./filter.ts";
import type { Change, WatchStart } from "./parts.ts";
import type { Watcher } from "./watcher.ts";

/** What came for a watcher before it was known above which revision it begins. */
interface Joining {
  readonly changes: { readonly change: Change; readonly bytes: number }[];
  bytes: number;
}

/** A commit of which more is to come. */
interface Unfinished {
  readonly revision: number;
  readonly events: ListedEvent[];
  skipped: number;
  bytes: number;
}

export class Stream {
  readonly filter: Filter;
  readonly members = new Set<Watcher>();
  readonly #joining = new Map<Watcher, Joining>();
  /** Those who will join once the stream is live. */
  readonly #later = new Set<Watcher>();
  /** The number that its frames carry, from when it was made until it ends. */
  watch: number | undefined;
  /** It was asked for, from here on, and not answered yet. */
  #asked: Beginning | undefined;
  /** It brings the state, and no changes before that is whole. */
  #isStating = false;
  /** Everything up to this revision has been delivered, while it is live. */
  #position = 0;
  #store = "";
  /** The first frames of a commit that came in several. */
  #partial: Unfinished | undefined;

  constructor(filter: Filter) {
    this.filter = filter;
  }

  get isMade(): boolean {
    return this.watch !== undefined;
  }

  get isAsked(): boolean {
    return this.#asked !== undefined;
  }

  get isEmpty(): boolean {
    return this.members.size + this.#joining.size + this.#later.size === 0;
  }

  /** The watch is being asked for; answers where it is to begin. */
  ask(): Beginning {
    if (this.members.size === 0) {
      for (const watcher of this.#later) this.members.add(watcher);
      this.#later.clear();
    }
    this.#asked = beginningOf(this.members);
    return this.#asked;
  }

  /**
   * Takes a watcher in, if what it needs is what this stream delivers. One that begins now may
   * `join`, but what now is must be asked, at once or `later`, when the stream is live.
   */
  offer(watcher: Watcher): "taken" | "join" | "later" | "no" {
    const { need } = watcher;
    if (this.isMade) return this.#offerMade(watcher);
    // What was asked for stands, though those it was asked for may have left.
    if ((this.isEmpty && !this.isAsked) || this.#isSameBeginning(watcher)) {
      this.members.add(watcher);
      return "taken";
    }
    // It would wait until the state of others is whole, which may be long.
    if (need.type !== "now" || this.#beginning.initial === true) return "no";
    this.#later.add(watcher);
    return "later";
  }

  /**
   * Takes a watcher over from another stream of the filter, which has delivered as much as this one
   * or more; what it has already it leaves out by itself.
   */
  adopt(watcher: Watcher): boolean {
    const { need, store } = watcher;
    if (!this.isMade || this.#isStating || need.type !== "from" || store !== this.#store)
      return false;
    // A change that stands for several counts what was skipped for all of them together.
    if (this.filter.latest) return false;
    if (need.revision <= this.#position) return false;
    this.members.add(watcher);
    return true;
  }

  /**
   * From now on all changes are kept for a watcher that wants those above a revision not known yet.
   */
  beginJoin(watcher: Watcher): void {
    this.#joining.set(watcher, { changes: [], bytes: 0 });
  }

  /** The revision is known. False when the watcher is not joining any more. */
  endJoin(watcher: Watcher, revision: number): boolean {
    const joining = this.#joining.get(watcher);
    if (joining === undefined) return false;
    this.#joining.delete(watcher);
    this.members.add(watcher);
    watcher.begin({ revision, store: this.#store });
    // What is not above its revision it leaves out by itself.
    for (const { change, bytes } of joining.changes) {
      if (!this.#give(watcher, change, bytes)) return true;
    }
    watcher.advance(this.#position);
    return true;
  }

  remove(watcher: Watcher): boolean {
    const wasJoining = this.#joining.delete(watcher) || this.#later.delete(watcher);
    return this.members.delete(watcher) || wasJoining;
  }

  /** The server has made the watch. Answers those who can join now, and those who have left. */
  created(watch: number, { revision, store }: WatchStart): { joining: Watcher[]; left: Watcher[] } {
    const { from, initial = false } = this.#asked!;
    this.#asked = undefined;
    this.watch = watch;
    // A watch that does not begin where it was asked to has a `reset` as its next frame.
    const isReset = from !== undefined && revision !== from - 1;
    this.#isStating = isReset || (from === undefined && initial);
    this.#position = revision;
    this.#store = store;
    const left = [...this.members].filter((watcher) => {
      const isServed = isReset ? watcher.initial : watcher.begin({ revision, store });
      return !isServed && this.members.delete(watcher);
    });
    const later = [...this.#later];
    this.#later.clear();
    return this.#isStating ? { joining: [], left: [...left, ...later] } : { joining: later, left };
  }

  /**
   * The watch is no more. Answers those who cannot wait for it to be asked for again; they are no
   * part of it any more.
   */
  unmake(): Watcher[] {
    this.#asked = undefined;
    this.watch = undefined;
    this.#partial = undefined;
    this.#isStating = false;
    // In the middle of a state: it is not asked for again, but read on.
    const left = [...this.members].filter(({ need }) => need.type === "rest");
    for (const watcher of left) this.members.delete(watcher);
    left.push(...this.#joining.keys(), ...this.#later);
    this.#joining.clear();
    this.#later.clear();
    return left;
  }

  /**
   * Hands on what a frame completes; answers the watchers that left: for want of room, or of
   * patience, or because this stream does not bring what they need any more.
   */
  receive(frame: WatchFrame, bytes: number): Watcher[] {
    switch (frame.type) {
      case "change":
        return this.#change(frame, bytes);
      case "progress":
        this.#progress(frame.revision);
        return [];
      case "state": {
        const entries = frame.entries.map(entryFromJson);
        return this.#giveAll((watcher) => watcher.takeState(entries, bytes));
      }
      case "sync":
        this.#isStating = false;
        this.#position = frame.revision;
        for (const watcher of this.members) watcher.sync();
        return [];
      case "reset":
        return this.#reset(frame);
      default:
        return [];
    }
  }

  #offerMade(watcher: Watcher): "taken" | "join" | "no" {
    const { need } = watcher;
    if (this.#isStating) return "no";
    if (need.type === "now") return "join";
    if (need.type !== "from" || need.revision !== this.#position + 1) return "no";
    this.members.add(watcher);
    if (watcher.begin({ revision: this.#position, store: this.#store })) return "taken";
    this.members.delete(watcher);
    return "no";
  }

  /** Where it was asked to begin, or is going to be. */
  get #beginning(): Beginning {
    return this.#asked ?? beginningOf(this.members);
  }

  #isSameBeginning(watcher: Watcher): boolean {
    // What is answered must not be older than the call: what now is, the state that is there now,
    // and whether there is history at a revision, too.
    if (this.isAsked) return false;
    const { from, initial = false } = this.#beginning;
    const own = beginningOf([watcher]);
    return from === own.from && initial === (own.initial ?? false);
  }

  #change({ revision, events, more, skipped = 0 }: ChangeFrame, bytes: number): Watcher[] {
    if (revision <= this.#position || this.#isStating) return [];
    // A commit that was broken off is sent anew, so what does not continue it begins another.
    if (this.#partial?.revision !== revision) {
      this.#partial = { revision, events: [], skipped: 0, bytes: 0 };
    }
    const partial = this.#partial;
    partial.bytes += bytes;
    partial.skipped += skipped;
    const read = this.filter.keys ? listedEventFromJson : eventFromJson;
    for (const event of events) partial.events.push(read(event));
    if (more === true) return [];
    this.#partial = undefined;
    const change: Change = { type: "change", revision, events: partial.events };
    const isWhole = partial.skipped === 0;
    return this.#deliver(isWhole ? change : { ...change, skipped: partial.skipped }, partial.bytes);
  }

  /** Everything up to `revision` has been sent. */
  #progress(revision: number): void {
    if (revision <= this.#position || this.#isStating) return;
    this.#position = revision;
    for (const watcher of this.members) watcher.advance(revision);
  }

  #reset({ revision, store }: WatchStart): Watcher[] {
    // Who was further ahead may have lost nothing, unless the watch began with the reset.
    const position = this.#isStating ? Infinity : this.#position;
    const isAhead = ({ need }: Watcher): boolean =>
      need.type === "from" && need.revision > position + 1;
    this.#isStating = true;
    this.#partial = undefined;
    this.#store = store;
    const left = [...this.members].filter((watcher) => !watcher.initial || isAhead(watcher));
    for (const watcher of left) this.members.delete(watcher);
    left.push(...this.#joining.keys());
    this.#joining.clear();
    for (const watcher of this.members) watcher.reset({ revision, store });
    return left;
  }

  #deliver(change: Change, bytes: number): Watcher[] {
    this.#position = change.revision;
    const left = this.#giveAll((watcher) => watcher.take(change, bytes));
    for (const [watcher, joining] of this.#joining) {
      joining.changes.push({ change, bytes });
      joining.bytes += bytes;
      // It gets a stream of its own instead.
      if (joining.bytes <= CLIENT_JOINING_BYTES_MAX) continue;
      this.#joining.delete(watcher);
      left.push(watcher);
    }
    return left;
  }

  /** A watcher without room leaves; it comes back when it has some. */
  #giveAll(give: (watcher: Watcher) => boolean): Watcher[] {
    const left: Watcher[] = [];
    for (const watcher of this.members) {
      if (give(watcher)) continue;
      this.members.delete(watcher);
      left.push(watcher);
    }
    return left;
  }

  #give(watcher: Watcher, change: Change, bytes: number): boolean {
    if (watcher.take(change, bytes)) return true;
    this.members.delete(watcher);
    return false;
  }
}

// --- internal ---

type ChangeFrame = Extract<WatchFrame, { type: "change" }>;

/** What serves all of these watchers, which need the same or something above it. */
function beginningOf(watchers: Iterable<Watcher>): Beginning {
  let from: number | undefined;
  let initial = false;
  for (const watcher of watchers) {
    const { need } = watcher;
    if (need.type === "state") return { initial: true };
    if (need.type === "from") from = Math.min(from ?? Infinity, need.revision);
    initial ||= watcher.initial;
  }
  return { ...(from === undefined ? undefined : { from }), ...(initial && { initial }) };
}
