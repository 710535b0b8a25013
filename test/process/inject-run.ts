/**
 * A server under strace, which makes one kind of system call fail, or kills the process at one, again
 * and again on one store. After each fault a server without faults has to have all that was acknowledged.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { random, type Random } from "../support/random.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { audit } from "./audit.ts";
import { Fault, Ledger } from "./ledger.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

export interface InjectOptions {
  /** The same seed makes the same choices again, though not at the same times. */
  readonly seed: number;
  readonly injections: number;
  readonly durability?: string;
}

export interface InjectReport {
  /** Faults that happened, by kind. */
  readonly hits: ReadonlyMap<string, number>;
  /** Faults that were set and not met. */
  readonly misses: number;
  readonly answers: ReadonlyMap<string, number>;
  readonly reads: number;
  readonly acknowledged: number;
  readonly milliseconds: number;
}

/** @throws at the first thing that cannot be, with the fault that was set. */
export async function injectRun(options: InjectOptions): Promise<InjectReport> {
  using directory = temporaryDirectory();
  return await new InjectRun(directory.path, options).go();
}

// --- internal ---

const WRITERS = 4;
/** A fault that is not met by then was set too late. */
const LOAD_MS_MAX = 250;
/** Loose: what the server has to do after a fault takes a second at most. */
const END_MS_MAX = 30_000;

interface Injection {
  readonly call: "pwrite64" | "fdatasync" | "fsync" | "rename" | "unlink" | "ftruncate";
  readonly effect: "error=EIO" | "error=ENOSPC" | "signal=KILL";
  /** As strace counts: the first call of a thread is 1. */
  readonly when: string;
}

const KINDS: readonly (readonly [Injection["call"], Injection["effect"], number])[] = [
  ["fdatasync", "error=EIO", 40],
  ["fsync", "error=EIO", 12],
  ["pwrite64", "error=EIO", 80],
  ["pwrite64", "error=ENOSPC", 60],
  ["pwrite64", "error=ENOSPC", 60],
  ["pwrite64", "signal=KILL", 80],
  ["fdatasync", "signal=KILL", 40],
  ["fsync", "signal=KILL", 12],
  ["rename", "signal=KILL", 6],
  ["unlink", "signal=KILL", 6],
  ["ftruncate", "signal=KILL", 2],
];

class InjectRun {
  readonly #home: string;
  readonly #directory: string;
  readonly #options: InjectOptions;
  readonly #random: Random;
  readonly #durability: string;
  readonly #flags: readonly string[];
  readonly #ledger = new Ledger();
  readonly #writers: readonly Writer[];
  readonly #hits = new Map<string, number>();
  /**
   * Ends by an error under writers that wait, and those of which some of them were told; syncs that
   * failed, and those after which the server went on.
   */
  readonly #ends = { count: 0, told: 0, syncs: 0, survived: 0 };
  #attempts = 0;
  #misses = 0;
  #reads = 0;

  constructor(home: string, options: InjectOptions) {
    this.#home = home;
    this.#directory = join(home, "data");
    this.#options = options;
    this.#random = random(options.seed);
    const { below, pick } = this.#random;
    const modes = ["sync", "sync", "sync", "interval:20", "os"] as const;
    this.#durability = options.durability ?? pick(modes);
    this.#flags = [
      `--durability=${this.#durability}`,
      "--segment-bytes=64KiB",
      `--history-bytes=${pick([64, 256])}KiB`,
      "--reserve-bytes=64KiB",
    ];
    this.#writers = Array.from({ length: WRITERS }, (_, at) => {
      const own = random(below(2 ** 32));
      const name = `w${at}`;
      // Where nothing can be written, an overdue key cannot be read: so one has none.
      return new Writer({
        ledger: this.#ledger,
        random: own,
        name,
        deadlineOneIn: at === 0 ? 0 : 10,
      });
    });
  }

  async go(): Promise<InjectReport> {
    const began = performance.now();
    let hits = 0;
    while (hits < this.#options.injections) {
      const injection = this.#pick();
      const text = `${injection.call}:${injection.effect}:when=${injection.when}`;
      const isHit = await this.#inject(injection).catch((error: unknown) => {
        throw new Error(`after ${text} with ${this.#flags.join(" ")}`, { cause: error });
      });
      if (isHit) hits++;
      else this.#misses++;
    }
    const { count, told, syncs, survived } = this.#ends;
    // One of a merge or a checkpoint is no reason to end.
    if (syncs >= 4 && survived > syncs / 2) {
      throw new Fault(`the server went on after ${survived} of ${syncs} syncs that failed`);
    }
    if (count >= 6 && told < count / 2) {
      throw new Fault(`writers were told in ${told} of ${count} ends that the outcome is unknown`);
    }
    return {
      hits: this.#hits,
      misses: this.#misses,
      answers: this.#answers(),
      reads: this.#reads,
      acknowledged: this.#ledger.acknowledged,
      milliseconds: performance.now() - began,
    };
  }

  #pick(): Injection {
    const { below, oneIn } = this.#random;
    // By turns, so that a run of some length has met them all.
    const [call, effect, whenMax] = KINDS[this.#attempts++ % KINDS.length]!;
    const when = 1 + below(oneIn(3) ? 5 : whenMax);
    if (effect !== "error=ENOSPC" || oneIn(2)) return { call, effect, when: `${when}` };
    return { call, effect, when: oneIn(3) ? `${when}+` : `${when}..${when + 1 + below(10)}` };
  }

  /** True when the fault happened. */
  async #inject(injection: Injection): Promise<boolean> {
    const log = join(this.#home, "strace");
    const server = await this.#start(injection, log);
    const isEnded = server === undefined || (await this.#load(server, injection));
    const isKilled = isEnded && injection.effect === "signal=KILL";
    const isHit = isKilled || readFileSync(log, "utf8").includes("(INJECTED)");
    await using sound = await startServerProcess({
      directory: this.#directory,
      flags: this.#flags,
    });
    await audit(this.#ledger, sound.url);
    this.#ledger.settle();
    this.#ledger.forget(this.#ledger.through);
    if (isHit) {
      const kind = `${injection.call} ${injection.effect}`;
      this.#hits.set(kind, (this.#hits.get(kind) ?? 0) + 1);
      if (kind === "fdatasync error=EIO") {
        this.#ends.syncs++;
        if (!isEnded) this.#ends.survived++;
      }
    }
    return isHit;
  }

  /** A server under strace; `undefined` where it met the fault before it was there. */
  async #start(injection: Injection, log: string): Promise<ServerProcess | undefined> {
    const { call, effect, when } = injection;
    // As a grandchild, so that the server is our child, and gets our signals.
    const strace = `strace --daemonize --follow-forks -qq -e trace=${call} -e signal=none`.split(
      " ",
    );
    strace.push("-e", `inject=${call}:${effect}:when=${when}`, "--output", log);
    // Stops at no other call, and cannot send signals then.
    if (effect !== "signal=KILL") strace.push("--seccomp-bpf");
    // What has its room on the disk already, like DURABLE, never meets a full one.
    if (effect === "error=ENOSPC") strace.push(...this.#growing().flatMap((path) => ["-P", path]));
    try {
      const options = { directory: this.#directory, flags: this.#flags, through: strace };
      return await startServerProcess(options);
    } catch (error) {
      const { message } = error as Error;
      const isKilled = message.startsWith("kv serve ended with 137:");
      if (effect === "signal=KILL" ? !isKilled : !isClear(message.split("\n").slice(1)))
        throw error;
      return undefined;
    }
  }

  /** Files that grow, now and soon. */
  #growing(): string[] {
    const numbers = Array.from({ length: SEGMENTS_AHEAD }, (_, at) => this.#active() + at);
    return numbers.flatMap((number) => {
      const path = join(this.#directory, `${String(number).padStart(10, "0")}.log`);
      return [path, `${path}.tmp`];
    });
  }

  #active(): number {
    const names = existsSync(this.#directory) ? readdirSync(this.#directory) : [];
    const numbers = names.flatMap((name) => /^(\d{10})\.log$/.exec(name)?.[1] ?? []);
    return Math.max(1, ...numbers.map(Number));
  }

  /**
   * Writes and reads until the server has ended, or for a while; then it is ended. True where it had
   * ended by itself.
   */
  async #load(server: ServerProcess, { effect }: Injection): Promise<boolean> {
    const before = this.#answers();
    const reader = new Reader(this.#ledger, "w0/");
    const writing = Promise.all(this.#writers.map((writer) => writer.run(server.port)));
    const reading = reader.run(server.url);
    const code = await Promise.race([server.exited, Bun.sleep(LOAD_MS_MAX)]);
    let isKilled = code !== undefined;
    for (const one of [...this.#writers, reader]) one.stop();
    if (code === undefined) {
      const signal = this.#random.pick(["SIGKILL", "SIGTERM"] as const);
      const ended = await Promise.race([this.#finish(server, signal), Bun.sleep(END_MS_MAX)]);
      if (ended === undefined) throw new Fault(`the server does not end after ${signal}`);
      isKilled = signal === "SIGTERM" && ended === 128 + 9;
    }
    await Promise.all([writing, reading]);
    this.#reads += reader.reads;
    await server.exited;
    if (code !== undefined) this.#checkEnd(code, effect, server.output.stderr, before);
    return isKilled;
  }

  /** Ends a server that no fault has ended; it may meet its fault now. */
  async #finish(server: ServerProcess, signal: NodeJS.Signals): Promise<number> {
    const code = await server.kill(signal);
    if (signal === "SIGKILL" || code === 0 || code === 128 + 9) return code;
    if (isClear(server.output.stderr.split("\n"))) return code;
    throw new Fault(`the server ended with ${code}:\n${server.output.stderr}`);
  }

  /** The server has ended by itself, or by the fault. */
  #checkEnd(
    code: number,
    effect: Injection["effect"],
    stderr: string,
    before: Map<string, number>,
  ): void {
    const lines = stderr.trimEnd().split("\n");
    if (effect === "signal=KILL") {
      if (code !== 128 + 9) throw new Fault(`the server ended with ${code}:\n${stderr}`);
      return;
    }
    const isSaid = lines.at(-1)!.startsWith("fatal: the store failed and kv ends: ");
    if (effect === "error=ENOSPC" || code !== 1 || !isSaid || !isClear(lines)) {
      throw new Fault(`the server ended with ${code}:\n${stderr}`);
    }
    // Nobody waits for a batch that only lets keys expire, and nobody for what is synced after the
    // answers; and the last words on a connection that is reset do not always get to the client.
    const { done = 0, outcome_unknown = 0 } = this.#since(before);
    if (this.#durability !== "sync" || done === 0) return;
    // A merge that cannot go on ends the store too, and leaves nobody in the dark.
    if (!lines.at(-1)!.endsWith("the write may have been applied")) return;
    this.#ends.count++;
    if (outcome_unknown > 0) this.#ends.told++;
  }

  #since(before: ReadonlyMap<string, number>): Partial<Record<string, number>> {
    const more = [...this.#answers()].map(([what, sum]) => [what, sum - (before.get(what) ?? 0)]);
    return Object.fromEntries(more) as Partial<Record<string, number>>;
  }

  #answers(): Map<string, number> {
    const sums = new Map<string, number>();
    for (const { answers } of this.#writers) {
      for (const [what, count] of answers) sums.set(what, (sums.get(what) ?? 0) + count);
    }
    return sums;
  }
}

/** Segments that one server may get to. */
const SEGMENTS_AHEAD = 100;

/** Words for an operator, and no trace of the code. */
function isClear(lines: readonly string[]): boolean {
  const said = lines.filter((line) => line !== "");
  return said.length > 0 && !said.some((line) => /^\s+at |\.ts:\d+|\$bunfs/.test(line));
}
