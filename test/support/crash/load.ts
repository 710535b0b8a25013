/**
 * Random load on a store: transactions together and one by one, keys that expire, compactions, and the
 * work that the store does by itself. Writes into the ledger what the store shows of it.
 */

import { KvError } from "../../../src/errors.ts";
import type { Operation, Txn } from "../../../src/kv.ts";
import type { LogStore } from "../../../src/log/engine.ts";
import type { FakeTime } from "../fake-time.ts";
import type { Random } from "../random.ts";
import { bytes, del } from "../stores.ts";
import type { Ledger } from "./ledger.ts";
import { commitsAbove, hold } from "./look.ts";
import { effectOf } from "./model.ts";

export interface LoadOptions {
  readonly store: LogStore;
  readonly ledger: Ledger;
  readonly time: FakeTime;
  readonly random: Random;
  /** Called when something was answered: it may not be lost from now on. */
  readonly answered: () => void;
}

const KEYS = ["a", "b", "c/d", "é", "\u{1F600}", "k1", "k2", "k3"];
const TYPES = ["text/plain; charset=utf-8", "application/octet-stream"];

/** Does some steps, or fewer if the store fails. Answers whether it goes on. */
export async function load(options: LoadOptions, steps: number): Promise<boolean> {
  const { random } = options;
  for (let step = 0; step < steps; step++) {
    const kind = random.below(12);
    if (kind === 0) await compactSome(options);
    else if (kind === 1) await passTime(options);
    else if (kind === 2) await maintain(options.store);
    else if (!(await writeSome(options))) return false;
  }
  return true;
}

/** All background work that is due. */
export async function maintain(store: LogStore): Promise<void> {
  await (store as { maintained?: () => Promise<void> }).maintained?.();
}

// --- internal ---

let serial = 0;

async function writeSome({ store, ledger, time, random, answered }: LoadOptions): Promise<boolean> {
  const count = random.oneIn(2) ? 1 : 1 + random.below(4);
  const txns = Array.from({ length: count }, () => transaction(random));
  const sent = txns.map(async (txn) => {
    const { revision } = await store.commit(txn);
    answered();
    return revision;
  });
  const outcomes = await Promise.allSettled(sent);
  const done = txns.filter((_, at) => outcomes[at]!.status === "fulfilled");
  const made = ledger.follow(await newCommits(store, ledger), done, time.now);
  for (const [at, outcome] of outcomes.entries()) {
    const txn = txns[at]!;
    if (outcome.status === "fulfilled") {
      const revision = made.get(txn);
      hold(
        revision === undefined || revision === outcome.value,
        `${revision} was answered wrongly`,
      );
    } else if (codeOf(outcome.reason) === "outcome_unknown") {
      ledger.unknown = [...ledger.unknown, txn];
    }
  }
  const last = done.at(-1);
  if (last !== undefined && !made.has(last)) {
    const effect = effectOf(last, ledger.state, 0, time.now);
    hold(made.size > 0 || effect.length === 0, "a transaction was answered and changed nothing");
  }
  ledger.shown = Math.max(ledger.shown, store.status().revision);
  return !outcomes.some(({ status }) => status === "rejected");
}

/** The code of an error that a write may fail with; any other error is thrown. */
function codeOf(error: unknown): string {
  const code = error instanceof KvError ? error.code : undefined;
  if (code === "outcome_unknown" || code === "unavailable" || code === "storage_full") return code;
  throw error;
}

async function newCommits(store: LogStore, ledger: Ledger) {
  return await commitsAbove(store, Math.max(ledger.last, store.status().oldest));
}

async function compactSome({ store, ledger, random, answered }: LoadOptions): Promise<void> {
  const { revision, oldest } = store.status();
  const past = ledger.steps.map(({ commit }) => commit.revision).filter((at) => at >= oldest);
  const at = random.pick([revision, ...past.slice(-10)]);
  try {
    await store.compact(at);
    answered();
  } catch (error) {
    codeOf(error);
  }
}

/** Keys fall due, and timers fire. */
async function passTime({ store, ledger, time, random, answered }: LoadOptions): Promise<void> {
  time.now += random.below(4_000);
  time.fire();
  await store.expireOverdue();
  answered();
  ledger.follow(await newCommits(store, ledger), [], time.now);
}

function transaction(random: Random): Txn {
  const keys = new Set(Array.from({ length: 1 + random.below(3) }, () => random.pick(KEYS)));
  const then = [...keys].flatMap((key): Operation[] => {
    if (random.oneIn(4)) return [del(key)];
    const size = random.oneIn(8) ? random.below(1_800) : random.below(40);
    const value = bytes(`${serial++ % 10_000}:`.padEnd(size, "x"));
    const ttl = random.oneIn(5) ? 1 + random.below(8_000) : undefined;
    const contentType = random.pick(TYPES);
    const plain = { op: "put", key, value, contentType } as const;
    const put = random.oneIn(8)
      ? { ...plain, ttl: "keep" as const }
      : ttl === undefined
        ? plain
        : { ...plain, ttl };
    // Deleted and put again in one commit: made anew.
    return random.oneIn(10) ? [del(key), put] : [put];
  });
  return { checks: [], then };
}
