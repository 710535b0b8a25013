/**
 * The conditions of a write of one key as its caller names them, and the checks that they are.
 */

import { KvError } from "./errors.ts";
import type { Check } from "./kv.ts";
import { checkInteger } from "./rules.ts";

/** All that are given must hold. */
export interface Conditions {
  /** Only if the key's revision is this one, or one of these; 0 = the key is absent. */
  readonly ifRevision?: number | readonly number[] | undefined;
  /** Only if the key's revision is not this one, and none of these. */
  readonly ifNotRevision?: number | readonly number[] | undefined;
  /** Only if the key is absent. */
  readonly ifAbsent?: boolean | undefined;
  /** Only if the key is there. */
  readonly ifPresent?: boolean | undefined;
}

/**
 * @throws `invalid_argument` for what is no revision, and for conditions that say the same twice or
 * can never hold together.
 */
export function checksOfConditions(key: string, conditions: Conditions): Check[] {
  const { ifRevision, ifNotRevision, ifAbsent = false, ifPresent = false } = conditions;
  checkRevisions("ifRevision", ifRevision);
  checkRevisions("ifNotRevision", ifNotRevision);
  checkTogether(conditions);
  return [
    ...(ifAbsent ? [{ key, revision: 0 }] : []),
    ...(ifPresent ? [{ key, revision: 0, not: true }] : []),
    ...(ifRevision === undefined ? [] : [{ key, revision: ifRevision }]),
    ...(ifNotRevision === undefined ? [] : [{ key, revision: ifNotRevision, not: true }]),
  ];
}

// --- internal ---

type Revisions = number | readonly number[] | undefined;

function checkRevisions(name: string, given: Revisions): void {
  const revisions = given === undefined ? [0] : [given].flat();
  if (revisions.length === 0) throw new KvError("invalid_argument", `"${name}" has no revision`);
  for (const revision of revisions) checkInteger(`"${name}"`, revision, 0);
}

function checkTogether(conditions: Conditions): void {
  const { ifRevision, ifNotRevision, ifAbsent = false, ifPresent = false } = conditions;
  if (ifAbsent && ifPresent) throw exclusive("ifAbsent", "ifPresent");
  if (ifAbsent && ifRevision !== undefined) throw exclusive("ifAbsent", "ifRevision");
  if (ifAbsent && ifNotRevision !== undefined) throw exclusive("ifAbsent", "ifNotRevision");
  if (ifPresent && ifRevision !== undefined) throw exclusive("ifPresent", "ifRevision");
  if (ifRevision === undefined || ifNotRevision === undefined) return;
  const refused = new Set([ifNotRevision].flat());
  if ([ifRevision].flat().every((revision) => refused.has(revision))) {
    throw exclusive("ifRevision", "ifNotRevision");
  }
}

function exclusive(one: keyof Conditions, other: keyof Conditions): KvError {
  return new KvError("invalid_argument", `"${one}" and "${other}" exclude each other`);
}
