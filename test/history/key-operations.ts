/**
 * What each operation of a history did to each key, as far as its answer tells, with all revisions
 * left out. A store is linearizable if each of its keys is (Herlihy and Wing, 1990), so the keys
 * can be searched one by one.
 */

import { compareKeys, inRange } from "../../src/keys.ts";
import { CLOCK_SLACK_MS } from "./history.ts";
import type { Check, Done, History, Operation, Result, Shown, Step } from "./history.ts";
import {
  KeyRun,
  possible,
  withoutRevisions,
  type KeyCheck,
  type KeyState,
  type KeyStep,
} from "./key-model.ts";
import { keysOf } from "./table.ts";

/** One operation as one key saw it. */
export interface KeyOperation {
  readonly call: number;
  /** After this it cannot take effect any more. */
  readonly end: number;
  /** The outcome is unknown: it took effect between call and end, or never. */
  readonly optional: boolean;
  /** It leaves the key as it found it, whenever it fits. */
  readonly pure: boolean;
  /** Operations that change the key and have the same name are the same but for their times. */
  readonly name: string;
  /** What the key can be afterwards; nothing if the operation does not fit here. */
  apply(state: KeyState): readonly KeyState[];
  describe(): Operation | string;
}

/** The operations on each key in the order of their calls. */
export function operationsByKey(history: History): Map<string, KeyOperation[]> {
  const keys = keysOf(history);
  const seen = valuesSeen(history.operations);
  const byKey = new Map<string, KeyOperation[]>(keys.map((key) => [key, []]));
  for (const operation of history.operations) {
    for (const key of keysTouched(operation, keys)) {
      const projected = project(operation, key, seen);
      if (projected !== undefined) byKey.get(key)!.push(projected);
    }
  }
  for (const [key, operation] of expirations(history)) byKey.get(key)!.push(operation);
  for (const operations of byKey.values()) operations.sort((a, b) => a.call - b.call);
  return byKey;
}

// --- internal ---

/** A list of steps as one key saw it, and how the checks of the key came out for it to run. */
interface Branch {
  readonly checks: readonly KeyCheck[];
  readonly steps: readonly KeyStep[];
}

function keysTouched({ asked, answer }: Operation, keys: readonly string[]): Set<string> {
  const touched = new Set<string>();
  if (asked.at !== undefined || answer.kind === "notApplied") return touched;
  for (const { key } of asked.checks ?? []) touched.add(key);
  for (const step of [...asked.then, ...(asked.else ?? [])]) {
    if ("key" in step) touched.add(step.key);
    else for (const key of keys) if (inRange(step.range, key)) touched.add(key);
  }
  return touched;
}

function project(
  operation: Operation,
  key: string,
  seen: ReadonlySet<string>,
): KeyOperation | undefined {
  const { call, answer } = operation;
  const optional = answer.kind === "unknown";
  const refused = answer.kind === "refused";
  const known = branchesOf(operation, key, seen);
  const branches = optional ? effects(known) : known;
  const pure = refused || branches.every(({ steps }) => steps.every((step) => step.pure));
  // Nothing is known of what it did to the key, or it can have done nothing.
  if (branches.every(({ checks, steps }) => checks.length + steps.length === 0)) return undefined;
  const runs = branches.map(({ checks, steps }) => ({ checks, run: new KeyRun(steps) }));
  return {
    call,
    end: answer.kind === "unknown" ? (answer.until ?? Infinity) : operation.return,
    optional,
    pure,
    name: pure ? "" : `${optional} ${JSON.stringify(branches)}`,
    apply(state) {
      const fitting = runs.filter(({ checks }) => checks.every((one) => possible(one, state)));
      const after = fitting.flatMap(({ run }) => run.from(state));
      if (refused) return after.length === 0 ? [] : [state];
      return after;
    },
    describe: () => operation,
  };
}

/** The lists that can have run, each with what it did to the key. */
function branchesOf(operation: Operation, key: string, seen: ReadonlySet<string>): Branch[] {
  const { asked, answer } = operation;
  const { checks = [] } = asked;
  if (answer.kind === "done") {
    const list = answer.succeeded ? asked.then : (asked.else ?? []);
    const steps = stepsFor(list, answer.results, key, seen);
    return [{ checks: outcomes(operation, answer, key), steps }];
  }
  const own = checks.filter((check) => check.key === key);
  const then = { checks: checksOf(own, true), list: asked.then };
  // Another key's check may have failed; a check alone must have.
  const failing = checks.length === 1 ? own : [];
  const otherwise = { checks: checksOf(failing, false), list: asked.else ?? [] };
  const all = checks.length === 0 ? [then] : [then, otherwise];
  if (answer.kind !== "refused") {
    return all.map(({ checks, list }) => ({ checks, steps: stepsFor(list, [], key, seen) }));
  }
  const { code, index } = answer;
  const could = all.filter(({ list }) => failureOf(list[index], code) !== undefined);
  // Where another key's step may be the one that failed, nothing is known of this key.
  if (could.some(({ list }) => keyOf(list[index]) !== key)) return [];
  return could.map(({ checks, list }) => ({
    checks,
    steps: [...stepsFor(list.slice(0, index), [], key, seen), failureOf(list[index], code)!],
  }));
}

function keyOf(step: Step | undefined): string | undefined {
  return step !== undefined && "key" in step ? step.key : undefined;
}

function failureOf(step: Step | undefined, code: string): KeyStep | undefined {
  if (step?.op === "touch" && code === "not_found") return { op: "fails", pure: true };
  if (step?.op === "incr" && code === "conflict") return { op: "fails", pure: true, by: step.by };
  return undefined;
}

/** How the checks of a key came out, as far as the answer tells. */
function outcomes({ asked }: Operation, { succeeded, failed }: Done, key: string): KeyCheck[] {
  const { checks = [] } = asked;
  const known = succeeded || failed !== undefined || checks.length === 1;
  if (!known) return [];
  return checks.flatMap((check, at) => {
    const holds = succeeded || (failed !== undefined && !failed.includes(at));
    return check.key === key ? checksOf([check], holds) : [];
  });
}

function checksOf(checks: readonly Check[], holds: boolean): KeyCheck[] {
  return checks.map((check) => withoutRevisions(check, holds)).filter((one) => one !== undefined);
}

/**
 * What an operation of unknown outcome can have done to the key, in few words: where it changed
 * nothing it might as well never have been, and what is said alike is searched once.
 */
function effects(branches: readonly Branch[]): Branch[] {
  const found = new Map<string, Branch>();
  for (const { checks, steps } of branches) {
    const changing = steps.filter(({ pure }) => !pure);
    const all = changing.map((step): KeyStep => {
      // One that may spare the key, and does nothing else, has cleared it or done nothing.
      const clears = step.op === "clear" || (step.op === "mayClear" && changing.length === 1);
      return clears ? DELETE : step;
    });
    // Several puts are one change, which has the last one's value.
    const puts = all.every(({ op }) => op === "put");
    const branch = { checks, steps: puts ? all.slice(-1) : all };
    if (branch.steps.length > 0) found.set(JSON.stringify(branch), branch);
  }
  return [...found.values()];
}

const DELETE: KeyStep = { op: "delete", pure: false, deleted: undefined };

/** What a list of steps did to a key, with what the results tell. */
function stepsFor(
  list: readonly Step[],
  results: readonly Result[],
  key: string,
  seen: ReadonlySet<string>,
): KeyStep[] {
  return list.flatMap((step, at): KeyStep[] => {
    const result = results[at];
    if ("key" in step && step.key !== key) return [];
    switch (step.op) {
      case "put": {
        // Puts whose values nobody ever saw are alike; the search makes use of it.
        const value = seen.has(step.value) || /^-?\d/.test(step.value) ? step.value : "";
        return [{ op: "put", pure: false, value, version: result?.version }];
      }
      case "touch":
        return [{ op: "touch", pure: false, version: result?.version }];
      case "incr": {
        const { value, version } = result ?? {};
        return [{ op: "incr", pure: false, by: step.by, value, version }];
      }
      case "delete":
        return [{ op: "delete", pure: result?.deleted === 0, deleted: result?.deleted }];
      case "get":
        return result?.entry === undefined ? [] : [show(result.entry)];
      default:
        return inRange(step.range, key) ? ofRange(step, result, key) : [];
    }
  });
}

type RangeStep = Extract<Step, { readonly range: unknown }>;

function ofRange(step: RangeStep, result: Result | undefined, key: string): KeyStep[] {
  if (step.op === "count") return result?.count === 0 ? [show(null)] : [];
  if (step.op === "deleteRange") {
    if (result?.deleted === 0) return [show(null)];
    const whole = step.limit === undefined || (result !== undefined && result.more === false);
    return [{ op: whole ? "clear" : "mayClear", pure: false }];
  }
  if (result?.entries === undefined) return [];
  const { entries } = result;
  const entry = entries.find((one) => one.key === key);
  if (entry !== undefined) return [show(entry)];
  const last = entries.at(-1)?.key;
  const whole = step.limit === undefined || entries.length < step.limit;
  const behind = last !== undefined && compareKeys(key, last) > 0 !== (step.reverse ?? false);
  return whole || !behind ? [show(null)] : [];
}

function show(entry: Shown | null): KeyStep {
  if (entry === null) return { op: "get", pure: true, absent: true };
  return { op: "get", pure: true, absent: false, value: entry.value, version: entry.version };
}

/** Every value that an answer shows or a check asks for. */
function valuesSeen(operations: readonly Operation[]): Set<string> {
  const seen = new Set<string>();
  const add = (value: string | undefined): void => {
    if (value !== undefined) seen.add(value);
  };
  for (const { asked, answer } of operations) {
    for (const check of asked.checks ?? []) if ("value" in check) add(check.value);
    if (answer.kind !== "done") continue;
    for (const { entry, entries, value } of answer.results) {
      add(entry?.value);
      add(value);
      if (entries !== undefined) for (const { value } of entries) add(value);
    }
  }
  return seen;
}

/**
 * Expiries as operations of nobody: after the deadline, where the clock is known, and before the
 * watch showed them.
 */
function* expirations({ commits = [], epoch }: History): Generator<[string, KeyOperation]> {
  const deadlines = new Map<string, number>();
  for (const { events, seen } of commits) {
    for (const event of events) {
      const { key } = event;
      if (event.type === "put") deadlines.set(key, event.expiresAt ?? -Infinity);
      if (event.type !== "expire") continue;
      const deadline = deadlines.get(key) ?? -Infinity;
      const after = epoch === undefined ? -Infinity : deadline - epoch - CLOCK_SLACK_MS;
      const run = new KeyRun([{ op: "delete", pure: false, deleted: 1 }]);
      const operation = {
        call: Math.min(after, seen),
        end: seen,
        optional: false,
        pure: false,
        name: "expiry",
        apply: (state: KeyState) => run.from(state),
        describe: () => `the expiry of ${key}, seen at ${seen.toFixed(3)} ms`,
      };
      yield [key, operation];
    }
  }
}
