/** The keys and values that every workload uses: 16 bytes and 100 bytes, known by a number. */

export const KEY_BYTES = 16;
export const VALUE_BYTES = 100;

/** `key:000000000042`, as redis-benchmark writes them. */
export function keyOf(number: number): string {
  return `key:${String(number).padStart(KEY_BYTES - 4, "0")}`;
}

/** The key, then filler: whoever reads it can tell whose value it is. */
export function valueOf(number: number): string {
  return keyOf(number).padEnd(VALUE_BYTES, "x");
}

/** The number in a key that stands in `bytes` at `at`. */
export function numberAt(bytes: Uint8Array, at: number): number {
  let number = 0;
  for (let digit = at + 4; digit < at + KEY_BYTES; digit++) {
    number = number * 10 + bytes[digit]! - 0x30;
  }
  return number;
}

/** Writes the key of `number` into `bytes` at `at`, without a string. */
export function writeKey(bytes: Uint8Array, at: number, number: number): void {
  bytes[at] = 0x6b;
  bytes[at + 1] = 0x65;
  bytes[at + 2] = 0x79;
  bytes[at + 3] = 0x3a;
  let rest = number;
  for (let digit = at + KEY_BYTES - 1; digit >= at + 4; digit--) {
    const tenth = Math.floor(rest / 10);
    bytes[digit] = 0x30 + rest - tenth * 10;
    rest = tenth;
  }
}

/** For each `at` below `count`, a power of ten, another number below it: keys in no order. */
export function scattered(at: number, count: number): number {
  return (at * SCATTER) % count;
}

/** Numbers below `count`, the same ones for the same seed (xorshift of 32 bits). */
export class Picker {
  readonly #count: number;
  #state: number;

  constructor(count: number, seed: number) {
    this.#count = count;
    this.#state = (seed * 2_654_435_761 + 1) >>> 0 || 1;
  }

  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state % this.#count;
  }
}

// --- internal ---

/** Ends in a 7: shares no factor with powers of ten, so that its multiples meet every number. */
const SCATTER = 7_368_787;
