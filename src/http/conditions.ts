/**
 * `If-Match` and `If-None-Match` (RFC 9110 §13.1): lists of entity tags, `*`, weak tags. A tag is a
 * revision, `"42"`; digits without quotes are accepted too.
 */

import { KvError } from "../errors.ts";
import type { Check } from "../kv.ts";
import { quote } from "../text.ts";

/** The revisions a header names; `any` for `*`. Weak tags stand only where they can match. */
type Tags = "any" | readonly number[];

/** What the headers say to the handlers that evaluate them for a key. */
export const CONDITION_HEADERS = {
  "If-Match": 'Only if the key has this revision ("42"), one of a list, or any (*).',
  "If-None-Match": 'Only if the key has none of these revisions ("42"), or is absent (*).',
};

export interface Conditions {
  readonly match?: Tags;
  readonly noneMatch?: Tags;
}

/** The conditions of a request, or `undefined` when it has none. Throws `invalid_argument`. */
export function readConditions(headers: Headers): Conditions | undefined {
  const match = headers.get("if-match");
  const noneMatch = headers.get("if-none-match");
  if (match === null && noneMatch === null) return undefined;
  return {
    // If-Match compares strongly, so a weak tag never matches; If-None-Match compares weakly.
    ...(match === null ? undefined : { match: parseTags(match, "If-Match", false) }),
    ...(noneMatch === null
      ? undefined
      : { noneMatch: parseTags(noneMatch, "If-None-Match", true) }),
  };
}

/**
 * To ignore a condition that somebody relies on would be worse than to refuse it; `reason` says why
 * there can be none here.
 */
export function refuseConditions(headers: Headers, reason: string): void {
  if (!headers.has("if-match") && !headers.has("if-none-match")) return;
  throw new KvError("invalid_argument", `${reason}; leave If-Match and If-None-Match out`);
}

/** The same conditions as checks of a transaction. */
export function conditionChecks(key: string, conditions: Conditions | undefined): Check[] {
  const checks: Check[] = [];
  const { match, noneMatch } = conditions ?? {};
  if (match !== undefined) checks.push(...matchChecks(key, match));
  if (noneMatch === "any") checks.push({ key, revision: 0 });
  else if (noneMatch !== undefined) checks.push({ key, revision: noneMatch, not: true });
  return checks;
}

/**
 * What a read of something that exists at `revision` answers: itself, 304, or 412; `If-Match` comes
 * first (RFC 9110 §13.2.2).
 */
export function evaluateRead(
  conditions: Conditions | undefined,
  revision: number,
): "answer" | "not_modified" | "failed" {
  if (conditions === undefined) return "answer";
  const { match, noneMatch } = conditions;
  if (match !== undefined && !matches(match, revision)) return "failed";
  if (noneMatch !== undefined && matches(noneMatch, revision)) return "not_modified";
  return "answer";
}

// --- internal ---

function matches(tags: Tags, revision: number): boolean {
  return tags === "any" || tags.includes(revision);
}

function matchChecks(key: string, match: Tags): Check[] {
  const present: Check = { key, revision: 0, not: true };
  if (match === "any") return [present];
  if (match.length > 0) return [{ key, revision: match }];
  // Only weak tags: holds never, neither present nor absent.
  return [present, { key, revision: 0 }];
}

function parseTags(header: string, name: string, weakMatches: boolean): Tags {
  if (header.trim() === "*") return "any";
  const revisions: number[] = [];
  let tags = 0;
  for (const part of header.split(",")) {
    const text = part.trim();
    // A list may have empty elements (RFC 9110 §5.6.1).
    if (text === "") continue;
    tags++;
    const weak = text.startsWith("W/");
    const revision = parseTag(weak ? text.slice(2) : text, name);
    if (!weak || weakMatches) revisions.push(revision);
  }
  if (tags === 0) throw new KvError("invalid_argument", `${name} is empty; give a revision or *`);
  return revisions;
}

function parseTag(text: string, name: string): number {
  const digits = /^(?:"([0-9]+)"|([0-9]+))$/.exec(text);
  const revision = Number(digits?.[1] ?? digits?.[2]);
  if (revision === 0) {
    throw new KvError(
      "invalid_argument",
      `${name} names revision 0, which no key has; If-None-Match: * means "only if absent"`,
    );
  }
  // A leading zero or a number past 2^53 would be a second spelling of another revision.
  if (!Number.isSafeInteger(revision) || String(revision) !== (digits?.[1] ?? digits?.[2])) {
    throw new KvError(
      "invalid_argument",
      `${name} has ${quote(text)}; it takes revisions like "42", a list of them, or *`,
    );
  }
  return revision;
}
