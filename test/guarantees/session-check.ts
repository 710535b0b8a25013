/**
 * Checks one session of a watcher, frame by frame. What a frame says of events is held against the
 * truth in `change-check.ts`.
 */

import type { JsonEntry } from "../../src/json.ts";
import { distinctRanges, inRanges } from "../../src/keys.ts";
import { checkEvents, checkNothingMissed, type Change } from "./change-check.ts";
import { firstWanted, type Arrival, type RecordedSession, type WatcherRecord } from "./record.ts";
import type { Truth } from "./truth.ts";
import { demand, shown } from "./violation.ts";

export interface SessionCheckOptions {
  readonly truth: Truth;
  readonly record: WatcherRecord;
  readonly session: RecordedSession;
  /** The revisions whose events the watcher has had, since it last went back on purpose. */
  readonly delivered: Set<number>;
  readonly silenceMsMax: number;
}

/**
 * `asked` → (`created`) → `begun` → (`reset`) → `state` → (`sync`) → `running` → (`end`) → `over`;
 * without a state from `begun` to `running` at once, and back to `state` at a later `reset`.
 */
type Phase = "asked" | "begun" | "state" | "running" | "over";

export class SessionCheck {
  readonly #options: SessionCheckOptions;
  readonly #truth: Truth;
  readonly #session: RecordedSession;
  readonly #first: number | undefined;
  /** The frame that is looked at, counted from 0. */
  place = 0;
  #phase: Phase = "asked";
  #created: Arrival | undefined;
  /** The watch has said that everything up to here was sent. */
  #told = 0;
  /** The state is of this revision or of a later one. */
  #pinned = 0;
  #entries: JsonEntry[] = [];
  #parts: Change[] = [];

  constructor(options: SessionCheckOptions) {
    this.#options = options;
    this.#truth = options.truth;
    this.#session = options.session;
    this.#first = firstWanted(options.session.begin);
  }

  /** @throws `BrokenRule` */
  run(): void {
    const { arrivals, refusal, reaches, ended } = this.#session;
    if (refusal !== undefined) this.#refused();
    for (const [place, arrival] of arrivals.entries()) {
      this.place = place;
      this.#checkSilence(arrivals[place - 1], arrival.at);
      this.#take(arrival);
    }
    this.#checkSilence(arrivals.at(-1), ended);
    if (reaches === undefined) return;
    if (this.#phase === "begun") this.#begunReadable();
    demand(this.#phase === "running" && this.#told >= reaches, "reliable", () => {
      return `it says nothing of ${this.#told + 1} to ${reaches} however long it is given`;
    });
  }

  #refused(): void {
    const { refusal, begin, arrivals, known } = this.#session;
    const { code, at, oldest } = refusal!;
    demand(arrivals.length === 0, "frames", () => `refused as ${code} behind the first frame`);
    if (code === "unavailable") return;
    const asked = `${shown(begin)} is refused as ${code}`;
    const first = this.#first;
    demand(first !== undefined && begin.initial !== true, "begin", () => asked);
    if (code === "invalid_argument") {
      demand(first > known + 1, "begin", () => `${asked} when the store is at ${known} or above`);
    } else {
      demand(code === "compacted", "begin", () => asked);
      const may = this.#truth.mayBeCompacted(first, at);
      demand(may, "resumable", () => `${asked}, which was not forgotten`);
      const sound = oldest !== undefined && oldest > first && this.#mayBeOldest(oldest, at);
      demand(sound, "begin", () => `${asked}, with ${oldest} as the oldest`);
    }
  }

  /** Was the revision before this one the oldest that can be read, by `at`? */
  #mayBeOldest(first: number, at: number): boolean {
    return this.#truth.compactions.some((done) => done.revision === first - 1 && done.sent <= at);
  }

  #take(arrival: Arrival): void {
    const { frame } = arrival;
    const what = `${shown(frame)} in phase ${this.#phase}`;
    demand(this.#phase !== "over", "frames", () => `behind the end: ${what}`);
    const isFirst = this.#phase === "asked";
    // An EventSource that is given a status never comes back, so it is told by a frame.
    if (isFirst && frame.type === "end" && frame.reason === "shutdown") {
      this.#phase = "over";
      return;
    }
    demand(isFirst === (frame.type === "created"), "frames", () => what);
    if (this.#phase === "begun" && frame.type !== "reset") this.#begunReadable();
    if (frame.type === "created") this.#begin(arrival, frame.store);
    else if (frame.type === "reset") this.#reset(arrival, frame.revision, frame.store);
    else if (frame.type === "end") this.#end(arrival, frame.reason);
    else if (this.#phase === "state") {
      // A resume position before `sync` would leave out the rest of the state for ever.
      const isOfState = frame.type === "state" || frame.type === "sync";
      demand(isOfState, "bookmarkable", () => `within the state: ${what}`);
      if (frame.type === "state") this.#state(arrival, frame.entries);
      else this.#sync(arrival, frame.revision, frame.store);
    } else if (frame.type === "change") this.#change(arrival, frame);
    else {
      demand(frame.type === "progress", "frames", () => what);
      this.#progress(arrival, frame.revision);
    }
  }

  #begin(arrival: Arrival, store: string): void {
    this.#checkStore(store);
    this.#created = arrival;
    const { begin, known } = this.#session;
    const revision = createdRevision(arrival);
    this.#told = this.#pinned = revision;
    if (this.#first === undefined) {
      const soon = revision >= known;
      demand(soon, "begin", () => `it begins at ${revision}, below ${known}, which was answered`);
      this.#checkExists(revision);
      this.#phase = begin.initial === true ? "state" : "running";
      this.#checkId(arrival, begin.initial === true ? undefined : revision);
    } else {
      this.#phase = "begun";
      if (begin.initial !== true) this.#begunReadable();
    }
  }

  /** A watch from a revision on begins with the history from there on. */
  #begunReadable(): void {
    const created = this.#created!;
    const [first, revision] = [this.#first!, createdRevision(created)];
    demand(revision === first - 1, "resumable", () => `from ${first} it begins above ${revision}`);
    const isGone = this.#truth.isCompacted(first, this.#session.asked);
    demand(!isGone, "resumable", () => `it begins at ${first}, which was forgotten`);
    this.#checkExists(revision);
    this.#checkId(created, revision);
    this.#phase = "running";
  }

  /** The state anew: only where history that was still to be sent is gone, or never was. */
  #reset(arrival: Arrival, revision: number, store: string): void {
    this.#checkStore(store);
    const { begin, known } = this.#session;
    const asked = `a reset of ${shown(begin)}`;
    demand(begin.initial === true, "frames", () => `${asked}, which asks for no state`);
    this.#checkId(arrival, undefined);
    // What could be read at first can be forgotten before the first change; then there was an id.
    if (this.#phase === "begun" && this.#created!.id !== undefined) this.#begunReadable();
    let first = this.#phase === "state" ? this.#pinned + 1 : this.#told + 1;
    let beyond = false;
    if (this.#phase === "begun") {
      first = this.#first!;
      beyond = first > known + 1;
    }
    // The client that connects again in the middle of a state has to begin it anew.
    const isBroken = this.#options.record.transport === "sdk" && this.#phase === "state";
    const needed = beyond || isBroken || this.#truth.mayBeCompacted(first, arrival.at);
    demand(needed, "resumable", () => `${asked} when ${first} is there`);
    this.#pinned = Math.max(this.#phase === "running" ? this.#told : this.#pinned, revision);
    if (this.#phase === "begun") this.#pinned = revision;
    this.#phase = "state";
    this.#entries = [];
    this.#parts = [];
  }

  #state(arrival: Arrival, entries: readonly JsonEntry[]): void {
    this.#checkId(arrival, undefined);
    const { filter } = this.#options.record;
    const ranges = distinctRanges(filter.ranges);
    for (const entry of entries) {
      demand(inRanges(ranges, entry.key), "filter", () => `${entry.key} was not asked for`);
      this.#entries.push(entry);
    }
  }

  #sync(arrival: Arrival, revision: number, store: string): void {
    this.#checkStore(store);
    this.#checkExists(revision);
    const least = Math.max(this.#session.known, this.#pinned);
    demand(revision >= least, "begin", () => `the state of ${revision} is older than ${least}`);
    const expected = this.#truth.state(this.#options.record.filter, revision);
    const wrong = stateFault(this.#entries, expected);
    demand(wrong === undefined, "bookmarkable", () => `at sync ${revision}: ${wrong}`);
    this.#checkId(arrival, revision);
    this.#told = revision;
    this.#phase = "running";
    this.#entries = [];
  }

  #change(arrival: Arrival, change: Change): void {
    const { revision, more } = change;
    const what = shown(change);
    const [before] = this.#parts;
    if (before !== undefined) {
      const same = before.revision === revision;
      demand(same, "atomic", () => `${what} within the parts of ${before.revision}`);
    } else if (revision <= this.#told) {
      const repeated = this.#options.delivered.has(revision);
      const rule = repeated ? "unique" : "ordered";
      demand(false, rule, () => `${what} when everything up to ${this.#told} was told`);
    }
    this.#parts.push(change);
    if (more === true) {
      demand(arrival.id === undefined, "atomic", () => `an id beside a part: ${what}`);
      return;
    }
    this.#checkExists(revision);
    checkEvents(this.#parts, {
      truth: this.#truth,
      filter: this.#options.record.filter,
      after: this.#told,
    });
    this.#checkId(arrival, revision);
    this.#parts = [];
    this.#told = revision;
    this.#options.delivered.add(revision);
  }

  #progress(arrival: Arrival, revision: number): void {
    const [part] = this.#parts;
    demand(part === undefined, "atomic", () => `progress within the parts of ${part!.revision}`);
    const rises = revision >= this.#told;
    demand(rises, "ordered", () => `progress ${revision} behind ${this.#told}`);
    this.#checkExists(revision);
    const { filter } = this.#options.record;
    checkNothingMissed("bookmarkable", this.#truth, filter, this.#told, revision);
    this.#checkId(arrival, revision);
    this.#told = revision;
  }

  #end(arrival: Arrival, reason: string): void {
    if (reason === "compacted") {
      demand(this.#session.begin.initial !== true, "resumable", () => "an end instead of a reset");
      const may = this.#truth.mayBeCompacted(this.#told + 1, arrival.at);
      demand(may, "resumable", () => `its history above ${this.#told} was not forgotten`);
    } else demand(reason === "shutdown", "reliable", () => `it ends with ${reason}`);
    this.#checkId(arrival, undefined);
    this.#phase = "over";
  }

  /** Only server-sent events carry an id, and always where a client may go on. */
  #checkId({ id, frame }: Arrival, expected: number | undefined): void {
    if (this.#options.record.transport !== "sse") return;
    demand(id === expected, "bookmarkable", () => `id ${id}, not ${expected}: ${shown(frame)}`);
  }

  #checkStore(store: string): void {
    const expected = this.#truth.store;
    demand(store === expected, "content", () => `the store ${store} instead of ${expected}`);
  }

  #checkExists(revision: number): void {
    const { through } = this.#truth;
    demand(revision <= through, "content", () => `revision ${revision} of a log up to ${through}`);
  }

  /** While the store moves, a watch that was told nothing of it is told how far it has come. */
  #checkSilence(from: Arrival | undefined, until: number): void {
    if (this.#phase !== "running" || from === undefined) return;
    const { silenceMsMax } = this.#options;
    if (until - from.at <= silenceMsMax) return;
    if (this.#session.pauses.some((pause) => pause.to > from.at && pause.from < until)) return;
    const moved = this.#truth.known.moments.find(({ revision }) => revision > this.#told);
    if (moved === undefined) return;
    const silence = until - Math.max(from.at, moved.at);
    const detail = (): string => `${silence} ms at ${this.#told} without progress`;
    demand(silence <= silenceMsMax, "bookmarkable", detail);
  }
}

// --- internal ---

function createdRevision({ frame }: Arrival): number {
  return frame.type === "created" ? frame.revision : Number.NaN;
}

function stateFault(got: readonly JsonEntry[], expected: readonly JsonEntry[]): string | undefined {
  const byKey = new Map(got.map((entry) => [entry.key, entry]));
  if (byKey.size < got.length) return "a key twice";
  for (const entry of expected) {
    const one = byKey.get(entry.key);
    if (!Bun.deepEquals(one, entry, true)) return `${shown(one)} instead of ${shown(entry)}`;
    byKey.delete(entry.key);
  }
  const [extra] = byKey.values();
  return extra === undefined ? undefined : `${shown(extra)}, which was not there`;
}
