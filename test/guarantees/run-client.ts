/**
 * A client of a run: watchers on one connection that it cuts, stalls and makes again at random, and
 * which then go on where they stood, or begin somewhere else.
 */

import type { Random } from "../support/random.ts";
import type { Transport, WatcherRecord } from "./record.ts";
import { distinctFilters, FINISH_MS_MAX, RunWatcher, type RunContext } from "./run-watcher.ts";
import { openWire, type Wire } from "./wires.ts";

export type WireTransport = Exclude<Transport, "sdk">;

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
    this.#watchers = distinctFilters(random, count).map((filter, at) => {
      return new RunWatcher({ context, random, name: `${name}.${at}`, transport, filter });
    });
    void context.finish.then((revision) => {
      this.#last = revision;
      this.#changed.resolve();
    });
  }

  get records(): WatcherRecord[] {
    return this.#watchers.map(({ record }) => record);
  }

  /** Watches until all watchers have got to the end of the run. */
  async run(): Promise<void> {
    const isDone = (): boolean => this.#watchers.every((watcher) => watcher.isDone);
    while (!isDone() && !this.#context.isAborted) await this.#connect();
  }

  /** One connection, from its beginning to its end. */
  async #connect(): Promise<void> {
    const { server } = this.#context;
    const wire = await server.connect((url) => openWire(this.#transport, url));
    const watchers = this.#watchers.filter(({ isDone }) => !isDone);
    const changed = (): void => this.#changed.resolve();
    for (const watcher of watchers) {
      const session = watcher.begin(this.#last, changed);
      wire.watch(watcher.filter, session.begin, session);
    }
    let isEnded = false;
    const ended = wire.ended.finally(() => {
      isEnded = true;
      changed();
    });
    // Whoever waits for it below gets what went wrong.
    ended.catch(() => {});
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
    if (oneIn(2)) this.#context.flood(pick(watchers).keys.slice(0, 1 + below(5)));
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
