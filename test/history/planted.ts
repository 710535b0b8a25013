/**
 * Errors for right histories: each changes one thing at a random place, as a store with that fault
 * would have answered, or answers `undefined` where it finds no place for it.
 */

import type { Random } from "../support/random.ts";
import type { History, Operation, RecordedCommit, RecordedEvent, Result } from "./history.ts";
import { stepsOf } from "./history.ts";

export type Plant = (history: History, random: Random) => History | undefined;

/** A read of one key shows what the key was before the newest write that had been answered. */
export function staleRead(history: History, random: Random): History | undefined {
  const places = placesOf(history, "get", random).filter(({ result }) => result.entry?.value);
  for (const { operation, at, key } of places) {
    const answered = writesOf(history, key).filter(({ by }) => by.return < operation.call);
    const [old, newest] = answered.slice(-2);
    // Integers may come again; and of writes that overlap another order might explain it.
    if (newest === undefined || /^-?\d/.test(old!.event.value)) continue;
    if (newest.by.call <= old!.by.return) continue;
    return withResult(history, operation, at, { entry: shown(old!) });
  }
  return undefined;
}

/** A read of one key shows a value that is to be written only later. */
export function futureRead(history: History, random: Random): History | undefined {
  for (const { operation, at, key } of placesOf(history, "get", random)) {
    const later = writesOf(history, key).filter(({ by }) => by.call > operation.return);
    const write = later.find(({ event }) => !/^-?\d/.test(event.value));
    if (write !== undefined) return withResult(history, operation, at, { entry: shown(write) });
  }
  return undefined;
}

/** An increment has the result that the one before it had. */
export function lostUpdate(history: History, random: Random): History | undefined {
  for (const { operation, at, key, result } of placesOf(history, "incr", random)) {
    const before = writesOf(history, key).findLast(({ by }) => by.return < operation.call);
    if (result.version === undefined || result.version < 3) continue;
    if (before?.event.version !== result.version - 1) continue;
    const { value, version } = before.event;
    return withResult(history, operation, at, { ...result, value, version });
  }
  return undefined;
}

/** A write that was answered is in no commit. */
export function lostWrite(history: History, random: Random): History | undefined {
  const { operation } = placesOf(history, "put", random)[0]!;
  return replaceCommit(history, revisionOf(operation), () => undefined);
}

/** A write is answered with the revision that another one has. */
export function duplicateRevision(history: History, random: Random): History | undefined {
  const single = placesOf(history, "put", random).filter(({ operation: { asked } }) => {
    return asked.then.length === 1;
  });
  const [first, second] = single;
  const revision = revisionOf(first!.operation);
  const { answer } = second!.operation;
  if (answer.kind !== "done") return undefined;
  const changed = withResult(history, second!.operation, 0, { ...second!.result, revision });
  const index = history.operations.indexOf(second!.operation);
  const operation = changed.operations[index]!;
  return replace(changed, operation, {
    answer: { ...(operation.answer as typeof answer), revision },
  });
}

/** One key of a transaction is missing from its commit. */
export function tornTransaction(history: History, random: Random): History | undefined {
  const commits = history.commits!.filter(({ events }) => {
    return events.length > 1 && events.every(({ type }) => type !== "expire");
  });
  if (commits.length === 0) return undefined;
  const { revision } = random.pick(commits);
  return replaceCommit(history, revision, (events) => events.slice(1));
}

/** A condition that never holds is answered as if it had. */
export function wrongCondition(history: History, random: Random): History | undefined {
  const operation = shuffled(history.operations, random).find(({ asked, answer }) => {
    return asked.checks?.length === 1 && answer.kind === "done" && answer.succeeded;
  });
  if (operation === undefined) return undefined;
  const checks = [{ key: operation.asked.checks![0]!.key, version: 1_000_000 }];
  return replace(history, operation, { asked: { ...operation.asked, checks } });
}

// --- internal ---

interface Place {
  readonly operation: Operation;
  readonly at: number;
  readonly key: string;
  readonly result: Result;
}

interface Write {
  readonly by: Operation;
  readonly revision: number;
  readonly event: RecordedEvent & { type: "put" };
}

/** Where steps of a kind were answered, in random order. */
function placesOf(history: History, op: "get" | "put" | "incr", random: Random): Place[] {
  const places: Place[] = [];
  for (const operation of history.operations) {
    const { answer, asked } = operation;
    if (answer.kind !== "done" || asked.at !== undefined) continue;
    const steps = stepsOf(operation);
    for (const [at, step] of steps.entries()) {
      // What else a transaction does to the key would make the error another one.
      const alone = steps.every((other) => {
        return other === step || ("key" in other && "key" in step && other.key !== step.key);
      });
      const result = answer.results[at]!;
      if (step.op !== op || !alone || result.revision === 0) continue;
      places.push({ operation, at, key: step.key, result });
    }
  }
  return shuffled(places, random);
}

/** The puts of a key by answered operations, oldest first. */
function writesOf({ operations, commits }: History, key: string): Write[] {
  const byRevision = new Map<number, Operation>();
  for (const operation of operations) {
    const { answer } = operation;
    if (answer.kind !== "done") continue;
    for (const { revision } of answer.results) if (revision) byRevision.set(revision, operation);
  }
  return commits!.flatMap(({ revision, events }) => {
    const event = events.find((one) => one.key === key);
    const by = byRevision.get(revision);
    return event?.type === "put" && by !== undefined ? [{ by, revision, event }] : [];
  });
}

function shown({ event, revision }: Write) {
  const { value, version, createRevision, expiresAt } = event;
  return { value, version, createRevision, expiresAt, revision };
}

function revisionOf({ answer }: Operation): number {
  return answer.kind === "done" ? answer.revision! : 0;
}

function withResult(history: History, operation: Operation, at: number, result: Result): History {
  const { answer } = operation;
  if (answer.kind !== "done") return history;
  const results = answer.results.with(at, result);
  return replace(history, operation, { answer: { ...answer, results } });
}

function replace(history: History, operation: Operation, change: Partial<Operation>): History {
  const operations = history.operations.map((one) => {
    return one === operation ? { ...one, ...change } : one;
  });
  return { ...history, operations };
}

/** `change` answers the events of the commit; without any there is no commit. */
function replaceCommit(
  history: History,
  revision: number,
  change: (events: RecordedCommit["events"]) => RecordedCommit["events"] | undefined,
): History {
  const commits = history.commits!.flatMap((commit) => {
    if (commit.revision !== revision) return [commit];
    const events = change(commit.events);
    return events === undefined ? [] : [{ ...commit, events }];
  });
  return { ...history, commits };
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
