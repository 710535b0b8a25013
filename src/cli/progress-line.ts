/** One line on stderr that says how far long work is; on a terminal only, and gone at the end. */

import { showBytes } from "../text.ts";
import { clearErrorLine, isTerminal, rewriteErrorLine } from "./output.ts";

export class ProgressLine {
  readonly #verb: string;
  readonly #isShown = isTerminal(2) && process.env["TERM"] !== "dumb";
  readonly #begun = Date.now();
  #shownAt: number | undefined;

  /** `verb` says what is being done: `backing up`. */
  constructor(verb: string) {
    this.#verb = verb;
  }

  /** So many bytes are done, of so many where that is known. */
  update(bytes: number, of?: number): void {
    this.show((elapsedMs) => {
      const rate = showBytes(Math.round((bytes * 1_000) / elapsedMs));
      const share = of === undefined ? "" : ` of ${showBytes(of)}`;
      return `${showBytes(bytes)}${share}, ${rate}/s`;
    });
  }

  /** Says what `describe` makes of the milliseconds since the beginning, when it is time to. */
  show(describe: (elapsedMs: number) => string): void {
    if (!this.#isShown) return;
    const now = Date.now();
    if (now - (this.#shownAt ?? this.#begun) < BETWEEN_MS) return;
    this.#shownAt = now;
    rewriteErrorLine(`${this.#verb}: ${describe(now - this.#begun)}`);
  }

  /** Takes the line away: what follows begins where it stood. */
  clear(): void {
    if (this.#shownAt !== undefined) clearErrorLine();
    this.#shownAt = undefined;
  }
}

// --- internal ---

/** Milliseconds before the first line, and between two. */
const BETWEEN_MS = 100;
