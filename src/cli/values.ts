/**
 * Reads the values of flags. Every message names the flag or the variable that the value came from.
 */

import { quote } from "../text.ts";
import { UsageError } from "./failure.ts";

/** A whole number from `minimum` to `maximum`. @throws `UsageError`. */
export function parseInteger(
  source: string,
  text: string,
  minimum: number,
  maximum = Number.MAX_SAFE_INTEGER,
): number {
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= minimum && value <= maximum) return value;
  const bounds =
    maximum === Number.MAX_SAFE_INTEGER
      ? `of at least ${minimum}`
      : `from ${minimum} to ${maximum}`;
  throw new UsageError(`${source} must be a whole number ${bounds}, not ${quote(text)}`);
}

/**
 * Milliseconds of a time such as `500ms`, `10s`, `2m`, `1h`, `1d`; at most 24 days. @throws
 * `UsageError`.
 */
export function parseMilliseconds(source: string, text: string): number {
  const match = /^([1-9]\d{0,9})(ms|s|m|h|d)$/.exec(text);
  const milliseconds = match === null ? Number.NaN : Number(match[1]) * UNITS_MS[match[2]!]!;
  if (milliseconds <= MILLISECONDS_MAX) return milliseconds;
  throw new UsageError(`${source} must be a time such as 500ms, 10s or 2m, not ${quote(text)}`);
}

/** The parts of a list with commas; spaces around a part do not count. */
export function parseNames(text: string): string[] {
  const parts = text.split(",").map((part) => part.trim());
  return parts.filter((part) => part !== "");
}

/** The variable's value; an empty one counts as not set, as compose files write it. */
export function environment(name: string): string | undefined {
  return process.env[name] || undefined;
}

// --- internal ---

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A timer of more than 2^31 - 1 milliseconds fires at once. */
const MILLISECONDS_MAX = 24 * 86_400_000;
