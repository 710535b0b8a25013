/** First in, first out, in constant time; knows how many bytes are in it. */

export class Queue<T> {
  #items: { item: T; bytes: number }[] = [];
  #first = 0;
  #bytes = 0;

  get size(): number {
    return this.#items.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(item: T, bytes: number): void {
    this.#items.push({ item, bytes });
    this.#bytes += bytes;
  }

  /** The oldest item, which stays; `undefined` when there is none. */
  get first(): T | undefined {
    return this.#items[this.#first]?.item;
  }

  /** Takes the oldest item out; `undefined` when there is none. */
  shift(): T | undefined {
    if (this.size === 0) return undefined;
    const { item, bytes } = this.#items[this.#first]!;
    this.#first++;
    this.#bytes -= bytes;
    // Cut off in large pieces, so that each item is moved a constant number of times.
    if (this.#first * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}
