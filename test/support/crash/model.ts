/**
 * What transactions make of a state, as plainly as can be: the effect of puts and deletes as events,
 * and the state after them. Knows no store.
 */

import type { Commit, Entry, Event, Operation, Txn } from "../../../src/kv.ts";

/** The entries of a revision by their keys; never changed once it is made. */
export type State = ReadonlyMap<string, Entry>;

export const EMPTY: State = new Map();

/** The events of a transaction of puts and deletes without checks; none where nothing changes. */
export function effectOf({ then }: Txn, state: State, revision: number, now: number): Event[] {
  const touched = new Map<string, Entry | undefined>();
  for (const operation of then) {
    const { key } = operation as { key: string };
    const before = touched.has(key) ? touched.get(key) : state.get(key);
    if (operation.op === "delete" && before === undefined) continue;
    touched.delete(key);
    touched.set(
      key,
      operation.op === "delete" ? undefined : entryOf(operation, before, revision, now),
    );
  }
  const events: Event[] = [];
  for (const [key, entry] of touched) {
    if (entry !== undefined) events.push({ type: "put", ...entry });
    else if (state.has(key)) events.push({ type: "delete", key, revision });
  }
  return events;
}

export function stateAfter(state: State, { events }: Commit): State {
  const next = new Map(state);
  for (const event of events) {
    if (event.type !== "put") next.delete(event.key);
    else {
      const { type: _, ...entry } = event;
      next.set(event.key, entry);
    }
  }
  return next;
}

/** May this commit, of nothing but expiries, follow a state at a time? */
export function isDueExpiry({ events, revision }: Commit, state: State, now: number): boolean {
  return events.every((event) => {
    const deadline = state.get(event.key)?.expiresAt ?? Infinity;
    return event.type === "expire" && event.revision === revision && deadline <= now;
  });
}

export function sameEvents(a: readonly Event[], b: readonly Event[]): boolean {
  return a.length === b.length && a.every((event, at) => sameEvent(event, b[at]!));
}

export function sameEntry(a: Entry, b: Entry): boolean {
  return (
    a.key === b.key &&
    a.revision === b.revision &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.contentType === b.contentType &&
    a.expiresAt === b.expiresAt &&
    Buffer.compare(a.value, b.value) === 0
  );
}

// --- internal ---

function sameEvent(a: Event, b: Event): boolean {
  if (a.type === "put") return b.type === "put" && sameEntry(a, b);
  return a.type === b.type && a.key === b.key && a.revision === b.revision;
}

function entryOf(
  operation: Operation,
  before: Entry | undefined,
  revision: number,
  now: number,
): Entry {
  if (operation.op !== "put") throw new Error(`the model knows no ${operation.op}`);
  const { key, value, contentType, ttl } = operation;
  const expiresAt = ttl === "keep" ? before?.expiresAt : ttl === undefined ? undefined : now + ttl;
  return {
    key,
    value,
    contentType,
    revision,
    createRevision: before?.createRevision ?? revision,
    version: (before?.version ?? 0) + 1,
    ...(expiresAt !== undefined && { expiresAt }),
  };
}
