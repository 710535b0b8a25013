/**
 * Random load on a store: transactions together and one by one, keys that expire, compactions, and the
 * work that the store does by itself. Writes into the ledger what the store shows of it.
 */

import { KvError } from "../../../src/errors.ts";
import type { Commit, Operation, Txn } from "../../../src/kv.ts";
import type { LogStore } from "../../../src/log/engine.ts";
import type { FakeTime } from "../fake-time.ts";
import type { Random } from "../random.ts";
import { bytes, del } from "../stores.ts";
import type { Ledger } from "./ledger.ts";
import { commitsAbove, hold } from "./look.ts";
import { effectOf, sameEntry } from "./model.ts";

export interface LoadOptions {
  readonly store: LogStore;
  readonly ledger: Ledger;
  readonly time: FakeTime;
  readonly random: Random;
  /** Called when something was answered: it may not be lost from now on. */
  readonly answered: () => void;
  /** Looks at the store while no call to the disk fails; just looks when left out. */
  readonly quietly?: <T>(look: () => Promise<T>) => Promise<T>;
  /** Called after each step: nothing that was sent waits for its answer. */
  readonly rested?: () => void;
}

const KEYS = ["a", "b", "c/d", "é", "\u{1F600}", "k1", "k2", "k3"];
const TYPES = ["text/plain; charset=utf-8", "application/octet-stream"];

/** Does some steps, or fewer if the store fails. Answers whether it goes on. */
export async function load(options: LoadOptions, steps: number): Promise<boolean> {
  const { random } = options;
  for (let step = 0; step < steps; step++) {
    const kind = random.below(12);
    if (kind === 0) await compactSome(options);
    else if (kind === 1) await maintain(options.store);
    else if (kind === 2) await readSome(options);
    else if (!(await pinned(options, kind === 3 ? passTime : writeSome))) return false;
    options.rested?.();
  }
  return true;
}

/** Everything that is overdue expires, and the ledger knows. */
export async function settle(options: LoadOptions): Promise<void> {
  const { store, ledger, time, answered } = options;
  await store.expireOverdue();
  answered();
  ledger.follow(await newCommits(options), [], time.now);
}

/** All background work that is due. */
export async function maintain(store: LogStore): Promise<void> {
  await store.maintained();
}

// --- internal ---

/** What the store would forget by itself at once is not forgotten before it was seen. */
async function pinned<T>(
  options: LoadOptions,
  step: (options: LoadOptions) => Promise<T>,
): Promise<T> {
  const { store } = options;
  const unpin = store.pin(store.status().revision);
  try {
    return await step(options);
  } finally {
    unpin();
  }
}

async function writeSome(options: LoadOptions): Promise<boolean> {
  const { store, ledger, time, random, answered } = options;
  const count = random.oneIn(2) ? 1 : 1 + random.below(4);
  const sent = Array.from({ length: count }, () => ({ txn: transaction(random), at: time.now }));
  const answers = sent.map(async ({ txn }) => {
    const { revision } = await store.commit(txn);
    answered();
    return revision;
  });
  const outcomes = await Promise.allSettled(answers);
  const done = sent.filter((_, at) => outcomes[at]!.status === "fulfilled");
  const made = ledger.follow(await newCommits(options), done, time.now);
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.status === "fulfilled") {
      const revision = made.get(sent[at]!.txn);
      hold(
        revision === undefined || revision === outcome.value,
        `${revision} was answered wrongly`,
      );
    } else if (isUnknown(outcome.reason)) {
      ledger.unknown = [...ledger.unknown, sent[at]!];
    }
  }
  const last = done.at(-1);
  if (last !== undefined && !made.has(last.txn)) {
    const effect = effectOf(last.txn, ledger.state, 0, time.now);
    hold(made.size > 0 || effect.length === 0, "a transaction was answered and changed nothing");
  }
  ledger.shown = Math.max(ledger.shown, store.status().revision);
  return !outcomes.some((one) => one.status === "rejected" && isUnknown(one.reason));
}

/** May what failed so be in the log? Else it is not. */
function isUnknown(error: unknown): boolean {
  const code = error instanceof KvError ? error.code : undefined;
  if (code === "unavailable" || code === "storage_full") return false;
  if (code === "outcome_unknown") return true;
  throw error;
}

async function newCommits({ store, ledger, quietly }: LoadOptions): Promise<Commit[]> {
  const look = (): Promise<Commit[]> =>
    commitsAbove(store, Math.max(ledger.last, store.status().oldest));
  return await (quietly === undefined ? look() : quietly(look));
}

async function compactSome({ store, ledger, random, answered }: LoadOptions): Promise<void> {
  const { revision, oldest } = store.status();
  const past = ledger.steps.map(({ commit }) => commit.revision).filter((at) => at >= oldest);
  const at = random.pick([revision, ...past.slice(-10)]);
  try {
    await store.compact(at);
    answered();
  } catch (error) {
    const isForgotten = error instanceof KvError && error.code === "compacted";
    if (!isForgotten || store.status().oldest <= at) isUnknown(error);
  }
}

/** What is read is right, or the disk cannot be read. */
async function readSome({ store, ledger, time, random, quietly }: LoadOptions): Promise<void> {
  const key = random.pick(KEYS);
  const right = ledger.state.get(key);
  // It would expire first.
  if ((right?.expiresAt ?? Infinity) <= time.now) return;
  try {
    const { entry } = await store.get(key);
    const same = entry === undefined ? right === undefined : right && sameEntry(entry, right);
    hold(same === true, `${key} is read as of revision ${entry?.revision}`);
  } catch (error) {
    const isUnreadable = error instanceof KvError && error.code === "internal";
    if (!isUnreadable || quietly === undefined) throw error;
  }
}

/** Keys fall due, and timers fire. */
async function passTime(options: LoadOptions): Promise<boolean> {
  const { time, random } = options;
  time.now += random.below(4_000);
  time.fire();
  await settle(options);
  return true;
}

function transaction(random: Random): Txn {
  const keys = new Set(Array.from({ length: 1 + random.below(3) }, () => random.pick(KEYS)));
  const then = [...keys].flatMap((key): Operation[] => {
    if (random.oneIn(4)) return [del(key)];
    const size = random.oneIn(8) ? random.below(1_800) : random.below(40);
    const value = bytes(
      random
        .below(2 ** 32)
        .toString(36)
        .padEnd(size, "x"),
    );
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
