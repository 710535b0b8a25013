/** Entries of the index whose records a merge writes anew, and where each of them then stands. */

export class Moves {
  /** Entries and places by turns, in chunks. */
  readonly #chunks: Uint32Array[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** `offset` is a multiple of 8, as those of all records are. */
  add(entry: number, offset: number): void {
    const at = 2 * (this.#count++ % CHUNK_MOVES);
    if (at === 0) this.#chunks.push(new Uint32Array(2 * CHUNK_MOVES));
    const chunk = this.#chunks.at(-1)!;
    chunk[at] = entry;
    chunk[at + 1] = offset / 8;
  }

  entry(move: number): number {
    return this.#chunks[Math.floor(move / CHUNK_MOVES)]![2 * (move % CHUNK_MOVES)]!;
  }

  offset(move: number): number {
    return this.#chunks[Math.floor(move / CHUNK_MOVES)]![2 * (move % CHUNK_MOVES) + 1]! * 8;
  }
}

// --- internal ---

const CHUNK_MOVES = 16_384;
