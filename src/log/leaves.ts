/** Rows of entry numbers of a fixed length, many to a chunk, each found by its own number. */

/** Entries of a leaf. */
export const LEAF_ENTRIES_MAX = 512;

export class Leaves {
  readonly #chunks: Uint32Array[] = [];
  /** By the number of a leaf: how many entries it has, and how many of them are no tombstones. */
  #counts = new Uint16Array(CHUNK_LEAVES);
  #live = new Uint16Array(CHUNK_LEAVES);
  readonly #free: number[] = [];
  #end = 0;

  /** Bytes of memory that they take. */
  get bytesHeld(): number {
    return (
      this.#chunks.reduce((sum, { byteLength }) => sum + byteLength, 0) +
      this.#counts.byteLength +
      this.#live.byteLength
    );
  }

  /** An empty leaf. */
  add(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const leaf = this.#end++;
    if (startOf(leaf) === 0) {
      // The first one grows as it fills: most indexes are small.
      this.#chunks.push(new Uint32Array(leaf === 0 ? FIRST_ENTRIES : CHUNK_ENTRIES));
    }
    if (leaf === this.#counts.length) {
      this.#counts = larger(this.#counts);
      this.#live = larger(this.#live);
    }
    return leaf;
  }

  /** Gives back a leaf. */
  remove(leaf: number): void {
    this.#counts[leaf] = 0;
    this.#live[leaf] = 0;
    this.#free.push(leaf);
  }

  count(leaf: number): number {
    return this.#counts[leaf]!;
  }

  live(leaf: number): number {
    return this.#live[leaf]!;
  }

  addLive(leaf: number, more: number): void {
    this.#live[leaf]! += more;
  }

  entry(leaf: number, at: number): number {
    return this.#chunk(leaf)[startOf(leaf) + at]!;
  }

  insert(leaf: number, at: number, entry: number, isLive: boolean): void {
    const start = startOf(leaf);
    const count = this.#counts[leaf]!++;
    const chunk = this.#reserve(leaf, start + count + 1);
    if (at < count) chunk.copyWithin(start + at + 1, start + at, start + count);
    chunk[start + at] = entry;
    if (isLive) this.#live[leaf]!++;
  }

  /** Takes out an entry that is no live one. */
  take(leaf: number, at: number): void {
    const start = startOf(leaf);
    const count = this.#counts[leaf]!--;
    this.#chunk(leaf).copyWithin(start + at, start + at + 1, start + count);
  }

  /** Moves the entries of a leaf from `at` on behind those of another, which has room for them. */
  move(leaf: number, at: number, to: number, isLive: (entry: number) => boolean): void {
    const from = this.#chunk(leaf);
    const start = startOf(leaf) + at;
    const moved = from.subarray(start, startOf(leaf) + this.#counts[leaf]!);
    const end = startOf(to) + this.#counts[to]!;
    this.#reserve(to, end + moved.length).set(moved, end);
    let live = 0;
    for (const entry of moved) if (isLive(entry)) live++;
    this.#counts[to]! += moved.length;
    this.#live[to]! += live;
    this.#counts[leaf] = at;
    this.#live[leaf]! -= live;
  }

  /** The chunk of a leaf, made to reach up to `end`. */
  #reserve(leaf: number, end: number): Uint32Array {
    const chunk = this.#chunk(leaf);
    if (end <= chunk.length) return chunk;
    const larger = new Uint32Array(Math.min(CHUNK_ENTRIES, Math.max(end, 4 * chunk.length)));
    larger.set(chunk);
    return (this.#chunks[leaf >>> CHUNK_SHIFT] = larger);
  }

  #chunk(leaf: number): Uint32Array {
    return this.#chunks[leaf >>> CHUNK_SHIFT]!;
  }
}

// --- internal ---

const CHUNK_SHIFT = 4;
const CHUNK_LEAVES = 1 << CHUNK_SHIFT;
const CHUNK_ENTRIES = CHUNK_LEAVES * LEAF_ENTRIES_MAX;
const FIRST_ENTRIES = 64;

function startOf(leaf: number): number {
  return (leaf & (CHUNK_LEAVES - 1)) * LEAF_ENTRIES_MAX;
}

function larger(numbers: Uint16Array): Uint16Array<ArrayBuffer> {
  const more = new Uint16Array(Math.ceil(1.5 * numbers.length));
  more.set(numbers);
  return more;
}
