/** A client that reads while others write: every read has to be answered, with what may be there. */

import { Fault, type Ledger } from "./ledger.ts";

export class Reader {
  /** Reads that were answered. */
  reads = 0;
  readonly #ledger: Ledger;
  readonly #prefix: string;
  #stopped = false;

  /** Reads the keys with a prefix. */
  constructor(ledger: Ledger, prefix: string) {
    this.#ledger = ledger;
    this.#prefix = prefix;
  }

  /** Reads until `stop`, or until nobody listens any more. */
  async run(url: string): Promise<void> {
    this.#stopped = false;
    const there = [...this.#ledger.entries.keys()].filter((key) => key.startsWith(this.#prefix));
    const keys = [...there, `${this.#prefix}absent`];
    for (let at = 0; !this.#stopped; at = (at + 1) % keys.length) {
      const key = keys[at]!;
      const answer = await fetch(`${url}/v1/kv/${key}`).catch(() => undefined);
      const text = await answer?.text().catch(() => undefined);
      if (answer === undefined || text === undefined) return;
      if (answer.status !== 200 && answer.status !== 404) {
        throw new Fault(`a read of ${key} is answered ${answer.status}: ${text}`);
      }
      const writer = key.slice(0, key.indexOf("/"));
      if (answer.status === 200 && !text.startsWith(`${writer}:`)) {
        throw new Fault(`a read of ${key} is answered ${text.slice(0, 100)}`);
      }
      this.reads++;
      await Bun.sleep(1);
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}
