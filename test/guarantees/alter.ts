/** Places in the record of a watcher, and the same record with something else in one of them. */

import type { WatchFrame } from "../../src/messages.ts";
import type { Random } from "../support/random.ts";
import type { Change } from "./change-check.ts";
import type { Arrival, RecordedSession, WatcherRecord } from "./record.ts";

/** Some arrivals of one session that follow each other: a frame, or a change with all its parts. */
export interface Place {
  readonly session: number;
  readonly at: number;
  readonly arrivals: readonly Arrival[];
  /** A later frame says that all of this has been sent, before any new state does. */
  readonly isPassed: boolean;
}

/** Every frame of a kind, in random order. */
export function framesOf(record: WatcherRecord, random: Random, type: WatchFrame["type"]): Place[] {
  return places(record, random, (arrivals, at) => {
    return arrivals[at]!.frame.type === type ? 1 : 0;
  });
}

/** Every whole change with all its parts, in random order. */
export function changesOf(record: WatcherRecord, random: Random): Place[] {
  return places(record, random, (arrivals, at) => {
    if (!isChange(arrivals[at]) || isPart(arrivals[at - 1])) return 0;
    let end = at;
    while (isPart(arrivals[end])) end++;
    return isChange(arrivals[end]) ? end + 1 - at : 0;
  });
}

/** The changes at a place. */
export function changesAt({ arrivals }: Place): Change[] {
  return arrivals.flatMap(({ frame }) => (frame.type === "change" ? [frame] : []));
}

/** The same record with other arrivals at a place. */
export function replaced(
  record: WatcherRecord,
  { session, at, arrivals }: Place,
  others: readonly Arrival[],
): WatcherRecord {
  return withSession(record, session, (old) => ({
    ...old,
    arrivals: old.arrivals.toSpliced(at, arrivals.length, ...others),
  }));
}

/** The same record with another session in the place of one. */
export function withSession(
  record: WatcherRecord,
  session: number,
  change: (session: RecordedSession) => RecordedSession,
): WatcherRecord {
  const other = change(record.sessions[session]!);
  return { ...record, sessions: record.sessions.with(session, other) };
}

export function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

// --- internal ---

/** `length` says how many arrivals make a place that begins at one of them; 0: none does. */
function places(
  { sessions }: WatcherRecord,
  random: Random,
  length: (arrivals: readonly Arrival[], at: number) => number,
): Place[] {
  const found = sessions.flatMap(({ arrivals }, session) =>
    arrivals.flatMap((_, at): Place[] => {
      const count = length(arrivals, at);
      if (count === 0) return [];
      const next = arrivals.slice(at + count).find((one) => isBookmark(one) || isReset(one));
      const isPassed = next !== undefined && !isReset(next);
      return [{ session, at, arrivals: arrivals.slice(at, at + count), isPassed }];
    }),
  );
  return shuffled(found, random);
}

function isChange(arrival: Arrival | undefined): boolean {
  return arrival?.frame.type === "change";
}

function isPart(arrival: Arrival | undefined): boolean {
  return arrival?.frame.type === "change" && arrival.frame.more === true;
}

function isReset({ frame }: Arrival): boolean {
  return frame.type === "reset";
}

function isBookmark(arrival: Arrival): boolean {
  const { type } = arrival.frame;
  return type === "sync" || type === "progress" || (isChange(arrival) && !isPart(arrival));
}
