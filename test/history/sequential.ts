/**
 * What one transaction does to a state and answers, by the rules of the data model, one after the
 * other. The revision-order checker and the simulated store go by it; the linearizability checker
 * does not, so that an error in here does not hide in both.
 */

import { inRange, rangeStart, compareKeys, type Range } from "../../src/keys.ts";
import type { Asked, Check, Result, Step, Ttl } from "./history.ts";

/**
 * Stands for the revision of a transaction that is to leave no trace: what it reads of its own
 * changes shows some revision that is never used.
 */
export const TENTATIVE = -1;

/** A deadline that a store has set, one that it is yet to tell (so long after now), or none. */
export type Deadline = number | { readonly ttl: number } | null;

export interface State {
  readonly value: string;
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
  readonly expiresAt: Deadline;
}

export interface View {
  get(key: string): State | undefined;
  /** Every key that is there, and maybe others, in order. */
  readonly keys: readonly string[];
}

/** A result with every field that any answer could show. */
export type RightResult = Omit<Result, "expiresAt" | "entry" | "entries"> & {
  readonly expiresAt?: Deadline;
  readonly entry?: RightEntry | null;
  readonly entries?: readonly RightEntry[];
};

export type RightEntry = State & { readonly key: string };

export interface Outcome {
  readonly succeeded: boolean;
  readonly failed: readonly number[];
  readonly results: readonly RightResult[];
  /** The step that failed; then nothing changes. */
  readonly refused?: { readonly index: number; readonly code: "not_found" | "conflict" };
  /** The net effect (`undefined`: gone), in the order of each key's last change. */
  readonly changes: ReadonlyMap<string, State | undefined>;
}

/**
 * Evaluates a request on the state below `revision`, which is the commit's if there is one.
 * `succeeded` goes on as if the checks had come out that way.
 */
export function evaluate(asked: Asked, view: View, revision: number, succeeded?: boolean): Outcome {
  const { checks = [] } = asked;
  const failed: number[] = [];
  for (let at = 0; at < checks.length; at++) {
    if (!holds(checks[at]!, view.get(checks[at]!.key))) failed.push(at);
  }
  const all = succeeded ?? failed.length === 0;
  const run = new Run(view, revision);
  const steps = all ? asked.then : (asked.else ?? []);
  for (let index = 0; index < steps.length; index++) {
    const code = run.take(steps[index]!);
    if (code === undefined) continue;
    const refused = { index, code };
    return { succeeded: all, failed, results: [], refused, changes: new Map() };
  }
  return { succeeded: all, failed, results: run.results, changes: run.netEffect() };
}

/** The keys of a range, in order, out of an ordered list. */
export function keysIn(keys: readonly string[], range: Range): string[] {
  const start = rangeStart(range);
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle]!, start) < 0) low = middle + 1;
    else high = middle;
  }
  const found: string[] = [];
  for (let at = low; at < keys.length && inRange(range, keys[at]!); at++) found.push(keys[at]!);
  return found;
}

// --- internal ---

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

function holds(check: Check, state: State | undefined): boolean {
  const { not = false } = check;
  if ("value" in check) return (state?.value === check.value) !== not;
  const [wanted, actual] =
    "revision" in check
      ? [check.revision, state?.revision ?? 0]
      : [check.version, state?.version ?? 0];
  return (typeof wanted === "number" ? wanted === actual : wanted.includes(actual)) !== not;
}

/** One list of steps at work. */
class Run {
  readonly results: RightResult[] = [];
  /** What keys became so far, in the order of each key's last change. */
  readonly #changed = new Map<string, State | undefined>();
  /** Where the results of changes stand that a delete would undo. */
  readonly #undoable = new Map<string, number[]>();
  readonly #view: View;
  readonly #revision: number;

  constructor(view: View, revision: number) {
    this.#view = view;
    this.#revision = revision;
  }

  /** Answers the code of the failure, if the step fails. */
  take(step: Step): "not_found" | "conflict" | undefined {
    switch (step.op) {
      case "put":
        this.#put(step.key, step.value, deadline(step.ttl, this.#current(step.key)));
        return undefined;
      case "touch": {
        const before = this.#current(step.key);
        if (before === undefined) return "not_found";
        this.#put(step.key, before.value, deadline(step.ttl, before));
        return undefined;
      }
      case "incr":
        return this.#incr(step);
      case "delete":
        this.results.push({ deleted: this.#delete(step.key) ? 1 : 0 });
        return undefined;
      case "deleteRange":
        this.#deleteRange(step);
        return undefined;
      case "get":
        this.results.push({ entry: this.#entry(step.key) ?? null });
        return undefined;
      case "list":
        this.#list(step);
        return undefined;
      case "count":
        this.results.push({ count: this.#present(step.range).length });
        return undefined;
    }
  }

  netEffect(): ReadonlyMap<string, State | undefined> {
    for (const [key, state] of this.#changed) {
      if (state === undefined && this.#view.get(key) === undefined) this.#changed.delete(key);
    }
    return this.#changed;
  }

  #current(key: string): State | undefined {
    return this.#changed.has(key) ? this.#changed.get(key) : this.#view.get(key);
  }

  #entry(key: string): RightEntry | undefined {
    const state = this.#current(key);
    return state === undefined ? undefined : { key, ...state };
  }

  #present(range: Range): string[] {
    const before = keysIn(this.#view.keys, range);
    const known = new Set(before);
    const added = [...this.#changed.keys()].filter((key) => !known.has(key) && inRange(range, key));
    const keys = added.length === 0 ? before : [...before, ...added].sort(compareKeys);
    return keys.filter((key) => this.#current(key) !== undefined);
  }

  #put(key: string, value: string, expiresAt: Deadline, shown?: RightResult): void {
    const revision = this.#revision;
    const before = this.#current(key);
    // Several changes of a key in one transaction are one change.
    const version =
      before === undefined ? 1 : before.version + (before.revision === revision ? 0 : 1);
    const createRevision = before?.createRevision ?? revision;
    this.#change(key, { value, revision, createRevision, version, expiresAt });
    const undoable = this.#undoable.get(key);
    if (undoable === undefined) this.#undoable.set(key, [this.results.length]);
    else undoable.push(this.results.length);
    this.results.push({ ...shown, revision, createRevision, version, expiresAt });
  }

  #incr({ key, by, ttl }: Step & { op: "incr" }): "conflict" | undefined {
    const before = this.#current(key);
    if (before !== undefined && !/^(0|-?[1-9][0-9]*)$/.test(before.value)) return "conflict";
    const old = BigInt(before?.value ?? "0");
    const sum = old + BigInt(by);
    const fits = [old, sum].every((one) => one <= INT64_MAX && one >= INT64_MIN);
    if (!fits) return "conflict";
    const value = String(sum);
    const expiresAt = before === undefined ? deadline(ttl, undefined) : before.expiresAt;
    this.#put(key, value, expiresAt, { value });
    return undefined;
  }

  #delete(key: string): boolean {
    if (this.#current(key) === undefined) return false;
    for (const at of this.#undoable.get(key) ?? []) {
      const { expiresAt: _, ...result } = this.results[at]!;
      this.results[at] = { ...result, revision: 0, createRevision: 0, version: 0 };
    }
    this.#undoable.delete(key);
    this.#change(key, undefined);
    return true;
  }

  #deleteRange({ range, limit }: Step & { op: "deleteRange" }): void {
    const present = this.#present(range);
    const going = present.slice(0, limit);
    for (const key of going) this.#delete(key);
    this.results.push({ deleted: going.length, more: going.length < present.length });
  }

  #list({ range, limit, reverse = false }: Step & { op: "list" }): void {
    const present = this.#present(range);
    if (reverse) present.reverse();
    const page = present.slice(0, limit);
    const entries = page.map((key) => this.#entry(key)!);
    this.results.push({ entries, more: page.length < present.length });
  }

  #change(key: string, state: State | undefined): void {
    this.#changed.delete(key);
    this.#changed.set(key, state);
  }
}

function deadline(ttl: Ttl | undefined, before: State | undefined): Deadline {
  if (typeof ttl === "number") return { ttl };
  return ttl === "keep" ? (before?.expiresAt ?? null) : null;
}
