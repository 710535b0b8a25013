/** Holds what an answer shows, and what a commit has, against what they should be. */

import type { Done, Operation, RecordedEvent, Result, Shown } from "./history.ts";
import { CLOCK_SLACK_MS, short } from "./history.ts";
import {
  TENTATIVE,
  type Deadline,
  type Outcome,
  type RightEntry,
  type RightResult,
  type State,
} from "./sequential.ts";

/** When an operation can have been evaluated, in milliseconds since 1970, where that is known. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

export function windowOf(
  { call, return: end, answer }: Operation,
  epoch: number | undefined,
): Window | undefined {
  if (epoch === undefined) return undefined;
  return { from: epoch + call, to: answer.kind === "unknown" ? Infinity : epoch + end };
}

/** What is wrong with the answer to an operation, if anything is. */
export function misfit(
  operation: Operation,
  outcome: Outcome,
  window: Window | undefined,
): string | undefined {
  const { answer } = operation;
  if (answer.kind === "refused") {
    const { refused } = outcome;
    if (refused?.index === answer.index && refused.code === answer.code) return undefined;
    return refused === undefined
      ? "no step should have failed"
      : `step ${refused.index} should have failed as ${refused.code}`;
  }
  if (answer.kind !== "done") return undefined;
  return misfitOfDone(answer, outcome, window);
}

/** What is wrong with the events of a commit that has this net effect, if anything is. */
export function misfitOfEvents(
  changes: ReadonlyMap<string, State | undefined>,
  events: readonly RecordedEvent[],
  window: Window | undefined,
): string | undefined {
  const keys = [...changes.keys()];
  const same = keys.length === events.length && events.every(({ key }, at) => key === keys[at]);
  if (!same) return `the commit should change ${short(keys)}, in this order`;
  for (const event of events) {
    const right = changes.get(event.key);
    const shown = event.type === "put" ? event : undefined;
    if (right === undefined && event.type === "delete") continue;
    if (right === undefined || shown === undefined) {
      return `the event of ${event.key} should be a ${right === undefined ? "delete" : "put"}`;
    }
    const { type: _, key, ...fields } = shown;
    const wrong = differs(fields, right, window);
    if (wrong !== undefined) return `in the event of ${key}, ${wrong}`;
  }
  return undefined;
}

// --- internal ---

function misfitOfDone(
  answer: Done,
  outcome: Outcome,
  window: Window | undefined,
): string | undefined {
  if (outcome.refused !== undefined) {
    return `step ${outcome.refused.index} should have failed as ${outcome.refused.code}`;
  }
  if (answer.succeeded !== outcome.succeeded) {
    return outcome.succeeded ? "the checks hold" : `the checks ${short(outcome.failed)} fail`;
  }
  if (answer.failed !== undefined && short(answer.failed) !== short(outcome.failed)) {
    return `the checks ${short(outcome.failed)} fail, not ${short(answer.failed)}`;
  }
  if (answer.results.length !== outcome.results.length) {
    return `there should be ${outcome.results.length} results`;
  }
  for (let at = 0; at < answer.results.length; at++) {
    const wrong = misfitOfResult(answer.results[at]!, outcome.results[at]!, window);
    if (wrong !== undefined) return `in result ${at}, ${wrong}`;
  }
  return undefined;
}

function misfitOfResult(
  shown: Result,
  right: RightResult,
  window: Window | undefined,
): string | undefined {
  const { entry, entries, ...fields } = shown;
  if (entry !== undefined) {
    const wrong = misfitOfEntry(entry, right.entry ?? null, window);
    if (wrong !== undefined) return wrong;
  }
  if (entries !== undefined) {
    const keys = right.entries!.map(({ key }) => key);
    if (short(entries.map(({ key }) => key)) !== short(keys)) return `the keys are ${short(keys)}`;
    for (let at = 0; at < entries.length; at++) {
      const wrong = differs(entries[at]!, right.entries![at]!, window);
      if (wrong !== undefined) return `of ${keys[at]}, ${wrong}`;
    }
  }
  return differs(fields, right, window);
}

function misfitOfEntry(
  shown: Shown | null,
  right: RightEntry | null,
  window: Window | undefined,
): string | undefined {
  if (shown === null) return right === null ? undefined : `the key is there: ${short(right)}`;
  return right === null ? "the key is absent" : differs(shown, right, window);
}

/** The first field of `shown` that is not as in `right`. */
function differs(shown: object, right: object, window: Window | undefined): string | undefined {
  for (const [name, is] of Object.entries(shown)) {
    const should: unknown = right[name as keyof typeof right];
    if (is === undefined || is === should || should === TENTATIVE) continue;
    if (name === "expiresAt" && fitsDeadline(is, should as Deadline | undefined, window)) continue;
    return `${name} should be ${short(should ?? null)}, not ${short(is)}`;
  }
  return undefined;
}

function fitsDeadline(
  is: unknown,
  should: Deadline | undefined,
  window: Window | undefined,
): boolean {
  // The results of a change that its own transaction undid have none.
  if (should === undefined) return true;
  if (typeof is !== "number" || should === null || typeof should === "number") return false;
  if (window === undefined) return true;
  const begun = is - should.ttl;
  return begun >= window.from - CLOCK_SLACK_MS && begun <= window.to + CLOCK_SLACK_MS;
}
