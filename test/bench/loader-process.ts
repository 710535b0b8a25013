/** A loader in a process of its own, as the runner sees it. */

import { join } from "node:path";
import type { JobName, Jobs } from "./jobs.ts";

export class LoaderProcess implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "inherit", "inherit">;
  #waiting: PromiseWithResolvers<unknown> | undefined;

  constructor() {
    this.#child = Bun.spawn([process.execPath, join(import.meta.dir, "loader.ts")], {
      stdio: ["ignore", "inherit", "inherit"],
      ipc: (message: { result?: unknown; error?: string }) => {
        const waiting = this.#waiting;
        this.#waiting = undefined;
        if (message.error === undefined) waiting?.resolve(message.result);
        else waiting?.reject(new Error(`the loader: ${message.error}`));
      },
      onExit: () => this.#waiting?.reject(new Error("the loader ended")),
    });
  }

  /** One job at a time. @throws what went wrong in the loader. */
  async run<Name extends JobName>(
    name: Name,
    options: Jobs[Name]["options"],
  ): Promise<Jobs[Name]["result"]> {
    if (this.#waiting !== undefined) throw new Error("the loader has a job already");
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#child.send({ name, options });
    return (await promise) as Jobs[Name]["result"];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}
