/** How a transport asks the hub for watches: one session for each connection. */

import type { FilterRequest } from "./filters.ts";
import type { Frame } from "./frames.ts";

/** What the client is told of a new watch before its first frame. */
export interface CreatedWatch {
  /** Names the filter: the same on every connection. */
  readonly watch: number;
  /**
   * Every matching change above this revision will be sent, and none at or below it. With a state
   * to come first, the revision at which it is read, as things stand.
   */
  readonly revision: number;
  readonly store: string;
  /** The same as a frame. */
  readonly frame: Frame;
}

/** What a watch shows, and where it begins. */
export interface WatchOptions extends FilterRequest {
  /**
   * The first revision wanted. Without it the watch begins above a revision that is not older than
   * anything answered before the call.
   */
  readonly from?: number;
  /**
   * First what is there, then what comes. Beside a `from` that can be served there is no state; but
   * where history is gone, then or later, the watch begins anew with it.
   */
  readonly initial?: boolean;
}

export interface WatchRequest extends WatchOptions {
  /** Called before the first frame, in the same turn in which the watch comes to be. */
  readonly created: (watch: CreatedWatch) => void;
}

/** The watches of one connection. */
export interface WatchSession {
  /**
   * Begins a watch.
   * @throws `conflict` for a second one of the same filter; `compacted` for a `from` that is gone
   * and `invalid_argument` for one beyond the next revision, both without `initial` only;
   * `too_many_requests`; `invalid_argument` and `too_large` for what are no ranges.
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
