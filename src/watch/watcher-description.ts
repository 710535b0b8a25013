/** What an operator sees of a watcher. */

import type { Range } from "../kv.ts";
import type { JsonWatch } from "../messages.ts";
import type { Transport } from "./frames.ts";
import type { Filter, Watcher, WatcherState } from "./watcher.ts";

export interface WatcherDescription {
  /** What it watches; where it began is not kept. */
  readonly filter: Omit<JsonWatch, "from" | "initial">;
  readonly transport: Transport;
  /** `initial` while it is sent the state; the others are drawn in `watcher.ts`. */
  readonly state: Exclude<WatcherState, "ended"> | "initial";
  /**
   * It was given everything up to this revision, and may not have taken it; 0 while it is sent the
   * state.
   */
  readonly position: number;
  /** Revisions from there to what the hub has published. */
  readonly lag: number;
  /** Bytes that its connection has still to take, those of other watches included. */
  readonly unsentBytes: number;
}

/** `published` is the revision up to which the hub has published. */
export function describeWatcher(watcher: Watcher, published: number): WatcherDescription {
  const { filter, place, session, state, next } = watcher;
  const isInitial = place !== undefined;
  const position = isInitial ? 0 : state === "live" ? published : next - 1;
  return {
    filter: describeFilter(filter),
    transport: session.subscriber.transport,
    state: isInitial && state !== "stalled" ? "initial" : (state as WatcherDescription["state"]),
    position,
    lag: Math.max(0, published - position),
    unsentBytes: session.subscriber.unsentBytes(),
  };
}

// --- internal ---

/** Every key is no range at all. */
function describeFilter({ ranges, prev, keys, latest }: Filter): WatcherDescription["filter"] {
  const { start, end } = ranges[0] as Range;
  const [names, prefixes] = [texts(ranges, "key"), texts(ranges, "prefix")];
  return {
    ...(names === undefined ? undefined : { key: names }),
    ...(prefixes === undefined || prefixes === "" ? undefined : { prefix: prefixes }),
    ...(start === undefined ? undefined : { start }),
    ...(end === undefined ? undefined : { end }),
    ...(prev ? { prev } : undefined),
    ...(keys ? { keys } : undefined),
    ...(latest ? { latest } : undefined),
  };
}

/** One text, or several. */
function texts(ranges: readonly Range[], name: "key" | "prefix"): string | string[] | undefined {
  const all = ranges.flatMap((range) => range[name] ?? []);
  return all.length > 1 ? all : all[0];
}
