/** The server that all this is about, as it is started by default. */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../../support/server-process.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { processorMs, residentBytes } from "../processes.ts";

export class KvServer implements AsyncDisposable {
  readonly #directory = temporaryDirectory();
  readonly #flags: readonly string[];
  #process: ServerProcess | undefined;

  /** `flags`: further arguments of `kv serve`. */
  constructor(flags: readonly string[] = []) {
    this.#flags = flags;
  }

  get port(): number {
    return this.#process!.port;
  }

  get url(): string {
    return this.#process!.url;
  }

  get directory(): string {
    return this.#directory.path;
  }

  /** Milliseconds from the start of the process until it says that it listens. */
  async start(): Promise<number> {
    const began = performance.now();
    this.#process = await startServerProcess({
      directory: this.#directory.path,
      flags: this.#flags,
    });
    return performance.now() - began;
  }

  /** Ends the process by its id and waits for its end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const code = await this.#process?.kill(signal);
    this.#process = undefined;
    if (signal === "SIGTERM" && code !== 0) throw new Error(`kv serve ended with ${code}`);
  }

  processorMs(): number {
    return processorMs(this.#process!.pid);
  }

  /** When the server has done what a load left it to do, or after a minute. */
  async quiet(): Promise<void> {
    for (let look = 0; look < QUIET_LOOKS_MAX; look++) {
      const before = this.processorMs();
      await Bun.sleep(QUIET_LOOK_MS);
      if (this.processorMs() - before < QUIET_LOOK_MS / 20) return;
    }
  }

  /** Reads all files, so that the system has them in its memory again, whatever it took out. */
  async readFiles(): Promise<void> {
    for (const name of readdirSync(this.directory)) {
      const pieces = Bun.file(join(this.directory, name)).stream().getReader();
      while (!(await pieces.read()).done);
    }
  }

  residentBytes(): number {
    return residentBytes(this.#process!.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.kill();
    this.#directory.remove();
  }
}

// --- internal ---

const QUIET_LOOK_MS = 1_000;
const QUIET_LOOKS_MAX = 60;
