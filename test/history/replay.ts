/**
 * Replays the commits of a history in the order of their revisions against a plain Map, and holds
 * every answer that names a revision against the state there. Real time is the business of others.
 */

import type { Done, History, Operation, RecordedCommit, Violation } from "./history.ts";
import { CLOCK_SLACK_MS, canWrite, describe, short, stepsOf } from "./history.ts";
import { misfit, misfitOfEvents, windowOf } from "./fits.ts";
import { evaluate, TENTATIVE, type State } from "./sequential.ts";
import { keysOf, Table } from "./table.ts";

/** A commit that no answered operation has made, and the unknown ones that would make it. */
export interface Orphan {
  readonly commit: RecordedCommit;
  readonly candidates: readonly Operation[];
}

export class Replay {
  readonly violations: Violation[] = [];
  readonly table: Table;
  /** Revisions of the operations that made a commit. */
  readonly writes = new Map<Operation, number>();
  readonly orphans: Orphan[] = [];
  readonly #history: History;
  /** Writes of unknown outcome by a key that they could change for certain. */
  readonly #unknown: readonly Operation[];

  constructor(history: History) {
    this.#history = history;
    this.table = new Table(keysOf(history));
    this.#unknown = history.operations.filter(
      ({ answer, asked }) => answer.kind === "unknown" && canWrite(asked),
    );
    if (this.#unknown.length > 0 && history.commits === undefined) {
      throw new Error("a history with unknown outcomes needs its commits");
    }
    this.#run();
  }

  #run(): void {
    const groups = groupsByRevision(this.#history);
    for (const revision of [...groups.keys()].sort((a, b) => a - b)) {
      const { commit, operations } = groups.get(revision)!;
      const writers = this.#write(revision, commit, operations);
      for (const operation of operations) {
        if (!writers.includes(operation)) this.#read(revision, operation);
      }
    }
  }

  /** Applies the commit of a revision, if there is one, and answers who claims to have made it. */
  #write(
    revision: number,
    commit: RecordedCommit | undefined,
    operations: readonly Operation[],
  ): readonly Operation[] {
    let writers = operations.filter((operation) => claims(operation, revision));
    if (writers.length === 0) {
      const deleting = operations.filter((one) => this.#deletes(one, revision, commit));
      // What undid changes of its own may have left no trace: it is asked last.
      writers = deleting.sort((a, b) => undone(a) - undone(b)).slice(0, 1);
    }
    const [writer, ...others] = writers;
    for (const other of others) this.#duplicate(revision, writer!, other);
    if (writer !== undefined) {
      this.writes.set(writer, revision);
      this.#commitOf(writer, revision, commit);
    } else if (commit !== undefined) this.#foreign(commit);
    return writers;
  }

  /**
   * Has an operation that shows nothing but deletions made the commit of this revision? Otherwise
   * what it deleted was its own, and it left no trace.
   */
  #deletes(operation: Operation, revision: number, commit: RecordedCommit | undefined): boolean {
    const { answer } = operation;
    if (answer.kind !== "done" || !answer.results.some(({ deleted = 0 }) => deleted > 0)) {
      return false;
    }
    const window = this.#window(operation);
    const outcome = evaluate(operation.asked, this.table, revision);
    if (outcome.changes.size === 0 || misfit(operation, outcome, window) !== undefined)
      return false;
    if (this.#history.commits === undefined) return true;
    return (
      commit !== undefined && misfitOfEvents(outcome.changes, commit.events, window) === undefined
    );
  }

  /** The commit of an answered operation. */
  #commitOf(writer: Operation, revision: number, commit: RecordedCommit | undefined): void {
    const window = this.#window(writer);
    const wrong = misfit(writer, evaluate(writer.asked, this.table, revision), window);
    if (wrong !== undefined) this.#fault("wrong answer", `${wrong}: ${describe(writer)}`);
    this.#checkOverdue(writer);
    const { succeeded } = writer.answer as Done;
    const forced = evaluate(writer.asked, this.table, revision, succeeded);
    if (this.#history.commits === undefined) {
      this.table.apply(revision, withDeadlines(forced.changes, writer));
    } else if (commit === undefined) {
      this.#fault("lost write", `no commit has revision ${revision}: ${describe(writer)}`);
    } else {
      const torn = misfitOfEvents(forced.changes, commit.events, window);
      if (torn !== undefined) {
        this.#fault("torn transaction", `${torn}: ${short(commit)}, made by ${describe(writer)}`);
      }
      this.table.applyEvents(commit);
    }
  }

  /** A commit that no answer names: of expired keys, or of an operation with unknown outcome. */
  #foreign(commit: RecordedCommit): void {
    if (commit.events.some(({ type }) => type === "expire")) this.#checkExpiry(commit);
    else {
      const candidates = this.#unknown.filter((operation) => this.#couldMake(operation, commit));
      this.orphans.push({ commit, candidates });
    }
    this.table.applyEvents(commit);
  }

  #couldMake(operation: Operation, { revision, events }: RecordedCommit): boolean {
    const first = events[0]!.key;
    const { then, else: otherwise = [] } = operation.asked;
    const named = [...then, ...otherwise].some((step) => !("key" in step) || step.key === first);
    // Only what names the key can have changed it; this spares most evaluations.
    if (!named) return false;
    const { changes } = evaluate(operation.asked, this.table, revision);
    return misfitOfEvents(changes, events, this.#window(operation)) === undefined;
  }

  #checkExpiry(commit: RecordedCommit): void {
    const { epoch } = this.#history;
    for (const { type, key } of commit.events) {
      const expiresAt = this.table.get(key)?.expiresAt;
      if (type !== "expire" || typeof expiresAt !== "number") {
        this.#fault("wrong expiry", `${key} had nothing to expire: ${short(commit)}`);
      } else if (epoch !== undefined && epoch + commit.seen < expiresAt - CLOCK_SLACK_MS) {
        const early = (expiresAt - epoch - commit.seen).toFixed();
        this.#fault("wrong expiry", `${key} expired ${early} ms early: ${short(commit)}`);
      }
    }
  }

  /** An answer that names a revision and has made no commit shows the state there. */
  #read(revision: number, operation: Operation): void {
    const outcome = evaluate(operation.asked, this.table, TENTATIVE);
    const wrong =
      misfit(operation, outcome, this.#window(operation)) ??
      (outcome.changes.size > 0 ? "it should have made a commit" : undefined);
    if (wrong !== undefined) {
      this.#fault("wrong answer", `at revision ${revision}, ${wrong}: ${describe(operation)}`);
    }
    if (operation.asked.at === undefined) this.#checkOverdue(operation);
  }

  /** Nobody meets a key whose time was over when the request was sent. */
  #checkOverdue(operation: Operation): void {
    const { epoch } = this.#history;
    if (epoch === undefined) return;
    for (const step of stepsOf(operation)) {
      if (!("key" in step)) continue;
      const expiresAt = this.table.get(step.key)?.expiresAt;
      if (typeof expiresAt !== "number") continue;
      const late = epoch + operation.call - expiresAt;
      if (late <= CLOCK_SLACK_MS) continue;
      this.#fault(
        "overdue key",
        `${step.key} is ${late.toFixed()} ms late: ${describe(operation)}`,
      );
    }
  }

  #duplicate(revision: number, first: Operation, second: Operation): void {
    const both = `${describe(first)}, and ${describe(second)}`;
    this.#fault("duplicate revision", `two writes have revision ${revision}: ${both}`);
  }

  #window(operation: Operation) {
    return windowOf(operation, this.#history.epoch);
  }

  #fault(rule: string, message: string): void {
    this.violations.push({ rule, message });
  }
}

// --- internal ---

interface Group {
  commit?: RecordedCommit;
  readonly operations: Operation[];
}

function groupsByRevision({ operations, commits = [] }: History): Map<number, Group> {
  const groups = new Map<number, Group>();
  const group = (revision: number): Group => {
    let found = groups.get(revision);
    if (found === undefined) groups.set(revision, (found = { operations: [] }));
    return found;
  };
  for (const commit of commits) group(commit.revision).commit = commit;
  for (const operation of operations) {
    const { answer, asked } = operation;
    if (answer.kind !== "done" && answer.kind !== "refused") continue;
    const revision = asked.at ?? answer.revision;
    if (revision !== undefined) group(revision).operations.push(operation);
  }
  return groups;
}

/** Does an answer say that its operation changed a key at this revision? */
function claims(operation: Operation, revision: number): boolean {
  const { answer } = operation;
  // 0 stands for what left no trace.
  if (answer.kind !== "done" || revision === 0) return false;
  return stepsOf(operation).some(({ op }, at) => {
    const changes = op === "put" || op === "touch" || op === "incr";
    return changes && answer.results[at]?.revision === revision;
  });
}

/** How many changes of an operation did its own deletes undo? */
function undone({ answer }: Operation): number {
  if (answer.kind !== "done") return 0;
  return answer.results.filter(({ revision }) => revision === 0).length;
}

/** Where there is no record of commits, the answers tell the deadlines. */
function withDeadlines(
  changes: ReadonlyMap<string, State | undefined>,
  writer: Operation,
): Map<string, State | undefined> {
  const { results } = writer.answer as Done;
  const applied = new Map(changes);
  for (const [at, step] of stepsOf(writer).entries()) {
    const expiresAt = results[at]?.expiresAt;
    if (!("key" in step) || expiresAt === undefined) continue;
    const state = applied.get(step.key);
    if (state !== undefined) applied.set(step.key, { ...state, expiresAt });
  }
  return applied;
}
