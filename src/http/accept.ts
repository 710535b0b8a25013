/** Which of several types a client likes best, by its `Accept` header (RFC 9110 §12.5.1). */

/**
 * One of `offered`: the one with the highest weight, among equals the one that the header names
 * most exactly, then the one that is offered first. That one too where the header leaves none:
 * an answer that was not asked for is of more use than none.
 */
export function negotiate(accept: string | null, offered: readonly [string, ...string[]]): string {
  if (accept === null) return offered[0];
  const ranges = readRanges(accept);
  let best: Liking = { type: offered[0], weight: 0, exactness: 0 };
  for (const type of offered) {
    const liking = likingOf(type, ranges);
    const isBetter =
      liking.weight > best.weight ||
      (liking.weight === best.weight && liking.exactness > best.exactness);
    if (liking.weight > 0 && isBetter) best = liking;
  }
  return best.type;
}

/** Does the client name this very type, and like nothing else as much? */
export function prefers(accept: string | null, type: string): boolean {
  // Asked of every read of a value: most have no such header, or name quite other types.
  if (accept === null || accept.length < type.length) return false;
  if (!accept.toLowerCase().includes(type)) return false;
  const ranges = readRanges(accept);
  const isType = (range: MediaRange): boolean => `${range.type}/${range.subtype}` === type;
  const weight = Math.max(0, ...ranges.filter(isType).map((range) => range.weight));
  return weight > 0 && ranges.every((range) => isType(range) || range.weight < weight);
}

// --- internal ---

interface MediaRange {
  /** `*` for any. */
  readonly type: string;
  readonly subtype: string;
  readonly weight: number;
}

interface Liking {
  readonly type: string;
  readonly weight: number;
  /** 2 = named in full, 1 = by its main type, 0 = as anything. */
  readonly exactness: number;
}

/** A type and its parameters, of which only the weight counts. What is malformed says nothing. */
function readRanges(accept: string): MediaRange[] {
  const ranges: MediaRange[] = [];
  for (const part of accept.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim());
    const [, type, subtype] = /^([^\s/]+)\/([^\s/]+)$/.exec(name) ?? [];
    if (type === undefined || subtype === undefined || (type === "*" && subtype !== "*")) continue;
    const given = parameters.find((parameter) => /^q\s*=/.test(parameter));
    const weight = given === undefined ? 1 : weightOf(given.replace(/^q\s*=\s*/, ""));
    if (weight !== undefined) ranges.push({ type, subtype, weight });
  }
  return ranges;
}

function weightOf(text: string): number | undefined {
  return /^(0(\.[0-9]{0,3})?|1(\.0{0,3})?)$/.test(text) ? Number(text) : undefined;
}

/** The most exact of the ranges that fit says how much a type is liked. */
function likingOf(type: string, ranges: readonly MediaRange[]): Liking {
  const [main, sub] = type.split("/");
  let liking: Liking = { type, weight: 0, exactness: -1 };
  for (const range of ranges) {
    const isMain = range.type === main;
    const fits = range.type === "*" || (isMain && (range.subtype === "*" || range.subtype === sub));
    const exactness = Number(isMain) + Number(isMain && range.subtype === sub);
    if (fits && exactness > liking.exactness) liking = { type, weight: range.weight, exactness };
  }
  return liking;
}
