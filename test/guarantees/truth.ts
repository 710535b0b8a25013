/**
 * What really happened: every commit of a store as its log has it, and when history was forgotten.
 * Answers what a watcher had to see. Knows nothing of watches.
 */

import { eventToJson, type JsonCommit, type JsonEntry, type JsonEvent } from "../../src/json.ts";
import { distinctRanges, inRanges } from "../../src/keys.ts";
import type { Commit } from "../../src/kv.ts";
import { abridgedEvent } from "./abridged.ts";
import { Known } from "./known.ts";
import type { WatchFilter } from "./record.ts";

/** The events of one commit that a filter wants, as it has to show them. */
export interface Expected {
  readonly revision: number;
  readonly events: readonly JsonEvent[];
}

export interface Compaction {
  readonly revision: number;
  readonly sent: number;
  /** Absent when it is not known whether it was done. */
  answered?: number;
}

export class Truth {
  readonly store: string;
  readonly compactions: Compaction[] = [];
  /** What was shown of it, and when. */
  readonly known = new Known();
  readonly #commits: JsonCommit[] = [];
  /** All changes of a key, oldest first. */
  readonly #byKey = new Map<string, JsonEvent[]>();
  #through = 0;

  constructor(store: string) {
    this.store = store;
  }

  /** Every commit up to here is known. */
  get through(): number {
    return this.#through;
  }

  get commits(): readonly JsonCommit[] {
    return this.#commits;
  }

  /** Takes the next commits. Throws unless each key goes on exactly where it was. */
  add(commits: readonly Commit[], through: number): void {
    for (const { revision, events: log } of commits) {
      if (revision <= this.#through) throw new Error(`commit ${revision} again`);
      const events = log.map((event) => abridgedEvent(eventToJson(event)));
      for (const event of events) this.#append(event);
      this.#commits.push({ revision, events });
      this.#through = revision;
    }
    this.#through = Math.max(this.#through, through);
  }

  /** May changes at `revision` have been forgotten at the time `at`? */
  mayBeCompacted(revision: number, at: number): boolean {
    return this.compactions.some((done) => done.revision >= revision && done.sent <= at);
  }

  /** Were changes at `revision` certainly forgotten at the time `at`? */
  isCompacted(revision: number, at: number): boolean {
    return this.compactions.some(
      ({ revision: to, answered }) => to >= revision && answered !== undefined && answered <= at,
    );
  }

  /** What a filter wants of the commits above `after` and up to `through`. */
  expected(filter: WatchFilter, after: number, through: number): Expected[] {
    const ranges = distinctRanges(filter.ranges);
    const found: Expected[] = [];
    for (let at = firstAbove(this.#commits, after); at < this.#commits.length; at++) {
      const { revision, events } = this.#commits[at]!;
      if (revision > through) break;
      const matching = events.filter(({ key }) => inRanges(ranges, key));
      if (matching.length === 0) continue;
      found.push({ revision, events: matching.map((event) => this.#shown(event, filter)) });
    }
    return found;
  }

  /** The entries of a filter's keys as they were at a revision, in no order. */
  state(filter: WatchFilter, revision: number): JsonEntry[] {
    const ranges = distinctRanges(filter.ranges);
    const entries: JsonEntry[] = [];
    for (const key of this.#byKey.keys()) {
      const entry = inRanges(ranges, key) ? this.entry(key, revision) : undefined;
      if (entry !== undefined) entries.push(shownEntry(entry, filter));
    }
    return entries;
  }

  /** The entry that a key had at a revision. */
  entry(key: string, revision: number): JsonEntry | undefined {
    const events = this.#byKey.get(key) ?? [];
    const event = events[firstAbove(events, revision) - 1];
    if (event?.type !== "put") return undefined;
    const { type: _, prev: __, ...entry } = event;
    return entry;
  }

  #append(event: JsonEvent): void {
    const { key } = event;
    const before = this.entry(key, event.revision);
    if (event.type === "put") {
      const { revision, version, createRevision } = event;
      const isNext = version === (before?.version ?? 0) + 1;
      const isSame = createRevision === (before?.createRevision ?? revision);
      // One that was deleted and put again in the same commit is new too.
      const isNew = version === 1 && createRevision === revision;
      if (!isNew && !(isNext && isSame)) {
        throw new Error(`the log lacks a change of ${key} before revision ${event.revision}`);
      }
    } else if (before === undefined) {
      throw new Error(`the log has a ${event.type} of ${key}, which was not there`);
    }
    const events = this.#byKey.get(key);
    if (events === undefined) this.#byKey.set(key, [event]);
    else events.push(event);
  }

  #shown(event: JsonEvent, filter: WatchFilter): JsonEvent {
    const json = event.type === "put" ? shownEntry(event, filter) : event;
    const before = filter.prev ? this.entry(event.key, event.revision - 1) : undefined;
    return before === undefined ? json : { ...json, prev: shownEntry(before, filter) };
  }
}

// --- internal ---

function shownEntry<T extends JsonEntry>(entry: T, filter: WatchFilter): T {
  if (!filter.keys) return entry;
  const { value: _, base64: __, ...info } = entry;
  return info as T;
}

/** The place of the first item above a revision, where items are in the order of theirs. */
function firstAbove(items: readonly { readonly revision: number }[], revision: number): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (items[middle]!.revision > revision) high = middle;
    else low = middle + 1;
  }
  return low;
}
