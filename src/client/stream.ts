/**
 * One watch on the server and the watchers that it feeds: frames become commits, each delivered
 * once and in order, to all of them. It sends nothing; `link.ts` asks for it and ends it.
 */

import { eventFromJson } from "../json.ts";
import type { Commit, Event, Range } from "../kv.ts";
import { CLIENT_JOINING_BYTES_MAX } from "../limits.ts";
import type { SocketFrame } from "../messages.ts";
import type { Watcher, WatchStart } from "./watcher.ts";

export type ChangeFrame = Extract<SocketFrame, { type: "change" }>;

/** What came for a watcher before it was known above which revision it begins. */
interface Joining {
  readonly commits: { readonly commit: Commit; readonly bytes: number }[];
  bytes: number;
}

export class Stream {
  readonly range: Range;
  readonly members = new Set<Watcher>();
  readonly #joining = new Map<Watcher, Joining>();
  /** Those who will join once the stream is live. */
  readonly #later = new Set<Watcher>();
  /** The number that its frames carry, while it is live. */
  watch: number | undefined;
  /** It was asked for, from here on, and not answered yet. */
  #asked: { readonly from: number | undefined } | undefined;
  /** Everything up to this revision has been delivered, while it is live. */
  #position = 0;
  #store = "";
  /** The first frames of a commit that came in several. */
  #partial: { readonly revision: number; readonly events: Event[]; bytes: number } | undefined;

  constructor(range: Range) {
    this.range = range;
  }

  get isLive(): boolean {
    return this.watch !== undefined;
  }

  get isAsked(): boolean {
    return this.#asked !== undefined;
  }

  get isEmpty(): boolean {
    return this.members.size + this.#joining.size + this.#later.size === 0;
  }

  /** The first revision that its watchers need; `undefined` = from now on. */
  get from(): number | undefined {
    let from = Infinity;
    for (const { next } of this.members) {
      if (next === undefined) return undefined;
      from = Math.min(from, next);
    }
    return from;
  }

  /** The watch is being asked for; answers from which revision. */
  ask(): number | undefined {
    this.#asked = { from: this.from };
    return this.#asked.from;
  }

  /**
   * Takes a watcher in, if what it needs is what this stream delivers. One that begins now may
   * `join`, but what now is must be asked, at once or `later`, when the stream is live.
   */
  offer(watcher: Watcher): "taken" | "join" | "later" | "no" {
    const { next } = watcher;
    if (next === undefined && this.isLive) return "join";
    if (next === undefined && this.isAsked) {
      this.#later.add(watcher);
      return "later";
    }
    if (this.isLive && next !== this.#position + 1) return "no";
    // What was asked for stands, though those it was asked for may have left.
    if (this.#asked !== undefined && next !== this.#asked.from) return "no";
    if (!this.isLive && !this.isEmpty && next !== this.from) return "no";
    this.members.add(watcher);
    if (this.isLive) watcher.begin({ revision: this.#position, store: this.#store });
    return "taken";
  }

  /**
   * From now on all commits are kept for a watcher that wants those above a revision not known yet.
   */
  beginJoin(watcher: Watcher): void {
    this.#joining.set(watcher, { commits: [], bytes: 0 });
  }

  /** The revision is known. False when the watcher is not joining any more. */
  endJoin(watcher: Watcher, revision: number): boolean {
    const joining = this.#joining.get(watcher);
    if (joining === undefined) return false;
    this.#joining.delete(watcher);
    this.members.add(watcher);
    watcher.begin({ revision, store: this.#store });
    // What is not above its revision it leaves out by itself.
    for (const { commit, bytes } of joining.commits) {
      if (!this.#give(watcher, commit, bytes)) return true;
    }
    watcher.advance(this.#position);
    return true;
  }

  remove(watcher: Watcher): boolean {
    const wasJoining = this.#joining.delete(watcher) || this.#later.delete(watcher);
    return this.members.delete(watcher) || wasJoining;
  }

  /** The server has made the watch. Answers those who can join now. */
  created(watch: number, start: WatchStart): Watcher[] {
    this.#asked = undefined;
    this.watch = watch;
    this.#position = start.revision;
    this.#store = start.store;
    for (const watcher of this.members) watcher.begin(start);
    const later = [...this.#later];
    this.#later.clear();
    return later;
  }

  /**
   * The watch is no more. Answers those who were about to join; they are no part of it any more.
   */
  reset(): Watcher[] {
    this.#asked = undefined;
    this.watch = undefined;
    this.#partial = undefined;
    const joining = [...this.#joining.keys(), ...this.#later];
    this.#joining.clear();
    this.#later.clear();
    return joining;
  }

  /**
   * Hands on what a frame completes; answers the watchers that left: for want of room, or of
   * patience.
   */
  change(frame: ChangeFrame, bytes: number): Watcher[] {
    if (frame.revision <= this.#position) return [];
    const events = frame.events.map(eventFromJson);
    // A commit that was broken off is sent anew, so what does not continue it begins another.
    if (this.#partial?.revision !== frame.revision) {
      this.#partial = { revision: frame.revision, events: [], bytes: 0 };
    }
    const partial = this.#partial;
    partial.bytes += bytes;
    for (const event of events) partial.events.push(event);
    if (frame.more === true) return [];
    this.#partial = undefined;
    return this.#deliver({ revision: frame.revision, events: partial.events }, partial.bytes);
  }

  /** Everything up to `revision` has been sent. */
  progress(revision: number): void {
    if (revision <= this.#position) return;
    this.#position = revision;
    for (const watcher of this.members) watcher.advance(revision);
  }

  #deliver(commit: Commit, bytes: number): Watcher[] {
    this.#position = commit.revision;
    const removed: Watcher[] = [];
    for (const watcher of this.members) {
      if (!this.#give(watcher, commit, bytes)) removed.push(watcher);
    }
    for (const [watcher, joining] of this.#joining) {
      joining.commits.push({ commit, bytes });
      joining.bytes += bytes;
      // It gets a stream of its own instead.
      if (joining.bytes <= CLIENT_JOINING_BYTES_MAX) continue;
      this.#joining.delete(watcher);
      removed.push(watcher);
    }
    return removed;
  }

  /** A watcher without room leaves; it comes back when it has some. */
  #give(watcher: Watcher, commit: Commit, bytes: number): boolean {
    if (watcher.take(commit, bytes)) return true;
    this.members.delete(watcher);
    return false;
  }
}

/** Ranges that the server takes for the same have the same name. */
export function nameOfRange(range: Range): string {
  if (range.key !== undefined) return JSON.stringify(["key", range.key]);
  if (range.prefix !== undefined && range.prefix !== "") {
    return JSON.stringify(["prefix", range.prefix]);
  }
  return JSON.stringify(["range", range.start ?? "", range.end ?? null]);
}
