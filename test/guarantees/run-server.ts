/**
 * The server of a run, in a process of its own that is killed again and again. While it is down the
 * truth is read out of its log, and nothing is forgotten that has not been read.
 */

import { PATHS } from "../../src/protocol.ts";
import { openLog } from "../../src/log/engine.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { Truth } from "./truth.ts";

export class RunServer implements AsyncDisposable {
  readonly truth: Truth;
  readonly #directory: string;
  #process: ServerProcess | undefined;
  #up: Promise<void>;

  private constructor(directory: string, store: string) {
    this.#directory = directory;
    this.truth = new Truth(store);
    this.#up = this.#start();
  }

  /** Starts one on a store of its own. */
  static async start(directory: string): Promise<RunServer> {
    const log = await openLog({ directory });
    const { store } = await log.status();
    await log.close();
    const server = new RunServer(directory, store);
    await server.#up;
    return server;
  }

  /** The same after each start. */
  get url(): string {
    return this.#process!.url;
  }

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

  /** Ends the process in the middle of whatever it does, and starts it again. */
  async restart(signal: NodeJS.Signals): Promise<void> {
    this.#up = this.#stop(signal).then(() => this.#start());
    await this.#up;
  }

  /** Ends the process; the truth is whole. */
  async finish(): Promise<void> {
    await this.#up;
    await this.#stop("SIGKILL");
  }

  /** Forgets history below a revision of which the truth is known. */
  async compact(revision: number): Promise<void> {
    const { compactions, through } = this.truth;
    if (revision > through)
      throw new Error(`nobody has seen ${revision}, which is to be forgotten`);
    const compaction: (typeof compactions)[number] = { revision, sent: performance.now() };
    compactions.push(compaction);
    const url = `${this.url}${PATHS.compact}?revision=${revision}`;
    const answer = await fetch(url, { method: "POST" }).catch(() => undefined);
    if (answer?.ok === true) compaction.answered = performance.now();
    await answer?.body?.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#up.catch(() => undefined);
    await this.#process?.kill();
  }

  async #start(): Promise<void> {
    const port = this.#process === undefined ? undefined : { port: this.#process.port };
    this.#process = await startServerProcess({ directory: this.#directory, ...port });
  }

  async #stop(signal: NodeJS.Signals): Promise<void> {
    await this.#process!.kill(signal);
    const { truth } = this;
    const log = await openLog({ directory: this.#directory });
    const { revision } = await log.status();
    if (revision > truth.through) {
      for await (const { commits, through } of log.changes(truth.through + 1)) {
        truth.add(commits, through);
        if (through >= revision) break;
      }
    }
    await log.close();
  }
}
