/** A watcher with a loop over it that dawdles, and what it has seen held against what happened. */

import { expect } from "bun:test";
import type { Filter } from "../../src/client/filter.ts";
import type { Change, WatchPart, WatchStart } from "../../src/client/parts.ts";
import type { Watcher } from "../../src/client/watcher.ts";
import type { Watches } from "../../src/client/watches.ts";
import { KvError } from "../../src/errors.ts";
import { entryToJson, eventToJson } from "../../src/json.ts";
import { inRanges } from "../../src/keys.ts";
import type { Commit, Event, ListedEntry, ListedEvent } from "../../src/kv.ts";
import { until } from "./until.ts";

export interface FollowerOptions {
  readonly filter: Filter;
  readonly from: number | undefined;
  readonly initial: boolean;
  readonly dawdleMs: number;
  /** The revision of the store when the watch is asked for. */
  readonly earliest: number;
}

/** Changes that came one after the other, above a revision. */
interface Segment {
  readonly above: number;
  readonly changes: Change[];
  /** Everything up to here has come. */
  through: number;
  /** What was there at `above`, where the watch said so. */
  readonly state: ReadonlyMap<string, ListedEntry> | undefined;
}

export class Follower {
  readonly #options: FollowerOptions;
  readonly #watcher: Watcher;
  readonly #loop: Promise<void>;
  readonly #segments: Segment[] = [];
  #state = new Map<string, ListedEntry>();
  #hurry = false;
  #stopped = false;
  /** Resets that it has seen, and whether history went away below it. */
  resets = 0;
  isForgotten = false;

  constructor(watches: Watches, options: FollowerOptions) {
    const { filter, from, initial, dawdleMs } = options;
    this.#options = options;
    this.#watcher = watches.watch({ filter, from, initial, waitForServer: true });
    const begun = ({ revision }: WatchStart): void => {
      // Else the state comes first, or a reset.
      if (from === undefined ? !initial : revision === from - 1) this.#begin(revision, undefined);
    };
    this.#watcher.started.then(begun, () => {});
    this.#loop = this.#follow(dawdleMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watcher.stop();
    await this.#loop;
  }

  /** Waits until it has come to `revision`, if it can. */
  async finish(revision: number): Promise<void> {
    this.#hurry = true;
    if (this.#stopped) return;
    const isThere = (): boolean => (this.#segments.at(-1)?.through ?? 0) >= revision;
    await Promise.race([until(isThere), this.#loop]);
  }

  /** What it has seen must be what happened: the commits of `log`, each with what was before. */
  async check(log: readonly Commit[]): Promise<void> {
    await this.#loop;
    const { from, initial, earliest } = this.#options;
    const [first] = this.#segments;
    if (first === undefined) return;
    if (from === undefined) expect(first.above).toBeGreaterThanOrEqual(earliest);
    else if (!initial) expect(first.above).toBe(from - 1);
    for (const segment of this.#segments) {
      if (segment.state !== undefined) this.#checkState(segment, log);
      if (this.#options.filter.latest) this.#checkNewest(segment, log);
      else this.#checkAll(segment, log);
    }
  }

  async #follow(dawdleMs: number): Promise<void> {
    for (;;) {
      const chunk = await this.#watcher.pull().catch((error: unknown) => {
        // Without `initial` that is the end.
        if (!(error instanceof KvError) || error.code !== "compacted") throw error;
        expect(this.#options.initial).toBe(false);
        this.isForgotten = true;
        return undefined;
      });
      if (chunk === undefined) return;
      for (const part of chunk.parts) this.#take(part);
      if (chunk.through !== undefined) this.#segments.at(-1)!.through = chunk.through;
      if (!this.#hurry) await Bun.sleep(dawdleMs);
    }
  }

  #take(part: WatchPart): void {
    const segment = this.#segments.at(-1);
    if (part.type === "change") {
      expect(part.revision).toBeGreaterThan(segment!.through);
      segment!.changes.push(part);
      segment!.through = part.revision;
      return;
    }
    expect(this.#options.initial).toBe(true);
    if (part.type === "reset") {
      this.resets++;
      this.#state = new Map();
    } else if (part.type === "state") {
      for (const entry of part.entries) {
        expect(this.#state.has(entry.key)).toBe(false);
        this.#state.set(entry.key, entry);
      }
    } else {
      this.#begin(part.revision, this.#state);
      this.#state = new Map();
    }
  }

  #begin(above: number, state: ReadonlyMap<string, ListedEntry> | undefined): void {
    this.#segments.push({ above, changes: [], through: above, state });
  }

  #checkState({ above, state }: Segment, log: readonly Commit[]): void {
    const expected = new Map<string, Event>();
    for (const event of this.#eventsBetween(log, 0, above)) {
      if (event.type === "put") expected.set(event.key, event);
      else expected.delete(event.key);
    }
    const seen = [...state!.values()].map((entry) => JSON.stringify(entryToJson(entry)));
    const { keys } = this.#options.filter;
    const wanted = [...expected.values()].map((event) => {
      const {
        type: _,
        prev: __,
        ...entry
      } = event as ListedEntry & { type: string; prev?: unknown };
      return JSON.stringify(entryToJson(keys ? withoutValue(entry) : entry));
    });
    expect(digest(seen.toSorted())).toEqual(digest(wanted.toSorted()));
  }

  #checkAll({ above, changes, through }: Segment, log: readonly Commit[]): void {
    const seen = changes.map(({ revision, events }) => shown(revision, events));
    const expected = log.flatMap(({ revision }) => {
      const events = this.#eventsBetween(log, revision - 1, revision);
      const isIn = revision > above && revision <= through && events.length > 0;
      return isIn
        ? [
            shown(
              revision,
              events.map((event) => this.#filtered(event)),
            ),
          ]
        : [];
    });
    expect(seen).toEqual(expected);
  }

  /** Each change has the newest event of every key that changed since the one before. */
  #checkNewest({ above, changes, through }: Segment, log: readonly Commit[]): void {
    let before = above;
    for (const { revision, events, skipped = 0 } of changes) {
      const all = this.#eventsBetween(log, before, revision);
      const newest = new Map(all.map((event) => [event.key, event]));
      const expected = all.filter((event) => newest.get(event.key) === event);
      const shownEvents = expected.map((event) => this.#filtered(event));
      expect(shown(revision, events)).toBe(shown(revision, shownEvents));
      // More where several go on together, from the place of the one that has seen the least.
      expect(skipped).toBeGreaterThanOrEqual(all.length - events.length);
      before = revision;
    }
    expect(this.#eventsBetween(log, before, through)).toEqual([]);
  }

  #eventsBetween(log: readonly Commit[], above: number, through: number): Event[] {
    const { ranges } = this.#options.filter;
    return log
      .filter(({ revision }) => revision > above && revision <= through)
      .flatMap(({ events }) => events.filter(({ key }) => inRanges(ranges, key)));
  }

  #filtered({ prev, ...event }: Event): ListedEvent {
    const { filter } = this.#options;
    const before = filter.prev && prev !== undefined;
    const shownPrev = before ? { prev: filter.keys ? withoutValue(prev) : prev } : undefined;
    if (event.type !== "put" || !filter.keys) return { ...event, ...shownPrev } as ListedEvent;
    return { ...withoutValue(event), type: "put", ...shownPrev };
  }
}

// --- internal ---

function withoutValue<E extends ListedEntry>(entry: E): Omit<E, "value"> {
  const { value: _, ...info } = entry;
  return info;
}

/** A change as a text that compares well, however large its values are. */
function shown(revision: number, events: readonly ListedEvent[]): string {
  const texts = events.map((event) => {
    const what = `${event.type} ${event.key} ${event.revision}`;
    return `${what} ${Bun.hash(JSON.stringify(eventToJson(event)))}`;
  });
  return `${revision}: ${texts.join(", ")}`;
}

function digest(texts: readonly string[]): string[] {
  return texts.map((text) => `${text.slice(0, 60)} ${Bun.hash(text)}`);
}
