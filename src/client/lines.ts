/** The lines of a stream of bytes, as they become whole. */

/** Cuts pieces of UTF-8 text into lines. */
export class Lines {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** What came behind the last line break: in pieces, since a line may be many of them long. */
  readonly #rest: string[] = [];

  /**
   * The lines that `bytes` complete, without their line breaks; what has no line break yet is kept.
   * @throws `TypeError` when they are no UTF-8.
   */
  push(bytes: Uint8Array): string[] {
    const [first = "", ...others] = this.#decoder.decode(bytes, { stream: true }).split("\n");
    this.#rest.push(first);
    const rest = others.pop();
    if (rest === undefined) return [];
    const lines = [this.#rest.join(""), ...others];
    this.#rest.length = 0;
    this.#rest.push(rest);
    return lines;
  }
}
