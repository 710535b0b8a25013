/** Holds what a store shows against what may be there: quickly always, and with all its past at times. */

import type { Commit, Entry, Event, Status } from "../../../src/kv.ts";
import type { LogStore } from "../../../src/log/engine.ts";
import type { Random } from "../random.ts";
import { shownCommit, type Demand, type Ledger } from "./ledger.ts";
import { sameEntry, sameEvents, type State } from "./model.ts";

/**
 * Looks at a store that was just opened, at the time `now`: the ledger becomes what it shows.
 * @throws in words when that cannot be.
 */
export async function lookAt(
  store: LogStore,
  ledger: Ledger,
  demand: Demand,
  now: number,
): Promise<void> {
  const { status, commits, entries } = await steadily(store, async ({ oldest }) => ({
    commits: await commitsAbove(store, oldest),
    entries: await entriesOf(store),
  }));
  const { store: id, revision, oldest, keys } = status;
  const { store: known, shown } = ledger;
  const wanted = ledger.lastUpTo(demand.revision);
  ledger.becomes(commits, oldest, now);
  const { last } = ledger;
  holdShown({ store: id, revision, oldest, last }, { store: known, shown, wanted }, demand);
  ledger.store = id;
  ledger.shown = revision;
  ledger.oldestSeen = oldest;
  hold(keys === ledger.state.size, `there are ${keys} keys, and should be ${ledger.state.size}`);
  sameStates(entries, ledger.state, "now");
}

/** What a store shows that was just opened. */
export interface Shown {
  readonly store: string;
  readonly revision: number;
  readonly oldest: number;
  /** The last commit that is there. */
  readonly last: number;
}

/** Holds it against what was shown before: `wanted` is the last commit that may not be lost. */
export function holdShown(
  { store, revision, oldest, last }: Shown,
  before: { readonly store: string | undefined; readonly shown: number; readonly wanted: number },
  demand: Demand,
): void {
  const { store: known = store, shown, wanted } = before;
  hold(store === known, `the store is ${store}, and was ${known}`);
  hold(oldest <= revision, `the oldest revision is ${oldest}, above ${revision}`);
  hold(oldest >= demand.oldest, `the oldest revision is ${oldest}, and was ${demand.oldest}`);
  hold(last >= wanted, `revision ${last} is the last one, and ${wanted} may not be lost`);
  hold(revision >= shown, `the revision is ${revision}, and ${shown} had been shown`);
  hold(revision >= last, `the revision is ${revision}, and there is a commit ${last}`);
}

/** Where every answer waits for the disk, revisions are never passed over. */
export function holdRevision(store: LogStore, { last }: Ledger): void {
  const { revision, durability } = store.status();
  if (durability !== "sync") return;
  hold(revision === last, `the revision is ${revision}, but the last commit is ${last}`);
}

/** Looks at all that can be read of the past of a store. */
export async function lookBack(store: LogStore, ledger: Ledger, random: Random): Promise<void> {
  const past = ledger.steps.map(({ commit }) => commit.revision);
  const some = past.filter(() => random.oneIn(4));
  await steadily(store, async ({ revision, oldest }) => {
    for (const at of new Set([oldest, ...some.filter((one) => one > oldest), revision])) {
      sameStates(await entriesOf(store, at), ledger.stateAt(at), `at revision ${at}`);
    }
    samePrevious(await commitsAbove(store, oldest, true), ledger);
    await lookAtHistories(store, ledger, oldest);
    return {};
  });
}

/** All commits above a revision that a store shows. */
export async function commitsAbove(
  store: LogStore,
  above: number,
  prev = false,
): Promise<Commit[]> {
  const commits: Commit[] = [];
  const { revision } = store.status();
  if (above >= revision) return commits;
  for await (const chunk of store.changes(above + 1, { prev })) {
    for (const commit of chunk.commits) commits.push(commit);
    if (chunk.through >= revision) break;
  }
  return commits;
}

export function hold(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

// --- internal ---

/** Looks again when the store has compacted or let keys expire meanwhile, as it does by itself. */
async function steadily<T>(
  store: LogStore,
  look: (status: Status) => Promise<T>,
): Promise<T & { readonly status: Status }> {
  for (;;) {
    const status = store.status();
    const seen = await look(status).catch((error: unknown) => error as Error);
    const after = store.status();
    const isSteady = after.oldest === status.oldest && after.revision === status.revision;
    if (!isSteady) continue;
    if (seen instanceof Error) throw seen;
    return { ...seen, status };
  }
}

function samePrevious(commits: readonly Commit[], ledger: Ledger): void {
  for (const { revision, events } of commits) {
    for (const { key, prev } of events) {
      const before = ledger.stateAt(revision - 1).get(key);
      const same = before === undefined ? prev === undefined : prev && sameEntry(prev, before);
      hold(same === true, `what was before ${key} at ${revision} is not right`);
    }
  }
}

async function entriesOf(store: LogStore, revision?: number): Promise<readonly Entry[]> {
  const page = await store.list({}, revision === undefined ? {} : { revision });
  hold(!page.more, "a list of few keys has several pages");
  return page.entries as readonly Entry[];
}

function sameStates(shown: readonly Entry[], right: State, when: string): void {
  hold(shown.length === right.size, `${shown.length} keys ${when}, and should be ${right.size}`);
  for (const entry of shown) {
    const wanted = right.get(entry.key);
    const same = wanted !== undefined && sameEntry(entry, wanted);
    hold(same, `${entry.key} ${when} is of revision ${entry.revision}, not ${wanted?.revision}`);
  }
}

async function lookAtHistories(store: LogStore, ledger: Ledger, oldest: number): Promise<void> {
  const histories = new Map<string, Event[]>();
  for (const { commit } of ledger.steps) {
    for (const event of commit.events) {
      if (!histories.has(event.key)) histories.set(event.key, []);
      histories.get(event.key)!.unshift(event);
    }
  }
  for (const [key, all] of histories) {
    const above = all.filter(({ revision }) => revision > oldest);
    const at = ledger.stateAt(oldest).get(key);
    const right: Event[] = at === undefined ? above : [...above, { type: "put", ...at }];
    const { entries: found } = await store.history(key);
    const same = sameEvents(found as readonly Event[], right);
    hold(
      same,
      `the history of ${key} is ${shownCommit({ revision: 0, events: found as Event[] })}`,
    );
  }
}
