/**
 * Times to live, and other times, as text: `30s`. One grammar for headers, JSON, parameters and
 * flags.
 */

import { KvError } from "./errors.ts";
import { TTL_MS_MAX } from "./limits.ts";
import { quote } from "./text.ts";

/** What a time is written as: digits without a leading zero, and a unit. */
export const DURATION = /^([1-9][0-9]*)(ms|s|m|h|d)$/;

/** Milliseconds of a time such as `500ms`, `30s`, `10m` or `7d`; `undefined` for other texts. */
export function durationFromText(text: string): number | undefined {
  const [, digits, unit] = DURATION.exec(text) ?? [];
  if (digits === undefined || unit === undefined) return undefined;
  const milliseconds = Number(digits) * UNITS_MS[unit as keyof typeof UNITS_MS];
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
}

/** The text of a time in milliseconds, in the largest unit that has no remainder. */
export function durationToText(milliseconds: number): string {
  const units = Object.entries(UNITS_MS).toReversed();
  const [unit, size] = units.find(([, size]) => milliseconds % size === 0)!;
  return `${milliseconds / size}${unit}`;
}

/**
 * Milliseconds of a time to live, 1 ms to 3,650 d, or one of `words`; `name` is where it stands.
 * @throws `invalid_argument` for anything else.
 */
export function ttlFromText<const W extends string = never>(
  text: string,
  name: string,
  ...words: readonly W[]
): number | W {
  const word = words.find((word) => word === text);
  if (word !== undefined) return word;
  const milliseconds = durationFromText(text) ?? Number.NaN;
  if (milliseconds <= TTL_MS_MAX) return milliseconds;
  const others = words.map((word) => `, or ${word}`).join("");
  throw new KvError(
    "invalid_argument",
    `${name} cannot be ${quote(text)}; it takes a time such as 500ms, 30s, 10m, 2h or 7d, ` +
      `up to ${durationToText(TTL_MS_MAX)}${others}`,
  );
}

/** The text of what `ttlFromText` reads. */
export function ttlToText<W extends string>(ttl: number | W): string {
  return typeof ttl === "number" ? durationToText(ttl) : ttl;
}

// --- internal ---

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
