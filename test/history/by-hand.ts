/** Histories written by hand, an operation a line, for the tests of the checkers. */

import type {
  Answer,
  Asked,
  Check,
  History,
  Operation,
  RecordedCommit,
  RecordedEvent,
  Result,
  Shown,
  Step,
} from "./history.ts";
import { checkLinearizability } from "./linearizability.ts";
import { checkRevisionOrder } from "./revision-order.ts";

/** The rules that the checkers find broken. */
export function verdict(history: History): { a: string[]; b: string[] } {
  const [a, b] = [checkRevisionOrder(history), checkLinearizability(history)];
  return { a: a.map(({ rule }) => rule), b: b.map(({ rule }) => rule) };
}

/** What the checker that ignores revisions says, as it has one rule. */
export const B = ["not linearizable"];

/** From when to when. */
export type Times = readonly [call: number, end: number];

/** What an answer shows of the entry that a write left. */
export function left(revision: number, version = 1, createRevision = revision): Result {
  return { revision, version, createRevision, expiresAt: null };
}

export function entry(value: string, revision: number, version = 1): Shown {
  return { value, revision, version };
}

export function asked(
  times: Times,
  request: Asked,
  answer: Answer,
  more: Partial<Operation> = {},
): Operation {
  const client = `client at ${times[0]}`;
  return { client, call: times[0], return: times[1], asked: request, answer, ...more };
}

/** A transaction whose checks held. */
export function txn(
  times: Times,
  revision: number,
  steps: readonly (readonly [Step, Result])[],
  checks: readonly Check[] = [],
): Operation {
  const request = { checks, then: steps.map(([step]) => step) };
  const results = steps.map(([, result]) => result);
  return asked(times, request, { kind: "done", succeeded: true, revision, results });
}

export function put(times: Times, key: string, value: string, result: Result): Operation {
  return txn(times, result.revision!, [[{ op: "put", key, value }, result]]);
}

export function del(times: Times, key: string, revision: number, deleted = 1): Operation {
  return txn(times, revision, [[{ op: "delete", key }, { deleted }]]);
}

export function incr(times: Times, key: string, value: string, result: Result): Operation {
  const step = { op: "incr", key, by: "1" } as const;
  return txn(times, result.revision!, [[step, { ...result, value }]]);
}

/** A read of one key that says at which revision of the store it was made. */
export function get(times: Times, key: string, revision: number, shown: Shown | null): Operation {
  return txn(times, revision, [[{ op: "get", key }, { entry: shown }]]);
}

/** A read of one key that shows nothing but the entry. */
export function plainGet(times: Times, key: string, shown: Shown): Operation {
  const results = [{ entry: shown }];
  const request: Asked = { then: [{ op: "get", key }] };
  return asked(times, request, { kind: "done", succeeded: true, results });
}

/** A write of which nobody knows whether it was done. */
export function unknown(times: Times, step: Step, until?: number): Operation {
  const bound = until === undefined ? undefined : { until };
  return asked(times, { then: [step] }, { kind: "unknown", ...bound });
}

export function commit(seen: number, revision: number, ...events: RecordedEvent[]): RecordedCommit {
  return { revision, events, seen };
}

export function putEvent(
  key: string,
  value: string,
  version: number,
  createRevision: number,
  expiresAt: number | null = null,
): RecordedEvent {
  return { type: "put", key, value, version, createRevision, expiresAt };
}

/** Where 1 was written, and then 2. */
export const twoPuts = [put([0, 1], "x", "1", left(1)), put([2, 3], "x", "2", left(2, 2, 1))];
