/** Watchers, cuts, pauses and slow consumers at random: each watcher is held against the log. */

import { expect, test } from "bun:test";
import { filterOf } from "../../src/client/filter.ts";
import type { Change, WatchStart } from "../../src/client/parts.ts";
import type { Watches } from "../../src/client/watches.ts";
import { inRange } from "../../src/keys.ts";
import type { Range, Store } from "../../src/kv.ts";
import { startServer } from "../../src/http/server.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { rounds } from "../support/rounds.ts";
import { changesBetween, put, write } from "../support/stores.ts";
import { startCuttingProxy } from "./odd-server.ts";
import { quickWatches } from "./quick-watches.ts";
import { shownCommit } from "./shown-commit.ts";
import { until } from "./until.ts";

const RANGES: Range[] = [
  {},
  { prefix: "a/" },
  { prefix: "b" },
  { key: "a/1" },
  { start: "a/2", end: "b/2" },
];

test(
  "whatever is cut, paused, stopped and begun, each watcher sees its commits once and in order",
  async () => {
    for (let round = 0; round < rounds(6); round++) await withSeed(randomSeed(), storm);
  },
  rounds(10_000),
);

/** Watchers come and go at random while writes go on, connections are cut and consumers dawdle. */
async function storm(random: Random): Promise<void> {
  const store = openModel({ step: random.pick([1, 3]), chunkCommitsMax: random.pick([1, 5, 100]) });
  const server = startServer({ store, host: "127.0.0.1", port: 0, progressMs: 10 });
  const proxy = await startCuttingProxy(server.port);
  const watches = quickWatches(proxy.url, { bytesMax: random.pick([300, 3_000, 100_000]) });
  const followers: Follower[] = [];
  for (let step = 0; step < 150; step++) {
    const count = 1 + random.below(4);
    const keys = Array.from(
      { length: count },
      () => `${random.pick(["a", "b", "c"])}/${random.below(4)}`,
    );
    const size = random.oneIn(30) ? 300_000 : random.below(50);
    await write(store, ...keys.map((key) => put(key, `${step}:${"x".repeat(size)}`)));
    if (random.oneIn(6)) followers.push(new Follower(watches, store, random));
    if (random.oneIn(25)) proxy.cut();
    if (random.oneIn(15) && followers.length > 0) await random.pick(followers).stop();
    if (random.oneIn(4)) await Bun.sleep(random.below(4));
  }
  const { revision } = store.status();
  for (const follower of followers) await follower.finish(revision);
  watches.close();
  await proxy.stop();
  await server.stop();
  for (const follower of followers) await follower.check(store);
}

/** A watcher with a loop over it that dawdles. */
class Follower {
  readonly range: Range;
  readonly seen: Change[] = [];
  readonly #watcher;
  readonly #loop: Promise<void>;
  /** Not older than what had been committed before the call. */
  readonly #earliest: number;
  readonly #from: number | undefined;
  #through = 0;
  #hurry = false;
  #stopped = false;

  constructor(watches: Watches, store: ModelStore, random: Random) {
    this.range = random.pick(RANGES);
    const { revision } = store.status();
    this.#earliest = revision;
    this.#from = random.oneIn(2) ? 1 + random.below(revision) : undefined;
    this.#watcher = watches.watch({
      filter: filterOf(this.range),
      from: this.#from,
      waitForServer: true,
    });
    const begun = ({ revision }: WatchStart): void => {
      this.#through = Math.max(this.#through, revision);
    };
    this.#watcher.started.then(begun, () => {});
    this.#loop = this.#follow(random.below(5));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watcher.stop();
    await this.#loop;
  }

  /** Waits until it has come to `revision`. */
  async finish(revision: number): Promise<void> {
    this.#hurry = true;
    if (this.#stopped) return;
    await Promise.race([until(() => this.#through >= revision), this.#loop]);
  }

  async check(store: Store): Promise<void> {
    await this.#loop;
    const start = await this.#watcher.started.catch(() => undefined);
    if (start === undefined) {
      expect(this.seen).toEqual([]);
      return;
    }
    if (this.#from === undefined) expect(start.revision).toBeGreaterThanOrEqual(this.#earliest);
    else expect(start.revision).toBe(this.#from - 1);
    const { range } = this;
    const expected = await changesBetween(store, start.revision + 1, this.#through, { range });
    const known = expected.filter(({ revision }) => revision <= this.#through);
    expect(this.seen.map(shownCommit)).toEqual(known.map(shownCommit));
  }

  async #follow(dawdleMs: number): Promise<void> {
    for (;;) {
      const chunk = await this.#watcher.pull();
      if (chunk === undefined) return;
      for (const part of chunk.parts) {
        if (part.type !== "change") throw new Error(`a ${part.type} that nobody asked for`);
        for (const { key } of part.events) expect(inRange(this.range, key)).toBe(true);
        this.seen.push(part);
      }
      this.#through = chunk.through!;
      if (!this.#hurry) await Bun.sleep(dawdleMs);
    }
  }
}
