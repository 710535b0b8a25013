/** Holds the events of one change, all parts joined, against what happened. */

import type { JsonEvent } from "../../src/json.ts";
import { distinctRanges, inRanges } from "../../src/keys.ts";
import type { WatchFrame } from "../../src/messages.ts";
import type { WatchFilter } from "./record.ts";
import type { Expected, Truth } from "./truth.ts";
import { demand, shown, type Rule } from "./violation.ts";

export type Change = Extract<WatchFrame, { type: "change" }>;

export interface ChangeContext {
  readonly truth: Truth;
  readonly filter: WatchFilter;
  /** Everything up to here was told before. */
  readonly after: number;
}

/** @throws `BrokenRule` unless the parts are all that the filter wants of what they cover. */
export function checkEvents(
  parts: readonly Change[],
  { truth, filter, after }: ChangeContext,
): void {
  const { revision } = parts[0]!;
  const events = parts.flatMap((part) => part.events);
  checkFilter(events, filter);
  const empty = parts.find((part) => part.events.length === 0);
  demand(empty === undefined, "frames", () => `a change without events: ${shown(empty)}`);
  const window = truth.expected(filter, after, revision);
  const skipped = parts.reduce((sum, part) => sum + (part.skipped ?? 0), 0);
  if (filter.latest) return checkLatest(events, skipped, window);
  demand(skipped === 0, "filter", () => `${skipped} events skipped, which nobody asked for`);
  const commit = window.at(-1);
  const exists = commit?.revision === revision;
  demand(exists, "content", () => `the log has no such commit: ${shown(parts[0])}`);
  checkNothingMissed("reliable", truth, filter, after, revision - 1);
  checkSame(events, commit!.events, "atomic");
}

/** @throws `BrokenRule` when the log has something for the filter above `after` up to `through`. */
export function checkNothingMissed(
  rule: Rule,
  truth: Truth,
  filter: WatchFilter,
  after: number,
  through: number,
): void {
  const [missed] = truth.expected(filter, after, through);
  demand(missed === undefined, rule, () => `it lacks ${shown(missed)} up to ${through}`);
}

// --- internal ---

function checkFilter(events: readonly JsonEvent[], filter: WatchFilter): void {
  const ranges = distinctRanges(filter.ranges);
  for (const event of events) {
    demand(inRanges(ranges, event.key), "filter", () => `nobody asked for ${shown(event)}`);
    const hasPrev = event.prev !== undefined;
    demand(!hasPrev || filter.prev, "filter", () => `nobody asked for prev: ${shown(event)}`);
    const entries = [event.prev, event.type === "put" ? event : undefined];
    const hasValue = entries.some((one) => one?.value !== undefined || one?.base64 !== undefined);
    demand(!hasValue || !filter.keys, "filter", () => `nobody asked for values: ${shown(event)}`);
  }
}

/** The newest event of each key, in the order of revisions, and the number of the others. */
function checkLatest(
  events: readonly JsonEvent[],
  skipped: number,
  window: readonly Expected[],
): void {
  const newest = new Map<string, JsonEvent>();
  let all = 0;
  for (const commit of window) {
    for (const event of commit.events) {
      all++;
      // Deleted first, so that the order is that of the newest events.
      newest.delete(event.key);
      newest.set(event.key, event);
    }
  }
  checkSame(events, [...newest.values()], "reliable");
  const left = all - newest.size;
  demand(skipped === left, "reliable", () => `${skipped} skipped; it should be ${left}`);
}

/** `missing` is the rule that a missing event breaks. */
function checkSame(got: readonly JsonEvent[], expected: readonly JsonEvent[], missing: Rule): void {
  const gotKeys = new Set(got.map(({ key }) => key));
  const lost = expected.find(({ key }) => !gotKeys.has(key));
  demand(lost === undefined, missing, () => `it lacks ${shown(lost)}`);
  demand(gotKeys.size === got.length, "unique", () => `a key twice: ${shown(got)}`);
  for (const [at, event] of expected.entries()) {
    const same = Bun.deepEquals(got[at], event, true);
    demand(same, "content", () => `${shown(got[at])} instead of ${shown(event)}`);
  }
  const extra = got[expected.length];
  demand(extra === undefined, "content", () => `${shown(extra)}, which did not happen`);
}
