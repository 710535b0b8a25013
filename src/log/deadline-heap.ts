/**
 * A binary heap of entries by their deadlines, those of one deadline in an order of their own. In
 * chunks of typed arrays: there may be as many as there are keys.
 */

export class DeadlineHeap {
  readonly #entries: Uint32Array[] = [];
  readonly #deadlines: Float64Array[] = [];
  readonly #compare: (a: number, b: number) => number;
  #size = 0;

  /** `compare` is the order of entries that have the same deadline. */
  constructor(compare: (a: number, b: number) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#size;
  }

  /** The first one, where there is one. */
  get firstEntry(): number {
    return this.#entries[0]![0]!;
  }

  /** Milliseconds since 1970; never, where there is none. */
  get firstDeadline(): number {
    return this.#size === 0 ? Infinity : this.#deadlines[0]![0]!;
  }

  push(entry: number, deadline: number): void {
    let at = this.#size;
    this.#append(entry, deadline);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const before = this.#entry(parent);
      if (!this.#isBefore(entry, deadline, before, this.#deadline(parent))) break;
      this.#copy(parent, at);
      at = parent;
    }
    this.#set(at, entry, deadline);
  }

  /** Takes out the first one. */
  pop(): void {
    const deadline = this.#deadline(this.#size - 1);
    const entry = this.takeLast();
    if (this.#size > 0) this.#sink(0, entry, deadline);
  }

  /** Takes out one that is not the first, unless it is alone; answers its entry. */
  takeLast(): number {
    const last = --this.#size;
    const entry = this.#entry(last);
    // A chunk more than is needed stays.
    while (this.#entries.length * CHUNK_ENTRIES > last + 2 * CHUNK_ENTRIES) {
      this.#entries.pop();
      this.#deadlines.pop();
    }
    return entry;
  }

  /** Becomes what is given, in any order. */
  rebuild(all: Iterable<readonly [number, number]>): void {
    this.#size = 0;
    this.#entries.length = 0;
    this.#deadlines.length = 0;
    for (const [entry, deadline] of all) this.#append(entry, deadline);
    for (let at = (this.#size >> 1) - 1; at >= 0; at--) {
      this.#sink(at, this.#entry(at), this.#deadline(at));
    }
  }

  #sink(from: number, entry: number, deadline: number): void {
    let at = from;
    for (;;) {
      const child = this.#firstChild(at);
      if (child < 0) break;
      if (!this.#isBefore(this.#entry(child), this.#deadline(child), entry, deadline)) break;
      this.#copy(child, at);
      at = child;
    }
    this.#set(at, entry, deadline);
  }

  /** The place of the first of those below a place, or -1. */
  #firstChild(at: number): number {
    const left = 2 * at + 1;
    const right = left + 1;
    if (left >= this.#size) return -1;
    if (right === this.#size) return left;
    const [a, b] = [this.#entry(left), this.#entry(right)];
    return this.#isBefore(b, this.#deadline(right), a, this.#deadline(left)) ? right : left;
  }

  #isBefore(a: number, aDeadline: number, b: number, bDeadline: number): boolean {
    return aDeadline === bDeadline ? this.#compare(a, b) < 0 : aDeadline < bDeadline;
  }

  #append(entry: number, deadline: number): void {
    if (this.#size < CHUNK_ENTRIES) this.#growFirst();
    else if (this.#size === this.#entries.length * CHUNK_ENTRIES) {
      this.#entries.push(new Uint32Array(CHUNK_ENTRIES));
      this.#deadlines.push(new Float64Array(CHUNK_ENTRIES));
    }
    this.#set(this.#size++, entry, deadline);
  }

  /** The first chunk grows as it fills: most stores have few deadlines. */
  #growFirst(): void {
    const room = this.#entries[0]?.length ?? 0;
    if (this.#size < room) return;
    const entries = new Uint32Array(Math.max(FIRST_MIN, 4 * room));
    const deadlines = new Float64Array(entries.length);
    if (room > 0) {
      entries.set(this.#entries[0]!);
      deadlines.set(this.#deadlines[0]!);
    }
    this.#entries[0] = entries;
    this.#deadlines[0] = deadlines;
  }

  #entry(at: number): number {
    return this.#entries[at >>> CHUNK_SHIFT]![at & CHUNK_MASK]!;
  }

  #deadline(at: number): number {
    return this.#deadlines[at >>> CHUNK_SHIFT]![at & CHUNK_MASK]!;
  }

  #set(at: number, entry: number, deadline: number): void {
    this.#entries[at >>> CHUNK_SHIFT]![at & CHUNK_MASK] = entry;
    this.#deadlines[at >>> CHUNK_SHIFT]![at & CHUNK_MASK] = deadline;
  }

  #copy(from: number, to: number): void {
    this.#set(to, this.#entry(from), this.#deadline(from));
  }
}

// --- internal ---

const CHUNK_SHIFT = 12;
const CHUNK_ENTRIES = 1 << CHUNK_SHIFT;
const CHUNK_MASK = CHUNK_ENTRIES - 1;
/** Entries that the first chunk has room for at first. */
const FIRST_MIN = 16;
