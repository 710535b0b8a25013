/** The state of a store at every revision of a history: a plain Map now, and each key's past. */

import { compareKeys } from "../../src/keys.ts";
import type { Check, History, Operation, RecordedCommit, Step } from "./history.ts";
import type { State, View } from "./sequential.ts";

/** What a key was from a revision on; `undefined`: absent. */
export interface Past {
  readonly revision: number;
  readonly state: State | undefined;
}

export class Table implements View {
  readonly keys: readonly string[];
  readonly #now = new Map<string, State>();
  readonly #pasts = new Map<string, Past[]>();

  /** `keys`: all that there ever will be, in order. */
  constructor(keys: readonly string[]) {
    this.keys = keys;
  }

  get(key: string): State | undefined {
    return this.#now.get(key);
  }

  apply(revision: number, changes: ReadonlyMap<string, State | undefined>): void {
    for (const [key, state] of changes) {
      if (state === undefined) this.#now.delete(key);
      else this.#now.set(key, state);
      const pasts = this.#pasts.get(key);
      if (pasts === undefined) this.#pasts.set(key, [{ revision, state }]);
      else pasts.push({ revision, state });
    }
  }

  applyEvents({ revision, events }: RecordedCommit): void {
    const changes = new Map<string, State | undefined>();
    for (const event of events) {
      if (event.type !== "put") changes.set(event.key, undefined);
      else {
        const { value, createRevision, version, expiresAt } = event;
        changes.set(event.key, { value, revision, createRevision, version, expiresAt });
      }
    }
    this.apply(revision, changes);
  }

  /** The state as it was at a revision that has been applied. */
  at(revision: number): View {
    return {
      keys: this.keys,
      get: (key) => this.#pasts.get(key)?.[this.#find(key, revision)]?.state,
    };
  }

  /** The smallest revision above `revision` at which one of the keys changed. */
  nextChange(keys: Iterable<string>, revision: number): number | undefined {
    let next: number | undefined;
    for (const key of keys) {
      const change = this.#pasts.get(key)?.[this.#find(key, revision) + 1]?.revision;
      if (change !== undefined && (next === undefined || change < next)) next = change;
    }
    return next;
  }

  /** Where in a key's past the change stands that a revision shows; -1: before the first. */
  #find(key: string, revision: number): number {
    const pasts = this.#pasts.get(key) ?? [];
    let low = 0;
    let high = pasts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (pasts[middle]!.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Every key that a history names, in order. */
export function keysOf({ operations, commits = [] }: History): string[] {
  const keys = new Set<string>();
  const add = (part: Check | Step): void => {
    if ("key" in part) keys.add(part.key);
  };
  for (const { asked, answer } of operations) {
    asked.checks?.forEach(add);
    asked.then.forEach(add);
    asked.else?.forEach(add);
    if (answer.kind !== "done") continue;
    for (const { entries = [] } of answer.results) {
      for (const { key } of entries) if (key !== undefined) keys.add(key);
    }
  }
  for (const { events } of commits) for (const { key } of events) keys.add(key);
  return [...keys].sort(compareKeys);
}

/** The keys that the outcome of an operation may hang on. */
export function keysOfOperation({ asked }: Operation): Set<string> {
  const keys = new Set<string>();
  for (const part of [...(asked.checks ?? []), ...asked.then, ...(asked.else ?? [])]) {
    if ("key" in part) keys.add(part.key);
  }
  return keys;
}
