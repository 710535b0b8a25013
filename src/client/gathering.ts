/**
 * Single calls that are made in the same turn, sent together: in a binary frame, as soon as there
 * is a connection for frames. Few calls do not open one, and none waits for it.
 */

import { KvError } from "../errors.ts";
import { CLIENT_GATHERED_MIN } from "../limits.ts";
import { runSingles, type ManyTools, type Single } from "./many-run.ts";

interface Call {
  readonly single: Single<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Gathers calls that are all gets, or all writes. */
export class Gathering {
  readonly #tools: ManyTools;
  #calls: Call[] = [];

  constructor(tools: ManyTools) {
    this.#tools = tools;
  }

  /** Runs it with the others of this turn. @throws as it does alone. */
  run<T>(single: Single<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#calls.push({ single, resolve: resolve as Call["resolve"], reject });
      if (this.#calls.length === 1) queueMicrotask(() => this.#send());
    });
  }

  #send(): void {
    const calls = this.#calls;
    this.#calls = [];
    const { frames } = this.#tools;
    if (frames.channel !== undefined) {
      void this.#sendTogether(calls);
      return;
    }
    if (calls.length >= CLIENT_GATHERED_MIN) frames.openSoon();
    for (const { single, resolve, reject } of calls) single.alone({}).then(resolve, reject);
  }

  async #sendTogether(calls: readonly Call[]): Promise<void> {
    try {
      const results = await runSingles(
        this.#tools,
        calls.map(({ single }) => single),
      );
      for (const [index, { resolve, reject }] of calls.entries()) {
        const result = results[index];
        if (result instanceof KvError) reject(result);
        else resolve(result);
      }
    } catch (error) {
      for (const { reject } of calls) reject(error);
    }
  }
}
