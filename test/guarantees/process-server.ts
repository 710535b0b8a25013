/** The server of a run in a process of its own, which is killed. Its log is read while it is down. */

import { openLog } from "../../src/log/engine.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { RunServer } from "./run-server.ts";

export class ProcessServer extends RunServer {
  readonly #directory: string;
  #process: ServerProcess | undefined;

  private constructor(directory: string, store: string) {
    super(store);
    this.#directory = directory;
  }

  /** A server of a new store. */
  static async open(directory: string): Promise<ProcessServer> {
    const log = await openLog({ directory });
    const { store } = await log.status();
    await log.close();
    const server = new ProcessServer(directory, store);
    await server.begin();
    return server;
  }

  override get url(): string {
    return this.#process!.url;
  }

  /** Only what was read when it was down the last time. */
  override forgettable(): Promise<number> {
    return Promise.resolve(this.truth.through);
  }

  protected override async start(): Promise<void> {
    this.#process = await startServerProcess({ directory: this.#directory });
  }

  protected override async stop(signal: NodeJS.Signals): Promise<void> {
    await this.#process!.kill(signal);
    const log = await openLog({ directory: this.#directory });
    await this.read(log);
    await log.close();
  }

  protected override async dispose(): Promise<void> {
    await this.#process?.kill();
  }
}
