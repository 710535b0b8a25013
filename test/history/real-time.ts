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

/** Between which places time leaves room for a write of unknown outcome. */
export interface Room {
  readonly from: number;
  readonly to: number;
}

export function checkRealTime(
  operations: readonly Operation[],
  { writes, table }: Replay,
): { violations: Violation[]; rooms: ReadonlyMap<Operation, Room> } {
  const violations: Violation[] = [];
  const floors = new Map<Operation, number>();
  /** The highest place of what was sent on each connection so far. */
  const connections = new Map<string, Placed>();
  const timeline = new Timeline(operations);
  for (const operation of timeline) {
    const { asked, answer, connection } = operation;
    if (answer.kind === "unknown") {
      if (canWrite(asked)) floors.set(operation, timeline.highest?.place ?? 0);
      continue;
    }
    if (answer.kind === "notApplied") continue;
    const ahead = asked.at === undefined ? connections.get(connection ?? "") : undefined;
    const before = higher(timeline.highest, ahead);
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
      violations.push(outOfOrder(before, placed, before === ahead));
    }
    if (connection === undefined) continue;
    connections.set(connection, higher(ahead, placed)!);
  }
  const rooms = new Map<Operation, Room>();
  for (const [operation, from] of floors) {
    const { answer } = operation;
    const until = answer.kind === "unknown" ? (answer.until ?? Infinity) : Infinity;
    rooms.set(operation, { from, to: timeline.lowestAfter(until) });
  }
  return { violations, rooms };
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
  /** The lowest place at or behind which all calls from each one on stand for certain. */
  #lowest: number[] | undefined;
  /** The highest place of what was answered before the call of the present operation. */
  highest: Placed | undefined;

  constructor(operations: readonly Operation[]) {
    this.#calls = [...operations].sort((a, b) => a.call - b.call);
    this.#returns = [...operations].sort((a, b) => a.return - b.return);
  }

  place(placed: Placed): void {
    this.#places.set(placed.by, placed);
  }

  /** Everything that was sent after a time stands at this place or behind it. */
  lowestAfter(time: number): number {
    this.#lowest ??= this.#suffixes();
    let low = 0;
    let high = this.#calls.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#calls[middle]!.call > time) high = middle;
      else low = middle + 1;
    }
    return this.#lowest[low]!;
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

  #suffixes(): number[] {
    const lowest = [Infinity];
    for (const { asked, answer } of this.#calls.toReversed()) {
      // An answer without a revision may stand higher than it has to; a read of an old one says
      // nothing about when it was made.
      const told = asked.at === undefined && "revision" in answer ? answer.revision : undefined;
      const place = told === undefined ? Infinity : 2 * told + 1;
      lowest.push(Math.min(place, lowest.at(-1)!));
    }
    return lowest.toReversed();
  }
}
