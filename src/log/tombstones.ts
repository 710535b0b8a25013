/**
 * Deletions in order of revision, until they are forgotten. Those that do not count any more, since
 * their key was made anew, go little by little: no single call takes long however many there are.
 */

export interface Tombstone {
  readonly key: string;
  readonly revision: number;
}

/** Deletions that are looked at together. */
const CHUNK_MAX = 1_024;

export class Tombstones {
  /** None is empty but the last one. */
  #chunks: Tombstone[][] = [[]];
  /** Those before it in the first chunk are gone. */
  #first = 0;
  /** The chunk that is looked through next for what does not count any more. */
  #swept = 0;
  readonly #counts: (tombstone: Tombstone) => boolean;

  /** `counts` tells whether a deletion is still the newest of its key. */
  constructor(counts: (tombstone: Tombstone) => boolean) {
    this.#counts = counts;
  }

  /** How many there are, with those that do not count any more. */
  get size(): number {
    return this.#chunks.reduce((sum, { length }) => sum + length, -this.#first);
  }

  /** The oldest one; it may not count any more. */
  get oldest(): Tombstone | undefined {
    return this.#chunks[0]![this.#first];
  }

  /** Adds one that is newer than all others, unless they are sorted after it. */
  add(tombstone: Tombstone): void {
    const last = this.#chunks.at(-1)!;
    last.push(tombstone);
    if (last.length < CHUNK_MAX) return;
    this.#chunks.push([]);
    // Two for each that is filled: so at most about half of all do not count.
    this.#sweep();
    this.#sweep();
  }

  /** Takes out the oldest one. */
  drop(): void {
    this.#first++;
    if (this.#first < this.#chunks[0]!.length) return;
    this.#first = 0;
    if (this.#chunks.length === 1) this.#chunks[0] = [];
    else {
      this.#chunks.shift();
      this.#swept = Math.max(0, this.#swept - 1);
    }
  }

  /** Brings those into order that were added in any: while a log is opened, when nobody waits. */
  sort(): void {
    const all = this.#chunks.flat().slice(this.#first);
    all.sort((a, b) => a.revision - b.revision);
    this.#chunks = [];
    for (let at = 0; at < all.length; at += CHUNK_MAX) {
      this.#chunks.push(all.slice(at, at + CHUNK_MAX));
    }
    this.#chunks.push([]);
    this.#first = 0;
    this.#swept = 0;
  }

  #sweep(): void {
    // The last one is being filled.
    if (this.#swept >= this.#chunks.length - 1) this.#swept = 0;
    if (this.#chunks.length === 1) return;
    const at = this.#swept;
    const chunk = at === 0 ? this.#chunks[0]!.slice(this.#first) : this.#chunks[at]!;
    if (at === 0) this.#first = 0;
    const left = chunk.filter(this.#counts);
    const before = at === 0 ? undefined : this.#chunks[at - 1]!;
    const start = at === 1 ? this.#first : 0;
    if (left.length === 0) this.#chunks.splice(at, 1);
    else if (before !== undefined && before.length - start + left.length <= CHUNK_MAX) {
      before.push(...left);
      this.#chunks.splice(at, 1);
    } else {
      this.#chunks[at] = left;
      this.#swept++;
    }
  }
}
