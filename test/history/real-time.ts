/**
 * The order of revisions against the order of time: what was answered before another request was
 * sent comes before it. A write of revision r stands at place 2r, a read of the state there at
 * 2r + 1; along the clock no request may be sent behind an answer that stands at a higher place.
 */

import type { Operation, Violation } from "./history.ts";
import { canWrite, describe } from "./history.ts";
import { misfit } from "./fits.ts";
import type { Replay } from "./replay.ts";
import { evaluate, keysIn, TENTATIVE } from "./sequential.ts";
import { keysOfOperation, type Table } from "./table.ts";

/** The highest revision that had been answered before each unknown write was sent. */
export type Floors = ReadonlyMap<Operation, number>;

export function checkRealTime(
  operations: readonly Operation[],
  { writes, table }: Replay,
): { violations: Violation[]; floors: Floors } {
  const violations: Violation[] = [];
  const floors = new Map<Operation, number>();
  const connections = new Map<string, Placed>();
  const timeline = new Timeline(operations);
  for (const operation of timeline) {
    const { asked, answer, connection } = operation;
    if (answer.kind === "unknown") {
      if (canWrite(asked)) floors.set(operation, timeline.highest?.place ?? 0);
      continue;
    }
    if (answer.kind === "notApplied") continue;
    const sent = connection === undefined ? undefined : connections.get(connection);
    const before = higher(timeline.highest, asked.at === undefined ? sent : undefined);
    const place = placeOf(operation, writes) ?? earliestFit(operation, table, before?.place ?? 0);
    if (place === undefined) {
      const message = `no state since ${before === undefined ? "the start" : describe(before.by)}`;
      violations.push({ rule: "stale read", message: `${message} fits ${describe(operation)}` });
      continue;
    }
    const placed = { place, by: operation };
    // What asks for an old revision may see it however late; it only shows that it is there.
    timeline.place(placed);
    if (asked.at !== undefined) continue;
    if (before !== undefined && place < before.place) {
      violations.push(outOfOrder(before, placed, before === sent));
    }
    if (connection !== undefined) connections.set(connection, higher(sent, placed)!);
  }
  return { violations, floors };
}

// --- internal ---

interface Placed {
  readonly place: number;
  readonly by: Operation;
}

function higher(a: Placed | undefined, b: Placed | undefined): Placed | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.place > a.place ? b : a;
}

function placeOf(operation: Operation, writes: Replay["writes"]): number | undefined {
  const { asked, answer } = operation;
  const write = writes.get(operation);
  if (write !== undefined) return 2 * write;
  if (answer.kind !== "done" && answer.kind !== "refused") return undefined;
  const revision = asked.at ?? answer.revision;
  return revision === undefined ? undefined : 2 * revision + 1;
}

/** The first place at or behind `floor` where an answer that names no revision is right. */
function earliestFit(operation: Operation, table: Table, floor: number): number | undefined {
  const keys = keysOfOperation(operation);
  for (const step of operation.asked.then) {
    if ("range" in step) for (const key of keysIn(table.keys, step.range)) keys.add(key);
  }
  let revision: number | undefined = Math.floor(floor / 2);
  while (revision !== undefined) {
    const { changes, ...outcome } = evaluate(operation.asked, table.at(revision), TENTATIVE);
    const fits = misfit(operation, { ...outcome, changes }, undefined) === undefined;
    if (fits && changes.size === 0) return 2 * revision + 1;
    revision = table.nextChange(keys, revision);
  }
  return undefined;
}

function outOfOrder(before: Placed, after: Placed, sameConnection: boolean): Violation {
  const writes = ({ place }: Placed): boolean => place % 2 === 0;
  let rule = "stale read";
  if (sameConnection) rule = "order of a connection";
  else if (writes(after)) rule = writes(before) ? "order of writes" : "future read";
  const order = sameConnection ? "was sent before" : "was answered before the call of";
  const revisions = `revision ${revisionOf(before)} ${order} revision ${revisionOf(after)}`;
  return { rule, message: `${revisions}: ${describe(before.by)}, then ${describe(after.by)}` };
}

function revisionOf({ place }: Placed): number {
  return Math.floor(place / 2);
}

/** The operations in the order of their calls, and what had been answered by then. */
class Timeline {
  readonly #calls: readonly Operation[];
  readonly #returns: readonly Operation[];
  readonly #places = new Map<Operation, Placed>();
  /** The highest place of what was answered before the call of the present operation. */
  highest: Placed | undefined;

  constructor(operations: readonly Operation[]) {
    this.#calls = [...operations].sort((a, b) => a.call - b.call);
    this.#returns = [...operations].sort((a, b) => a.return - b.return);
  }

  place(placed: Placed): void {
    this.#places.set(placed.by, placed);
  }

  *[Symbol.iterator](): Generator<Operation> {
    let answered = 0;
    for (const operation of this.#calls) {
      // Only what was over before counts: at the same instant they may have overlapped.
      while (this.#returns[answered]!.return < operation.call) {
        this.highest = higher(this.highest, this.#places.get(this.#returns[answered]!));
        answered++;
      }
      yield operation;
    }
  }
}
