/** Counts the bytes of a body in chunks (RFC 9112 §7.1), as they come, without keeping them. */

export class ChunkCounter {
  /** Of the body, without what is around its chunks. */
  bytes = 0;
  /** Ends of lines, where they are counted. */
  lines = 0;
  isComplete = false;
  readonly #countsLines: boolean;
  /** The line of a size, or the empty one behind a chunk, as far as it has come. */
  #line = "";
  #left = 0;

  constructor(countsLines: boolean) {
    this.#countsLines = countsLines;
  }

  /** @throws for bytes that are no chunks. */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        if (this.#countsLines) this.#count(bytes, at, end);
        this.bytes += end - at;
        this.#left -= end - at;
        at = end;
        continue;
      }
      const end = bytes.indexOf(0x0a, at);
      if (end === -1) {
        this.#line += bytes.toString("latin1", at);
        return;
      }
      this.#takeLine((this.#line + bytes.toString("latin1", at, end)).trimEnd());
      this.#line = "";
      at = end + 1;
    }
  }

  #takeLine(line: string): void {
    // One empty line ends each chunk, and the body.
    if (line === "") return;
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`no size of a chunk: ${line.slice(0, 80)}`);
    this.#left = Number.parseInt(line, 16);
    if (this.#left === 0) this.isComplete = true;
  }

  #count(bytes: Buffer, start: number, end: number): void {
    for (let at = bytes.indexOf(0x0a, start); at !== -1 && at < end;) {
      this.lines++;
      at = bytes.indexOf(0x0a, at + 1);
    }
  }
}
