/**
 * Deletions in order of revision, by the numbers of their entries, until they are forgotten. Those
 * that do not count any more, since their key was made anew, go little by little: no single call
 * takes long however many there are.
 */

export class Tombstones {
  /** None is empty but the last one. */
  #chunks: Chunk[] = [new Chunk()];
  /** Those before it in the first chunk are gone. */
  #first = 0;
  /** The chunk that is looked through next for what does not count any more. */
  #swept = 0;
  readonly #counts: (entry: number, revision: number) => boolean;

  /** `counts` tells whether a deletion is still the newest record of its key. */
  constructor(counts: (entry: number, revision: number) => boolean) {
    this.#counts = counts;
  }

  /** How many there are, with those that do not count any more. */
  get size(): number {
    return this.#chunks.reduce((sum, { count }) => sum + count, -this.#first);
  }

  /** Bytes of memory that they take. */
  get bytesHeld(): number {
    return this.#chunks.reduce((sum, { entries }) => sum + entries.length * 12, 0);
  }

  /** The entry of the oldest one, which may not count any more; -1 when there is none. */
  get oldest(): number {
    const first = this.#chunks[0]!;
    return this.#first < first.count ? first.entries[this.#first]! : -1;
  }

  /** The revision of the oldest one, when there is one. */
  get oldestRevision(): number {
    return this.#chunks[0]!.revisions[this.#first]!;
  }

  /** Adds one that is newer than all others, unless they are sorted after it. */
  add(entry: number, revision: number): void {
    const last = this.#chunks.at(-1)!;
    last.push(entry, revision);
    if (last.count < CHUNK_MAX) return;
    this.#chunks.push(new Chunk());
    // Two for each that is filled: so at most about half of all do not count.
    this.#sweep();
    this.#sweep();
  }

  /** Takes out the oldest one. */
  drop(): void {
    this.#first++;
    if (this.#first < this.#chunks[0]!.count) return;
    this.#first = 0;
    if (this.#chunks.length === 1) this.#chunks[0] = new Chunk();
    else {
      this.#chunks.shift();
      this.#swept = Math.max(0, this.#swept - 1);
    }
  }

  /** Brings those into order that were added in any: while a log is opened, when nobody waits. */
  sort(): void {
    const all = new Chunk(this.size);
    for (const chunk of this.#chunks) all.take(chunk, chunk === this.#chunks[0] ? this.#first : 0);
    const order = new Uint32Array(all.count).map((_, at) => at);
    order.sort((a, b) => all.revisions[a]! - all.revisions[b]!);
    this.#chunks = [new Chunk()];
    this.#first = 0;
    this.#swept = 0;
    for (const at of order) {
      if (this.#chunks.at(-1)!.count === CHUNK_MAX) this.#chunks.push(new Chunk());
      this.#chunks.at(-1)!.push(all.entries[at]!, all.revisions[at]!);
    }
    if (this.#chunks.at(-1)!.count === CHUNK_MAX) this.#chunks.push(new Chunk());
  }

  #sweep(): void {
    // The last one is being filled.
    if (this.#swept >= this.#chunks.length - 1) this.#swept = 0;
    if (this.#chunks.length === 1) return;
    const at = this.#swept;
    const chunk = this.#chunks[at]!;
    chunk.keep(at === 0 ? this.#first : 0, this.#counts);
    if (at === 0) this.#first = 0;
    const before = at === 0 ? undefined : this.#chunks[at - 1]!;
    const start = at === 1 ? this.#first : 0;
    if (chunk.count === 0) this.#chunks.splice(at, 1);
    else if (before !== undefined && before.count - start + chunk.count <= CHUNK_MAX) {
      before.take(chunk, 0);
      this.#chunks.splice(at, 1);
    } else this.#swept++;
  }
}

// --- internal ---

/** Deletions that are looked at together. */
const CHUNK_MAX = 1_024;

/** Room that a chunk has at first: most stores have few deletions. */
const CHUNK_MIN = 16;

class Chunk {
  entries: Uint32Array;
  revisions: Float64Array;
  count = 0;

  constructor(room = CHUNK_MIN) {
    this.entries = new Uint32Array(room);
    this.revisions = new Float64Array(room);
  }

  push(entry: number, revision: number): void {
    this.#reserve(1);
    this.entries[this.count] = entry;
    this.revisions[this.count++] = revision;
  }

  /** Adds those of another chunk from `first` on. */
  take({ entries, revisions, count }: Chunk, first: number): void {
    this.#reserve(count - first);
    this.entries.set(entries.subarray(first, count), this.count);
    this.revisions.set(revisions.subarray(first, count), this.count);
    this.count += count - first;
  }

  /** Leaves out those before `first` and those that do not count. */
  keep(first: number, counts: (entry: number, revision: number) => boolean): void {
    const { count } = this;
    this.count = 0;
    for (let at = first; at < count; at++) {
      const entry = this.entries[at]!;
      const revision = this.revisions[at]!;
      if (counts(entry, revision)) this.push(entry, revision);
    }
  }

  #reserve(more: number): void {
    if (this.count + more <= this.entries.length) return;
    const room = Math.max(this.count + more, 2 * this.entries.length);
    const { entries, revisions } = this;
    this.entries = new Uint32Array(room);
    this.entries.set(entries);
    this.revisions = new Float64Array(room);
    this.revisions.set(revisions);
  }
}
