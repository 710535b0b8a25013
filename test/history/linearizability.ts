/**
 * Checker (b), which ignores revisions: for each key there must be an order of its operations that
 * agrees with time and explains every value, version and outcome that was answered. Shares no rule
 * of the data model with the checker of revisions.
 *
 * A key's history is cut wherever nothing is under way that comes to an end. What the key can be there
 * is carried over, with the operations of unknown outcome that may still be to come: the first
 * possibility at first, and the others where that one leads nowhere.
 */

import type { History, Violation } from "./history.ts";
import { describe } from "./history.ts";
import { operationsByKey, type KeyOperation } from "./key-operations.ts";
import { segmentOf, TooHard, type Segment } from "./search.ts";

export interface SearchOptions {
  /** Configurations of a key to visit before it is left undecided. */
  readonly configurationsMax?: number;
}

/** Empty when every key's history is linearizable. */
export function checkLinearizability(
  history: History,
  { configurationsMax = CONFIGURATIONS_MAX }: SearchOptions = {},
): Violation[] {
  const violations: Violation[] = [];
  for (const [key, operations] of operationsByKey(history)) {
    const violation = checkKey(key, operations, configurationsMax);
    if (violation !== undefined) violations.push(violation);
  }
  return violations;
}

// --- internal ---

/** More than any history has that is not built to be hard. */
const CONFIGURATIONS_MAX = 3_000_000;

function checkKey(
  key: string,
  operations: readonly KeyOperation[],
  configurationsMax: number,
): Violation | undefined {
  try {
    const segments = segmentsOf(operations, configurationsMax);
    const deepest = search(segments);
    if (deepest === undefined) return undefined;
    const what = deepest.stuck === undefined ? "" : `; not explained: ${shown(deepest.stuck)}`;
    return {
      rule: "not linearizable",
      message: `no order explains the answers about ${key}${what}`,
    };
  } catch (error) {
    if (!(error instanceof TooHard)) throw error;
    const message = `${operations.length} operations on ${key} have too many orders to try`;
    return { rule: "undecided", message };
  }
}

/** Answers a segment that has no way through, `undefined` if there is one through all of them. */
function search(segments: readonly Segment[]): Segment | undefined {
  let deepest = segments[0];
  segments[0]?.start({ state: undefined, open: [] });
  for (let at = 0, deep = 0; at < segments.length;) {
    const segment = segments[at]!;
    if (at > deep) [deep, deepest] = [at, segment];
    const possibility = segment.next();
    if (possibility === undefined) {
      if (at === 0) return deepest;
      at--;
    } else segments[++at]?.start(possibility);
  }
  return undefined;
}

function segmentsOf(operations: readonly KeyOperation[], configurationsMax: number): Segment[] {
  const budget = { left: configurationsMax };
  const endless: KeyOperation[] = [];
  return [...pieces(operations)].map((piece) => {
    const segment = segmentOf([...endless], piece, budget);
    endless.push(...piece.filter(({ end }) => end === Infinity));
    return segment;
  });
}

/** Cuts operations, which are in the order of their calls, where none is under way that comes to an end. */
function* pieces(operations: readonly KeyOperation[]): Generator<KeyOperation[]> {
  let segment: KeyOperation[] = [];
  let end = -Infinity;
  for (const operation of operations) {
    if (operation.call > end && segment.length > 0) {
      yield segment;
      segment = [];
    }
    segment.push(operation);
    if (operation.end < Infinity) end = Math.max(end, operation.end);
  }
  if (segment.length > 0) yield segment;
}

function shown(operation: KeyOperation): string {
  const source = operation.describe();
  return typeof source === "string" ? source : describe(source);
}
