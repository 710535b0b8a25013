/**
 * A server that is killed again and again under clients that write and clients that watch, while it
 * merges small segments, forgets history and makes checkpoints. After each start all that it has is
 * held against what was sent and answered.
 */

import { join } from "node:path";
import { executable } from "../../scripts/build.ts";
import { random, type Random } from "../support/random.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { audit } from "./audit.ts";
import { surveyDirectory } from "./files.ts";
import { SdkFollower, SocketFollower, type Follower } from "./follower.ts";
import { Fault, Ledger } from "./ledger.ts";
import { Writer } from "./writer.ts";

export interface KillOptions {
  /** The same seed makes the same choices again, though not at the same times. */
  readonly seed: number;
  readonly kills: number;
  /** `sync` when left out. */
  readonly durability?: string;
}

export interface KillReport {
  kills: number;
  /** Of these, in the middle of a start. */
  killedStarts: number;
  acknowledged: number;
  /** Unknown outcomes that turned out to be nothing. */
  lost: number;
  /** Merged segments that were met, each counted once. */
  merged: number;
  /** What the kills left half made, and how often. */
  readonly unfinished: Map<string, number>;
  checkpoints: number;
  /** How often history was gone that a watcher wanted to go on from. */
  resets: number;
  /** Commits that watchers were told of, each compared with the store's. */
  compared: number;
  milliseconds: number;
}

/** Runs one store through so many deaths. @throws at the first thing that cannot be. */
export async function killRun(options: KillOptions): Promise<KillReport> {
  using directory = temporaryDirectory();
  const run = new KillRun(join(directory.path, "data"), options);
  try {
    return await run.go();
  } finally {
    await run.end();
  }
}

// --- internal ---

const WRITERS = 8;
const LOAD_MS_MAX = 180;
const START_MS_MAX = 60;
/** Loose: others use the machine too. */
const FOLLOW_MS_MAX = 60_000;

class KillRun {
  readonly #directory: string;
  readonly #options: KillOptions;
  readonly #random: Random;
  readonly #flags: readonly string[];
  readonly #ledger = new Ledger();
  readonly #writers: readonly Writer[];
  readonly #followers: Follower[] = [];
  readonly #merged = new Set<string>();
  readonly #report: KillReport = {
    kills: 0,
    killedStarts: 0,
    acknowledged: 0,
    lost: 0,
    merged: 0,
    unfinished: new Map(),
    checkpoints: 0,
    resets: 0,
    compared: 0,
    milliseconds: 0,
  };
  #server: ServerProcess | undefined;

  constructor(directory: string, options: KillOptions) {
    this.#directory = directory;
    this.#options = options;
    this.#random = random(options.seed);
    const { below, pick } = this.#random;
    this.#flags = [
      `--durability=${options.durability ?? "sync"}`,
      `--segment-bytes=${pick([64, 128, 256])}KiB`,
      `--history-bytes=${pick([128, 512, 2_048])}KiB`,
      "--reserve-bytes=0",
    ];
    this.#writers = Array.from({ length: WRITERS }, (_, at) => {
      const own = random(below(2 ** 32));
      return new Writer({ ledger: this.#ledger, random: own, name: `w${at}` });
    });
  }

  async go(): Promise<KillReport> {
    const began = performance.now();
    await this.#start();
    const port = (): number => this.#server!.port;
    this.#followers.push(
      new SocketFollower("a WebSocket", 0),
      await SdkFollower.open("the SDK", 0, port),
    );
    for (let kill = 1; ; kill++) {
      await this.#settle();
      if (kill > this.#options.kills) break;
      await this.#loadAndKill();
      await this.#start();
    }
    const { acknowledged, lost } = this.#ledger;
    const resets = this.#followers.reduce((sum, { told }) => sum + told.resets, 0);
    const compared = this.#followers.reduce((sum, { told }) => sum + told.compared, 0);
    const milliseconds = performance.now() - began;
    const merged = this.#merged.size;
    return { ...this.#report, acknowledged, lost, merged, resets, compared, milliseconds };
  }

  async end(): Promise<void> {
    for (const follower of this.#followers) await follower.close();
    await this.#server?.kill();
  }

  async #start(): Promise<void> {
    const { oneIn } = this.#random;
    while (oneIn(8)) await this.#killStart();
    this.#server = await startServerProcess({ directory: this.#directory, flags: this.#flags });
  }

  /** Lets a server begin to start, and kills it wherever it is by then. */
  async #killStart(): Promise<void> {
    const line = ["serve", "--data", this.#directory, "--port", "0", ...this.#flags];
    const child = Bun.spawn([executable, ...line], { stdio: ["ignore", "ignore", "ignore"] });
    await Bun.sleep(this.#random.below(START_MS_MAX));
    child.kill("SIGKILL");
    await child.exited;
    this.#report.killedStarts++;
  }

  /** All that was acknowledged is there, and every watcher has been told all of it. */
  async #settle(): Promise<void> {
    const { port, url } = this.#server!;
    const following = Promise.all(this.#followers.map((follower) => follower.follow(port)));
    const revision = await audit(this.#ledger, url);
    this.#ledger.settle();
    await following;
    const deadline = performance.now() + FOLLOW_MS_MAX;
    for (const { told, failed } of this.#followers) {
      while (told.position < lastCommit(this.#ledger, revision)) {
        await Promise.race([Bun.sleep(2), failed]);
        if (performance.now() > deadline) {
          throw new Fault(`a watcher has come to ${told.position} only, not to ${revision}`);
        }
      }
      told.check(this.#ledger);
    }
    this.#ledger.forget(Math.min(...this.#followers.map(({ told }) => told.position)));
  }

  async #loadAndKill(): Promise<void> {
    const server = this.#server!;
    const writing = Promise.all(this.#writers.map((writer) => writer.run(server.port)));
    const failed = this.#followers.map((follower) => follower.failed);
    const { below } = this.#random;
    await Promise.race([Bun.sleep(20 + below(LOAD_MS_MAX)), writing, server.exited, ...failed]);
    const code = await server.kill();
    await writing;
    if (code !== 128 + 9)
      throw new Fault(`the server ended with ${code}:\n${server.output.stderr}`);
    this.#report.kills++;
    this.#survey();
  }

  #survey(): void {
    const { merged, unfinished, hasCheckpoint } = surveyDirectory(this.#directory);
    for (const name of merged) this.#merged.add(name);
    for (const what of unfinished) {
      this.#report.unfinished.set(what, (this.#report.unfinished.get(what) ?? 0) + 1);
    }
    if (hasCheckpoint) this.#report.checkpoints++;
  }
}

/** The newest commit up to a revision; above it there may be a void, of which nobody is told soon. */
function lastCommit({ commits }: Ledger, revision: number): number {
  return commits.findLast((commit) => commit.revision <= revision)?.revision ?? 0;
}
