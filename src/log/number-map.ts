/**
 * A map of numbers that grows without ever taking long: a plain one of a million is made anew in
 * one go when it grows, for tens of milliseconds. Many small ones do that at different times.
 */

/** A power of two. */
const PARTS = 256;

export class NumberMap<V> {
  /** Those that were not needed yet are absent. */
  readonly #parts: (Map<number, V> | undefined)[] = [];

  get(number: number): V | undefined {
    return this.#parts[number & (PARTS - 1)]?.get(number);
  }

  has(number: number): boolean {
    return this.#parts[number & (PARTS - 1)]?.has(number) === true;
  }

  set(number: number, value: V): void {
    (this.#parts[number & (PARTS - 1)] ??= new Map()).set(number, value);
  }

  delete(number: number): void {
    this.#parts[number & (PARTS - 1)]?.delete(number);
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
