/**
 * What a watch hands on, and the queue in which it waits for its consumer: bounded, and with
 * `latest` folded into the newest event of each key.
 */

import type { ListedEntry, ListedEvent } from "../kv.ts";
import { CLIENT_WATCH_COMMITS_MAX } from "../limits.ts";

/** Where a watch, or the state that it begins with, stands. */
export interface WatchStart {
  /** Changes above this revision are delivered, and none at or below it. */
  readonly revision: number;
  /** The id of the store. */
  readonly store: string;
}

/** All events of one revision; with `latest` the newest of each key up to that revision. */
export interface Change {
  readonly type: "change";
  readonly revision: number;
  readonly events: readonly ListedEvent[];
  /** With `latest`: events that were left out. */
  readonly skipped?: number;
}

export type WatchPart =
  | Change
  /** A part of the state that the watch begins with. */
  | { readonly type: "state"; readonly entries: readonly ListedEntry[] }
  /** The state is whole, or: what was known of it counts no more. */
  | ({ readonly type: "sync" | "reset" } & WatchStart);

export class PartQueue {
  readonly #bytesMax: number;
  readonly #latest: boolean;
  #parts: WatchPart[] = [];
  #bytes = 0;
  /** With `latest`: the changes behind the last part, in the order of each key's newest event. */
  #folded:
    { revision: number; skipped: number; readonly newest: Map<string, ListedEvent> } | undefined;

  /** Full at `bytesMax` bytes; what is let in then may pass it. */
  constructor(bytesMax: number, latest: boolean) {
    this.#bytesMax = bytesMax;
    this.#latest = latest;
  }

  get isFull(): boolean {
    return this.#parts.length >= CLIENT_WATCH_COMMITS_MAX || this.#bytes >= this.#bytesMax;
  }

  push(part: WatchPart, bytes = 0): void {
    this.#bytes += bytes;
    if (this.#latest && part.type === "change") this.#fold(part);
    else {
      this.#unfold();
      this.#parts.push(part);
    }
  }

  takeAll(): readonly WatchPart[] {
    this.#unfold();
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    return parts;
  }

  #fold({ revision, events, skipped = 0 }: Change): void {
    this.#folded ??= { revision, skipped: 0, newest: new Map() };
    const folded = this.#folded;
    folded.revision = revision;
    folded.skipped += skipped;
    for (const event of events) {
      // A key that is set anew would keep its old place.
      if (folded.newest.delete(event.key)) folded.skipped++;
      folded.newest.set(event.key, event);
    }
  }

  #unfold(): void {
    if (this.#folded === undefined) return;
    const { revision, skipped, newest } = this.#folded;
    this.#folded = undefined;
    const events = [...newest.values()];
    this.#parts.push({ type: "change", revision, events, ...(skipped > 0 && { skipped }) });
  }
}
