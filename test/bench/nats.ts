/** As much of the NATS protocol as a subscriber needs, without putting together what nobody reads. */

/** Counts `MSG` of a server, as its bytes come, in pieces of any size. */
export class NatsCounter {
  /** Whole messages so far. */
  messages = 0;
  readonly #onPong: () => void;
  /** The beginning of a line that has not ended yet. */
  #line = "";
  /** Bytes of a payload that are still to come, with the end of its line. */
  #left = 0;

  /** `onPong` is told when everything that was sent ahead of a PING has been taken. */
  constructor(onPong: () => void) {
    this.#onPong = onPong;
  }

  /** @throws for an error of the server. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
        if (this.#left === 0) this.messages++;
        continue;
      }
      const end = chunk.indexOf(0x0a, at);
      if (end === -1) {
        this.#line += chunk.toString("latin1", at);
        return;
      }
      this.#take(this.#line + chunk.toString("latin1", at, end));
      this.#line = "";
      at = end + 1;
    }
  }

  #take(line: string): void {
    if (line.startsWith("MSG ")) {
      this.#left = Number(line.slice(line.lastIndexOf(" ") + 1)) + 2;
    } else if (line.startsWith("PONG")) this.#onPong();
    else if (line.startsWith("-ERR")) throw new Error(`the server says ${line}`);
  }
}
