/** Bytes compared and copied. */

/** Are they the same bytes? */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** Copies the bytes at `start` to `end` of `from` to `at` of `to`. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): void {
  const whole = start === 0 && end === from.length;
  if (end - start > LOOP_BYTES_MAX) to.set(whole ? from : from.subarray(start, end), at);
  else for (let index = start; index < end; index++) to[at + index - start] = from[index]!;
}

// --- internal ---

/** Bytes up to which a loop is quicker than a call. */
const LOOP_BYTES_MAX = 32;
