/**
 * The terms of watching: a filter, the watchers that share it, and the sessions (connections) that
 * they belong to. Data only; `live.ts` and `catching-up.ts` move watchers between the states.
 */

import type { Range } from "../kv.ts";
import type { Subscriber } from "./subscriber.ts";

/**
 * What a watcher wants to see. All watchers with the same filter share one topic and one number.
 */
export interface Filter {
  /**
   * The `watch` number in each frame; counted up in this process, never used for another filter.
   */
  readonly number: number;
  readonly topic: string;
  /** The same text for ranges that were written in the same way. */
  readonly name: string;
  readonly range: Range;
  /** Watchers in any state. */
  watchers: number;
  /** The watchers on the topic. */
  readonly live: Set<Watcher>;
  /** Bytes published on the topic since the last look at what its connections have unsent. */
  uncheckedBytes: number;
  /** Every live watcher has been told, by a frame, of everything up to this revision. */
  toldThrough: number;
}

/**
 * ```
 *                            next = position + 1
 *   watch ──► (settle) ─────────────────────────────────► live
 *              ▲  ▲ │ │ next > position + 1                │ │
 *              │  │ │ └──────────► ahead ──────────────────┘ │  joins when the hub gets to `next`
 *              │  │ │ next <= position                       │
 *              │  │ └──────────► behind ◄────────────────────┤  a frame over 256 KiB, a lost feed
 *              │  └─ a chunk pulled ─┘ │                     │
 *              └─ drain ── stalled ◄───┴─────────────────────┘  more than 1 MiB unsent
 *
 *   any state ──► ended: unwatch, close, shutdown, compacted
 * ```
 *
 * `live` is on the topic; the other three are catching up. Only `behind` pulls from the store, and
 * it always has something to pull, since the hub has published more than it has seen.
 */
export type WatcherState = "live" | "ahead" | "behind" | "stalled" | "ended";

export interface Watcher {
  readonly filter: Filter;
  readonly session: Session;
  state: WatcherState;
  /**
   * Every matching event below this revision was sent, none at or above it but for `sentEvents`.
   * Not kept up while live: there it is the hub's position + 1.
   */
  next: number;
  /** Events of the commit `next` that were sent; above 0 only in the middle of a split commit. */
  sentEvents: number;
  /** The revision up to which a frame has told this watcher that it has everything. */
  toldThrough: number;
  /** The pull that is under way while `behind`; what any other one delivers is dropped. */
  pull: AbortController | undefined;
}

/** A connection with its watchers. */
export interface Session {
  readonly subscriber: Subscriber;
  /** By the number of their filter. */
  readonly watchers: Map<number, Watcher>;
  /** Too much is unsent: nothing is pulled or published for it until it drains. */
  stalled: boolean;
  closed: boolean;
}
