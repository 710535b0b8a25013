/** Values in memory, by where their record stands: the ones used last, up to a number of bytes. */

/** What one value counts beyond its bytes: the map's entry and the array's own memory. */
const OVERHEAD_BYTES = 160;

export class ValueCache {
  readonly #bytesMax: number;
  /** Least recently used first: a Map keeps the order of insertion. */
  readonly #values = new Map<number, Uint8Array>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(position: number): Uint8Array | undefined {
    const value = this.#values.get(position);
    if (value === undefined) return undefined;
    this.#values.delete(position);
    this.#values.set(position, value);
    return value;
  }

  /** Keeps a value, unless it alone would take more than an eighth of the cache. */
  add(position: number, value: Uint8Array): void {
    const bytes = value.length + OVERHEAD_BYTES;
    if (bytes > this.#bytesMax / 8 || this.#values.has(position)) return;
    this.#values.set(position, value);
    this.#bytes += bytes;
    if (this.#bytes > this.#bytesMax) this.#evict();
  }

  remove(position: number): void {
    const value = this.#values.get(position);
    if (value === undefined) return;
    this.#values.delete(position);
    this.#bytes -= value.length + OVERHEAD_BYTES;
  }

  #evict(): void {
    for (const position of this.#values.keys()) {
      this.remove(position);
      if (this.#bytes <= this.#bytesMax) return;
    }
  }
}
