/**
 * Watchers at random against a real server that is killed in between, while others write and history
 * is forgotten: everything is recorded, and checked against the log.
 */

import { join } from "node:path";
import { PROGRESS_MS } from "../../src/limits.ts";
import { random, type Random } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { checkWatchers } from "./checker.ts";
import { KEYS } from "./filters.ts";
import type { Transport, WatcherRecord } from "./record.ts";
import { LocalServer } from "./local-server.ts";
import { ProcessServer } from "./process-server.ts";
import { RunClient } from "./run-client.ts";
import type { RunServer } from "./run-server.ts";
import { RunWriter } from "./run-writers.ts";
import type { RunContext } from "./run-watcher.ts";
import { SdkClient } from "./sdk-client.ts";
import type { Truth } from "./truth.ts";
import type { Violation } from "./violation.ts";

export interface RunOptions {
  /** The same seed lets everybody make the same choices again, though not at the same times. */
  readonly seed: number;
  /** Connections with watches that break, at least. */
  readonly disconnects: number;
  readonly transports?: readonly Transport[];
  readonly clients?: number;
  /**
   * Serve in this process and say so often how far silent watches have come; left out, the server
   * is a process of its own, which is killed.
   */
  readonly progressMs?: number;
}

export interface RunReport {
  readonly records: readonly WatcherRecord[];
  readonly truth: Truth;
  readonly violations: readonly Violation[];
  readonly disconnects: number;
  readonly kills: number;
  readonly runMs: number;
  readonly checkMs: number;
}

/** Runs and checks; the report's violations are empty when all went well. */
export async function runWatchers(options: RunOptions): Promise<RunReport> {
  const began = performance.now();
  using directory = temporaryDirectory();
  const { progressMs } = options;
  const path = join(directory.path, "data");
  await using server = await (progressMs === undefined
    ? ProcessServer.open(path)
    : LocalServer.open(path, progressMs));
  const run = new Run(server, options);
  await run.go().catch((error: unknown) => run.abort(error));
  const ran = performance.now();
  const { records, disconnects, kills } = run;
  const silenceMsMax = progressMs === undefined ? SILENCE_MS_MAX : progressMs + BUSY_MS;
  const violations = checkWatchers(records, server.truth, { silenceMsMax });
  const { truth } = server;
  const times = { runMs: ran - began, checkMs: performance.now() - ran };
  return { records, truth, violations, disconnects, kills, ...times };
}

// --- internal ---

const TRANSPORTS: readonly Transport[] = ["ws", "sse", "ndjson", "sdk"];

const CLIENTS_PER_WRITER = 8;

/** What a machine that is busy with other things may add to any time. */
const BUSY_MS = 10_000;
/** `progress` is due every 10 seconds. */
const SILENCE_MS_MAX = PROGRESS_MS + BUSY_MS;

/** Disconnects between two kills, two compactions, and two floods. */
const KILL_EVERY = 40;
const COMPACT_EVERY = 15;
const FLOOD_EVERY = 60;

class Run implements RunContext {
  readonly server: RunServer;
  isAborted = false;
  kills = 0;
  disconnects = 0;
  readonly #options: RunOptions;
  readonly #random;
  readonly #clients: (RunClient | SdkClient)[];
  readonly #writers: RunWriter[];
  readonly #flooder: RunWriter;
  #flooding: Promise<void> = Promise.resolve();
  #floods = 0;
  #isConcluding = false;
  readonly #finish = Promise.withResolvers<number>();
  readonly #enough = Promise.withResolvers<void>();
  /** Kills and compactions come one after the other. */
  #incidents: Promise<void> = Promise.resolve();

  constructor(server: RunServer, options: RunOptions) {
    const { seed, clients = 24, transports = TRANSPORTS } = options;
    this.server = server;
    this.#options = options;
    this.#random = random(seed);
    // Everybody has numbers of their own, so that nobody's choices depend on the times of others.
    const own = (): Random => random(this.#random.below(2 ** 32));
    const writers = Math.ceil(clients / CLIENTS_PER_WRITER);
    this.#writers = Array.from({ length: writers }, () => new RunWriter(server, own()));
    this.#flooder = new RunWriter(server, own());
    this.#clients = Array.from({ length: clients }, (_, at) => {
      const transport = transports[at % transports.length]!;
      if (transport === "sdk") return new SdkClient(this, own(), `${at}`);
      return new RunClient(this, own(), `${at}`, transport);
    });
  }

  get finish(): Promise<number> {
    return this.#finish.promise;
  }

  get records(): WatcherRecord[] {
    return this.#clients.flatMap(({ records }) => records);
  }

  async go(): Promise<void> {
    const writing = Promise.all(this.#writers.map((writer) => writer.run()));
    const watching = Promise.all(this.#clients.map((client) => client.run()));
    await Promise.race([this.#enough.promise, writing, watching]);
    this.#isConcluding = true;
    for (const writer of this.#writers) writer.stop();
    await Promise.all([writing, this.#incidents, this.#flooding]);
    this.#finish.resolve(await this.#conclude());
    await watching;
    await this.server.finish();
    this.#checkAnswered();
  }

  /** Lets everybody stop, and throws. */
  abort(error: unknown): never {
    this.isAborted = true;
    for (const writer of this.#writers) writer.stop();
    throw error;
  }

  disconnected(): void {
    this.disconnects++;
    if (this.disconnects === this.#options.disconnects) this.#enough.resolve();
    if (this.disconnects >= this.#options.disconnects) return;
    if (this.disconnects % KILL_EVERY === 0) this.#incident(() => this.#restart());
    if (this.disconnects % COMPACT_EVERY === 0) this.#incident(() => this.#compact());
  }

  flood(keys: readonly string[]): void {
    const isOften = this.#floods * FLOOD_EVERY > this.disconnects;
    if (isOften || this.#isConcluding) return;
    this.#floods++;
    this.#flooding = this.#flooding.then(() => this.#flooder.flood(keys));
  }

  #incident(happen: () => Promise<void>): void {
    this.#incidents = this.#incidents.then(happen);
    this.#incidents.catch((error: unknown) => this.#enough.reject(error));
  }

  async #restart(): Promise<void> {
    this.kills++;
    await this.server.restart(this.#random.oneIn(6) ? "SIGTERM" : "SIGKILL");
  }

  async #compact(): Promise<void> {
    const newest = await this.server.forgettable();
    const oldest = this.server.truth.compactions.at(-1)?.revision ?? 0;
    const revision = newest - (this.#random.oneIn(3) ? 0 : this.#random.below(newest / 2 + 1));
    if (revision > oldest) await this.server.compact(revision);
  }

  /** A last change of every key, behind which nothing will happen. */
  async #conclude(): Promise<number> {
    const revision = await this.#flooder.write(
      KEYS.map((key) => ({ op: "put", key, value: "the end" })),
    );
    if (revision === undefined) throw new Error("the last change was not answered");
    return revision;
  }

  /** A log that lacks what was answered is not the truth. */
  #checkAnswered(): void {
    const { truth } = this.server;
    for (const { key, revision } of this.#writers.flatMap(({ answered }) => answered)) {
      if (truth.entry(key, revision)?.revision === revision) continue;
      throw new Error(`the log lacks the put of ${key} at ${revision}, which was answered`);
    }
  }
}
