/**
 * One life of a store on a disk that fills up and is restarted on the way: a random load, held
 * against a plain map of what was acknowledged.
 */

import { expect } from "bun:test";
import { KvError } from "../../src/errors.ts";
import type { Operation } from "../../src/kv.ts";
import { FakeDisk } from "./fake-disk.ts";
import { expectTidy, openFilling, used, type Filling } from "./full-disk.ts";
import type { Random } from "./random.ts";
import { del, delRange, incr, listAll, put, textOf, touch, write } from "./stores.ts";

/** What happened, to see that runs are not too tame. */
export interface Outcome {
  refused: number;
  deletedWhileFull: number;
  resumed: number;
  restarts: number;
  yielded: number;
}

const RESERVE_BYTES = 24_000;
/** Keys that fit into the disk beside reserve and history at any rate. */
const KEYS = 12;
const VALUE_BYTES_MAX = 1_500;
/** Looks until a disk with enough room has to be one with room again. */
const LOOKS = 8;

export async function runFullDisk(random: Random): Promise<Outcome> {
  const run = new Run(random);
  await run.open(new FakeDisk());
  const steps = 150 + random.below(150);
  for (let step = 0; step < steps; step++) await run.step();
  await run.finish();
  return run.outcome;
}

// --- internal ---

class Run {
  readonly outcome: Outcome = {
    refused: 0,
    deletedWhileFull: 0,
    resumed: 0,
    restarts: 0,
    yielded: 0,
  };
  readonly #random: Random;
  readonly #options: { readonly [name: string]: number };
  /** What is acknowledged. */
  readonly #state = new Map<string, string>();
  #filling!: Filling;
  #revision = 0;
  #isFull = false;
  #capacityBytes: number;

  constructor(random: Random) {
    this.#random = random;
    this.#options = {
      reserveBytes: RESERVE_BYTES,
      segmentBytesMax: random.pick([2_000, 5_000, 20_000]),
      mergeBytesMin: 500,
      valueCacheBytesMax: random.pick([0, 4_000]),
    };
    this.#capacityBytes = 8_192 + RESERVE_BYTES * 1.1 + 60_000 + random.below(30_000);
  }

  async open(disk: FakeDisk): Promise<void> {
    disk.capacityBytes = this.#capacityBytes;
    const isNew = this.#revision === 0;
    this.#filling = await openFilling(this.#options, disk, isNew || this.#random.oneIn(2));
    await this.#check();
  }

  async step(): Promise<void> {
    const random = this.#random;
    if (random.oneIn(60)) return await this.#restart();
    if (random.oneIn(20)) await this.#filling.look();
    if (random.oneIn(25)) return await this.#check();
    if (random.oneIn(30)) return await this.#compact();
    const sent = Array.from({ length: 1 + random.below(3) }, () => this.#send());
    await Promise.all(sent);
  }

  /** With its live data far below the room, the store has to come to take writes again. */
  async finish(): Promise<void> {
    const { store, fatal, look } = this.#filling;
    for (let looks = 0; looks < LOOKS && this.#isFull; looks++) {
      await look();
      const probe = await write(store, put("probe", "x")).catch((error: KvError) => error.code);
      if (probe === "storage_full") continue;
      this.#isFull = false;
      this.#state.set("probe", "x");
      this.outcome.resumed++;
    }
    expect(this.#isFull).toBe(false);
    expect(fatal).toEqual([]);
    await this.#restart();
    await this.#filling.store.close();
    expectTidy(this.#filling.disk);
    expect(this.#filling.disk.openFiles).toBe(0);
    expect(used(this.#filling.disk)).toBeLessThanOrEqual(this.#capacityBytes);
  }

  async #send(): Promise<void> {
    const { store } = this.#filling;
    const operations = this.#operations();
    const puts = operations.some(({ op }) => op !== "delete" && op !== "deleteRange");
    try {
      const { revision } = await write(store, ...operations);
      expect(revision).toBeGreaterThanOrEqual(this.#revision);
      this.#revision = revision;
      for (const operation of operations) this.#apply(operation);
      if (puts && this.#isFull) this.outcome.resumed++;
      if (puts) this.#isFull = false;
      else if (this.#isFull) this.outcome.deletedWhileFull++;
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      if (error.code === "not_found") return;
      // The reserve is far more than all deletions of a run take.
      expect([error.code, puts]).toEqual(["storage_full", true]);
      this.#isFull = true;
      this.outcome.refused++;
    }
  }

  #operations(): Operation[] {
    const random = this.#random;
    const key = `k${random.below(KEYS)}`;
    if (random.oneIn(8)) return [del(key)];
    if (random.oneIn(40)) return [delRange({ prefix: `k${random.below(2)}` })];
    if (random.oneIn(12)) return [touch(key, "none")];
    if (random.oneIn(12)) return [incr("count")];
    const value = String.fromCharCode(97 + random.below(26)).repeat(random.below(VALUE_BYTES_MAX));
    return random.oneIn(6) ? [del(`k${random.below(KEYS)}`), put(key, value)] : [put(key, value)];
  }

  #apply(operation: Operation): void {
    const state = this.#state;
    if (operation.op === "put") state.set(operation.key, Buffer.from(operation.value).toString());
    if (operation.op === "delete") state.delete(operation.key);
    if (operation.op === "incr") state.set("count", String(Number(state.get("count") ?? 0) + 1));
    if (operation.op !== "deleteRange") return;
    const { prefix = "" } = operation.range;
    for (const key of state.keys()) if (key.startsWith(prefix)) state.delete(key);
  }

  async #compact(): Promise<void> {
    const { store } = this.#filling;
    const { oldest, revision } = await store.status();
    const to = oldest + this.#random.below(revision - oldest + 1);
    await store.compact(to).catch((error: KvError) => expect(error.code).toBe("compacted"));
  }

  async #restart(): Promise<void> {
    const { disk, notices, fatal } = this.#filling;
    this.outcome.yielded += notices.filter((notice) => notice.includes("forgot")).length;
    this.outcome.restarts++;
    expect(fatal).toEqual([]);
    if (this.#random.oneIn(3)) await this.#filling.store.close();
    const powerCut = this.#random.oneIn(2);
    await this.open(powerCut ? disk.powerCut(this.#random) : disk.kill());
  }

  /** Everything acknowledged is there, and nothing else. */
  async #check(): Promise<void> {
    const { store } = this.#filling;
    const { revision } = await store.status();
    expect(revision).toBeGreaterThanOrEqual(this.#revision);
    this.#revision = revision;
    const entries = await listAll(store, {});
    const shown = entries.map(({ key, value }) => [key, Buffer.from(value!).toString()]);
    expect(new Map(shown as [string, string][])).toEqual(new Map([...this.#state].toSorted()));
    const [key] = this.#state.keys();
    if (key !== undefined) expect(await textOf(store, key)).toBe(this.#state.get(key)!);
  }
}
