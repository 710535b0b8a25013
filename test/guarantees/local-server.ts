/**
 * The server of a run in this process: it cannot be killed, but its times can be chosen, and history
 * can be forgotten up to the end.
 */

import { startServer, type RunningServer } from "../../src/http/server.ts";
import type { Store } from "../../src/kv.ts";
import { openLog } from "../../src/log/engine.ts";
import { RunServer } from "./run-server.ts";

export class LocalServer extends RunServer {
  readonly #store: Store;
  readonly #progressMs: number;
  #server: RunningServer | undefined;

  private constructor(store: Store, id: string, progressMs: number) {
    super(id);
    this.#store = store;
    this.#progressMs = progressMs;
  }

  /** A server of a new store, which says so often how far silent watches have come. */
  static async open(directory: string, progressMs: number): Promise<LocalServer> {
    const store = await openLog({ directory });
    const { store: id } = await store.status();
    const server = new LocalServer(store, id, progressMs);
    await server.begin();
    return server;
  }

  override get url(): string {
    return this.#server!.url;
  }

  override async forgettable(): Promise<number> {
    await this.read(this.#store);
    return this.truth.through;
  }

  protected override async start(): Promise<void> {
    const [store, progressMs] = [this.#store, this.#progressMs];
    this.#server = startServer({ store, host: "127.0.0.1", port: 0, progressMs });
  }

  protected override async stop(): Promise<void> {
    await this.#server!.stop();
    await this.read(this.#store);
  }

  protected override async dispose(): Promise<void> {
    await this.#server?.stop();
    await this.#store.close();
  }
}
