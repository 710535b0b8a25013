/**
 * Stores that crash again and again, now in one mode of durability and now in another, held against
 * what was sent and answered: what survives is a prefix, and holds what the mode and the status said;
 * what is lost is never served as if it were known, and no revision comes a second time.
 */

import { expect } from "bun:test";
import type { Durability } from "../../src/durability.ts";
import { KvError } from "../../src/errors.ts";
import type { Store } from "../../src/kv.ts";
import type { FakeTime } from "./fake-time.ts";
import type { Random } from "./random.ts";
import { changesBetween, failure, put, textOf, write } from "./stores.ts";
import { turns } from "./turns.ts";

/** A put that was sent. */
interface Sent {
  readonly key: string;
  readonly text: string;
  /** Once it was answered, or seen in the log. */
  revision?: number;
}

const KEYS = ["a", "b", "c"];

export class DurabilityRun {
  readonly #random: Random;
  readonly #time: FakeTime;
  /** What the log has held at the last look, in order, and what was sent since. */
  #kept: Sent[] = [];
  #sent: Sent[] = [];
  /** Revisions that were answered, and are lost. */
  readonly #lost: number[] = [];
  /** The highest revision that was shown: ever, and before what was sent since the last look. */
  #shown = 0;
  #shownBefore = 0;
  /** The highest revision that is synced, as far as was said. */
  #synced = 0;
  #wasStopped = true;
  #hasFailed = false;
  #serial = 0;

  constructor(random: Random, time: FakeTime) {
    this.#random = random;
    this.#time = time;
  }

  /** Puts, until `count` are answered or one fails; then a stop in order, perhaps. */
  async load(store: Store, count: number): Promise<void> {
    this.#wasStopped = false;
    this.#hasFailed = false;
    let isFailed = false;
    const client = async (): Promise<void> => {
      while (this.#sent.length < count && !isFailed) {
        try {
          await this.#step(store);
        } catch (error) {
          if (!(error instanceof KvError)) throw error;
          isFailed = true;
        }
      }
    };
    await Promise.all(Array.from({ length: 1 + this.#random.below(3) }, client));
    if (isFailed || !this.#random.oneIn(3)) return;
    try {
      await store.close();
      // What fails on the way is told here or there.
      if (this.#hasFailed) return;
      this.#synced = this.#shown;
      this.#wasStopped = true;
    } catch {
      // Then it was none.
    }
  }

  /** The store has failed, and said so. */
  noteFailure(): void {
    this.#hasFailed = true;
  }

  /** Holds what is there after a crash against all that was said before it. */
  async verify(store: Store, crash: string): Promise<void> {
    const { revision, oldest } = await store.status();
    expect(revision).toBeGreaterThanOrEqual(this.#shown);
    if (this.#wasStopped) expect(revision).toBe(this.#shown);
    const commits = await changesBetween(store, oldest + 1, revision);

    const known = this.#kept.filter((sent) => sent.revision! > oldest);
    const forgotten = this.#sent.filter((sent) => (sent.revision ?? Infinity) <= oldest).length;
    const survived = forgotten + commits.length - known.length;
    expect(survived).toBeGreaterThanOrEqual(forgotten);
    const there = [...known, ...this.#sent.slice(forgotten, survived)];
    for (const [at, commit] of commits.entries()) {
      const { key, text, revision: answered } = there[at]!;
      const [event] = commit.events;
      expect([event!.key, event!.type === "put" && Buffer.from(event!.value).toString()]).toEqual([
        key,
        text,
      ]);
      expect(commit.revision).toBe(answered ?? commit.revision);
      if (at >= known.length) expect(commit.revision).toBeGreaterThan(this.#shownBefore);
      there[at]!.revision = commit.revision;
    }
    for (const { revision: answered } of this.#sent.slice(survived)) {
      if (answered === undefined) continue;
      expect([crash, answered > this.#synced]).toEqual(["power cut", true]);
      this.#lost.push(answered);
    }
    this.#kept = [...this.#kept, ...this.#sent.slice(0, survived)];
    this.#sent = [];
    await this.#checkState(store);
    await this.#checkLost(store, revision);
    this.#shown = revision;
    this.#shownBefore = revision;
    this.#synced = revision;
    this.#wasStopped = true;
  }

  async #step(store: Store): Promise<void> {
    const random = this.#random;
    this.#time.now += random.below(30);
    if (random.oneIn(4)) {
      this.#time.fire();
      if (random.oneIn(2)) await turns();
    }
    if (random.oneIn(30)) await this.#compact(store);
    const sent: Sent = {
      key: random.pick(KEYS),
      text: `${this.#serial++}:`.padEnd(random.below(random.oneIn(8) ? 900 : 60), "x"),
    };
    this.#sent.push(sent);
    sent.revision = (await write(store, put(sent.key, sent.text))).revision;
    expect(sent.revision).toBeGreaterThan(this.#shownBefore);
    const { revision, lag } = await store.status();
    this.#shown = Math.max(this.#shown, revision, sent.revision);
    this.#synced = Math.max(this.#synced, revision - (lag?.revisions ?? 0));
  }

  /** What a compaction forgets is synced. */
  async #compact(store: Store): Promise<void> {
    const known = this.#sent.findLast(({ revision }) => revision !== undefined);
    if (known === undefined) return;
    await store.compact(known.revision!);
    this.#synced = Math.max(this.#synced, known.revision!);
  }

  async #checkState(store: Store): Promise<void> {
    for (const key of KEYS) {
      const newest = this.#kept.findLast((sent) => sent.key === key);
      expect(await textOf(store, key)).toBe(newest?.text);
      const { entry } = await store.get(key);
      expect(entry?.revision).toBe(newest?.revision);
    }
  }

  async #checkLost(store: Store, revision: number): Promise<void> {
    for (const lost of this.#lost) {
      await failure(() => store.get("a", { revision: lost }), "compacted");
      await failure(() => changesBetween(store, lost + 1, revision), "compacted");
    }
  }
}

/** A mode of durability. */
export function anyMode(random: Random): Durability {
  return random.pick<Durability>([
    { mode: "sync" },
    { mode: "os" },
    { mode: "os" },
    { mode: "interval", ms: 20 },
    { mode: "interval", ms: 20 },
  ]);
}
