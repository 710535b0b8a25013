/**
 * Errors in where a watch begins, in its state, in what it says of how far it has come, and in how
 * it ends: each changes one thing at a random place of a watcher's record.
 */

import type { JsonEntry } from "../../src/json.ts";
import { distinctRanges, inRanges } from "../../src/keys.ts";
import type { WatchFrame } from "../../src/messages.ts";
import type { Random } from "../support/random.ts";
import { changesOf, framesOf, replaced, shuffled, withSession, type Place } from "./alter.ts";
import { KEYS } from "./filters.ts";
import type { Plant, Planted } from "./planted-changes.ts";
import { firstWanted, positionAfter, type RecordedSession, type WatcherRecord } from "./record.ts";
import type { Truth } from "./truth.ts";

export const PLANTED_FRAMES: readonly Planted[] = [
  ["progress that is not sent", ["bookmarkable"], lostProgress],
  ["progress ahead of a change", ["bookmarkable"], earlyProgress],
  ["progress that goes back", ["ordered"], progressBack],
  ["an id before the state is whole", ["bookmarkable"], idBeforeSync],
  ["progress before the state is whole", ["bookmarkable"], progressBeforeSync],
  ["an id that is left out", ["bookmarkable"], lostId],
  ["an id that is off by one", ["bookmarkable"], wrongId],
  ["an id in the middle of a commit", ["atomic"], idInCommit],
  ["a state with an old entry", ["bookmarkable"], changedState(oldEntry)],
  ["a state without an entry", ["bookmarkable"], changedState(() => [])],
  ["a state with an entry that was deleted", ["bookmarkable"], deletedEntry],
  ["an entry of another filter", ["filter"], changedState(foreignEntry)],
  ["a state that comes twice", ["bookmarkable"], repeatedState],
  ["a state of an old revision", ["begin", "bookmarkable"], oldState],
  ["a reset that was not needed", ["resumable"], neededBy("reset")],
  ["an end that was not needed", ["resumable", "reliable"], neededBy("end")],
  ["a reset that nobody asked for", ["frames"], unaskedReset],
  ["a refusal that was not needed", ["resumable"], neededByNobody],
  ["a refusal of the next revision", ["begin"], refusedNext],
  ["history that was forgotten", ["resumable"], servedForgotten],
  ["a watch that begins one too late", ["resumable", "begin"], lateStart],
  ["a watch from now on that begins in the past", ["begin"], oldStart],
  ["a resumed watch that repeats the last change", ["unique"], repeatedAtResume],
  ["another store", ["content"], otherStore],
  ["a frame behind the end", ["frames"], behindEnd],
  ["a frame before the first", ["frames"], beforeCreated],
  ["a watch that stops in the middle", ["reliable"], stuck],
];

// --- internal ---

/** A watch without a change to show says nothing of it. */
function lostProgress(record: WatcherRecord, truth: Truth, random: Random) {
  const last = record.sessions.length - 1;
  const places = framesOf(record, random, "progress").filter(({ session }) => session === last);
  for (const { at } of places) {
    const arrivals = record.sessions[last]!.arrivals.slice(0, at);
    const before = arrivals.at(-1)!.frame;
    if (!isSettled(before)) continue;
    const { through, known } = truth;
    if (before.revision >= known.moments.at(-1)!.revision) continue;
    if (truth.expected(record.filter, before.revision, through).length > 0) continue;
    return withSession(record, last, (old) => {
      return { ...served(old), arrivals, ended: old.ended + 60_000, pauses: [] };
    });
  }
  return undefined;
}

function earlyProgress(record: WatcherRecord, _: Truth, random: Random) {
  const [place] = changesOf(record, random);
  if (place === undefined) return undefined;
  const [first] = place.arrivals;
  const { revision } = first!.frame as { revision: number };
  const id = record.transport === "sse" ? { id: revision } : undefined;
  const progress = { at: first!.at, frame: { type: "progress", revision } as const, ...id };
  return replaced(record, place, [progress, ...place.arrivals]);
}

function progressBack(record: WatcherRecord, _: Truth, random: Random) {
  const [place] = changesOf(record, random);
  if (place === undefined) return undefined;
  const last = place.arrivals.at(-1)!;
  const frame = { type: "progress", revision: revisionOf(last.frame) - 1 } as const;
  return replaced(record, place, [...place.arrivals, { ...last, frame }]);
}

function idBeforeSync(record: WatcherRecord, _: Truth, random: Random) {
  if (record.transport !== "sse") return undefined;
  const places = [...framesOf(record, random, "state"), ...framesOf(record, random, "created")];
  const place = places.find(({ session, arrivals: [arrival] }) => {
    const { begin } = record.sessions[session]!;
    return arrival!.frame.type === "state" || (begin.initial && firstWanted(begin) === undefined);
  });
  if (place === undefined) return undefined;
  const id = record.sessions[place.session]!.known;
  return replaced(record, place, [{ ...place.arrivals[0]!, id }]);
}

function progressBeforeSync(record: WatcherRecord, _: Truth, random: Random) {
  const [place] = framesOf(record, random, "sync");
  if (place === undefined) return undefined;
  const [sync] = place.arrivals;
  const frame = { type: "progress", revision: revisionOf(sync!.frame) } as const;
  return replaced(record, place, [{ ...sync!, frame }, sync!]);
}

function lostId(record: WatcherRecord, _: Truth, random: Random) {
  const place = withId(record, random);
  if (place === undefined) return undefined;
  const { id: __, ...rest } = place.arrivals[0]!;
  return replaced(record, place, [rest]);
}

function wrongId(record: WatcherRecord, _: Truth, random: Random) {
  const place = withId(record, random);
  if (place === undefined) return undefined;
  const [arrival] = place.arrivals;
  return replaced(record, place, [{ ...arrival!, id: arrival!.id! + random.pick([-1, 1]) }]);
}

function idInCommit(record: WatcherRecord, _: Truth, random: Random) {
  if (record.transport !== "sse") return undefined;
  const place = changesOf(record, random).find(({ arrivals }) => arrivals.length > 1);
  if (place === undefined) return undefined;
  const [first, ...rest] = place.arrivals;
  return replaced(record, place, [{ ...first!, id: revisionOf(first!.frame) }, ...rest]);
}

/** A state with others instead of one of its entries; `undefined`: there is no place for it. */
function changedState(
  others: (entry: JsonEntry, record: WatcherRecord, truth: Truth) => JsonEntry[] | undefined,
): Plant {
  return (record, truth, random) => {
    const [place] = wholeStates(record, random);
    if (place === undefined) return undefined;
    const [arrival] = place.arrivals;
    const { entries } = arrival!.frame as { entries: JsonEntry[] };
    const at = random.below(entries.length);
    const instead = others(entries[at]!, record, truth);
    if (instead === undefined) return undefined;
    const frame: WatchFrame = { type: "state", entries: entries.toSpliced(at, 1, ...instead) };
    return replaced(record, place, [{ ...arrival!, frame }]);
  };
}

function oldEntry(entry: JsonEntry, _: WatcherRecord, truth: Truth): JsonEntry[] {
  const { revision, version } = truth.entry(entry.key, entry.revision - 1) ?? entry;
  return [{ ...entry, revision, version: version === entry.version ? version + 1 : version }];
}

function foreignEntry(entry: JsonEntry, { filter }: WatcherRecord): JsonEntry[] | undefined {
  const ranges = distinctRanges(filter.ranges);
  const key = KEYS.find((one) => !inRanges(ranges, one));
  return key === undefined ? undefined : [entry, { ...entry, key }];
}

function deletedEntry(record: WatcherRecord, truth: Truth, random: Random) {
  for (const place of wholeStates(record, random)) {
    const [arrival] = place.arrivals;
    const { entries } = arrival!.frame as { entries: JsonEntry[] };
    const later = record.sessions[place.session]!.arrivals.slice(place.at);
    const { revision } = later.find(({ frame }) => frame.type === "sync")!.frame as WatchAt;
    const now = new Set(truth.state(record.filter, revision).map(({ key }) => key));
    for (let before = revision - 1; before > 0 && before > revision - 50; before--) {
      const gone = truth.state(record.filter, before).find(({ key }) => !now.has(key));
      if (gone === undefined) continue;
      const frame: WatchFrame = { type: "state", entries: [...entries, gone] };
      return replaced(record, place, [{ ...arrival!, frame }]);
    }
  }
  return undefined;
}

function repeatedState(record: WatcherRecord, _: Truth, random: Random) {
  const [place] = wholeStates(record, random);
  return place && replaced(record, place, [...place.arrivals, ...place.arrivals]);
}

function oldState(record: WatcherRecord, truth: Truth, random: Random) {
  const place = framesOf(record, random, "sync").find(({ session, at }) => {
    const { arrivals, known } = record.sessions[session]!;
    const isAlone = arrivals.slice(0, at).every(({ frame }) => frame.type !== "state");
    return isAlone && known > 1;
  });
  if (place === undefined) return undefined;
  const revision = record.sessions[place.session]!.known - 1;
  const [{ at } = { at: 0 }] = place.arrivals;
  const entries = truth.state(record.filter, revision);
  const id = record.transport === "sse" ? { id: revision } : undefined;
  const frame = { type: "sync", revision, store: truth.store } as const;
  const state = { at, frame: { type: "state", entries } as const };
  return replaced(record, place, [state, { at, frame, ...id }]);
}

/** A reset, or an end, where everything is there. */
function neededBy(type: "reset" | "end"): Plant {
  return (record, truth, random) => {
    const place = changesOf(record, random).find(({ session, arrivals }) => {
      const { begin } = record.sessions[session]!;
      const { at, frame } = arrivals.at(-1)!;
      if (type === "reset" && begin.initial !== true) return false;
      return !truth.mayBeCompacted(revisionOf(frame) + 1, at);
    });
    if (place === undefined) return undefined;
    const { at, frame } = place.arrivals.at(-1)!;
    const { store } = truth;
    const other: WatchFrame =
      type === "end" ? { type, reason: "compacted" } : { type, revision: revisionOf(frame), store };
    return replaced(record, place, [...place.arrivals, { at, frame: other }]);
  };
}

function unaskedReset(record: WatcherRecord, truth: Truth, random: Random) {
  const place = changesOf(record, random).find(
    ({ session }) => record.sessions[session]!.begin.initial !== true,
  );
  if (place === undefined) return undefined;
  const { at, frame } = place.arrivals.at(-1)!;
  const reset = { type: "reset", revision: revisionOf(frame), store: truth.store } as const;
  return replaced(record, place, [...place.arrivals, { at, frame: reset }]);
}

function neededByNobody(record: WatcherRecord, truth: Truth, random: Random) {
  return refused(record, random, (session, first) => {
    if (truth.mayBeCompacted(first, session.asked)) return undefined;
    return { at: session.asked, code: "compacted", oldest: first + 1 };
  });
}

function refusedNext(record: WatcherRecord, _: Truth, random: Random) {
  return refused(record, random, (session, first) => {
    if (first > session.known + 1) return undefined;
    return { at: session.asked, code: "invalid_argument" };
  });
}

function servedForgotten(record: WatcherRecord, truth: Truth, random: Random) {
  const sessions = shuffled([...record.sessions.entries()], random);
  const found = sessions.find(([, { refusal, begin, asked }]) => {
    return refusal?.code === "compacted" && truth.isCompacted(firstWanted(begin)!, asked);
  });
  if (found === undefined) return undefined;
  return withSession(record, found[0], (old) => {
    const { begin, asked } = old;
    const revision = firstWanted(begin)! - 1;
    const id = record.transport === "sse" ? { id: revision } : undefined;
    const frame = { type: "created", revision, store: truth.store } as const;
    return { ...served(old), arrivals: [{ at: asked, frame, ...id }] };
  });
}

function lateStart(record: WatcherRecord, truth: Truth, random: Random) {
  const place = framesOf(record, random, "created").find(({ session }) => {
    const { begin, arrivals } = record.sessions[session]!;
    const first = firstWanted(begin);
    // Where the state follows, it does not matter where the watch had begun.
    return first !== undefined && !isReset(arrivals[1]) && begin.initial !== true;
  });
  if (place === undefined) return undefined;
  const [{ at, frame, id }] = place.arrivals as [(typeof place.arrivals)[0]];
  const revision = revisionOf(frame) + 1;
  const later = { type: "created", revision, store: truth.store } as const;
  return replaced(record, place, [
    { at, frame: later, ...(id === undefined ? {} : { id: revision }) },
  ]);
}

function oldStart(record: WatcherRecord, truth: Truth, random: Random) {
  const place = framesOf(record, random, "created").find(({ session }) => {
    const { begin, known } = record.sessions[session]!;
    return firstWanted(begin) === undefined && known > 0;
  });
  if (place === undefined) return undefined;
  const [{ at, id }] = place.arrivals as [(typeof place.arrivals)[0]];
  const revision = record.sessions[place.session]!.known - 1;
  const frame = { type: "created", revision, store: truth.store } as const;
  return replaced(record, place, [{ at, frame, ...(id === undefined ? {} : { id: revision }) }]);
}

function repeatedAtResume(record: WatcherRecord, _: Truth, random: Random) {
  for (const [at, session] of shuffled([...record.sessions.entries()], random)) {
    const { arrivals, resumes } = session;
    const [created] = arrivals;
    if (!resumes || created === undefined) continue;
    if (revisionOf(created.frame) + 1 !== firstWanted(session.begin) || isReset(arrivals[1])) {
      continue;
    }
    const places = changesOf(record, random).filter((one) => one.session === at - 1);
    const last = places.find(({ arrivals }) => {
      const [{ frame }] = arrivals as [(typeof arrivals)[0]];
      return revisionOf(frame) === positionAfter(record.sessions[at - 1]!);
    });
    if (last === undefined) continue;
    const place = { session: at, at: 1, arrivals: [], isPassed: false };
    return replaced(record, place, last.arrivals);
  }
  return undefined;
}

function otherStore(record: WatcherRecord, _: Truth, random: Random) {
  const places = [...framesOf(record, random, "created"), ...framesOf(record, random, "sync")];
  const place = random.pick(places);
  if (place === undefined) return undefined;
  const [{ frame, ...rest }] = place.arrivals as [(typeof place.arrivals)[0]];
  const other = { ...frame, store: "of somebody else" } as WatchFrame;
  return replaced(record, place, [{ ...rest, frame: other }]);
}

function behindEnd(record: WatcherRecord, _: Truth, random: Random) {
  const [place] = framesOf(record, random, "end");
  if (place === undefined) return undefined;
  const [end] = place.arrivals;
  return replaced(record, place, [end!, { at: end!.at, frame: { type: "progress", revision: 1 } }]);
}

function beforeCreated(record: WatcherRecord, _: Truth, random: Random) {
  const place = framesOf(record, random, "created").find(({ at, session }) => {
    // An end may be the only frame of a session.
    const [, second] = record.sessions[session]!.arrivals;
    return at === 0 && second !== undefined && second.frame.type !== "end";
  });
  return place && replaced(record, place, []);
}

function stuck(record: WatcherRecord, _: Truth, random: Random) {
  const at = record.sessions.findIndex(({ reaches }) => reaches !== undefined);
  const session = record.sessions[at];
  if (session === undefined) return undefined;
  const { arrivals, reaches } = session;
  if (arrivals.length < 3) return undefined;
  const count = 2 + random.below(arrivals.length - 2);
  const cut = { ...session, arrivals: arrivals.slice(0, count), pauses: [{ from: 0, to: 1e9 }] };
  if ((positionAfter(cut) ?? 0) >= reaches!) return undefined;
  return withSession(record, at, () => cut);
}

/** A session without what it says of its end. */
function served({ begin, resumes, asked, known, pauses, arrivals, ended }: RecordedSession) {
  return { begin, resumes, asked, known, pauses, arrivals, ended };
}

type WatchAt = Extract<WatchFrame, { revision: number }>;

function revisionOf(frame: WatchFrame): number {
  return (frame as WatchAt).revision;
}

function isReset(arrival: { frame: WatchFrame } | undefined): boolean {
  return arrival?.frame.type === "reset";
}

/** Does the frame say how far its watch has come? */
function isSettled(frame: WatchFrame): frame is WatchAt {
  if (frame.type === "change") return frame.more !== true;
  return frame.type === "progress" || frame.type === "sync";
}

function withId(record: WatcherRecord, random: Random): Place | undefined {
  const kinds = ["change", "progress", "sync"] as const;
  const places = kinds.flatMap((type) => framesOf(record, random, type));
  return shuffled(places, random).find(({ arrivals }) => arrivals[0]!.id !== undefined);
}

/** Parts of states that a `sync` follows. */
function wholeStates(record: WatcherRecord, random: Random): Place[] {
  return framesOf(record, random, "state").filter(({ session, at }) => {
    const later = record.sessions[session]!.arrivals.slice(at);
    const next = later.find(({ frame }) => frame.type !== "state");
    return next?.frame.type === "sync";
  });
}

/** A session that was served, as one that is refused. */
function refused(
  record: WatcherRecord,
  random: Random,
  refusal: (session: RecordedSession, first: number) => RecordedSession["refusal"],
): WatcherRecord | undefined {
  for (const [at, session] of shuffled([...record.sessions.entries()], random)) {
    const first = firstWanted(session.begin);
    if (first === undefined || session.begin.initial === true) continue;
    if (session.refusal !== undefined || session.arrivals.length === 0) continue;
    const found = refusal(session, first);
    if (found !== undefined)
      return withSession(record, at, (old) => ({ ...old, arrivals: [], refusal: found }));
  }
  return undefined;
}
