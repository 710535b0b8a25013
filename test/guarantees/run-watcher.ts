/**
 * One watcher of a run: where it begins, and begins again, and what is recorded of it. How its
 * frames come is the business of its client.
 */

import { distinctRanges, inRanges } from "../../src/keys.ts";
import type { Random } from "../support/random.ts";
import { KEYS, randomFilter } from "./filters.ts";
import { LiveSession } from "./live-session.ts";
import type {
  RecordedSession,
  Transport,
  WatchBegin,
  WatcherRecord,
  WatchFilter,
} from "./record.ts";
import type { RunServer } from "./run-server.ts";

/** What all clients of a run share. */
export interface RunContext {
  readonly server: RunServer;
  /** Resolves with the last revision that there will be. */
  readonly finish: Promise<number>;
  /** Something went wrong that is no fault of a watch: everybody stops. */
  readonly isAborted: boolean;
  /** A connection on which watches were going on has ended. */
  disconnected(): void;
  /** More is to be written to these keys soon than fits between the server and a stalled reader. */
  flood(keys: readonly string[]): void;
}

export interface RunWatcherOptions {
  readonly context: RunContext;
  readonly random: Random;
  readonly name: string;
  readonly transport: Transport;
  readonly filter: WatchFilter;
}

/** Milliseconds in which every watch has to get to the end of the run. */
export const FINISH_MS_MAX = 30_000;

export class RunWatcher {
  readonly filter: WatchFilter;
  /** Those that are written. */
  readonly keys: readonly string[];
  /** It has got to the end of the run. */
  isDone = false;
  readonly #options: RunWatcherOptions;
  readonly #sessions: RecordedSession[] = [];
  #session: LiveSession | undefined;
  /** Where it goes on; `undefined` where it has nothing to go on from. */
  #position: number | undefined;
  #isResumable = false;
  #isEarly = true;

  constructor(options: RunWatcherOptions) {
    const { filter } = options;
    this.#options = options;
    this.filter = filter;
    const keys = keysOf(filter);
    this.keys = keys.length === 0 ? KEYS : keys;
  }

  get isOpen(): boolean {
    return this.#session?.isOver === false;
  }

  get isBegun(): boolean {
    return this.#session?.isBegun === true;
  }

  get frames(): number {
    return this.#session?.frames ?? 0;
  }

  /** It was there before the end, of which it sees nothing, and so is told of it seconds later. */
  get isLate(): boolean {
    return this.#isEarly && keysOf(this.filter).length === 0;
  }

  hasReached(revision: number): boolean {
    // Before its first frame it stands where it was asked to begin.
    return this.isBegun && (this.#session?.position ?? 0) >= revision;
  }

  get record(): WatcherRecord {
    const { name, transport } = this.#options;
    return {
      name: `${transport} ${name}`,
      transport,
      filter: this.filter,
      sessions: this.#sessions,
    };
  }

  /** The next session; `last` is the end of the run, once it is known. */
  begin(last: number | undefined, changed: () => void): LiveSession {
    this.#isEarly = last === undefined;
    const { begin, resumes } = this.#nextBegin();
    const { known } = this.#options.context.server.truth;
    this.#session = new LiveSession(known, begin, resumes, changed);
    return this.#session;
  }

  paused(from: number): void {
    this.#session!.paused(from);
  }

  /** `last` is where it was given the time to get to. */
  end(last: number | undefined): void {
    const session = this.#session!;
    this.isDone = last !== undefined && !session.isOver && !this.isLate;
    this.#sessions.push(session.recorded(this.isDone ? last : undefined));
    this.#position = session.position;
    this.#isResumable = !session.isRefused && (session.position !== undefined || session.isBegun);
  }

  #nextBegin(): Pick<RecordedSession, "begin" | "resumes"> {
    const { context, random, transport } = this.#options;
    const { below, oneIn, pick } = random;
    const initial = oneIn(2) ? { initial: true } : undefined;
    const position = this.#position;
    if (this.#isResumable && (!this.#isEarly || below(4) > 0)) {
      if (position === undefined) return { begin: { initial: true }, resumes: true };
      const bySse = transport === "sse" && oneIn(2);
      const begin = bySse ? { from: 1, lastEventId: position } : { from: position + 1 };
      return { begin: { ...begin, ...initial }, resumes: true };
    }
    if (!this.#isEarly) return { begin: { ...initial }, resumes: false };
    const { revision } = context.server.truth.known;
    const next = revision + 1;
    const from = pick([undefined, undefined, 1 + below(next), next, next + below(10), next + 1e6]);
    const begin: WatchBegin = from === undefined ? {} : { from };
    return { begin: { ...begin, ...initial }, resumes: false };
  }
}

/** No two of them are the same filter in other words: a connection can have each once. */
export function distinctFilters(random: Random, count: number): WatchFilter[] {
  const filters = new Map<string, WatchFilter>();
  while (filters.size < count) {
    const filter = randomFilter(random);
    filters.set(keysOf(filter).join(), filter);
  }
  return [...filters.values()];
}

// --- internal ---

/** The keys that are written and watched. */
function keysOf({ ranges }: WatchFilter): string[] {
  const distinct = distinctRanges(ranges);
  return KEYS.filter((key) => inRanges(distinct, key));
}
