/**
 * Deletes the keys of a range, in steps of what one commit may hold: each step is all or nothing.
 * Ctrl-C and failures say how far it came.
 */

import type { KvClient } from "../client/index.ts";
import { KvError } from "../errors.ts";
import { isEverything, type Range } from "../keys.ts";
import { canAsk, confirm } from "./confirm.ts";
import { Failure } from "./failure.ts";
import { showCount } from "./preview.ts";
import { describeRange } from "./ranges.ts";
import { Signals, signalExitCode, type Stop } from "./signals.ts";

export interface RangeDeletion {
  /** Keys that were there and are gone. */
  readonly deleted: number;
  /** The revision of the last step; the store's when there was nothing to delete. */
  readonly revision: number;
}

/** Asks on a terminal, with the number of keys. @throws `Failure` when the answer is no. */
export async function confirmDeletion(client: KvClient, range: Range): Promise<void> {
  if (!canAsk()) return;
  const keys = await client.count(range);
  // With nothing to lose there is nothing to ask.
  if (keys === 0) return;
  if (await confirm(`delete ${showCount(keys, "key")} (${describeRange(range)})?`)) return;
  throw new Failure("nothing was deleted");
}

/**
 * The first signal lets the step in flight end, the second does not wait for it.
 * @throws what a step fails with, and `Failure` at a signal; both say how many are gone by then.
 */
export async function deleteRange(client: KvClient, range: Range): Promise<RangeDeletion> {
  const { limits } = await client.status();
  const options = { limit: limits.commitEventsMax, ...(isEverything(range) && { all: true }) };
  const signals = new Signals();
  let stop: Stop | undefined;
  void signals.first.then((signal) => (stop = signal));
  let deleted = 0;
  for (;;) {
    const step = await Promise.race([client.deleteRange(range, options), signals.second]).catch(
      (error: unknown) => failedAfter(error, deleted),
    );
    if (typeof step === "string") throw interrupted(step, deleted, " and maybe one step more");
    deleted += step.deleted;
    if (!step.more) return { deleted, revision: step.revision };
    if (stop !== undefined) throw interrupted(stop, deleted);
  }
}

// --- internal ---

function interrupted(stop: Stop, deleted: number, more = ""): Failure {
  const gone = `${areGone(deleted)}${more}`;
  return new Failure(`interrupted: ${gone}; the others are still there`, signalExitCode(stop));
}

function failedAfter(error: unknown, deleted: number): never {
  if (deleted === 0 || !(error instanceof KvError)) throw error;
  throw new KvError(error.code, `${error.message}; ${areGone(deleted)} by then`, error.details);
}

function areGone(deleted: number): string {
  return `${showCount(deleted, "key")} ${deleted === 1 ? "is" : "are"} gone`;
}
