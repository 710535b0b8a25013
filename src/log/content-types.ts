/**
 * Content types by number: most entries have one of a few. A number is given anew once no entry has
 * it any more.
 */

export class ContentTypes {
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];
  /** How many entries have each. */
  readonly #uses: number[] = [];
  readonly #free: number[] = [];
  /** The one that was asked for last: often it is the next one, too. */
  #last = "";
  #lastNumber = -1;

  /** How many different ones there are. */
  get size(): number {
    return this.#numbers.size;
  }

  text(number: number): string {
    return this.#texts[number]!;
  }

  /** The number of a content type, for one entry more. */
  use(text: string): number {
    const number = text === this.#last && this.#lastNumber >= 0 ? this.#lastNumber : this.#of(text);
    this.#uses[number]!++;
    return number;
  }

  useAgain(number: number): void {
    this.#uses[number]!++;
  }

  /** An entry less has it. */
  release(number: number): void {
    if (--this.#uses[number]! > 0) return;
    this.#numbers.delete(this.#texts[number]!);
    this.#texts[number] = "";
    this.#free.push(number);
    this.#lastNumber = -1;
  }

  #of(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.#free.pop() ?? this.#texts.length;
      this.#numbers.set(text, number);
      this.#texts[number] = text;
      this.#uses[number] = 0;
    }
    this.#last = text;
    this.#lastNumber = number;
    return number;
  }
}
