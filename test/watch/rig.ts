/**
 * A hub over a model store with connections that a test holds in its hand: what is unsent is a number,
 * and the store answers the hub's feed and the pulls of watchers only while they are let through.
 */

import type { Ranges, Store } from "../../src/kv.ts";
import type { SocketFrame } from "../../src/messages.ts";
import type { Frame } from "../../src/watch/frames.ts";
import { Hub, type HubOptions } from "../../src/watch/hub.ts";
import { Pace } from "../../src/watch/pace.ts";
import type { Publisher, Subscriber } from "../../src/watch/subscriber.ts";
import type { CreatedWatch, WatchOptions, WatchSession } from "../../src/watch/watch-session.ts";
import { altered } from "../support/altered-store.ts";
import { openModel, type ModelOptions, type ModelStore } from "../support/model-store.ts";

export class Gate {
  #open = Promise.resolve();
  #release = (): void => {};

  close(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#open = promise;
    this.#release = resolve;
  }

  open(): void {
    this.#release();
  }

  pass(): Promise<void> {
    return this.#open;
  }
}

export class RigConnection implements Subscriber {
  readonly transport = "ws";
  /** Frames in the order they came, and how each did. */
  readonly frames: (SocketFrame & { way: "sent" | "published" })[] = [];
  readonly topics = new Set<string>();
  readonly failures: unknown[] = [];
  readonly session: WatchSession;
  unsent = 0;
  /** The peer takes nothing. */
  stalled = false;

  constructor(hub: Hub) {
    this.session = hub.connect(this);
  }

  /** Watches and answers what `created` said. */
  watch(range: Ranges, from?: number): Promise<CreatedWatch> {
    return this.begin({ range, ...(from === undefined ? undefined : { from }) });
  }

  async begin(options: WatchOptions): Promise<CreatedWatch> {
    let answer: CreatedWatch | undefined;
    const created = (watch: CreatedWatch): void => void (answer = watch);
    await this.session.watch({ ...options, created });
    return answer!;
  }

  /** The peer takes everything but `left` bytes. */
  drain(left = 0): void {
    this.stalled = false;
    this.unsent = left;
    this.session.drained();
  }

  take(text: string, way: "sent" | "published"): void {
    if (this.stalled) this.unsent += text.length;
    this.frames.push({ ...(JSON.parse(text) as SocketFrame), way });
  }

  /** The revisions of the changes that came. */
  get revisions(): number[] {
    return this.frames.flatMap((frame) => (frame.type === "change" ? [frame.revision] : []));
  }

  send(frame: Frame): void {
    this.take(frame.socketText, "sent");
  }

  together(run: () => void): void {
    run();
  }

  unsentBytes(): number {
    return this.unsent;
  }

  subscribe(topic: string): void {
    this.topics.add(topic);
  }

  unsubscribe(topic: string): void {
    this.topics.delete(topic);
  }

  fail(error: unknown): void {
    this.failures.push(error);
  }
}

export class Rig implements Publisher, Disposable {
  readonly store: ModelStore;
  readonly hub: Hub;
  /** Chunks of the hub's own feed pass here. */
  readonly feed = new Gate();
  /** Chunks for watchers that catch up pass here. */
  readonly pulls = new Gate();
  /** Pages of states pass here. */
  readonly lists = new Gate();
  /** Errors that the next pulls of each kind meet, first come. */
  readonly feedErrors: unknown[] = [];
  readonly pullErrors: unknown[] = [];
  readonly listErrors: unknown[] = [];
  /** Revisions that are pinned now. */
  readonly pinned: number[] = [];
  /** Texts given to the publisher. */
  readonly published: string[] = [];
  /** The store answers each `get` in a later turn. */
  getsLater = false;
  /** The ranges that were pulled so far. */
  readonly pulled = new Set<string>();
  pullsRunning = 0;
  pullsMost = 0;
  readonly #connections: RigConnection[] = [];

  constructor(
    options: ModelOptions = {},
    progressMs = 1_000_000,
    pace: HubOptions["pace"] = new Pace(),
  ) {
    this.store = openModel(options);
    this.hub = new Hub({ store: this.#gated(), progressMs, pace });
    this.hub.publishThrough(this);
  }

  connect(): RigConnection {
    const connection = new RigConnection(this.hub);
    this.#connections.push(connection);
    return connection;
  }

  publish(topic: string, { socketText }: Frame): void {
    this.published.push(socketText);
    for (const connection of this.#connections) {
      if (connection.topics.has(topic)) connection.take(socketText, "published");
    }
  }

  [Symbol.dispose](): void {
    this.hub.stop();
  }

  // --- internal ---

  #get(...args: Parameters<Store["get"]>): ReturnType<Store["get"]> {
    const found = this.store.get(...args);
    return this.getsLater ? Promise.resolve(found) : found;
  }

  #gated(): Store {
    const { store } = this;
    const changes: Store["changes"] = (from, options) => {
      const chunks = store.changes(from, options);
      if (options?.range === undefined) return through(chunks, this.feed, this.feedErrors);
      this.pulled.add(JSON.stringify(options.range));
      return this.#counted(through(chunks, this.pulls, this.pullErrors));
    };
    const list: Store["list"] = async (range, options) => {
      await this.lists.pass();
      if (this.listErrors.length > 0) throw this.listErrors.shift();
      return store.list(range, options);
    };
    const pin = (revision: number): (() => void) => {
      this.pinned.push(revision);
      return () => void this.pinned.splice(this.pinned.indexOf(revision), 1);
    };
    return altered(store, { changes, list, pin, get: (...args) => this.#get(...args) });
  }

  async *#counted<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    this.pullsRunning++;
    this.pullsMost = Math.max(this.pullsMost, this.pullsRunning);
    try {
      yield* items;
    } finally {
      this.pullsRunning--;
    }
  }
}

/** Lets everything run that can run without time passing. */
export async function quiet(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function* through<T>(
  items: AsyncIterable<T>,
  gate: Gate,
  errors: unknown[],
): AsyncGenerator<T> {
  for await (const item of items) {
    await gate.pass();
    if (errors.length > 0) throw errors.shift();
    yield item;
  }
}
