/**
 * A store and the model are given the same random transactions, with reopenings in between, and must show
 * the same: every answer, the state at every revision, and the change stream. Revisions are compared by
 * the commit they name, so a store may begin anywhere and leave gaps.
 */

import { expect } from "bun:test";
import * as fc from "fast-check";
import type { Check, CommitResult, Operation, Range, Store, Txn } from "../../src/kv.ts";
import { openModel, type ModelStore } from "../support/model-store.ts";
import { bytes, changesBetween, listAll, named, shown, shownCommits } from "../support/stores.ts";
import type { Open, Opened } from "./subject.ts";

/**
 * Throws with a seed that replays it unless the store does as the model does in `runs` random runs.
 * `KV_TEST_SEED` sets the seed. `inOrder`: commits that are sent together take effect in the order
 * sent, so they are sent together, and an engine may batch them.
 */
export async function sameAsModel(open: Open, runs: number, inOrder = true): Promise<void> {
  const seed = process.env["KV_TEST_SEED"];
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const pair = new Pair(openModel(), await open(), inOrder);
      try {
        for (const one of steps) await pair.take(one);
        await pair.compare();
        await pair.reopen();
        await pair.compare();
      } finally {
        await pair.close();
      }
    }),
    { numRuns: runs, ...(seed === undefined ? undefined : { seed: Number(seed) }) },
  );
}

// --- internal ---

/** A revision that no run gets to. */
const NEVER = 2 ** 50;

/** A check whose revision is the `back`-th newest commit's, or 0 (`"absent"`), or the key's own. */
interface CheckPlan {
  readonly key: string;
  readonly wanted: readonly (number | "absent" | "own")[];
  readonly not: boolean;
}

interface TxnPlan {
  readonly checks: readonly CheckPlan[];
  readonly then: readonly Operation[];
  readonly else?: readonly Operation[] | undefined;
}

type Step =
  | { readonly kind: "commits"; readonly txns: readonly TxnPlan[] }
  | { readonly kind: "list"; readonly range: Range; readonly limit: number; readonly back: number }
  | { readonly kind: "changes"; readonly range: Range; readonly back: number }
  | { readonly kind: "reopen" };

const key = fc.constantFrom("a", "a/b", "a\u0000", "b", "é", "\uFFFF", "\u{1F600}", "__proto__");

const value = fc.oneof(
  { weight: 5, arbitrary: fc.string({ unit: "grapheme", maxLength: 8 }).map(bytes) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 20_000 }).map(pattern) },
);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant("put" as const),
      key,
      value,
      contentType: fc.constantFrom("text/plain", "a", "x/y; z=1"),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("delete" as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("get" as const), key, keys: fc.boolean() }),
  },
);

const check: fc.Arbitrary<CheckPlan> = fc.record({
  key,
  wanted: fc.array(
    fc.oneof(
      fc.constantFrom("own" as const, "own" as const, "absent" as const),
      fc.nat({ max: 8 }),
    ),
    { minLength: 1, maxLength: 3 },
  ),
  not: fc.boolean(),
});

const txn: fc.Arbitrary<TxnPlan> = fc.record({
  checks: fc.array(check, { maxLength: 2 }),
  then: fc.array(operation, { maxLength: 6 }),
  else: fc.option(fc.array(operation, { maxLength: 3 }), { nil: undefined }),
});

const range: fc.Arbitrary<Range> = fc.oneof(
  fc.constant({}),
  fc.record({ key }),
  fc.record({ prefix: key }),
  fc.record({ start: key, end: key }),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("commits" as const),
      txns: fc.array(txn, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("list" as const),
      range,
      limit: fc.integer({ min: 1, max: 5 }),
      back: fc.nat({ max: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("changes" as const),
      range,
      back: fc.nat({ max: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "reopen" as const }) },
);

/** A model, a store, and which revision of the one is which of the other. */
class Pair {
  readonly #model: ModelStore;
  readonly #opened: Opened;
  #store: Store;
  /** Revisions of commits, oldest first: what both began with, then one of each. */
  readonly #ofModel: number[] = [];
  readonly #ofStore: number[] = [];

  readonly #inOrder: boolean;

  constructor(model: ModelStore, opened: Opened, inOrder: boolean) {
    this.#inOrder = inOrder;
    this.#model = model;
    this.#opened = opened;
    this.#store = opened.store;
  }

  async take(step: Step): Promise<void> {
    if (this.#ofModel.length === 0) await this.#begin();
    if (step.kind === "reopen") return this.reopen();
    if (step.kind === "commits") return this.#commit(step.txns);
    const at = Math.max(0, this.#ofModel.length - 1 - step.back);
    if (step.kind === "changes") return this.#changes(step.range, at);
    const options = (revision: number) => ({ revision, limit: step.limit });
    const ours = await listAll(this.#store, step.range, options(this.#ofStore[at]!));
    const right = await listAll(this.#model, step.range, options(this.#ofModel[at]!));
    expect(named(ours.map(shown), this.#ofStore)).toEqual(named(right.map(shown), this.#ofModel));
  }

  async reopen(): Promise<void> {
    const before = await this.#store.status();
    if (this.#opened.reopen !== undefined) this.#store = await this.#opened.reopen();
    const after = await this.#store.status();
    expect([after.store, after.revision]).toEqual([before.store, before.revision]);
  }

  /** The state at every revision, and the whole change stream. */
  async compare(): Promise<void> {
    if (this.#ofModel.length === 0) await this.#begin();
    for (const at of this.#ofModel.keys()) {
      const ours = await listAll(this.#store, {}, { revision: this.#ofStore[at]! });
      const right = await listAll(this.#model, {}, { revision: this.#ofModel[at]! });
      expect(named(ours.map(shown), this.#ofStore)).toEqual(named(right.map(shown), this.#ofModel));
    }
    await this.#changes({}, 0);
    const [ours, right] = [await this.#store.status(), this.#model.status()];
    expect(ours.keys).toBe(right.keys);
    expect(this.#ofStore.at(-1)).toBe(ours.revision);
    expect(this.#ofModel.at(-1)).toBe(right.revision);
  }

  async close(): Promise<void> {
    await this.#opened.close();
    await this.#model.close();
  }

  async #begin(): Promise<void> {
    this.#ofModel.push(this.#model.status().revision);
    this.#ofStore.push((await this.#store.status()).revision);
  }

  async #commit(plans: readonly TxnPlan[]): Promise<void> {
    const [toStore, toModel] = [this.#ofStore, this.#ofModel].map((revisions) =>
      plans.map((plan) => this.#txn(plan, revisions)),
    ) as [Txn[], Txn[]];
    const ours: CommitResult[] = [];
    if (this.#inOrder)
      ours.push(...(await Promise.all(toStore.map((txn) => this.#store.commit(txn)))));
    else for (const txn of toStore) ours.push(await this.#store.commit(txn));
    for (const [index, txn] of toModel.entries()) {
      const right = await this.#model.commit(txn);
      if (right.revision > this.#ofModel.at(-1)!) {
        this.#ofModel.push(right.revision);
        this.#ofStore.push(ours[index]!.revision);
        expect(this.#ofStore.at(-1)).toBeGreaterThan(this.#ofStore.at(-2)!);
      }
      expect(named(plain(ours[index]!), this.#ofStore)).toEqual(named(plain(right), this.#ofModel));
    }
  }

  #txn(plan: TxnPlan, revisions: readonly number[]): Txn {
    const revisionOf = (wanted: number | "absent" | "own", key: string): number => {
      if (wanted === "absent") return 0;
      if (typeof wanted === "number") {
        // What both began with is no commit, and may be 0 in one and not in the other.
        const at = revisions.length - wanted;
        return at >= 1 && at < revisions.length ? revisions[at]! : NEVER;
      }
      const current = this.#model.get(key).entry?.revision ?? 0;
      return current === 0 ? 0 : revisions[this.#ofModel.indexOf(current)]!;
    };
    const checks = plan.checks.map(({ key, wanted, not }): Check => {
      const all = wanted.map((one) => revisionOf(one, key));
      return { key, revision: all.length === 1 ? all[0]! : all, not };
    });
    return { checks, then: plan.then, ...(plan.else ? { else: plan.else } : undefined) };
  }

  async #changes(range: Range, at: number): Promise<void> {
    const between = (store: Store, revisions: readonly number[]) =>
      changesBetween(store, revisions[at]! + 1, revisions.at(-1)!, { range });
    const ours = shownCommits(await between(this.#store, this.#ofStore));
    const right = shownCommits(await between(this.#model, this.#ofModel));
    expect(named(ours, this.#ofStore)).toEqual(named(right, this.#ofModel));
  }
}

function plain(result: CommitResult): unknown {
  const results = result.results.map((one) =>
    one.op === "get" && one.entry !== undefined ? { ...one, entry: shown(one.entry) } : one,
  );
  const { revision: at, ...rest } = result;
  return { ...rest, at, results };
}

/** Bytes that are recognisably of this length. */
function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + length) & 0xff);
}
