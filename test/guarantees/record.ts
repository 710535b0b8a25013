/**
 * What one watcher asked for and what came, over its whole life: each watch that it began, every
 * frame with the time at which it came, and where it went on after each break. Data only.
 */

import type { ErrorCode } from "../../src/errors.ts";
import type { Ranges } from "../../src/keys.ts";
import type { WatchFrame } from "../../src/messages.ts";

/** `sdk` is a watch of the client, which goes on by itself after a break. */
export type Transport = "ws" | "sse" | "ndjson" | "sdk";

/** What is watched. */
export interface WatchFilter {
  readonly ranges: Ranges;
  readonly prev: boolean;
  readonly keys: boolean;
  readonly latest: boolean;
}

/** Where a watch is asked to begin; now, when nothing is given. */
export interface WatchBegin {
  readonly from?: number;
  readonly initial?: boolean;
  /** Beats `from`: the watch begins above this revision. */
  readonly lastEventId?: number;
}

/** A frame as it came. */
export interface Arrival {
  /** Milliseconds; all times of a run are on one clock. */
  readonly at: number;
  readonly frame: WatchFrame;
  /** The resume position that stood beside the frame; only server-sent events have one. */
  readonly id?: number;
}

export interface Refusal {
  readonly at: number;
  readonly code: ErrorCode;
  /** `compacted`: the smallest `from` that would have done. */
  readonly oldest?: number;
}

/** One watch from its request to its end. */
export interface RecordedSession {
  readonly begin: WatchBegin;
  /** Goes on where the session before stood; otherwise it begins elsewhere on purpose. */
  readonly resumes: boolean;
  readonly asked: number;
  /** The newest revision that any answer or frame of the run had shown before this was asked. */
  readonly known: number;
  readonly arrivals: readonly Arrival[];
  readonly refusal?: Refusal;
  /** When the watcher read nothing. */
  readonly pauses: readonly { readonly from: number; readonly to: number }[];
  /** When the watcher stopped listening, or the connection broke. */
  readonly ended: number;
  /** The watch was given all the time it could need to get to this revision. */
  readonly reaches?: number;
}

export interface WatcherRecord {
  readonly name: string;
  readonly transport: Transport;
  readonly filter: WatchFilter;
  readonly sessions: readonly RecordedSession[];
}

/** The first revision that a session asked for. */
export function firstWanted({ from, lastEventId }: WatchBegin): number | undefined {
  return lastEventId === undefined ? from : lastEventId + 1;
}

/** Where a client goes on after a session; `undefined` where it has nothing to go on from. */
export function positionAfter({ begin, arrivals }: RecordedSession): number | undefined {
  let position = positionBefore(begin);
  for (const { frame } of arrivals) position = nextPosition(position, frame, begin);
  return position;
}

/** Where a session stands before its first frame. */
export function positionBefore(begin: WatchBegin): number | undefined {
  const first = firstWanted(begin);
  return first === undefined ? undefined : first - 1;
}

/**
 * Where a client goes on that has got one more frame: behind the last revision that the session has
 * told it of. By the rules for clients, and without a look at anything else.
 */
export function nextPosition(
  position: number | undefined,
  frame: WatchFrame,
  begin: WatchBegin,
): number | undefined {
  switch (frame.type) {
    case "reset":
      return undefined;
    case "created":
      // With a state to come, or where it was asked to begin, it says nothing new.
      return firstWanted(begin) === undefined && begin.initial !== true ? frame.revision : position;
    case "change":
      return frame.more === true ? position : frame.revision;
    case "sync":
    case "progress":
      return frame.revision;
    default:
      return position;
  }
}
