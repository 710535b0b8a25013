/**
 * A watcher of a simulated world, served by a server that is right: what it would record. It comes
 * and goes at random, begins anywhere, and stalls.
 */

import type { JsonEvent } from "../../src/json.ts";
import type { WatchFrame } from "../../src/messages.ts";
import type { Random } from "../support/random.ts";
import { randomFilter } from "./filters.ts";
import {
  firstWanted,
  positionAfter,
  type Arrival,
  type RecordedSession,
  type Transport,
  type WatchBegin,
  type WatcherRecord,
  type WatchFilter,
} from "./record.ts";
import type { SimulatedWorld } from "./simulated-world.ts";

/** Milliseconds of silence, while the store moves, after which there is `progress`. */
export const SIMULATED_PROGRESS_MS = 100;

export function simulateWatcher(
  world: SimulatedWorld,
  random: Random,
  name: string,
): WatcherRecord {
  const transport = random.pick<Transport>(["ws", "sse", "ndjson"]);
  const watcher = { world, random, transport, filter: randomFilter(random) };
  const sessions: RecordedSession[] = [];
  let at = random.below(world.end);
  while (at < world.end && sessions.length < 8) {
    const session = new SimulatedSession(watcher, at, nextBegin(watcher, sessions.at(-1), at));
    sessions.push(session.run());
    at = sessions.at(-1)!.ended + random.below(200);
  }
  return { name, transport, filter: watcher.filter, sessions };
}

// --- internal ---

interface SimulatedWatcher {
  readonly world: SimulatedWorld;
  readonly random: Random;
  readonly transport: Transport;
  readonly filter: WatchFilter;
}

type Begin = Pick<RecordedSession, "begin" | "resumes">;

/** A frame, and the id that it has where there are ids. */
type Sent = readonly [frame: WatchFrame, id?: number];

function nextBegin(
  { world, random, transport }: SimulatedWatcher,
  before: RecordedSession | undefined,
  at: number,
): Begin {
  const initial = random.oneIn(2) ? { initial: true } : undefined;
  if (before !== undefined && random.below(4) > 0) {
    const position = positionAfter(before);
    if (position === undefined) return { begin: { initial: true }, resumes: true };
    const bySse = transport === "sse" && random.oneIn(2);
    const begin = bySse ? { from: 1, lastEventId: position } : { from: position + 1 };
    return { begin: { ...begin, ...initial }, resumes: true };
  }
  const revision = world.revision(at);
  const from = random.pick([
    undefined,
    undefined,
    1 + random.below(revision + 1),
    revision + 1,
    revision + 2 + random.below(100),
  ]);
  const begin: WatchBegin = from === undefined ? {} : { from };
  return { begin: { ...begin, ...initial }, resumes: false };
}

class SimulatedSession {
  readonly #watcher: SimulatedWatcher;
  readonly #begin: Begin;
  readonly #asked: number;
  readonly #pauses: { from: number; to: number }[] = [];
  #at: number;
  #told = 0;
  #toldAt = 0;

  constructor(watcher: SimulatedWatcher, at: number, begin: Begin) {
    this.#watcher = watcher;
    this.#begin = begin;
    this.#asked = at;
    this.#at = at;
  }

  /** Takes frames until the connection breaks. */
  run(): RecordedSession {
    const { world, random, transport } = this.#watcher;
    const arrivals: Arrival[] = [];
    const common = { ...this.#begin, asked: this.#asked, known: world.revision(this.#asked) };
    const first = firstWanted(this.#begin.begin);
    if (this.#isGone(first) && this.#begin.begin.initial !== true) {
      const oldest = world.oldest(this.#at);
      const refusal =
        first! <= oldest
          ? { at: this.#at, code: "compacted" as const, oldest: oldest + 1 }
          : { at: this.#at, code: "invalid_argument" as const };
      return { ...common, arrivals, refusal, pauses: [], ended: this.#at };
    }
    let left = random.oneIn(3) ? 1 + random.below(5) : 100;
    for (const [frame, id] of this.#frames(first)) {
      const hasId = transport === "sse" && id !== undefined;
      arrivals.push({ at: this.#at, frame, ...(hasId ? { id } : undefined) });
      if (--left === 0 || frame.type === "end") break;
    }
    const isOpen = left > 0 && this.#at >= world.end && arrivals.at(-1)?.frame.type !== "end";
    const reaches = isOpen ? { reaches: world.truth.through } : undefined;
    return { ...common, arrivals, pauses: this.#pauses, ended: this.#at, ...reaches };
  }

  #isGone(first: number | undefined): boolean {
    const { world } = this.#watcher;
    if (first === undefined) return false;
    return first <= world.oldest(this.#at) || first > world.revision(this.#at) + 1;
  }

  *#frames(first: number | undefined): Generator<Sent> {
    const { world, random } = this.#watcher;
    const { initial = false } = this.#begin.begin;
    const { store } = world.truth;
    const revision = world.revision(this.#at);
    const isGone = this.#isGone(first);
    if (first !== undefined && !isGone) {
      yield [{ type: "created", revision: first - 1, store }, first - 1];
      this.#tell(first - 1);
    } else if (initial) {
      yield [{ type: "created", revision, store }];
      if (isGone) yield [{ type: "reset", revision, store }];
      yield* this.#state();
    } else {
      yield [{ type: "created", revision, store }, revision];
      this.#tell(revision);
    }
    while (this.#at < world.end || this.#told < world.truth.through) {
      this.#pass(random.oneIn(10) ? 300 : random.below(60));
      yield* this.#changes(initial);
    }
  }

  *#changes(initial: boolean): Generator<Sent> {
    const { world, random, filter } = this.#watcher;
    const { truth } = world;
    const revision = world.revision(this.#at);
    if (this.#told + 1 <= world.oldest(this.#at)) {
      if (!initial) return yield [{ type: "end", reason: "compacted" }];
      yield [{ type: "reset", revision, store: truth.store }];
      return yield* this.#state();
    }
    const expected = truth.expected(filter, this.#told, revision);
    if (filter.latest && expected.length > 1 && random.oneIn(2)) {
      yield* this.#latest(expected.slice(0, 1 + random.below(expected.length)));
      return;
    }
    for (const commit of expected) yield* this.#change(commit.revision, commit.events);
    const silence = this.#at - this.#toldAt;
    if (this.#told < revision && (silence >= SIMULATED_PROGRESS_MS || random.oneIn(4))) {
      yield this.#progress(revision);
    }
  }

  *#state(): Generator<Sent> {
    const { world, random, filter } = this.#watcher;
    const { store } = world.truth;
    const revision = world.revision(this.#at);
    let entries = world.truth.state(filter, revision);
    while (entries.length > 0) {
      const count = 1 + random.below(4);
      yield [{ type: "state", entries: entries.slice(0, count) }];
      entries = entries.slice(count);
    }
    yield [{ type: "sync", revision, store }, revision];
    this.#tell(revision);
  }

  *#latest(commits: readonly { revision: number; events: readonly JsonEvent[] }[]) {
    const events = commits.flatMap((commit) => commit.events);
    const newest = events.filter(
      ({ key }, at) => !events.slice(at + 1).some((later) => later.key === key),
    );
    yield* this.#change(commits.at(-1)!.revision, newest, events.length - newest.length);
  }

  /** Now and then in several parts. */
  *#change(revision: number, events: readonly JsonEvent[], skipped = 0): Generator<Sent> {
    const { random } = this.#watcher;
    const type = "change";
    let rest = events;
    while (rest.length > 1 && random.oneIn(3)) {
      const count = 1 + random.below(rest.length - 1);
      yield [{ type, revision, events: rest.slice(0, count), more: true }];
      rest = rest.slice(count);
    }
    const left = skipped > 0 ? { skipped } : undefined;
    yield [{ type, revision, events: [...rest], ...left }, revision];
    this.#tell(revision);
  }

  #progress(revision: number): Sent {
    this.#tell(revision);
    return [{ type: "progress", revision }, revision];
  }

  #tell(revision: number): void {
    this.#told = revision;
    this.#toldAt = this.#at;
  }

  /** Lets time go by; what is long is a stall. */
  #pass(ms: number): void {
    if (ms > 200) this.#pauses.push({ from: this.#at, to: this.#at + ms });
    this.#at += ms;
  }
}
