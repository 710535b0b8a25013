/** Bytes compared and copied. */

export { copyBytes } from "../copy-bytes.ts";

/** Are they the same bytes? */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
