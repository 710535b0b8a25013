/**
 * Integers of 64 bits as text, the form in which they are stored and stand in JSON (whose numbers
 * end at 2^53). One spelling each: no leading zeros, no `+`, no `-0`.
 */

export const INT64_MIN = -(2n ** 63n);
export const INT64_MAX = 2n ** 63n - 1n;

/** The integer that a text is; `undefined` for other texts and beyond 64 bits. */
export function int64FromText(text: string): bigint | undefined {
  if (!INTEGER.test(text)) return undefined;
  const value = BigInt(text);
  return isInt64(value) ? value : undefined;
}

export function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}

// --- internal ---

/** What an integer is written as; its bounds are looked at apart. */
const INTEGER = /^(0|-?[1-9][0-9]{0,18})$/;
