/**
 * A map of numbers that grows without ever taking long: a plain one of a million is made anew in
 * one go when it grows, for tens of milliseconds. Many small ones do that at different times.
 */

export class NumberMap<V> {
  /** Those that were not needed yet are absent. */
  readonly #parts: (Map<number, V> | undefined)[] = [];

  get(number: number): V | undefined {
    return this.#parts[partOf(number)]?.get(number);
  }

  has(number: number): boolean {
    return this.#parts[partOf(number)]?.has(number) === true;
  }

  set(number: number, value: V): void {
    (this.#parts[partOf(number)] ??= new Map()).set(number, value);
  }

  delete(number: number): void {
    this.#parts[partOf(number)]?.delete(number);
  }

  get size(): number {
    return this.#parts.reduce((sum, part) => sum + (part?.size ?? 0), 0);
  }

  /** In no order. */
  *entries(): Generator<[number, V], undefined> {
    for (const part of this.#parts) if (part !== undefined) yield* part;
    return undefined;
  }
}

/**
 * In which of the small ones a number is. Entries are numbered by their places: most often all of
 * them are multiples of some number, and have to be spread all the same.
 */
export function partOf(number: number): number {
  return Math.imul(number, 0x9e3779b1) >>> (32 - PART_BITS);
}

// --- internal ---

const PART_BITS = 8;
