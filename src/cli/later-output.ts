/**
 * Output to stdout beside other work: lines are gathered while an earlier write is under way, so
 * that a fast stream takes few writes, and a slow reader holds up whoever writes but never the
 * event loop.
 */

import { writeOutLater } from "./output.ts";

/** Characters gathered above which `write` waits. */
const PENDING_CHARS_MAX = 256 * 1024;

export class LaterOutput {
  /** Rejects when stdout cannot be written any more; never resolves. */
  readonly broken: Promise<never>;
  readonly #break: (error: unknown) => void;
  #pending: string[] = [];
  #pendingChars = 0;
  #writing: Promise<void> | undefined;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    this.broken = promise;
    this.#break = reject;
  }

  /** Hands `text` over; waits while too much is unwritten. */
  async write(text: string): Promise<void> {
    this.#pending.push(text);
    this.#pendingChars += text.length;
    this.#writing ??= this.#writeAll();
    if (this.#pendingChars > PENDING_CHARS_MAX) await this.#writing;
  }

  /** Waits until everything is written. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#pending.length > 0) {
        const text = this.#pending.join("");
        this.#pending = [];
        this.#pendingChars = 0;
        await writeOutLater(text);
      }
      this.#writing = undefined;
    } catch (error) {
      // Whoever waits in `write` or `flush` goes on waiting: the command ends by `broken`.
      this.#break(error);
      await new Promise(() => {});
    }
  }
}
