/** A server and the watches on it, for the tests of `kv watch`: all of them end with the test. */

import { afterEach, beforeEach, expect } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary.ts";
import { kv, start, type Ran, type Running, type StartOptions } from "./rig.ts";

export class WatchRig {
  #server!: ServerProcess;
  #temporary!: TemporaryDirectory;
  readonly #running: Running[] = [];

  get url(): string {
    return this.#server.url;
  }

  /** A directory of the test, beside that of the data. */
  get directory(): string {
    return join(this.#temporary.path, "work");
  }

  async open(): Promise<void> {
    this.#temporary = temporaryDirectory();
    mkdirSync(this.directory);
    this.#server = await startServerProcess({ directory: this.#data("data") });
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((child) => child.kill("SIGKILL")));
    await this.#server.kill();
    this.#temporary.remove();
  }

  /** Starts a watch that ends with the test. */
  start(argv: readonly string[], options: StartOptions = {}): Running {
    const child = start(["watch", ...argv], {
      url: this.url,
      directory: this.directory,
      ...options,
    });
    this.#running.push(child);
    return child;
  }

  /** Starts a watch and waits until it follows: the server counts it. */
  async watch(...argv: string[]): Promise<Running> {
    const before = await this.#watchers();
    const child = this.start(argv);
    while ((await this.#watchers()) === before) await Bun.sleep(5);
    return child;
  }

  kv(...argv: string[]): Promise<Ran> {
    return kv(argv, { url: this.url, directory: this.directory });
  }

  /** Puts without a process for each. Answers the revision. */
  async put(key: string, value: string | Uint8Array): Promise<number> {
    const url = `${this.url}/v1/kv/${encodeURIComponent(key)}`;
    const answer = await fetch(url, { method: "PUT", body: value as Uint8Array<ArrayBuffer> });
    expect(answer.ok).toBe(true);
    return ((await answer.json()) as { revision: number }).revision;
  }

  async delete(key: string): Promise<void> {
    const url = `${this.url}/v1/kv/${encodeURIComponent(key)}`;
    expect((await fetch(url, { method: "DELETE" })).ok).toBe(true);
  }

  /** Runs operations at one revision. */
  async txn(...then: object[]): Promise<void> {
    const body = JSON.stringify({ then });
    expect((await fetch(`${this.url}/v1/txn`, { method: "POST", body })).ok).toBe(true);
  }

  async compact(revision: number): Promise<void> {
    const url = `${this.url}/v1/compact?revision=${revision}`;
    expect((await fetch(url, { method: "POST" })).ok).toBe(true);
  }

  /** Kills the server; meanwhile nobody is there. */
  killServer(): Promise<number> {
    return this.#server.kill();
  }

  /** Starts a server where the last one was, on the same data or on others. */
  async startServer(data = "data", port = this.#server.port): Promise<void> {
    this.#server = await startServerProcess({ directory: this.#data(data), port });
  }

  /** Does something to the data while no server is where it was. */
  async elsewhere(work: () => Promise<unknown>): Promise<void> {
    const { port } = this.#server;
    await this.startServer("data", 0);
    await work();
    await this.killServer();
    await this.startServer("data", port);
  }

  /** Is anybody watching? */
  async isWatched(): Promise<boolean> {
    return (await this.#watchers()) > 0;
  }

  #data(name: string): string {
    return join(this.#temporary.path, name);
  }

  async #watchers(): Promise<number> {
    const status = (await (await fetch(`${this.url}/v1/status`)).json()) as { watchers: number };
    return status.watchers;
  }
}

/** A server for each test of the file. */
export function watchRig(): WatchRig {
  const rig = new WatchRig();
  beforeEach(() => rig.open());
  afterEach(() => rig.close());
  return rig;
}
