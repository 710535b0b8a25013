/**
 * What may be in a log after a crash: the commits that were made, in order, with the state after each,
 * and the transactions of which nobody knows. A log is explained by it or it is wrong.
 */

import type { Commit, Txn } from "../../../src/kv.ts";
import { effectOf, EMPTY, isDueExpiry, sameEvents, stateAfter, type State } from "./model.ts";

export interface Step {
  readonly commit: Commit;
  /** What there is after it. */
  readonly state: State;
}

/** A transaction, and the time by the clock when it was sent. */
export interface Sent {
  readonly txn: Txn;
  readonly at: number;
}

/** What must be there after a crash, at least. */
export interface Demand {
  /** Every commit up to this revision. */
  readonly revision: number;
  /** The oldest readable revision. */
  readonly oldest: number;
}

export class Ledger {
  /** The store id. */
  store: string | undefined;
  /** In the order of revisions. */
  steps: readonly Step[] = [];
  /** Transactions behind them that were sent and never answered, in order. */
  unknown: readonly Sent[] = [];
  /** The highest revision that anything has shown, lost or not. */
  shown = 0;
  /** The oldest readable revision that was shown last. */
  oldestSeen = 0;

  get last(): number {
    return this.steps.at(-1)?.commit.revision ?? 0;
  }

  get state(): State {
    return this.steps.at(-1)?.state ?? EMPTY;
  }

  copy(): Ledger {
    return Object.assign(new Ledger(), this);
  }

  /** The last commit at or below a revision. */
  lastUpTo(revision: number): number {
    const step = this.steps.findLast(({ commit }) => commit.revision <= revision);
    return step?.commit.revision ?? 0;
  }

  /** The state at a revision. */
  stateAt(revision: number): State {
    return this.steps.findLast(({ commit }) => commit.revision <= revision)?.state ?? EMPTY;
  }

  add(commit: Commit): void {
    this.steps = [...this.steps, { commit, state: stateAfter(this.state, commit) }];
  }

  /**
   * Becomes what a log shows: `commits` are all those above `oldest`, read at the time `now`.
   * @throws when they are not the first commits of these, perhaps with some of the unknown
   * transactions behind all of them, and with expiries of what is due.
   */
  becomes(commits: readonly Commit[], oldest: number, now: number): void {
    let known = this.steps.findIndex(({ commit }) => commit.revision > oldest);
    if (known < 0) known = this.steps.length;
    let at = 0;
    while (at < commits.length && known < this.steps.length) {
      if (!isSame(commits[at]!, this.steps[known]!.commit)) break;
      at++;
      known++;
    }
    const rest = commits.slice(at);
    const unknown = known === this.steps.length ? this.unknown : [];
    this.steps = this.steps.slice(0, known);
    this.unknown = [];
    const isSeen = rest.length > 0 && isDueExpiry(rest[0]!, this.state, now);
    if (oldest > this.last && !isSeen) this.#expire(oldest, now);
    this.follow(rest, unknown, now);
  }

  /** At a start keys expire, and that may be forgotten before anybody sees the commit. */
  #expire(revision: number, now: number): void {
    const due = [...this.state.values()].filter(({ expiresAt = Infinity }) => expiresAt <= now);
    if (due.length === 0) return;
    this.add({ revision, events: due.map(({ key }) => ({ type: "expire", key, revision })) });
  }

  /**
   * Adds commits that transactions have made in this order; not all need have come to it. Answers
   * those that have, by their commit's revision.
   */
  follow(commits: readonly Commit[], sent: readonly Sent[], now: number): Map<Txn, number> {
    const made = new Map<Txn, number>();
    let next = 0;
    for (const commit of commits) {
      const { revision, events } = commit;
      if (revision <= this.last) throw new Error(`revision ${revision} comes after ${this.last}`);
      if (!isDueExpiry(commit, this.state, now)) {
        let isMade = false;
        while (next < sent.length && !isMade) {
          const { txn, at } = sent[next]!;
          const effect = effectOf(txn, this.state, revision, at);
          isMade = effect.length > 0 && sameEvents(effect, events);
          if (isMade) made.set(txn, revision);
          else if (effect.length > 0) break;
          next++;
        }
        if (!isMade) throw unexplained(commit, sent[next], this.state);
      }
      this.add(commit);
    }
    return made;
  }
}

export function shownCommit({ revision, events }: Commit): string {
  const shown = events.map((event) => {
    if (event.type !== "put") return `${event.type} ${event.key}`;
    const { key, value, version, createRevision, expiresAt } = event;
    const start = Buffer.from(value).toString().slice(0, 8);
    return `put ${key}=${start} version ${version} of ${createRevision} until ${expiresAt}`;
  });
  return `revision ${revision} (${shown.join(", ")})`;
}

// --- internal ---

function unexplained(commit: Commit, sent: Sent | undefined, state: State): Error {
  const found = `nothing that was sent explains ${shownCommit(commit)}`;
  if (sent === undefined) return new Error(found);
  const { revision } = commit;
  const events = effectOf(sent.txn, state, revision, sent.at);
  return new Error(`${found}; next comes ${shownCommit({ revision, events })}`);
}

function isSame(a: Commit, b: Commit): boolean {
  return a.revision === b.revision && sameEvents(a.events, b.events);
}
