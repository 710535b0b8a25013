/**
 * A store that crashes again and again under random load, held against the model: what was acknowledged
 * is there, what was shown is there, and what is there is a prefix of what was sent, in order and whole.
 */

import { expect } from "bun:test";
import type { Operation, Store, Txn } from "../../src/kv.ts";
import { openModel } from "./model-store.ts";
import type { Random } from "./random.ts";
import { changesBetween, del, listAll, named, put, shown, shownCommits } from "./stores.ts";

export class CrashRun {
  readonly #random: Random;
  /** Every transaction that may be in the log, in the order sent. */
  #txns: Txn[] = [];
  /** Revisions that were answered, by the transaction that has them. */
  #answered = new Map<Txn, number>();
  /** The highest revision that anything has shown. */
  #shown = 0;
  #serial = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Sends transactions until `count` are answered or one fails. Answers whether all went well. */
  async load(store: Store, count: number): Promise<boolean> {
    let sent = 0;
    let failed = false;
    const client = async (): Promise<void> => {
      while (sent < count && !failed) {
        sent++;
        const txn = this.#transaction();
        this.#txns.push(txn);
        try {
          const { revision } = await store.commit(txn);
          this.#answered.set(txn, revision);
          this.#shown = Math.max(this.#shown, revision, (await store.status()).revision);
        } catch {
          failed = true;
        }
      }
    };
    await Promise.all(Array.from({ length: 1 + this.#random.below(4) }, client));
    return !failed;
  }

  /** Holds what a store has after a crash against what it may have, and goes on from there. */
  async verify(store: Store): Promise<void> {
    const { revision } = await store.status();
    expect(revision).toBeGreaterThanOrEqual(this.#shown);
    const ours = await this.#look(store);
    const revisions = [0, ...ours.commits.map((commit) => commit.revision)];

    const model = openModel();
    const kept: Txn[] = [];
    for (const txn of this.#txns) {
      const before = model.status().revision;
      if (before === ours.commits.length && !this.#answered.has(txn)) break;
      const { revision: at } = await model.commit(txn);
      kept.push(txn);
      const answered = this.#answered.get(txn);
      // A transaction that changed nothing was answered with the revision that it saw.
      if (answered !== undefined && at > before) expect(revisions[at]).toBe(answered);
    }
    const lost = this.#txns.slice(kept.length);
    expect(lost.filter((txn) => this.#answered.has(txn))).toEqual([]);
    const right = await this.#look(model);
    expect(ours.commits.length).toBe(right.commits.length);
    const { commits, status } = ours;
    const every = Array.from({ length: right.commits.length + 1 }, (_, at) => at);
    expect(named(commits, revisions)).toEqual(named(right.commits, every));
    // The newest state, and a few others: all of them would take longer with each crash.
    for (const at of [every.at(-1)!, ...every.filter(() => this.#random.oneIn(20))]) {
      const state = (await listAll(store, {}, { revision: revisions[at]! })).map(shown);
      const rightState = (await listAll(model, {}, { revision: at })).map(shown);
      expect(named(state, revisions)).toEqual(named(rightState, every));
    }
    expect(status.keys).toBe(right.status.keys);
    this.#txns = kept;
    this.#shown = revision;
  }

  async #look(store: Store) {
    const status = await store.status();
    const commits = shownCommits(await changesBetween(store, 1, status.revision));
    return { status, commits };
  }

  /** Puts and deletes of a few keys, sometimes under a condition. Each value is another one. */
  #transaction(): Txn {
    const random = this.#random;
    const key = (): string => random.pick(["a", "b", "c/d", "é", "\u{1F600}"]);
    const operation = (): Operation => {
      if (random.oneIn(4)) return del(key());
      const text = `${this.#serial++}:`.padEnd(random.below(random.oneIn(10) ? 3_000 : 60), "x");
      return put(key(), text);
    };
    const then = Array.from({ length: 1 + random.below(3) }, operation);
    const checks = random.oneIn(5) ? [{ key: key(), revision: 0, not: random.oneIn(2) }] : [];
    return { checks, then };
  }
}
