/**
 * A server to compare with: a process of its own on a port that the system picked, with its data in
 * a directory that goes away with it.
 */

import { processorMs, residentBytes } from "../processes.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

export interface PeerCommand {
  readonly name: string;
  /** The command line, with the port and the directory that the server is to have. */
  readonly command: (port: number, directory: string) => readonly string[];
  /** Throws while the server does not answer yet. */
  readonly ready: (port: number) => Promise<void>;
}

export class Peer implements AsyncDisposable {
  readonly #command: PeerCommand;
  readonly #directory = temporaryDirectory();
  #child: Bun.Subprocess | undefined;
  #port = 0;

  constructor(command: PeerCommand) {
    this.#command = command;
  }

  get port(): number {
    return this.#port;
  }

  get directory(): string {
    return this.#directory.path;
  }

  /** Milliseconds from the start of the process to its first answer. */
  async start(): Promise<number> {
    const { name, command, ready } = this.#command;
    this.#port = freePort();
    const began = performance.now();
    const child = Bun.spawn([...command(this.#port, this.directory)], {
      cwd: this.directory,
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    this.#child = child;
    while (performance.now() - began < READY_MS_MAX) {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
      try {
        await ready(this.#port);
        return performance.now() - began;
      } catch {
        await Bun.sleep(READY_LOOK_MS);
      }
    }
    throw new Error(`${name} does not answer`);
  }

  /** Ends the process by its id and waits for its end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#child?.kill(signal);
    await this.#child?.exited;
    this.#child = undefined;
  }

  processorMs(): number {
    return processorMs(this.#child!.pid);
  }

  residentBytes(): number {
    return residentBytes(this.#child!.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL");
    this.#directory.remove();
  }
}

/** `{ port: "1" }` as `--port 1`. */
export function flags(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
}

/** A port that nobody listens on now. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

// --- internal ---

const READY_MS_MAX = 120_000;
const READY_LOOK_MS = 5;
