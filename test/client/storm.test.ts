/** Watches of every kind, cuts, restarts, compaction and slow consumers at random, held against the log. */

import { expect, test } from "bun:test";
import { filterOf } from "../../src/client/filter.ts";
import type { Commit, Ranges } from "../../src/kv.ts";
import { startServer, type RunningServer } from "../../src/http/server.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { randomSeed, withSeed, type Random } from "../support/random.ts";
import { RANDOM_MS_MAX, rounds } from "../support/rounds.ts";
import { changesBetween, del, put, write } from "../support/stores.ts";
import { Follower } from "./follower.ts";
import { startCuttingProxy, type CuttingProxy } from "./odd-server.ts";
import { quickWatches } from "./quick-watches.ts";

const RANGES: Ranges[] = [
  {},
  { prefix: "a/" },
  { prefix: "b" },
  { key: "a/1" },
  { start: "a/2", end: "b/2" },
  [{ key: "c/1" }, { prefix: "a" }, { key: "b/0" }],
];

const TRANSPORTS = ["websocket", "http"] as const;

for (const transport of TRANSPORTS) {
  test(
    `over ${transport}, whatever is cut, paused, stopped and forgotten, each watcher sees what happened`,
    async () => {
      for (let round = 0; round < rounds(2); round++) {
        await withSeed(randomSeed(), (random) => new Storm(random, transport).run());
      }
    },
    RANDOM_MS_MAX,
  );
}

/** Watchers come and go at random while writes go on, connections are cut and consumers dawdle. */
class Storm {
  readonly #random: Random;
  readonly #transport: (typeof TRANSPORTS)[number];
  readonly #store: ModelStore;
  readonly #followers: Follower[] = [];
  readonly #log: Commit[] = [];
  readonly #isForgetful: boolean;
  #server: RunningServer;

  constructor(random: Random, transport: (typeof TRANSPORTS)[number]) {
    this.#random = random;
    this.#transport = transport;
    const [step, chunkCommitsMax] = [random.pick([1, 3]), random.pick([1, 5, 100])];
    this.#store = openModel({ step, chunkCommitsMax });
    this.#isForgetful = random.oneIn(2);
    this.#server = this.#serve(0);
  }

  async run(): Promise<void> {
    const random = this.#random;
    const proxy = await startCuttingProxy(this.#server.port);
    const bytesMax = random.pick([300, 3_000, 100_000]);
    const watches = quickWatches(proxy.url, { bytesMax, transport: this.#transport });
    for (let step = 0; step < 120; step++) {
      await this.#write(step);
      if (random.oneIn(5)) this.#followers.push(new Follower(watches, this.#pickOptions()));
      await this.#disturb(proxy);
      if (random.oneIn(4)) await Bun.sleep(random.below(4));
    }
    const { revision } = this.#store.status();
    for (const follower of this.#followers) await follower.finish(revision);
    watches.close();
    await proxy.stop();
    await this.#server.stop();
    for (const follower of this.#followers) await follower.check(this.#log);
    if (this.#isForgetful) return;
    for (const { resets, isForgotten } of this.#followers) {
      expect([resets, isForgotten]).toEqual([0, false]);
    }
  }

  #serve(port: number): RunningServer {
    return startServer({ store: this.#store, host: "127.0.0.1", port, progressMs: 10 });
  }

  async #write(step: number): Promise<void> {
    const random = this.#random;
    const size = random.oneIn(30) ? 300_000 : random.below(50);
    const operations = Array.from({ length: 1 + random.below(4) }, () => {
      const key = `${random.pick(["a", "b", "c"])}/${random.below(4)}`;
      return random.oneIn(4) ? del(key) : put(key, `${step}:${"x".repeat(size)}`);
    });
    const before = this.#store.status().revision;
    await write(this.#store, ...operations);
    const { revision } = this.#store.status();
    this.#log.push(...(await changesBetween(this.#store, before + 1, revision, { prev: true })));
  }

  #pickOptions() {
    const random = this.#random;
    const { revision, oldest } = this.#store.status();
    const [prev, keys, latest] = [random.oneIn(3), random.oneIn(3), random.oneIn(3)];
    const initial = random.oneIn(2);
    const lowest = initial ? 1 : oldest + 1;
    const isPast = random.oneIn(2) && lowest <= revision;
    return {
      filter: filterOf(random.pick(RANGES), { prev, keys, latest }),
      from: isPast ? lowest + random.below(revision - lowest + 1) : undefined,
      initial,
      dawdleMs: random.below(5),
      earliest: revision,
    };
  }

  async #disturb(proxy: CuttingProxy): Promise<void> {
    const random = this.#random;
    if (random.oneIn(25)) proxy.cut();
    if (random.oneIn(15) && this.#followers.length > 0) await random.pick(this.#followers).stop();
    if (random.oneIn(40)) {
      const { port } = this.#server;
      await this.#server.stop();
      this.#server = this.#serve(port);
    }
    if (this.#isForgetful && random.oneIn(12)) {
      const { revision, oldest } = this.#store.status();
      this.#store.compact(oldest + random.below(revision - oldest + 1));
    }
  }
}
