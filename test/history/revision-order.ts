/**
 * Checker (a), which goes by revisions: O(n log n) in the number of operations.
 *
 * - Replayed in the order of revisions, every answer is right where it says it stands, no two
 *   writes have the same revision, and every write is one whole commit.
 * - What was answered before a request was sent has no higher revision than what that one got.
 * - What has an unknown outcome is one commit or none; expired keys had a deadline.
 */

import type { History, Operation, Violation } from "./history.ts";
import { canWrite, describe, short } from "./history.ts";
import { checkRealTime, type Room } from "./real-time.ts";
import { Replay, type Orphan } from "./replay.ts";

/** Empty when the history is one of a strictly serialisable store. */
export function checkRevisionOrder(history: History): Violation[] {
  const { operations } = history;
  const replay = new Replay(history);
  const { violations, rooms } = checkRealTime(operations, replay);
  return [
    ...placeless(operations),
    ...commitOrder(history),
    ...replay.violations,
    ...violations,
    ...attribute(replay.orphans, rooms),
  ];
}

// --- internal ---

/** Without its revision the place of a write would be a guess. */
function placeless(operations: readonly Operation[]): Violation[] {
  return operations
    .filter(({ asked, answer }) => {
      return answer.kind === "done" && answer.revision === undefined && canWrite(asked);
    })
    .map((operation) => ({ rule: "no revision", message: describe(operation) }));
}

function commitOrder({ commits = [] }: History): Violation[] {
  const wrong = commits.findIndex(({ revision }, at) => {
    return at > 0 && revision <= commits[at - 1]!.revision;
  });
  if (wrong < 0) return [];
  const both = `${short(commits[wrong - 1])}, then ${short(commits[wrong])}`;
  return [{ rule: "order of the watch", message: both }];
}

/**
 * Finds for each commit that nobody was answered an operation with unknown outcome of its own: a
 * matching by augmenting paths, since operations can be alike (two deletes of one key).
 */
function attribute(orphans: readonly Orphan[], rooms: ReadonlyMap<Operation, Room>): Violation[] {
  const taken = new Map<Operation, Orphan>();
  const assign = (orphan: Orphan, tried: Set<Operation>): boolean => {
    const place = 2 * orphan.commit.revision;
    for (const operation of orphan.candidates) {
      const { from, to } = rooms.get(operation)!;
      if (tried.has(operation) || place < from || place > to) continue;
      tried.add(operation);
      const holder = taken.get(operation);
      if (holder !== undefined && !assign(holder, tried)) continue;
      taken.set(operation, orphan);
      return true;
    }
    return false;
  };
  return orphans
    .filter((orphan) => !assign(orphan, new Set()))
    .map(({ commit }) => ({ rule: "nobody's commit", message: short(commit) }));
}
