/**
 * A store and the model are given the same random history, with reopenings in between, and must show
 * the same: every answer, every event, the state and the histories at every revision. Revisions are
 * compared by the commit they name, so a store may begin anywhere and leave gaps.
 */

import { expect } from "bun:test";
import * as fc from "fast-check";
import { KvError } from "../../src/errors.ts";
import type { Check, CommitResult, ListResult, Operation, Store, Txn } from "../../src/kv.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { propertySeed } from "../support/random.ts";
import {
  changesBetween,
  listPages,
  named,
  plainResult,
  shown,
  shownCommits,
} from "../support/stores.ts";
import { STEP_KEYS, step, type CheckPlan, type Step, type TxnPlan } from "./random-steps.ts";
import type { Open, Opened } from "./subject.ts";

/**
 * Throws with a seed that replays it unless the store does as the model does in `runs` random runs.
 * `KV_TEST_SEED` sets the seed. `inOrder`: commits that are sent together take effect in the order
 * sent, so they are sent together, and an engine may batch them.
 */
export async function sameAsModel(open: Open, runs: number, inOrder = true): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const opened = await open();
      const { time } = opened;
      const model = openModel(time === undefined ? {} : { clock: time.clock });
      const pair = new Pair(model, opened, inOrder);
      try {
        await pair.begin();
        for (const one of steps) await pair.take(one);
        await pair.compare();
        await pair.reopen();
        await pair.compare();
      } finally {
        await pair.close();
      }
    }),
    { numRuns: runs, ...propertySeed() },
  );
}

// --- internal ---

/** A revision that no run gets to. */
const NEVER = 2 ** 50;

/** By how much times to live are longer where the clock is the real one: nothing expires. */
const LONGER = 1_000_000;

/** What one of the two does, on itself and with its own revisions. */
type Act = (store: Store, revisions: readonly number[]) => Promise<unknown>;

/** A model, a store, and which revision of the one is which of the other. */
class Pair {
  readonly #model: ModelStore;
  readonly #opened: Opened;
  readonly #inOrder: boolean;
  #store: Store;
  /** Revisions of commits, oldest first: what both began with, then one of each. */
  readonly #ofModel: number[] = [];
  readonly #ofStore: number[] = [];
  /** The place of the oldest revision that can be read. */
  #oldest = 0;
  /** Has everything expired that is due? Then both are at the same revision. */
  #settled = true;

  constructor(model: ModelStore, opened: Opened, inOrder: boolean) {
    this.#inOrder = inOrder;
    this.#model = model;
    this.#opened = opened;
    this.#store = opened.store;
  }

  async begin(): Promise<void> {
    this.#ofModel.push(this.#model.status().revision);
    this.#ofStore.push((await this.#store.status()).revision);
  }

  async take(step: Step): Promise<void> {
    // Nobody looks: what fell due is met by the next step, whatever that is.
    if (step.kind === "advance") return this.#advance(step.ms, step.fire);
    if (step.kind === "reopen") await this.reopen();
    else if (step.kind === "commits") await this.#commit(step.txns);
    else if (step.kind === "compact") await this.#compact(step.back);
    else await this.#same(this.#reading(step));
    await this.#settle();
  }

  async reopen(): Promise<void> {
    await this.#settle();
    const before = await this.#store.status();
    if (this.#opened.reopen !== undefined) this.#store = await this.#opened.reopen();
    const after = await this.#store.status();
    expect([after.store, after.revision, after.oldest]).toEqual([
      before.store,
      before.revision,
      before.oldest,
    ]);
  }

  /** The state at every revision that can be read, all histories, and the whole change stream. */
  async compare(): Promise<void> {
    await this.#settle();
    for (let at = this.#oldest; at < this.#ofModel.length; at++) {
      await this.#same((store, revisions) => list(store, {}, {}, revisions[at]!));
    }
    for (const key of STEP_KEYS) await this.#same((store) => history(store, key, {}));
    await this.#same((store, revisions) => changes(store, {}, revisions, this.#oldest));
    const [ours, right] = [await this.#store.status(), this.#model.status()];
    expect(ours.keys).toBe(right.keys);
    expect([ours.oldest, ours.revision]).toEqual([
      this.#ofStore[this.#oldest]!,
      this.#ofStore.at(-1)!,
    ]);
  }

  async close(): Promise<void> {
    await this.#opened.close();
    await this.#model.close();
  }

  /** Sets the clock; `fire`: and lets the timer do what it is for, before anybody looks. */
  async #advance(ms: number, fire: boolean): Promise<void> {
    const { time } = this.#opened;
    if (time === undefined) return;
    time.now += ms;
    this.#settled = false;
    if (!fire) return;
    time.fire();
    const { keys } = this.#model.status();
    for (let turns = 0; (await this.#store.status()).keys !== keys; turns++) {
      expect(turns).toBeLessThan(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Lets everything expire that is due, and compares the events since the last time. */
  async #settle(): Promise<void> {
    await this.#store.list({}, { count: true });
    this.#settled = true;
    const since = this.#ofModel.length - 1;
    const ours = await news(this.#store, this.#ofStore);
    const right = await news(this.#model, this.#ofModel);
    expect(this.#named(ours, this.#ofStore)).toEqual(this.#named(right, this.#ofModel));
    expect(this.#ofStore.length).toBe(this.#ofModel.length);
    for (let at = Math.max(1, since); at < this.#ofStore.length; at++) {
      expect(this.#ofStore[at]).toBeGreaterThan(this.#ofStore[at - 1]!);
    }
  }

  async #same(act: Act): Promise<void> {
    const ours = await outcomeOf(act(this.#store, this.#ofStore));
    const right = await outcomeOf(act(this.#model, this.#ofModel));
    // What the store shows at a revision of its own is only comparable where both are at the same.
    // So are later pages: they are read at the revision of the first.
    if (!this.#settled) {
      for (const one of [ours, right]) for (const name of ["now", "later"]) delete one[name];
    }
    expect(this.#named(ours, this.#ofStore)).toEqual(this.#named(right, this.#ofModel));
  }

  #reading(step: Step): Act {
    const at = "back" in step && step.back !== "now" ? this.#place(step.back) : undefined;
    const revisionIn = (revisions: readonly number[]) =>
      at === undefined ? undefined : revisions[at]!;
    switch (step.kind) {
      case "list":
        return (store, revisions) => list(store, step.range, step.shape, revisionIn(revisions));
      case "get":
        return (store, revisions) => get(store, step.key, revisionIn(revisions));
      case "history":
        return (store, revisions) => {
          const before = revisionIn(revisions);
          const { limit, keys } = step;
          const options = { limit, keys, ...(before === undefined ? undefined : { before }) };
          return history(store, step.key, options);
        };
      case "changes":
        return (store, revisions) => changes(store, step.range, revisions, at!);
      default:
        throw new Error(`${step.kind} reads nothing`);
    }
  }

  async #compact(back: number): Promise<void> {
    const at = this.#place(back);
    await this.#same(async (store, revisions) => {
      const { oldest } = await store.compact(revisions[at]!);
      expect(oldest).toBe(revisions[at]!);
      return {};
    });
    this.#oldest = Math.max(this.#oldest, at);
  }

  async #commit(plans: readonly TxnPlan[]): Promise<void> {
    const toStore = plans.map((plan) => this.#txn(plan, this.#ofStore));
    const toModel = plans.map((plan) => this.#txn(plan, this.#ofModel));
    const ours = this.#inOrder
      ? await Promise.all(toStore.map((txn) => commit(this.#store, txn)))
      : await inTurn(this.#store, toStore);
    const right = await inTurn(this.#model, toModel);
    await this.#settle();
    expect(this.#named(ours, this.#ofStore)).toEqual(this.#named(right, this.#ofModel));
  }

  #txn(plan: TxnPlan, revisions: readonly number[]): Txn {
    const operations = (list: readonly Operation[]) =>
      this.#opened.time === undefined ? list.map(longer) : list;
    return {
      checks: plan.checks.map((check) => this.#check(check, revisions)),
      then: operations(plan.then),
      ...(plan.else ? { else: operations(plan.else) } : undefined),
    };
  }

  #check(plan: CheckPlan, revisions: readonly number[]): Check {
    const { key, not } = plan;
    const own = this.#model.get(key).entry;
    if (plan.on === "value") {
      return { key, not, value: plan.wanted === "own" ? (own?.value ?? NOTHING) : plan.wanted };
    }
    if (plan.on === "version") {
      const version = plan.wanted.map((one) => (one === "own" ? (own?.version ?? 0) : one));
      return { key, not, version: version.length === 1 ? version[0]! : version };
    }
    const revision = plan.wanted.map((wanted) => {
      if (wanted === "absent") return 0;
      if (typeof wanted === "number") {
        // What both began with is no commit, and may be 0 in one and not in the other.
        const at = revisions.length - wanted;
        return at >= 1 && at < revisions.length ? revisions[at]! : NEVER;
      }
      const at = this.#ofModel.indexOf(own?.revision ?? Number.NaN);
      // One that the model alone has made by looking: an expiry, after which there is no entry.
      return at === -1 ? 0 : revisions[at]!;
    });
    return { key, not, revision: revision.length === 1 ? revision[0]! : revision };
  }

  #place(back: number): number {
    return Math.max(0, this.#ofModel.length - 1 - back);
  }

  /** With the commits instead of their revisions. */
  #named(data: unknown, revisions: readonly number[]): unknown {
    const withNames = named(data, revisions);
    if (this.#opened.time !== undefined) return withNames;
    return JSON.parse(JSON.stringify(withNames, withoutDeadline));
  }
}

const NOTHING = new Uint8Array(0);

/** The commits that a store has beyond those known, whose revisions are added. */
async function news(store: Store, revisions: number[]) {
  const { revision } = await store.status();
  const commits = await changesBetween(store, revisions.at(-1)! + 1, revision);
  revisions.push(...commits.map((commit) => commit.revision));
  expect(revisions.at(-1)).toBe(revision);
  return shownCommits(commits);
}

/** Deadlines of two clocks are never the same. */
function withoutDeadline(name: string, item: unknown): unknown {
  return name === "expiresAt" ? "a deadline" : item;
}

function longer(operation: Operation): Operation {
  if (!("ttl" in operation) || typeof operation.ttl !== "number") return operation;
  return { ...operation, ttl: operation.ttl * LONGER };
}

async function list(
  store: Store,
  range: Parameters<Store["list"]>[0],
  shape: Parameters<Store["list"]>[1],
  revision: number | undefined,
) {
  const options = revision === undefined ? shape : { ...shape, revision };
  const pages = await listPages(store, range, options);
  return {
    now: { at: pages[0]!.revision },
    first: shownPage(pages[0]!),
    later: pages.slice(1).map(shownPage),
  };
}

function shownPage({ entries, folders, count, more, next }: ListResult) {
  return { entries: entries.map(shown), folders, count, more, next };
}

async function get(store: Store, key: string, revision: number | undefined) {
  const { revision: at, entry } = await store.get(key, revision === undefined ? {} : { revision });
  return { now: { at }, entry: entry && shown(entry) };
}

async function history(store: Store, key: string, options: Parameters<Store["history"]>[1]) {
  const { revision: at, entries, more } = await store.history(key, options);
  return { now: { at }, entries: entries.map(shown), more };
}

async function changes(
  store: Store,
  range: Parameters<Store["list"]>[0],
  revisions: readonly number[],
  at: number,
) {
  const last = revisions.at(-1)!;
  const commits = await changesBetween(store, revisions[at]! + 1, last, { range });
  // What the one has let expire, and the other not yet, is compared when both have.
  return { commits: shownCommits(commits.filter(({ revision }) => revision <= last)) };
}

function commit(store: Store, txn: Txn): Promise<Record<string, unknown>> {
  return outcomeOf(store.commit(txn).then(plain));
}

async function inTurn(store: Store, txns: readonly Txn[]): Promise<Record<string, unknown>[]> {
  const outcomes: Record<string, unknown>[] = [];
  for (const txn of txns) outcomes.push(await commit(store, txn));
  return outcomes;
}

/** What an action answers, or with what it fails. */
async function outcomeOf(action: Promise<unknown>): Promise<Record<string, unknown>> {
  try {
    return (await action) as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    const { index, oldest } = error.details;
    return { error: error.code, index, ...(oldest === undefined ? undefined : { oldest: true }) };
  }
}

function plain(result: CommitResult) {
  const { revision: at, results, ...rest } = result;
  return { ...rest, at, results: results.map(plainResult) };
}
