/**
 * Reads the values of flags. Every message names the flag or the variable that the value came from.
 */

import { KvError } from "../errors.ts";
import { int64FromText } from "../int64.ts";
import { quote, showBytes } from "../text.ts";
import { durationFromText, ttlFromText } from "../ttl.ts";
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

/** As `parseInteger`, for a flag that may be left out. */
export function parseOptional(
  source: string,
  text: string | undefined,
  minimum: number,
): number | undefined {
  return text === undefined ? undefined : parseInteger(source, text, minimum);
}

/** An integer of 64 bits. @throws `UsageError`. */
export function parseInt64(source: string, text: string): bigint {
  const value = int64FromText(text);
  if (value !== undefined) return value;
  throw new UsageError(
    `${source} must be an integer of 64 bits such as 1 or -5, not ${quote(text)}`,
  );
}

/**
 * Milliseconds of a time such as `500ms`, `10s`, `2m`, `1h`, `1d`; at most 24 days. @throws
 * `UsageError`.
 */
export function parseMilliseconds(source: string, text: string): number {
  const milliseconds = durationFromText(text) ?? Number.NaN;
  if (milliseconds <= MILLISECONDS_MAX) return milliseconds;
  throw new UsageError(`${source} must be a time such as 500ms, 10s or 2m, not ${quote(text)}`);
}

/** A time to live in milliseconds, or one of `words`. @throws `UsageError`. */
export function parseTtl<const W extends string = never>(
  source: string,
  text: string,
  ...words: readonly W[]
): number | W {
  try {
    return ttlFromText(text, source, ...words);
  } catch (error) {
    if (error instanceof KvError) throw new UsageError(error.message);
    throw error;
  }
}

/**
 * Bytes of a size such as `64MiB`, `1GiB`, `1GB` or `4096`, from `minimum` to `maximum`: `KiB` is
 * 1,024 bytes, `kB` 1,000; upper and lower case are the same. @throws `UsageError`.
 */
export function parseBytes(
  source: string,
  text: string,
  minimum: number,
  maximum = Number.MAX_SAFE_INTEGER,
): number {
  const [, digits, unit = ""] = /^(\d{1,16})(?:([kmgt]i?)?b)?$/i.exec(text) ?? [];
  const bytes = Number(digits) * (UNIT_BYTES[unit.toLowerCase()] ?? Number.NaN);
  if (Number.isSafeInteger(bytes) && bytes >= minimum && bytes <= maximum) return bytes;
  const bounds =
    maximum === Number.MAX_SAFE_INTEGER
      ? `of at least ${showBytes(minimum)}`
      : `from ${showBytes(minimum)} to ${showBytes(maximum)}`;
  throw new UsageError(
    `${source} must be a size ${bounds}, such as 64MiB, 1GiB, 1GB or 4096, not ${quote(text)}`,
  );
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

const UNIT_BYTES: Readonly<Record<string, number>> = Object.assign(
  Object.create(null) as object,
  { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 },
  { ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30, ti: 2 ** 40 },
);

/** A timer of more than 2^31 - 1 milliseconds fires at once. */
const MILLISECONDS_MAX = 24 * 86_400_000;
