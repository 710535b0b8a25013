/** Errors in the changes of a watcher: each changes one thing at a random place of its record. */

import type { JsonEvent } from "../../src/json.ts";
import { distinctRanges, inRanges } from "../../src/keys.ts";
import type { Random } from "../support/random.ts";
import { changesAt, changesOf, replaced, shuffled, type Place } from "./alter.ts";
import type { Change } from "./change-check.ts";
import type { Arrival, WatcherRecord } from "./record.ts";
import type { Truth } from "./truth.ts";
import type { Rule } from "./violation.ts";

/** Answers `undefined` where it finds no place for its error. */
export type Plant = (
  record: WatcherRecord,
  truth: Truth,
  random: Random,
) => WatcherRecord | undefined;

/** A kind of error, and the rules one of which has to be found broken. */
export type Planted = readonly [name: string, rules: readonly Rule[], plant: Plant];

export const PLANTED_CHANGES: readonly Planted[] = [
  ["a change that is not sent", ["reliable", "bookmarkable"], lostChange],
  ["a hole at the hand-over to live", ["reliable", "bookmarkable"], lostAtHandOver],
  ["a change that comes twice", ["unique"], repeatedChange],
  ["two changes the other way round", ["reliable"], swappedChanges],
  ["a commit as two changes", ["atomic", "reliable"], splitCommit],
  ["an event that is left out of a commit", ["atomic", "reliable"], lostEvent],
  ["the last part of a commit that is left out", ["atomic"], lostLastPart],
  ["progress between the parts of a commit", ["atomic"], progressInCommit],
  ["a change of another filter", ["filter"], foreignChange],
  ["a change that never happened", ["content"], inventedChange],
  ["the events of a commit in another order", ["content"], swappedEvents],
  ["a value of another time", ["content"], changedEvent(wrongValue)],
  ["a version that is off by one", ["content"], changedEvent(wrongVersion)],
  ["a delete that was none", ["content"], changedEvent(wrongKind)],
  ["a wrong entry before", ["content"], changedEvent(wrongPrev)],
  ["an entry before that is left out", ["content"], changedEvent(lostPrev)],
  ["a value that nobody asked for", ["filter"], unwantedValue],
  ["an entry before that nobody asked for", ["filter"], unwantedPrev],
  ["a number of skipped events that is off by one", ["reliable", "filter"], wrongSkipped],
  ["skipped events that nobody counts", ["reliable"], uncountedSkipped],
  ["an older event than the newest of its key", ["reliable", "content"], olderThanLatest],
];

// --- internal ---

function lostChange(record: WatcherRecord, _: Truth, random: Random): WatcherRecord | undefined {
  const place = changesOf(record, random).find(({ isPassed }) => isPassed);
  return place && replaced(record, place, []);
}

/** The first change that had not been there yet when the watch was asked for. */
function lostAtHandOver(
  record: WatcherRecord,
  _: Truth,
  random: Random,
): WatcherRecord | undefined {
  const places = changesOf(record, random).toSorted((a, b) => a.at - b.at);
  for (const [at, { begin, known }] of shuffled([...record.sessions.entries()], random)) {
    if (begin.from === undefined) continue;
    const place = places.find((one) => one.session === at && revisionAt(one) > known);
    if (place?.isPassed === true) return replaced(record, place, []);
  }
  return undefined;
}

function repeatedChange(
  record: WatcherRecord,
  _: Truth,
  random: Random,
): WatcherRecord | undefined {
  const [place] = changesOf(record, random);
  return place && replaced(record, place, [...place.arrivals, ...place.arrivals]);
}

function swappedChanges(
  record: WatcherRecord,
  _: Truth,
  random: Random,
): WatcherRecord | undefined {
  const places = changesOf(record, random);
  for (const place of places) {
    const { session, at, arrivals } = place;
    const end = at + arrivals.length;
    const next = places.find((one) => one.session === session && one.at === end);
    if (next === undefined) continue;
    const both = { ...place, arrivals: [...arrivals, ...next.arrivals] };
    return replaced(record, both, [...next.arrivals, ...arrivals]);
  }
  return undefined;
}

function splitCommit(record: WatcherRecord, _: Truth, random: Random): WatcherRecord | undefined {
  const place = wholeChange(record, random, ({ events }) => events.length > 1);
  if (place === undefined) return undefined;
  const [arrival] = place.arrivals;
  const [change] = changesAt(place);
  const { events } = change!;
  const count = 1 + random.below(events.length - 1);
  const first = { ...arrival!, frame: { ...change!, events: events.slice(0, count) } };
  const second = { ...arrival!, frame: { ...change!, events: events.slice(count) } };
  return replaced(record, place, [first, second]);
}

function lostEvent(record: WatcherRecord, _: Truth, random: Random): WatcherRecord | undefined {
  const place = wholeChange(record, random, ({ events }) => events.length > 1);
  return (
    place && withEvents(record, place, (events) => events.toSpliced(random.below(events.length), 1))
  );
}

function lostLastPart(record: WatcherRecord, _: Truth, random: Random): WatcherRecord | undefined {
  const place = changesOf(record, random).find(({ arrivals, session, at }) => {
    const next = record.sessions[session]!.arrivals[at + arrivals.length]?.frame.type;
    return arrivals.length > 1 && (next === "change" || next === "progress");
  });
  return place && replaced(record, place, place.arrivals.slice(0, -1));
}

function progressInCommit(
  record: WatcherRecord,
  _: Truth,
  random: Random,
): WatcherRecord | undefined {
  const place = changesOf(record, random).find(({ arrivals }) => arrivals.length > 1);
  if (place === undefined) return undefined;
  const [first, ...rest] = place.arrivals;
  const progress: Arrival = { ...first!, frame: { type: "progress", revision: revisionAt(place) } };
  return replaced(record, place, [first!, progress, ...rest]);
}

function foreignChange(
  record: WatcherRecord,
  truth: Truth,
  random: Random,
): WatcherRecord | undefined {
  const ranges = distinctRanges(record.filter.ranges);
  const [place] = changesOf(record, random);
  if (place === undefined) return undefined;
  const after = revisionAt(place);
  const foreign = truth.commits.find(({ revision, events }) => {
    return revision > after && !events.some(({ key }) => inRanges(ranges, key));
  });
  if (foreign === undefined) return undefined;
  const { revision, events } = foreign;
  return insertedBehind(record, place, {
    type: "change",
    revision,
    events,
  });
}

function inventedChange(
  record: WatcherRecord,
  truth: Truth,
  random: Random,
): WatcherRecord | undefined {
  const places = changesOf(record, random);
  for (const place of places) {
    const revision = revisionAt(place) + 1;
    const isFree = !truth.commits.some((commit) => commit.revision === revision);
    if (!isFree) continue;
    return insertedBehind(record, place, { ...changesAt(place).at(-1)!, revision });
  }
  return undefined;
}

function swappedEvents(record: WatcherRecord, _: Truth, random: Random): WatcherRecord | undefined {
  const place = wholeChange(record, random, ({ events }) => events.length > 1);
  return (
    place && withEvents(record, place, ([first, second, ...rest]) => [second!, first!, ...rest])
  );
}

/** One event of a change, or of an entry before, as `change` makes it; `undefined`: not this one. */
function changedEvent(change: (event: JsonEvent, truth: Truth) => JsonEvent | undefined): Plant {
  return (record, truth, random) => {
    for (const place of changesOf(record, random)) {
      if (place.arrivals.length > 1) continue;
      const { events } = changesAt(place)[0]!;
      for (const [at, event] of events.entries()) {
        const other = change(event, truth);
        if (other !== undefined) return withEvents(record, place, () => events.with(at, other));
      }
    }
    return undefined;
  };
}

function wrongValue(event: JsonEvent): JsonEvent | undefined {
  if (!hasValue(event)) return undefined;
  const { base64: _, ...rest } = event as JsonEvent & { base64?: string };
  return { ...rest, value: "never put" } as JsonEvent;
}

function wrongVersion(event: JsonEvent): JsonEvent | undefined {
  return event.type === "put" ? { ...event, version: event.version + 1 } : undefined;
}

function wrongKind(event: JsonEvent): JsonEvent | undefined {
  if (event.type === "put") return undefined;
  return { ...event, type: event.type === "delete" ? "expire" : "delete" };
}

/** The entry that was there one change too early. */
function wrongPrev(event: JsonEvent, truth: Truth): JsonEvent | undefined {
  const { prev } = event;
  if (prev === undefined) return undefined;
  const older = truth.entry(event.key, prev.revision - 1);
  const { revision = prev.revision - 1, version = prev.version + 1 } = older ?? {};
  return { ...event, prev: { ...prev, revision, version } };
}

function lostPrev({ prev, ...event }: JsonEvent): JsonEvent | undefined {
  return prev === undefined ? undefined : event;
}

function unwantedValue(
  record: WatcherRecord,
  truth: Truth,
  random: Random,
): WatcherRecord | undefined {
  if (!record.filter.keys) return undefined;
  return changedEvent((event) => (event.type === "put" ? { ...event, value: "" } : undefined))(
    record,
    truth,
    random,
  );
}

function unwantedPrev(
  record: WatcherRecord,
  truth: Truth,
  random: Random,
): WatcherRecord | undefined {
  if (record.filter.prev) return undefined;
  return changedEvent((event) => {
    if (event.type !== "put") return undefined;
    const { type: _, ...prev } = event;
    return { ...event, prev };
  })(record, truth, random);
}

function wrongSkipped(record: WatcherRecord, _: Truth, random: Random): WatcherRecord | undefined {
  const place = wholeChange(record, random, () => true);
  const [change] = place === undefined ? [] : changesAt(place);
  if (place === undefined || change === undefined) return undefined;
  const { skipped = 0 } = change;
  const frame = { ...change, skipped: random.oneIn(2) && skipped > 1 ? skipped - 1 : skipped + 1 };
  return replaced(record, place, [{ ...place.arrivals[0]!, frame }]);
}

function uncountedSkipped(
  record: WatcherRecord,
  _: Truth,
  random: Random,
): WatcherRecord | undefined {
  const place = wholeChange(record, random, ({ skipped = 0 }) => skipped > 0);
  if (place === undefined) return undefined;
  const { skipped: __, ...frame } = changesAt(place)[0]!;
  return replaced(record, place, [{ ...place.arrivals[0]!, frame }]);
}

/** What a reader that is behind would get who is not quite at the end. */
function olderThanLatest(
  record: WatcherRecord,
  truth: Truth,
  random: Random,
): WatcherRecord | undefined {
  // As the truth has it, which is with values.
  if (record.filter.keys) return undefined;
  const place = wholeChange(record, random, ({ skipped = 0 }) => skipped > 0);
  return (
    place &&
    withEvents(record, place, (events) => {
      const at = random.below(events.length);
      const { key, revision } = events[at]!;
      const older = truth.commits
        .flatMap((commit) => commit.events)
        .findLast((event) => event.key === key && event.revision < revision);
      return older === undefined ? events.toSpliced(at, 1) : events.with(at, older);
    })
  );
}

function hasValue(event: JsonEvent): boolean {
  return event.type === "put" && (event.value !== undefined || event.base64 !== undefined);
}

function revisionAt(place: Place): number {
  return changesAt(place)[0]!.revision;
}

/** A change that came in one frame. */
function wholeChange(
  record: WatcherRecord,
  random: Random,
  test: (change: Change) => boolean,
): Place | undefined {
  return changesOf(record, random).find((place) => {
    return place.arrivals.length === 1 && test(changesAt(place)[0]!);
  });
}

function withEvents(
  record: WatcherRecord,
  place: Place,
  change: (events: readonly JsonEvent[]) => JsonEvent[],
): WatcherRecord {
  const [old] = changesAt(place);
  const frame = { ...old!, events: change(old!.events) };
  return replaced(record, place, [{ ...place.arrivals[0]!, frame }]);
}

function insertedBehind(record: WatcherRecord, place: Place, frame: Change): WatcherRecord {
  const last = place.arrivals.at(-1)!;
  const id = last.id === undefined ? undefined : { id: frame.revision };
  return replaced(record, place, [...place.arrivals, { at: last.at, frame, ...id }]);
}
