/**
 * A set of numbers up to some size, each of which may be added or never: it has a short name as long
 * as it is nearly all of the lower ones.
 */

export class Bits {
  /** Where the bit of a number is; those that are never added have none. */
  readonly #places: Int32Array;
  readonly #words: Uint16Array;
  /** All words below are full; all above `#high` are empty. */
  #low = 0;
  #high = 0;

  /** Which numbers may be added. */
  constructor(may: readonly boolean[]) {
    let places = 0;
    this.#places = Int32Array.from(may, (one) => (one ? places++ : -1));
    this.#words = new Uint16Array((places >>> 4) + 1);
  }

  add(number: number): void {
    const at = this.#places[number]!;
    this.#words[at >>> 4]! |= 1 << (at & 15);
    if (at >>> 4 > this.#high) this.#high = at >>> 4;
  }

  delete(number: number): void {
    const at = this.#places[number]!;
    this.#words[at >>> 4]! &= ~(1 << (at & 15));
    if (at >>> 4 < this.#low) this.#low = at >>> 4;
  }

  /** Sets with the same elements have the same name, others have others. */
  name(): string {
    const words = this.#words;
    while (words[this.#low] === 0xffff) this.#low++;
    while (this.#high > 0 && words[this.#high] === 0) this.#high--;
    let name = `${this.#low}`;
    for (let at = this.#low; at <= this.#high; at++) name += `,${words[at]!.toString(36)}`;
    return name;
  }
}
