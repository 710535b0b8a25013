/**
 * Runs a small scenario in every order in which its steps can follow each other: those of its threads,
 * and the answers of the store, which are held until their turn comes.
 */

import type { Store } from "../../src/kv.ts";
import { altered } from "../support/altered-store.ts";

/** The ways through a tree of choices, one after the other. */
export class Choices {
  readonly #way: { choice: number; count: number }[] = [];
  #at = 0;

  /** The number of one of `count` things, as this way has it. */
  next(count: number): number {
    const place = this.#at++;
    if (place === this.#way.length) this.#way.push({ choice: 0, count });
    const { choice, count: before } = this.#way[place]!;
    if (before !== count)
      throw new Error(`choice ${place} of ${count} was one of ${before} before`);
    return choice;
  }

  /** Goes over to the next way; false when there is none. */
  advance(): boolean {
    this.#at = 0;
    for (let last = this.#way.at(-1); last !== undefined; last = this.#way.at(-1)) {
      if (++last.choice < last.count) return true;
      this.#way.pop();
    }
    return false;
  }

  /** Each choice and of how many it was one. */
  toString(): string {
    return this.#way.map(({ choice, count }) => `${choice}/${count}`).join(" ");
  }
}

type Step = () => unknown;

/** Steps that are taken in their order; a thread is over when it has none left. */
export type Thread = Step[];

/** The answers of a store that have been asked for and not been given. */
export class HeldAnswers {
  readonly #held: Step[] = [];

  get waiting(): readonly Step[] {
    return this.#held;
  }

  async pass(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const release = (): void => {
      this.#held.splice(this.#held.indexOf(release), 1);
      resolve();
    };
    this.#held.push(release);
    await promise;
  }

  /** The same store with pages of one entry; what takes time takes it until it is let pass. */
  over(store: Store): Store {
    const pass = (): Promise<void> => this.pass();
    return altered(store, {
      async status() {
        await pass();
        return await store.status();
      },
      async list(range, options) {
        await pass();
        return await store.list(range, { ...options, limit: 1 });
      },
      async *changes(from, options) {
        for await (const chunk of store.changes(from, options)) {
          await pass();
          yield chunk;
        }
      },
    });
  }
}

/** Takes all steps of the threads and gives all answers, in the order of `choices`. */
export async function runThreads(
  threads: readonly Thread[],
  answers: HeldAnswers,
  choices: Choices,
): Promise<void> {
  const left = threads.map((thread) => [...thread]);
  for (;;) {
    await rest();
    const steps = left.flatMap((thread) => (thread.length > 0 ? [() => thread.shift()!()] : []));
    const enabled = [...steps, ...answers.waiting];
    if (enabled.length === 0) return;
    await enabled[choices.next(enabled.length)]!();
  }
}

/** Lets everything run that waits for nothing but a turn. */
async function rest(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}
