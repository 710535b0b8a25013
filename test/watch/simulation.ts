/**
 * A hub among connections, writers and a store that a seeded scheduler drives: whatever can happen next
 * happens in an order that the seed decides. Each watch is held against the log by a checker.
 */

import type { Commit, Operation, Range, Status, Store } from "../../src/kv.ts";
import type { SocketFrame } from "../../src/messages.ts";
import type { Frame } from "../../src/watch/frames.ts";
import { Hub } from "../../src/watch/hub.ts";
import type { Publisher, Subscriber } from "../../src/watch/subscriber.ts";
import type { WatchSession } from "../../src/watch/watch-session.ts";
import { KvError } from "../../src/errors.ts";
import { altered } from "../support/altered-store.ts";
import type { Random } from "../support/random.ts";
import { del, put as putOf, write } from "../support/stores.ts";
import { WatchChecker } from "../support/watch-checker.ts";

const KEYS = ["a", "a/1", "a/2", "b", "b/1", "ä", "𝄞"];
const RANGES: Range[] = [
  {},
  { prefix: "" },
  ...KEYS.map((key) => ({ key })),
  { prefix: "a" },
  { prefix: "a/" },
  { prefix: "b/" },
  { start: "a/2", end: "ä" },
  { start: "b" },
];

/** Milliseconds after which what was put is gone, at most. */
const TTL_MS_MAX = 20;

/** What happened, so that a test can tell that its rounds met every case. */
export interface Tally {
  commits: number;
  expired: number;
  watches: number;
  published: number;
  sent: number;
  splits: number;
  stalls: number;
  resumed: number;
  compacted: number;
  progress: number;
}

class Connection implements Subscriber {
  readonly transport = "ws";
  readonly topics = new Set<string>();
  readonly open = new Map<number, WatchChecker>();
  readonly session: WatchSession;
  unsent = 0;
  slow = false;
  closed = false;
  readonly #simulation: Simulation;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.session = simulation.hub.connect(this);
  }

  send(frame: Frame): void {
    this.#simulation.tally.sent++;
    this.take(frame.socketText);
  }

  take(frame: string): void {
    if (this.closed) throw new Error("a frame for a closed connection");
    if (this.slow) this.unsent += frame.length;
    if (this.unsent > 16 * 1024 * 1024) throw new Error("more than the platform's limit is unsent");
    const decoded = JSON.parse(frame) as SocketFrame;
    const checker = this.open.get(decoded.watch);
    if (checker === undefined) throw new Error(`a frame of no watch: ${frame.slice(0, 100)}`);
    const splits = checker.splits;
    checker.receive(decoded);
    const { tally } = this.#simulation;
    tally.splits += checker.splits - splits;
    if (decoded.type === "progress") tally.progress++;
    if (decoded.type === "end") {
      this.open.delete(decoded.watch);
      if (decoded.reason === "compacted") tally.compacted++;
    }
  }

  unsentBytes(): number {
    return this.unsent;
  }

  subscribe(topic: string): void {
    if (this.topics.has(topic)) throw new Error(`subscribed to ${topic} twice`);
    this.topics.add(topic);
  }

  unsubscribe(topic: string): void {
    if (!this.topics.delete(topic)) throw new Error(`not subscribed to ${topic}`);
  }

  fail(error: unknown): void {
    this.#simulation.failures.push(error);
  }
}

export class Simulation implements Publisher {
  readonly tally: Tally = {
    commits: 0,
    expired: 0,
    watches: 0,
    published: 0,
    sent: 0,
    splits: 0,
    stalls: 0,
    resumed: 0,
    compacted: 0,
    progress: 0,
  };
  readonly hub: Hub;
  readonly #store: Store;
  readonly #random: Random;
  readonly #connections: Connection[] = [];
  readonly #checkers: WatchChecker[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly failures: unknown[] = [];
  readonly #log: Commit[] = [];
  /** `#log` has every commit up to here. */
  #recorded = 0;
  /** The newest revision that any write was answered with. */
  #answered = 0;

  constructor(store: Store, random: Random) {
    this.#store = store;
    this.#random = random;
    this.hub = new Hub({ store: slowed(store, random), progressMs: 2 });
    this.hub.publishThrough(this);
  }

  publish(topic: string, { socketText }: Frame): void {
    for (const connection of this.#connections) {
      if (!connection.topics.has(topic)) continue;
      this.tally.published++;
      connection.take(socketText);
    }
  }

  /** Does `steps` random things, lets everybody catch up, and compares each watch with the log. */
  async run(steps: number): Promise<void> {
    const { revision } = await this.#store.status();
    this.#recorded = revision;
    const over = new AbortController();
    const recording = this.#record(revision, over.signal);
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
      await Promise.all([recording, ...this.#pending]);
    }
    if (this.failures.length > 0) throw this.failures[0];
  }

  // --- internal ---

  #step(): void {
    const { pick, below, oneIn } = this.#random;
    const connection = this.#connections.length > 0 ? pick(this.#connections) : undefined;
    const choice = below(100);
    if (connection === undefined || (choice < 4 && this.#connections.length < 6)) {
      this.#connections.push(new Connection(this));
    } else if (choice < 45) this.#background(this.#write());
    else if (choice < 70) this.#background(this.#watch(connection));
    else if (choice < 78) this.#unwatch(connection);
    else if (choice < 85) connection.slow = oneIn(2) ? !connection.slow : connection.slow;
    else if (choice < 96) this.#drain(connection);
    else if (choice < 98) this.#close(connection);
    else this.#background(this.#forget());
  }

  #background(work: Promise<void>): void {
    const pending = work
      .catch((error: unknown) => void this.failures.push(error))
      .finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
  }

  async #write(): Promise<void> {
    const { pick, below, oneIn } = this.#random;
    const operations: Operation[] = [];
    for (let count = oneIn(3) ? 5 : 1; count > 0; count--) {
      // Now and then a value that makes the frame too large, or a few that do together.
      const length = oneIn(6) ? 60_000 + below(300_000) : below(100);
      const put = putOf(pick(KEYS), "x".repeat(length));
      if (oneIn(4)) operations.push(del(pick(KEYS)));
      else operations.push(oneIn(3) ? { ...put, ttl: 1 + below(TTL_MS_MAX) } : put);
    }
    const { revision } = await write(this.#store, ...operations);
    this.#answered = Math.max(this.#answered, revision);
    this.tally.commits++;
  }

  async #watch(connection: Connection): Promise<void> {
    const range = this.#random.pick(RANGES);
    const status = await this.#store.status();
    const from = this.#random.oneIn(2) ? undefined : this.#start(status);
    const answered = this.#answered;
    const refused = await connection.session
      .watch({
        range,
        ...(from === undefined ? undefined : { from }),
        created: ({ watch, revision }) => {
          if (from !== undefined && revision !== from - 1) throw new Error("another start");
          if (revision < answered && from === undefined) throw new Error("an old start");
          if (connection.open.has(watch)) throw new Error(`watch ${watch} twice`);
          const checker = new WatchChecker(range, revision);
          connection.open.set(watch, checker);
          this.#checkers.push(checker);
          this.tally.watches++;
        },
      })
      .then(() => undefined)
      .catch((error: unknown) => error);
    if (refused === undefined) return;
    const expected = ["conflict", "compacted", "unavailable"];
    if (!(refused instanceof KvError) || !expected.includes(refused.code)) throw refused;
  }

  #start({ revision, oldest }: Status): number {
    const { below, oneIn } = this.#random;
    if (oneIn(3)) return revision + 1;
    return oldest + 1 + below(revision - oldest + 1);
  }

  #unwatch(connection: Connection): void {
    if (connection.open.size === 0) return;
    const watch = this.#random.pick([...connection.open.keys()]);
    if (!connection.session.unwatch(watch)) throw new Error(`no watch ${watch}`);
    connection.open.delete(watch);
  }

  #drain(connection: Connection): void {
    if (connection.unsent > 1024 * 1024) this.tally.stalls++;
    connection.unsent = this.#random.oneIn(2) ? 0 : this.#random.below(connection.unsent + 1);
    if (connection.unsent === 0 && connection.slow) this.tally.resumed++;
    connection.session.drained();
  }

  #close(connection: Connection): void {
    connection.session.close();
    connection.closed = true;
    if (connection.topics.size > 0) throw new Error("still subscribed");
    this.#connections.splice(this.#connections.indexOf(connection), 1);
  }

  async #forget(): Promise<void> {
    const { oldest } = await this.#store.status();
    const last = this.#recorded;
    if (last <= oldest) return;
    try {
      await this.#store.compact(last - this.#random.below(Math.min(last - oldest, 20)));
    } catch (error) {
      // Another one has gone further meanwhile.
      if (!(error instanceof KvError) || error.code !== "compacted") throw error;
    }
  }

  /** Everybody reads again; every open watch must get to the end, and each must agree with the log. */
  async #settle(): Promise<void> {
    const { revision } = await this.#store.status();
    const open = (): WatchChecker[] => this.#connections.flatMap(({ open }) => [...open.values()]);
    for (const connection of this.#connections) connection.slow = false;
    // `progress` tells even the silent ones that they have come to the end.
    const late = (): boolean =>
      this.#recorded < Math.max(revision, ...this.#checkers.map(({ through }) => through)) ||
      open().some(({ through }) => through < revision);
    for (const started = Date.now(); late();) {
      if (Date.now() - started > 10_000) throw new Error("a watch never catches up");
      for (const connection of this.#connections) {
        connection.unsent = 0;
        connection.session.drained();
      }
      await Bun.sleep(0);
      if (this.failures.length > 0) throw this.failures[0];
    }
    for (const checker of this.#checkers) checker.compare(this.#log);
  }

  /** Keeps every commit as it comes, before anything forgets it. */
  async #record(first: number, signal: AbortSignal): Promise<void> {
    for await (const { commits, through } of this.#store.changes(first + 1, { signal })) {
      this.#log.push(...commits);
      for (const { events } of commits) if (events[0]!.type === "expire") this.tally.expired++;
      this.#recorded = through;
    }
  }
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
