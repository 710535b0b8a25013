/** Bytes copied on a server: not for what runs in browsers, which have no `Buffer`. */

import { assert } from "./errors.ts";

/** Copies the bytes at `start` to `end` of `from` to `at` of `to`. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): void {
  if (end - start > LOOP_BYTES_MAX) {
    // A fifth of the time of `set`, which needs a view of the part.
    const copied = Buffer.prototype.copy.call(from, to, at, start, end);
    assert(copied === end - start, "there is room for what is copied");
  } else for (let index = start; index < end; index++) to[at + index - start] = from[index]!;
}

// --- internal ---

/** Bytes up to which a loop is quicker than a call. */
const LOOP_BYTES_MAX = 16;
