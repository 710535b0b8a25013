/**
 * A client of a run: watchers on one connection that it cuts, stalls and makes again at random, and
 * which then go on where they stood, or begin somewhere else.
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
import { openWire, type Wire } from "./wires.ts";

/** What all clients of a run share. */
export interface RunContext {
  readonly server: RunServer;
  /** Resolves with the last revision that there will be. */
  readonly finish: Promise<number>;
  /** A connection on which watches were going on has ended. */
  disconnected(): void;
  /** More is to be written to this key soon than fits between the server and a stalled reader. */
  flood(key: string): void;
}

export type WireTransport = Exclude<Transport, "sdk">;

/** Milliseconds in which every watch has to get to the end of the run. */
const FINISH_MS_MAX = 30_000;

export class RunClient {
  readonly #context: RunContext;
  readonly #random: Random;
  readonly #transport: WireTransport;
  readonly #watchers: RunWatcher[];
  #last: number | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(context: RunContext, random: Random, name: string, transport: WireTransport) {
    this.#context = context;
    this.#random = random;
    this.#transport = transport;
    const count = transport === "ws" ? 1 + random.below(3) : 1;
    const names = Array.from({ length: count }, (_, at) => `${transport} ${name}.${at}`);
    const filters = distinctFilters(random, count);
    this.#watchers = names.map((name, at) => new RunWatcher(context, random, name, filters[at]!));
    void context.finish.then((revision) => {
      this.#last = revision;
      this.#changed.resolve();
    });
  }

  get records(): WatcherRecord[] {
    return this.#watchers.map((watcher) => watcher.record(this.#transport));
  }

  /** Watches until all watchers have got to the end of the run. */
  async run(): Promise<void> {
    while (!this.#watchers.every(({ isDone }) => isDone)) await this.#connect();
  }

  /** One connection, from its beginning to its end. */
  async #connect(): Promise<void> {
    const { server } = this.#context;
    const wire = await server.connect((url) => openWire(this.#transport, url));
    const watchers = this.#watchers.filter(({ isDone }) => !isDone);
    const changed = (): void => this.#changed.resolve();
    for (const watcher of watchers) watcher.begin(wire, this.#transport, this.#last, changed);
    let isEnded = false;
    const ended = wire.ended.finally(() => {
      isEnded = true;
      changed();
    });
    const goesOn = (): boolean => !isEnded && watchers.some(({ isOpen }) => isOpen);
    let isReading = true;
    if (this.#last === undefined) isReading = await this.#live(wire, watchers, goesOn);
    const last = isReading ? this.#last : undefined;
    if (last !== undefined) await this.#reach(last, watchers, goesOn);
    const isBroken = isEnded;
    wire.cut();
    await ended;
    const hadBegun = watchers.some(({ isBegun }) => isBegun);
    for (const watcher of watchers) watcher.end(isBroken ? undefined : last);
    if (hadBegun) this.#context.disconnected();
  }

  /** Until so many frames have come, or so much time is over. False where it does not read now. */
  async #live(wire: Wire, watchers: RunWatcher[], goesOn: () => boolean): Promise<boolean> {
    const { below, oneIn } = this.#random;
    const framesMax = oneIn(4) ? 1 + below(6) : 1 + below(400);
    const until = performance.now() + (oneIn(4) ? below(60) : below(600));
    const stallsAt = oneIn(6) ? below(3) : Number.POSITIVE_INFINITY;
    for (;;) {
      const frames = watchers.reduce((sum, watcher) => sum + watcher.frames, 0);
      if (this.#last !== undefined || !goesOn() || frames >= framesMax) return true;
      if (frames >= stallsAt) return await this.#stall(wire, watchers);
      if (!(await this.#wait(until))) return true;
    }
  }

  /** Reads nothing for a while, in which more is written than fits; then goes on, or breaks off. */
  async #stall(wire: Wire, watchers: readonly RunWatcher[]): Promise<boolean> {
    const { below, oneIn, pick } = this.#random;
    const from = performance.now();
    wire.pause();
    if (oneIn(2)) this.#context.flood(pick(pick(watchers).keys));
    await Bun.sleep(below(300));
    if (oneIn(4)) return false;
    wire.resume();
    for (const watcher of watchers) watcher.paused(from);
    const until = performance.now() + below(600);
    while (this.#last === undefined && (await this.#wait(until)));
    return true;
  }

  /** Until every watch has got to the end, but for those that are told of it late. */
  async #reach(
    last: number,
    watchers: readonly RunWatcher[],
    goesOn: () => boolean,
  ): Promise<void> {
    const waits = (one: RunWatcher): boolean => one.isOpen && !one.isLate && !one.hasReached(last);
    const until = performance.now() + FINISH_MS_MAX;
    while (goesOn() && watchers.some(waits)) {
      if (!(await this.#wait(until))) return;
    }
  }

  /** False when the time is over before anything happens. */
  async #wait(until: number): Promise<boolean> {
    const ms = until - performance.now();
    if (ms <= 0) return false;
    const timer = Promise.withResolvers<boolean>();
    const timeout = setTimeout(() => timer.resolve(false), ms);
    const happened = await Promise.race([this.#changed.promise.then(() => true), timer.promise]);
    clearTimeout(timeout);
    this.#changed = Promise.withResolvers();
    return happened;
  }
}

// --- internal ---

/** One watcher of a client, on one connection after the other. */
class RunWatcher {
  readonly filter: WatchFilter;
  /** Those that are written. */
  readonly keys: readonly string[];
  /** It has got to the end of the run. */
  isDone = false;
  readonly #context: RunContext;
  readonly #random: Random;
  readonly #name: string;
  readonly #sessions: RecordedSession[] = [];
  #session: LiveSession | undefined;
  /** Where it goes on; `undefined` where it has nothing to go on from. */
  #position: number | undefined;
  #isResumable = false;
  #isEarly = true;

  constructor(context: RunContext, random: Random, name: string, filter: WatchFilter) {
    this.#context = context;
    this.#random = random;
    this.#name = name;
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

  /** `last` is the end of the run, once it is known. */
  begin(wire: Wire, transport: WireTransport, last: number | undefined, changed: () => void): void {
    this.#isEarly = last === undefined;
    const { begin, resumes } = this.#nextBegin(transport);
    const session = new LiveSession(this.#context.server.truth.known, begin, resumes, changed);
    this.#session = session;
    wire.watch(this.filter, begin, session);
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

  record(transport: WireTransport): WatcherRecord {
    return { name: this.#name, transport, filter: this.filter, sessions: this.#sessions };
  }

  #nextBegin(transport: WireTransport): Pick<RecordedSession, "begin" | "resumes"> {
    const { below, oneIn, pick } = this.#random;
    const initial = oneIn(2) ? { initial: true } : undefined;
    const position = this.#position;
    if (this.#isResumable && (!this.#isEarly || below(4) > 0)) {
      if (position === undefined) return { begin: { initial: true }, resumes: true };
      const bySse = transport === "sse" && oneIn(2);
      const begin = bySse ? { from: 1, lastEventId: position } : { from: position + 1 };
      return { begin: { ...begin, ...initial }, resumes: true };
    }
    if (!this.#isEarly) return { begin: { ...initial }, resumes: false };
    const { revision } = this.#context.server.truth.known;
    const next = revision + 1;
    const from = pick([undefined, undefined, 1 + below(next), next, next + below(10), next + 1e6]);
    const begin: WatchBegin = from === undefined ? {} : { from };
    return { begin: { ...begin, ...initial }, resumes: false };
  }
}

/** The keys that are written and watched. */
function keysOf({ ranges }: WatchFilter): string[] {
  const distinct = distinctRanges(ranges);
  return KEYS.filter((key) => inRanges(distinct, key));
}

/** No two of them are the same filter in other words: a connection can have each once. */
function distinctFilters(random: Random, count: number): WatchFilter[] {
  const filters = new Map<string, WatchFilter>();
  while (filters.size < count) {
    const filter = randomFilter(random);
    filters.set(keysOf(filter).join(), filter);
  }
  return [...filters.values()];
}
