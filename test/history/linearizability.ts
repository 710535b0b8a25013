/**
 * Checker (b), which ignores revisions: for each key there must be an order of its operations that
 * agrees with time and explains every value, version and outcome that was answered. Shares no rule
 * of the data model with the checker of revisions.
 *
 * A key's history is cut wherever nothing with a certain outcome is under way, and what the key can
 * be there is carried over, with the operations of unknown outcome that are still to come.
 */

import type { History, Violation } from "./history.ts";
import { describe } from "./history.ts";
import { operationsByKey, type KeyOperation } from "./key-operations.ts";
import { searchSegment, TooHard, type Possibility } from "./search.ts";

export interface SearchOptions {
  /** Configurations to visit between two cuts of a key's history before it is left undecided. */
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
  let possibilities: readonly Possibility[] = [{ state: undefined, open: [] }];
  for (const segment of segments(operations)) {
    try {
      const found = searchSegment(possibilities, segment, configurationsMax);
      ({ possibilities } = found);
      if (possibilities.length > 0) continue;
      const what = found.stuck === undefined ? "" : `; not explained: ${shown(found.stuck)}`;
      const message = `no order explains the answers about ${key}${what}`;
      return { rule: "not linearizable", message };
    } catch (error) {
      if (!(error instanceof TooHard)) throw error;
      const message = `${segment.length} operations on ${key} have too many orders to try`;
      return { rule: "undecided", message: `${message}, from ${shown(segment[0]!)}` };
    }
  }
  return undefined;
}

/** Cuts operations, which are in the order of their calls, where none that will end is under way. */
function* segments(operations: readonly KeyOperation[]): Generator<KeyOperation[]> {
  let segment: KeyOperation[] = [];
  let end = -Infinity;
  for (const operation of operations) {
    if (operation.call > end && segment.length > 0) {
      yield segment;
      segment = [];
    }
    segment.push(operation);
    if (!operation.optional) end = Math.max(end, operation.end);
  }
  if (segment.length > 0) yield segment;
}

function shown(operation: KeyOperation): string {
  const source = operation.describe();
  return typeof source === "string" ? source : describe(source);
}
