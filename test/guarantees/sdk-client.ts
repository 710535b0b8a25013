/**
 * A client of a run that watches by the SDK, which goes on by itself when its connection is cut or
 * the server is killed. It hands out frames; what it says of its position is `progress` here.
 */

import {
  connect,
  KvError,
  type KvClient,
  type KvFrame,
  type KvWatch,
} from "../../src/client/index.ts";
import { startCuttingProxy, type CuttingProxy } from "../client/odd-server.ts";
import { entryToJson, eventToJson } from "../../src/json.ts";
import type { WatchFrame } from "../../src/messages.ts";
import type { Random } from "../support/random.ts";
import type { LiveSession } from "./live-session.ts";
import type { WatcherRecord } from "./record.ts";
import {
  distinctFilters,
  FINISH_MS_MAX,
  RunWatcher,
  type RunContext,
  type RunWatcherOptions,
} from "./run-watcher.ts";

export class SdkClient {
  readonly #context: RunContext;
  readonly #random: Random;
  readonly #watchers: SdkWatcher[];

  constructor(context: RunContext, random: Random, name: string) {
    this.#context = context;
    this.#random = random;
    this.#watchers = distinctFilters(random, 1 + random.below(3)).map((filter, at) => {
      return new SdkWatcher({ context, random, name: `${name}.${at}`, transport: "sdk", filter });
    });
  }

  get records(): WatcherRecord[] {
    return this.#watchers.map(({ record }) => record);
  }

  async run(): Promise<void> {
    const { server } = this.#context;
    await using proxy = await startCuttingProxy(() => Number(new URL(server.url).port));
    const transport = this.#random.pick(["websocket", "http"] as const);
    const kv = connect(proxy.url, { transport });
    const watching = Promise.all(this.#watchers.map((watcher) => watcher.run(kv)));
    const stopped = new AbortController();
    const cutting = this.#cut(proxy, stopped.signal);
    await Promise.race([this.#context.finish, watching]).finally(() => stopped.abort());
    await Promise.all([watching, cutting]);
    await kv.close();
  }

  /** Cuts all connections of the client now and then, until the end of the run. */
  async #cut(proxy: CuttingProxy, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await Bun.sleep(this.#random.below(1_000));
      if (proxy.open === 0 || signal.aborted) continue;
      proxy.cut();
      this.#context.disconnected();
    }
  }
}

// --- internal ---

class SdkWatcher {
  readonly #context: RunContext;
  readonly #random: Random;
  readonly #watcher: RunWatcher;
  #last: number | undefined;

  constructor(options: RunWatcherOptions) {
    const { context, random } = options;
    this.#context = context;
    this.#random = random;
    this.#watcher = new RunWatcher(options);
    void context.finish.then((revision) => void (this.#last = revision));
  }

  get record(): WatcherRecord {
    return this.#watcher.record;
  }

  async run(kv: KvClient): Promise<void> {
    while (!this.#watcher.isDone && !this.#context.isAborted) await this.#watch(kv);
  }

  /** One watch, from its beginning to its end. */
  async #watch(kv: KvClient): Promise<void> {
    const { filter } = this.#watcher;
    const session = this.#watcher.begin(this.#last, () => {});
    const { from, initial } = session.begin;
    const { prev, keys, latest } = filter;
    const options = { from, initial, prev, keys, latest, waitForServer: true };
    const watch = kv.watch(filter.ranges, options) as KvWatch<KvFrame>;
    const taken = this.#take(watch, session);
    await this.#live(session);
    const last = this.#last;
    if (last !== undefined && !this.#watcher.isLate) await this.#reach(last, watch, session);
    // What was handed out before counts; behind the end the watch hands out nothing.
    const { revision } = watch;
    watch.close();
    await taken;
    if (revision !== undefined && !session.isOver && revision > (session.position ?? -1)) {
      session.arrive({ type: "progress", revision }, undefined);
    }
    this.#watcher.end(last);
  }

  /** Until it has begun, and for a while. */
  async #live(session: LiveSession): Promise<void> {
    const { below } = this.#random;
    const until = performance.now() + below(1_500);
    const isLiving = (): boolean => !session.isBegun || performance.now() < until;
    while (this.#last === undefined && !session.isOver && isLiving()) {
      await Bun.sleep(5 + below(20));
    }
  }

  async #reach(last: number, watch: KvWatch<KvFrame>, session: LiveSession): Promise<void> {
    const until = performance.now() + FINISH_MS_MAX;
    const hasReached = (): boolean =>
      (watch.revision ?? -1) >= last || this.#watcher.hasReached(last);
    // Nobody is told when the watch moves on without a frame.
    while (!session.isOver && !hasReached() && performance.now() < until) await Bun.sleep(5);
  }

  /** Takes what comes, now and then after a while. */
  async #take(watch: KvWatch<KvFrame>, session: LiveSession): Promise<void> {
    const { below, oneIn } = this.#random;
    try {
      const started = await watch.started;
      session.arrive({ type: "created", ...started }, undefined);
    } catch (error) {
      return this.#failed(error, session);
    }
    try {
      for await (const frame of watch) {
        session.arrive(toJson(frame), undefined);
        if (oneIn(50) && this.#last === undefined) await Bun.sleep(below(200));
      }
    } catch (error) {
      if (!(error instanceof KvError) || error.code !== "compacted") throw error;
      session.arrive({ type: "end", reason: "compacted" }, undefined);
    }
  }

  #failed(error: unknown, session: LiveSession): void {
    if (!(error instanceof KvError)) throw error;
    const { code, message, details } = error;
    // It was closed before it had begun.
    if (code !== "unavailable") session.refuse({ code, message, ...details });
  }
}

function toJson(frame: KvFrame): WatchFrame {
  if (frame.type === "state") return { type: "state", entries: frame.entries.map(entryToJson) };
  if (frame.type !== "change") return frame;
  const { events, skipped, ...rest } = frame;
  const left = skipped === undefined ? undefined : { skipped };
  return { ...rest, events: events.map(eventToJson), ...left };
}
