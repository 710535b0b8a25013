/**
 * A run of keys in order with their newest records, as columns: what goes from the index into a
 * checkpoint and back without an object or a string for each key. Made once and filled again.
 */

export class KeyColumns {
  /** Keys that it can hold. */
  readonly keysMax: number;
  /** Keys that it holds: the first ones of each column. */
  count = 0;
  /** Keys with which it is full: to fill it in steps. */
  limit: number;
  readonly revisions: Float64Array;
  /** 0 for a deletion. */
  readonly createRevisions: Float64Array;
  /** 0 for a deletion. */
  readonly versions: Float64Array;
  /** Milliseconds since 1970; 0 = never. */
  readonly deadlines: Float64Array;
  /** Where the records stand: see `position`. */
  readonly positions: Float64Array;
  /** Bytes of the records in the log. */
  readonly recordBytes: Float64Array;
  /** One string for all keys of a type. */
  readonly contentTypes: string[];
  /** Where each key ends in `keys`; it begins where the one before ends, the first one at 0. */
  readonly keyEnds: Uint32Array;
  /** The bytes of the keys, one behind the other. */
  keys: Uint8Array;

  constructor(keysMax: number, keyBytes = 16 * keysMax) {
    this.keysMax = keysMax;
    this.limit = keysMax;
    this.revisions = new Float64Array(keysMax);
    this.createRevisions = new Float64Array(keysMax);
    this.versions = new Float64Array(keysMax);
    this.deadlines = new Float64Array(keysMax);
    this.positions = new Float64Array(keysMax);
    this.recordBytes = new Float64Array(keysMax);
    this.contentTypes = Array.from({ length: keysMax }, () => "");
    this.keyEnds = new Uint32Array(keysMax);
    this.keys = new Uint8Array(keyBytes);
  }

  get isFull(): boolean {
    return this.count >= this.limit;
  }

  /** Where the next key begins in `keys`. */
  get keysEnd(): number {
    return this.count === 0 ? 0 : this.keyEnds[this.count - 1]!;
  }

  /** Makes `keys` hold `bytes` at least, with what is in it. */
  reserveKeys(bytes: number): void {
    if (bytes <= this.keys.length) return;
    const larger = new Uint8Array(Math.max(bytes, 2 * this.keys.length));
    larger.set(this.keys);
    this.keys = larger;
  }
}
