/**
 * A server whose clock jumps, and which is stopped for a while in the middle of whatever it does:
 * keys expire and stay expired, nothing acknowledged is lost, revisions rise, times never fall.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PATHS } from "../../src/protocol.ts";
import type { JsonEntry } from "../../src/json.ts";
import { readLog } from "../support/format/reader.ts";
import { random, type Random } from "../support/random.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { audit } from "./audit.ts";
import { SocketFollower } from "./follower.ts";
import { Fault, Ledger } from "./ledger.ts";
import { ShiftedClock, sweepClock } from "./shifted-clock.ts";
import { Writer } from "./writer.ts";

export interface PauseReport {
  readonly flags: string;
  readonly jumps: number;
  readonly pauses: number;
  readonly kills: number;
  readonly acknowledged: number;
  /** Keys whose time ran out. */
  readonly expired: number;
  readonly milliseconds: number;
}

/** One store, with some jumps, pauses and kills. @throws at the first thing that cannot be. */
export async function pauseRun(seed: number): Promise<PauseReport> {
  using directory = temporaryDirectory();
  const run = new PauseRun(directory.path, random(seed));
  const began = performance.now();
  try {
    await run.go();
    return { ...run.report, milliseconds: performance.now() - began };
  } catch (error) {
    throw new Error(`with ${run.report.flags}\n${run.said}`, { cause: error });
  } finally {
    await run.end();
  }
}

// --- internal ---

const WRITERS = 4;
const STEPS = 6;
const HOUR_MS = 3_600_000;
const PAUSE_MS_MAX = 300;
/** Loose: others use the machine too. */
const FOLLOW_MS_MAX = 60_000;

class PauseRun {
  readonly #directory: string;
  readonly #random: Random;
  readonly #flags: readonly string[];
  readonly #clock: ShiftedClock;
  readonly #ledger: Ledger;
  readonly #writers: readonly Writer[];
  readonly #follower = new SocketFollower("a WebSocket", 0);
  readonly #counts = { jumps: 0, pauses: 0, kills: 0 };
  #server: ServerProcess | undefined;
  #loading: Promise<unknown> = Promise.resolve();

  constructor(home: string, numbers: Random) {
    const { pick, below } = numbers;
    this.#directory = join(home, "data");
    this.#random = numbers;
    this.#flags = [
      `--durability=${pick(["sync", "interval:20", "os"])}`,
      `--segment-bytes=${pick([64, 256])}KiB`,
      `--history=${pick(["1s", "1h", "24h"])}`,
      "--reserve-bytes=0",
    ];
    this.#clock = new ShiftedClock(home);
    this.#ledger = new Ledger(() => this.#clock.newest);
    this.#writers = Array.from({ length: WRITERS }, (_, at) => {
      const own = random(below(2 ** 32));
      return new Writer({ ledger: this.#ledger, random: own, name: `w${at}`, deadlineOneIn: 3 });
    });
  }

  get report(): Omit<PauseReport, "milliseconds"> {
    const { acknowledged, expired } = this.#ledger;
    return { flags: this.#flags.join(" "), ...this.#counts, acknowledged, expired };
  }

  /** What the server has said. */
  get said(): string {
    return this.#server?.output.stderr ?? "";
  }

  async go(): Promise<void> {
    const { below, oneIn } = this.#random;
    await this.#start();
    for (let step = 0; step < STEPS; step++) {
      if (oneIn(3)) await this.#pause();
      else await this.#jump();
      await this.#goOn(20 + below(80));
      if (oneIn(4)) await this.#restart("SIGKILL");
    }
    await this.#restart("SIGTERM");
  }

  async end(): Promise<void> {
    await this.#server?.kill();
    if (this.#server !== undefined) sweepClock(this.#server.pid);
    await this.#follower.close();
    await this.#rest().catch(() => {});
  }

  async #start(): Promise<void> {
    const { environment } = this.#clock;
    const options = { directory: this.#directory, flags: this.#flags, environment };
    this.#server = await startServerProcess(options);
    const { port, url } = this.#server;
    await audit(this.#ledger, url);
    this.#ledger.settle();
    await this.#follower.follow(port);
    await this.#caughtUp();
    this.#loading = Promise.all(this.#writers.map((writer) => writer.run(port)));
    this.#loading.catch(() => {});
  }

  async #restart(signal: NodeJS.Signals): Promise<void> {
    if (signal === "SIGKILL") this.#counts.kills++;
    else await this.#rest();
    await this.#server!.kill(signal);
    sweepClock(this.#server!.pid);
    await this.#rest();
    this.#checkTimes();
    await this.#start();
  }

  async #pause(): Promise<void> {
    this.#counts.pauses++;
    process.kill(this.#server!.pid, "SIGSTOP");
    await Bun.sleep(this.#random.below(PAUSE_MS_MAX));
    process.kill(this.#server!.pid, "SIGCONT");
  }

  /** Lets the clock jump; behind the jump nobody sees a key whose time was over before. */
  async #jump(): Promise<void> {
    this.#counts.jumps++;
    const { below, pick } = this.#random;
    const far = pick([1_000, HOUR_MS, 30 * HOUR_MS]);
    this.#clock.shift(pick([-1, 1]) * below(far));
    const { now } = this.#clock;
    const answer = await fetch(`${this.#server!.url}${PATHS.kv}?limit=10000&keys=true`);
    const { entries } = (await answer.json()) as { entries: JsonEntry[] };
    for (const { key, expiresAt } of entries) {
      if (expiresAt === undefined || Date.parse(expiresAt) > now - CLOCK_SLACK_MS) continue;
      throw new Fault(`${key} is there until ${expiresAt}, at ${new Date(now).toISOString()}`);
    }
  }

  /** Lets everybody go on for a while. Throws when the server ends, or a client finds a fault. */
  async #goOn(milliseconds: number): Promise<void> {
    const ended = Promise.race([this.#server!.exited, this.#loading]).then(() => {
      throw new Fault("the server has ended, or its connections");
    });
    ended.catch(() => {});
    await Promise.race([Bun.sleep(milliseconds), ended, this.#follower.failed]);
  }

  /** Lets everybody come to an end. */
  async #rest(): Promise<void> {
    for (const writer of this.#writers) writer.stop();
    await this.#loading;
  }

  async #caughtUp(): Promise<void> {
    const deadline = performance.now() + FOLLOW_MS_MAX;
    const { told, failed } = this.#follower;
    while (told.position < (this.#ledger.commits.at(-1)?.revision ?? 0)) {
      await Promise.race([Bun.sleep(2), failed]);
      if (performance.now() > deadline) throw new Fault(`the watch stays at ${told.position}`);
    }
    told.check(this.#ledger);
    this.#ledger.forget(Math.min(told.position, this.#ledger.through));
  }

  /** The log is sound, read by itself: the times of its records never fall. */
  #checkTimes(): void {
    const names = readdirSync(this.#directory).filter((name) => name !== "LOCK");
    readLog(new Map(names.map((name) => [name, readFileSync(join(this.#directory, name))])));
  }
}

/** The clocks of two processes are read one after the other. */
const CLOCK_SLACK_MS = 5;
