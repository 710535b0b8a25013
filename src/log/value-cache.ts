/**
 * Values in memory, by where their record stands: the ones used last, up to a number of bytes.
 * The order of use is a ring of its own: finding the first entry of a map from which many were
 * deleted costs time that grows with their number.
 */

/**
 * What one value counts beyond its bytes: its place in map and ring, and the array's own memory.
 */
const OVERHEAD_BYTES = 400;

export class ValueCache {
  readonly #bytesMax: number;
  readonly #held = new Map<number, Held>();
  /** The ring's beginning and end: after it comes the least recently used, before it the most. */
  readonly #ends = ring();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(position: number): Uint8Array | undefined {
    const held = this.#held.get(position);
    if (held === undefined) return undefined;
    unlink(held);
    this.#append(held);
    return held.value;
  }

  /** Keeps a value, unless it alone would take more than an eighth of the cache. */
  add(position: number, value: Uint8Array): void {
    const bytes = value.length + OVERHEAD_BYTES;
    if (bytes > this.#bytesMax / 8 || this.#held.has(position)) return;
    const held = { position, value, before: this.#ends, after: this.#ends };
    this.#held.set(position, held);
    this.#append(held);
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax) this.remove(this.#ends.after.position);
  }

  remove(position: number): void {
    const held = this.#held.get(position);
    if (held === undefined) return;
    this.#held.delete(position);
    unlink(held);
    this.#bytes -= held.value.length + OVERHEAD_BYTES;
  }

  /** The record of a value stands elsewhere now. */
  move(from: number, to: number): void {
    const held = this.#held.get(from);
    if (held === undefined) return;
    this.#held.delete(from);
    held.position = to;
    this.#held.set(to, held);
  }

  #append(held: Held): void {
    const last = this.#ends.before;
    last.after = held;
    held.before = last;
    held.after = this.#ends;
    this.#ends.before = held;
  }
}

// --- internal ---

interface Held {
  position: number;
  readonly value: Uint8Array;
  before: Held;
  after: Held;
}

function ring(): Held {
  const ends = { position: -1, value: new Uint8Array(0) } as Held;
  ends.before = ends;
  ends.after = ends;
  return ends;
}

function unlink({ before, after }: Held): void {
  before.after = after;
  after.before = before;
}
