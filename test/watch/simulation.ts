/**
 * A hub among readers, writers and a store that a seeded scheduler drives: whatever can happen next
 * happens in an order that the seed decides. Each watch is held against the log.
 */

import { KvError } from "../../src/errors.ts";
import type { Operation, Status, Store } from "../../src/kv.ts";
import type { Frame } from "../../src/watch/frames.ts";
import { Hub } from "../../src/watch/hub.ts";
import type { Publisher } from "../../src/watch/subscriber.ts";
import type { WatchOptions } from "../../src/watch/watch-session.ts";
import { checkWatchers } from "../guarantees/checker.ts";
import { KEYS, randomFilter } from "../guarantees/filters.ts";
import type { Transport, WatchBegin } from "../guarantees/record.ts";
import { Truth } from "../guarantees/truth.ts";
import { altered } from "../support/altered-store.ts";
import type { Random } from "../support/random.ts";
import { del, put as putOf, write } from "../support/stores.ts";
import { isStream, Recording, SimulatedSocket, SimulatedStream } from "./simulated-readers.ts";

/** Milliseconds after which what was put is gone, at most. */
const TTL_MS_MAX = 20;

/** What happened, so that a test can tell that its rounds met every case. */
export interface Tally {
  commits: number;
  expired: number;
  published: number;
  stalls: number;
  resumed: number;
  /** Watches by the way they went. */
  ws: number;
  sse: number;
  ndjson: number;
  /** Frames. */
  splits: number;
  states: number;
  syncs: number;
  resets: number;
  /** Those behind the first `sync`. */
  laterResets: number;
  merged: number;
  previous: number;
  ended: number;
  progress: number;
}

const NOTHING: Tally = {
  commits: 0,
  expired: 0,
  published: 0,
  stalls: 0,
  resumed: 0,
  ws: 0,
  sse: 0,
  ndjson: 0,
  splits: 0,
  states: 0,
  syncs: 0,
  resets: 0,
  laterResets: 0,
  merged: 0,
  previous: 0,
  ended: 0,
  progress: 0,
};

export class Simulation implements Publisher {
  readonly tally: Tally = { ...NOTHING };
  readonly hub: Hub;
  readonly failures: unknown[] = [];
  readonly #store: Store;
  readonly #random: Random;
  readonly #sockets: SimulatedSocket[] = [];
  readonly #streams: SimulatedStream[] = [];
  readonly #recordings: Recording[] = [];
  readonly #pending = new Set<Promise<void>>();
  #truth = new Truth("");
  /** The newest revision that any write was answered with. */
  #answered = 0;

  constructor(store: Store, random: Random) {
    this.#store = store;
    this.#random = random;
    const pace = { waitMs: () => (random.below(8) === 0 ? 1 : 0), publishedTo: () => {} };
    this.hub = new Hub({ store: slowed(store, random), progressMs: 2, pace });
    this.hub.publishThrough(this);
  }

  publish(topic: string, frame: Frame): void {
    for (const socket of this.#sockets) {
      if (!socket.topics.has(topic)) continue;
      this.tally.published++;
      socket.take(frame);
    }
  }

  /** Does `steps` random things, lets everybody catch up, and compares each watch with the log. */
  async run(steps: number): Promise<void> {
    const { store } = await this.#store.status();
    this.#truth = new Truth(store);
    const over = new AbortController();
    const recording = this.#record(over.signal);
    try {
      for (let step = 0; step < steps; step++) {
        this.#step();
        await turns(this.#random.below(4));
      }
      await Promise.all(this.#pending);
      await this.#settle();
    } finally {
      // A failure must not be hidden by what goes on behind it.
      this.hub.stop();
      over.abort();
      for (const stream of this.#streams) stream.close();
      await Promise.all([recording, ...this.#pending]);
    }
    if (this.failures.length > 0) throw this.failures[0];
  }

  // --- internal ---

  #step(): void {
    const { pick, below } = this.#random;
    const socket = this.#sockets.length > 0 ? pick(this.#sockets) : undefined;
    const stream = this.#streams.length > 0 ? pick(this.#streams) : undefined;
    const choice = below(100);
    if (choice < 4 && this.#sockets.length < 6) this.#connect();
    else if (choice < 42) this.#background(this.#write());
    else if (choice < 60) this.#background(this.#watch(socket));
    else if (choice < 78 && stream !== undefined) this.#background(stream.read());
    else if (choice < 81 && stream !== undefined) this.#closeStream(stream);
    else if (choice >= 96) this.#background(this.#forget());
    else if (socket === undefined) return;
    else if (choice < 83) this.#unwatch(socket);
    else if (choice < 88) socket.slow = !socket.slow;
    else if (choice < 95) this.#drain(socket);
    else this.#close(socket);
  }

  #background(work: Promise<void>): void {
    const pending = work
      .catch((error: unknown) => void this.failures.push(error))
      .finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
  }

  #connect(): void {
    this.#sockets.push(new SimulatedSocket(this.hub, (error) => this.failures.push(error)));
  }

  async #write(): Promise<void> {
    const { pick, below, oneIn } = this.#random;
    const operations: Operation[] = [];
    const keys = new Set(Array.from({ length: oneIn(3) ? 5 : 1 }, () => pick(KEYS)));
    for (const key of keys) {
      // Now and then a value that makes the frame too large, or a few that do together.
      const length = oneIn(6) ? 60_000 + below(300_000) : below(100);
      const put = putOf(key, "x".repeat(length));
      if (oneIn(4)) operations.push(del(key));
      else operations.push(oneIn(3) ? { ...put, ttl: 1 + below(TTL_MS_MAX) } : put);
    }
    const { revision } = await write(this.#store, ...operations);
    this.#answered = Math.max(this.#answered, revision);
    this.tally.commits++;
  }

  async #watch(socket: SimulatedSocket | undefined): Promise<void> {
    const random = this.#random;
    const status = await this.#store.status();
    const from = random.oneIn(2) ? undefined : this.#start(status);
    const begin: WatchBegin = {
      ...(from === undefined ? undefined : { from }),
      ...(random.oneIn(2) ? { initial: true } : undefined),
    };
    const transport = random.pick<Transport>(["ws", "ws", "sse", "ndjson"]);
    const filter = randomFilter(random);
    const { ranges, ...shown } = filter;
    const recording = new Recording(transport, filter, begin, this.#answered);
    const options = { range: ranges, ...shown, ...begin };
    try {
      if (isStream(transport)) {
        const stream = await this.hub.openStream(transport, options);
        this.#streams.push(new SimulatedStream(stream, recording));
      } else if (socket !== undefined && !socket.closed) {
        await this.#watchBySocket(socket, options, recording);
      } else return;
    } catch (error) {
      return this.#refused(recording, error);
    }
    this.#recordings.push(recording);
    this.tally[transport as "ws"]++;
  }

  async #watchBySocket(
    socket: SimulatedSocket,
    options: WatchOptions,
    recording: Recording,
  ): Promise<void> {
    await socket.session.watch({
      ...options,
      created: ({ watch, revision, store }) => {
        if (socket.open.has(watch)) throw new Error(`watch ${watch} twice`);
        socket.open.set(watch, recording);
        recording.take({ type: "created", revision, store });
      },
    });
  }

  #refused(recording: Recording, error: unknown): void {
    if (!(error instanceof KvError)) throw error;
    const { code, details } = error;
    if (code === "conflict" || code === "unavailable") return;
    recording.refusal = { at: performance.now(), code, ...details };
    recording.end();
    this.#recordings.push(recording);
  }

  /** In the past, at the present, and now and then where nothing is to be had. */
  #start({ revision, oldest }: Status): number {
    const { below, oneIn } = this.#random;
    if (oneIn(3)) return revision + 1;
    if (oneIn(8)) return revision + 10_000;
    if (oneIn(4)) return 1 + below(oldest + 1);
    return oldest + 1 + below(revision - oldest + 1);
  }

  #unwatch(socket: SimulatedSocket): void {
    if (socket.open.size === 0) return;
    const watch = this.#random.pick([...socket.open.keys()]);
    if (!socket.session.unwatch(watch)) throw new Error(`no watch ${watch}`);
    socket.open.get(watch)!.end();
    socket.open.delete(watch);
  }

  #drain(socket: SimulatedSocket): void {
    if (socket.unsent > 1024 * 1024) this.tally.stalls++;
    socket.unsent = this.#random.oneIn(2) ? 0 : this.#random.below(socket.unsent + 1);
    if (socket.unsent === 0 && socket.slow) this.tally.resumed++;
    socket.session.drained();
  }

  #close(socket: SimulatedSocket): void {
    socket.session.close();
    socket.closed = true;
    for (const recording of socket.open.values()) recording.end();
    if (socket.topics.size > 0) throw new Error("still subscribed");
    this.#sockets.splice(this.#sockets.indexOf(socket), 1);
  }

  #closeStream(stream: SimulatedStream): void {
    stream.close();
    this.#streams.splice(this.#streams.indexOf(stream), 1);
  }

  async #forget(): Promise<void> {
    const { oldest } = await this.#store.status();
    const last = this.#truth.through;
    if (last <= oldest) return;
    const revision = last - this.#random.below(Math.min(last - oldest, 20));
    const compaction = { revision, sent: performance.now() };
    this.#truth.compactions.push(compaction);
    try {
      await this.#store.compact(revision);
      Object.assign(compaction, { answered: performance.now() });
    } catch (error) {
      // Another one has gone further meanwhile.
      if (!(error instanceof KvError) || error.code !== "compacted") throw error;
    }
  }

  /** Everybody reads again; every open watch must get to the end, and each must agree with the log. */
  async #settle(): Promise<void> {
    const { revision } = await this.#store.status();
    for (const socket of this.#sockets) socket.slow = false;
    // `progress` tells even the silent ones that they have come to the end.
    const late = (): Recording[] =>
      this.#recordings.filter(({ ended, through }) => ended === undefined && through < revision);
    let arrived = 0;
    for (let since = Date.now(); this.#truth.through < revision || late().length > 0;) {
      const now = this.#recordings.reduce((sum, { arrivals }) => sum + arrivals.length, 0);
      if (now > arrived) since = Date.now();
      arrived = now;
      if (Date.now() - since > 5_000) throw new Error(`never caught up: ${shown(late())}`);
      for (const socket of this.#sockets) {
        socket.unsent = 0;
        socket.session.drained();
      }
      await Promise.all(this.#streams.map((stream) => stream.read()));
      await Bun.sleep(0);
      if (this.failures.length > 0) throw this.failures[0];
    }
    // What is sent may be ahead of what is recorded here.
    while (this.#truth.through < (await this.#store.status()).revision) await Bun.sleep(0);
    const records = this.#recordings.map((one, at) => one.record(`watch ${at}`, revision));
    const [violation] = checkWatchers(records, this.#truth, { silenceMsMax: 60_000 });
    if (violation !== undefined) throw new Error(JSON.stringify(violation));
    for (const recording of this.#recordings) this.#count(recording);
  }

  #count({ arrivals }: Recording): void {
    const { tally } = this;
    let synced = false;
    for (const { frame } of arrivals) {
      if (frame.type === "state") tally.states++;
      else if (frame.type === "progress") tally.progress++;
      else if (frame.type === "end") tally.ended++;
      else if (frame.type === "reset") tally[synced ? "laterResets" : "resets"]++;
      else if (frame.type === "sync") {
        tally.syncs++;
        synced = true;
      } else if (frame.type === "change") {
        if (frame.more === true) tally.splits++;
        if ((frame.skipped ?? 0) > 0) tally.merged++;
        if (frame.events.some(({ prev }) => prev !== undefined)) tally.previous++;
      }
    }
  }

  /** Keeps every commit as it comes, before anything forgets it. */
  async #record(signal: AbortSignal): Promise<void> {
    for await (const { commits, through } of this.#store.changes(1, { signal })) {
      this.#truth.add(commits, through);
      for (const { events } of commits) if (events[0]!.type === "expire") this.tally.expired++;
    }
  }
}

function shown(recordings: readonly Recording[]): string {
  return JSON.stringify(
    recordings.map(({ arrivals, filter, begin, through }) => {
      const last = JSON.stringify(arrivals.at(-1)?.frame)?.slice(0, 100);
      return { filter, begin, through, last };
    }),
  );
}

/** The same store, whose answers take a number of turns that the seed decides. */
function slowed(store: Store, random: Random): Store {
  return altered(store, {
    async status() {
      await turns(random.below(3));
      const status = await store.status();
      await turns(random.below(3));
      return status;
    },
    get(key, options) {
      if (random.below(4) > 0) return store.get(key, options);
      return turns(random.below(3)).then(() => store.get(key, options));
    },
    async list(range, options) {
      await turns(random.below(3));
      return await store.list(range, { ...options, limit: 1 + random.below(4) });
    },
    async *changes(from, options) {
      for await (const chunk of store.changes(from, options)) {
        await turns(random.below(4));
        yield chunk;
      }
    },
  });
}

/** Lets others go on: for microtasks only, or for a turn of the event loop. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    if (turn % 2 === 0) await Promise.resolve();
    else await new Promise((resolve) => setImmediate(resolve));
  }
}
