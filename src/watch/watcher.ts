/**
 * The terms of watching: a filter, the watchers that share it, and the sessions (connections) that
 * they belong to. Data only; `live.ts` and `catching-up.ts` move watchers between the states.
 */

import type { Range } from "../kv.ts";
import type { StatePlace } from "./initial-state.ts";
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
  /** The same text for filters that want the same. */
  readonly name: string;
  /** In key order; no two of them overlap. */
  readonly ranges: readonly Range[];
  /** Each event with what was there before. */
  readonly prev: boolean;
  /** Leave the values out. */
  readonly keys: boolean;
  /** Who is behind gets only the newest event of each key. */
  readonly latest: boolean;
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
 *              │  │ │ next <= position, or state to send     │
 *              │  │ └──────────► behind ◄────────────────────┤  a frame over 256 KiB, a lost feed
 *              │  └─ a chunk pulled ─┘ │                     │
 *              └─ drain ── stalled ◄───┴─────────────────────┘  more than 1 MiB unsent
 *
 *   any state ──► ended: unwatch, close, shutdown, compacted
 * ```
 *
 * `live` is on the topic; the other three are catching up. Only `behind` pulls from the store, and
 * it always has something to pull: the rest of the state, or what the hub has published and it has
 * not seen.
 */
export type WatcherState = "live" | "ahead" | "behind" | "stalled" | "ended";

export interface Watcher {
  readonly filter: Filter;
  readonly session: Session;
  /** Where its history is gone it begins anew with the state, instead of ending. */
  readonly initial: boolean;
  state: WatcherState;
  /** What of the state has still to be sent; the changes at `next` follow behind it. */
  place: StatePlace | undefined;
  /**
   * Every matching event below this revision was sent, none at or above it but for `sentEvents`.
   * Not kept up while live: there it is the hub's position + 1.
   */
  next: number;
  /**
   * Events that were sent of the change that begins at `next`; above 0 only in the middle of one
   * that takes several frames.
   */
  sentEvents: number;
  /** The end of that change where it is not `next`: it stands for the commits up to here. */
  mergedThrough: number | undefined;
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
  /** Keys and prefixes of all of them. */
  ranges: number;
  /** Too much is unsent: nothing is pulled or published for it until it drains. */
  stalled: boolean;
  closed: boolean;
}
