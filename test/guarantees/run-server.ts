/**
 * The server of a run, which is ended and started again and again. Whoever has one reads the truth out
 * of its log, and nothing is forgotten that has not been read.
 */

import type { Store } from "../../src/kv.ts";
import { PATHS } from "../../src/protocol.ts";
import { Truth } from "./truth.ts";

export abstract class RunServer implements AsyncDisposable {
  readonly truth: Truth;
  #up: Promise<void> = Promise.resolve();

  constructor(store: string) {
    this.truth = new Truth(store);
  }

  /** Another one after each start. */
  abstract readonly url: string;

  /** Opens something to the server as soon as it is up. Throws when that fails and it is up. */
  async connect<T>(open: (url: string) => Promise<T>): Promise<T> {
    for (;;) {
      const up = this.#up;
      await up;
      try {
        return await open(this.url);
      } catch (error) {
        if (this.#up === up) throw error;
      }
    }
  }

  /** Ends it in the middle of whatever it does, and starts it again. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    await this.#up;
    this.#up = this.stop(signal).then(() => this.start());
    await this.#up;
  }

  /** Ends it; the truth is whole. */
  async finish(): Promise<void> {
    await this.#up;
    await this.stop("SIGKILL");
  }

  /** The newest revision that may be forgotten. */
  abstract forgettable(): Promise<number>;

  /** Forgets history below a revision of which the truth is known. */
  async compact(revision: number): Promise<void> {
    const { compactions, through } = this.truth;
    if (revision > through) throw new Error(`nobody has read ${revision}, which is to go`);
    const compaction: (typeof compactions)[number] = { revision, sent: performance.now() };
    compactions.push(compaction);
    const url = `${this.url}${PATHS.compact}?revision=${revision}`;
    const answer = await fetch(url, { method: "POST" }).catch(() => undefined);
    if (answer?.ok === true) compaction.answered = performance.now();
    await answer?.body?.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#up.catch(() => undefined);
    await this.dispose();
  }

  /** Starts it for the first time. */
  protected async begin(): Promise<void> {
    this.#up = this.start();
    await this.#up;
  }

  protected abstract start(): Promise<void>;

  /** Ends it, and reads what is new of the truth. */
  protected abstract stop(signal: NodeJS.Signals): Promise<void>;

  protected abstract dispose(): Promise<void>;

  /** Adds to the truth what a store has by now. */
  protected async read(store: Store): Promise<void> {
    const { truth } = this;
    const { revision } = await store.status();
    if (revision <= truth.through) return;
    for await (const { commits, through } of store.changes(truth.through + 1)) {
      truth.add(commits, through);
      if (through >= revision) return;
    }
  }
}
