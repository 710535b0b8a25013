/**
 * What one key goes through, without revisions: its value, how often it was changed, or its
 * absence. Made for searching: whatever an answer did not tell is left open.
 */

import type { Check } from "./history.ts";

/** `undefined`: absent. */
export type KeyState = { readonly value: string; readonly version: number } | undefined;

/** How a check came out. */
export type KeyCheck =
  | { readonly is: "absent" | "present" }
  | { readonly is: "value"; readonly value: string; readonly holds: boolean }
  | { readonly is: "version"; readonly versions: readonly number[]; readonly holds: boolean };

/** A step as its key saw it; fields that are `undefined` were not shown. */
export type KeyStep = { readonly pure: boolean } & (
  | { readonly op: "put"; readonly value: string; readonly version: number | undefined }
  | { readonly op: "touch"; readonly version: number | undefined }
  | {
      readonly op: "incr";
      readonly by: string;
      readonly value: string | undefined;
      readonly version: number | undefined;
    }
  | { readonly op: "delete"; readonly deleted: number | undefined }
  /** Of a range that was deleted whole, or up to a limit that may have left the key. */
  | { readonly op: "clear" | "mayClear" }
  | { readonly op: "get"; readonly absent: true }
  | {
      readonly op: "get";
      readonly absent: false;
      readonly value: string | undefined;
      readonly version: number | undefined;
    }
  /** A touch or, with `by`, an increment, which could not be done. */
  | { readonly op: "fails"; readonly by?: string }
);

/** What the outcome of a check says whatever the revisions were, if anything. */
export function withoutRevisions(check: Check, outcome: boolean): KeyCheck | undefined {
  const holds = outcome !== (check.not ?? false);
  if ("value" in check) return { is: "value", value: check.value, holds };
  if ("version" in check) return { is: "version", versions: [check.version].flat(), holds };
  const wanted = [check.revision].flat();
  const absent = wanted.includes(0) === holds;
  // It is there, at some revision: only "absent" is known not to hold.
  const present = wanted.some((revision) => revision > 0) || !holds;
  if (absent && present) return undefined;
  return { is: absent ? "absent" : "present" };
}

/** Can a check have come out like this? */
export function possible(check: KeyCheck, state: KeyState): boolean {
  switch (check.is) {
    case "absent":
      return state === undefined;
    case "present":
      return state !== undefined;
    case "value":
      return (state?.value === check.value) === check.holds;
    case "version":
      return check.versions.includes(state?.version ?? 0) === check.holds;
  }
}

/** Runs a list of steps; several steps of one list are one change of the key. */
export class KeyRun {
  readonly #steps: readonly KeyStep[];

  constructor(steps: readonly KeyStep[]) {
    this.#steps = steps;
  }

  /** All that the key can be afterwards; nothing if the steps cannot have gone like this. */
  from(state: KeyState): readonly KeyState[] {
    let runs: readonly At[] = [{ state, changed: false }];
    for (const step of this.#steps) {
      const [run] = runs;
      if (run === undefined) break;
      runs = runs.length === 1 ? take(step, run) : runs.flatMap((one) => take(step, one));
    }
    return runs.map(({ state }) => state);
  }
}

// --- internal ---

interface At {
  readonly state: KeyState;
  /** Has a step of this list changed the entry that is there? */
  readonly changed: boolean;
}

function take(step: KeyStep, at: At): readonly At[] {
  const { state } = at;
  switch (step.op) {
    case "put":
      return change(at, step.value, step.version);
    case "touch":
      return state === undefined ? [] : change(at, state.value, step.version);
    case "incr": {
      const sum = added(state, step.by);
      if (sum === undefined || (step.value !== undefined && step.value !== sum)) return [];
      return change(at, sum, step.version);
    }
    case "delete": {
      const there = state === undefined ? 0 : 1;
      if (step.deleted !== undefined && step.deleted !== there) return [];
      return there === 0 ? [at] : [ABSENT];
    }
    case "clear":
      return state === undefined ? [at] : [ABSENT];
    case "mayClear":
      return state === undefined ? [at] : [ABSENT, at];
    case "get": {
      if (step.absent || state === undefined)
        return step.absent === (state === undefined) ? [at] : [];
      const value = step.value === undefined || step.value === state.value;
      const version = step.version === undefined || step.version === state.version;
      return value && version ? [at] : [];
    }
    case "fails": {
      const fails =
        step.by === undefined ? state === undefined : added(state, step.by) === undefined;
      return fails ? [at] : [];
    }
  }
}

const ABSENT: At = { state: undefined, changed: true };

function change({ state, changed }: At, value: string, shown: number | undefined): readonly At[] {
  const version = state === undefined ? 1 : state.version + (changed ? 0 : 1);
  // A later step that undid the change makes the answer show 0.
  if (shown !== undefined && shown !== 0 && shown !== version) return [];
  return [{ state: { value, version }, changed: true }];
}

/** The sum as text; nothing if there is none within 64 bits. */
function added(state: KeyState, by: string): string | undefined {
  const old = state === undefined ? "0" : state.value;
  if (!/^-?\d+$/.test(old) || String(BigInt(old)) !== old) return undefined;
  const sum = BigInt(old) + BigInt(by);
  return isInt64(BigInt(old)) && isInt64(sum) ? String(sum) : undefined;
}

function isInt64(integer: bigint): boolean {
  return BigInt.asIntN(64, integer) === integer;
}
