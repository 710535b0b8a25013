/**
 * Servers on disks that are full: because of what is written, and of ballast that comes and goes.
 * Writes may be refused there; reads, watches and deletes go on, a kill loses nothing, and once
 * there is room everything goes on by itself.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { random, type Random } from "../support/random.ts";
import { startServerProcess, type ServerProcess } from "../support/server-process.ts";
import { audit } from "./audit.ts";
import { SocketFollower } from "./follower.ts";
import { Fault, Ledger } from "./ledger.ts";
import { Reader } from "./reader.ts";
import { SmallDisk } from "./small-disk.ts";
import { Writer } from "./writer.ts";

export interface FullDiskReport {
  /** What the run was made of, for messages. */
  readonly setting: string;
  readonly answers: ReadonlyMap<string, number>;
  readonly reads: number;
  /** Deletions that were done while puts were refused. */
  readonly deletedWhileFull: number;
  /** Starts that failed on a disk without any room, in words that say so. */
  readonly startsWithoutRoom: number;
  readonly milliseconds: number;
}

/** One disk, one store, filled and emptied some times. @throws at the first thing that cannot be. */
export async function fullDiskRun(seed: number): Promise<FullDiskReport> {
  const numbers = random(seed);
  const { below, oneIn, pick } = numbers;
  const kind = oneIn(4) ? "ext4" : "tmpfs";
  const bytes = (kind === "ext4" ? 4 * MIB : MIB) + below(5 * MIB);
  const flags = [
    `--durability=${pick(["sync", "sync", "sync", "interval:20", "os"])}`,
    `--segment-bytes=${pick([64, 128, 256])}KiB`,
    `--history-bytes=${pick(["0", "64KiB", "1MiB", "all"])}`,
    `--reserve-bytes=${pick([128, 256, 384])}KiB`,
  ];
  const setting = `${kind} of ${Math.round(bytes / 1024)} KiB, ${flags.join(" ")}`;
  await using disk = new SmallDisk({ kind, bytes });
  const run = new FullDiskRun(disk, flags, numbers);
  const began = performance.now();
  try {
    return { setting, ...(await run.go()), milliseconds: performance.now() - began };
  } catch (error) {
    throw new Error(`${setting}\n${run.said}`, { cause: error });
  } finally {
    await run.end();
  }
}

// --- internal ---

const MIB = 1024 ** 2;
const WRITERS = 4;
const STEPS = 6;
/** Free bytes with which a start may fail. */
const START_BYTES_MAX = 64 * 1024;
/** Loose: the server looks for room every second. */
const RESUME_MS_MAX = 60_000;

class FullDiskRun {
  readonly #disk: SmallDisk;
  readonly #flags: readonly string[];
  readonly #random: Random;
  readonly #ledger = new Ledger();
  readonly #writers: readonly Writer[];
  readonly #follower = new SocketFollower("a WebSocket", 0);
  readonly #reader = new Reader(this.#ledger, "w0/");
  #server: ServerProcess | undefined;
  #loading: Promise<unknown> = Promise.resolve();
  #startsWithoutRoom = 0;

  constructor(disk: SmallDisk, flags: readonly string[], numbers: Random) {
    this.#disk = disk;
    this.#flags = flags;
    this.#random = numbers;
    this.#writers = Array.from({ length: WRITERS }, (_, at) => {
      const own = { ledger: this.#ledger, random: random(numbers.below(2 ** 32)), name: `w${at}` };
      const size = { keys: 100, valueCharsMax: 20_000, lanes: 2 };
      return new Writer({ ...own, ...size, deletionOneIn: 6, deadlineOneIn: at === 0 ? 0 : 10 });
    });
  }

  /** What the server has said. */
  get said(): string {
    return this.#server?.output.stderr ?? "";
  }

  get #directory(): string {
    return join(this.#disk.path, "data");
  }

  async go(): Promise<Omit<FullDiskReport, "setting" | "milliseconds">> {
    const { below, oneIn } = this.#random;
    await this.#start();
    for (let step = 0; step < STEPS; step++) {
      if (oneIn(3)) this.#disk.empty();
      else this.#disk.fill(oneIn(2) ? below(MIB / 16) : below(MIB));
      await this.#goOn(100 + below(200));
      if (oneIn(3)) await this.#restart();
    }
    this.#disk.empty();
    await this.#resume();
    await this.#restart();
    const answers = new Map<string, number>();
    for (const writer of this.#writers) {
      for (const [what, count] of writer.answers)
        answers.set(what, (answers.get(what) ?? 0) + count);
    }
    const deletedWhileFull = this.#writers.reduce(
      (sum, writer) => sum + writer.deletedWhileFull,
      0,
    );
    const [reads, startsWithoutRoom] = [this.#reader.reads, this.#startsWithoutRoom];
    return { answers, reads, deletedWhileFull, startsWithoutRoom };
  }

  /** The room that is kept is made a while after the start. */
  async #reserved(): Promise<void> {
    const deadline = performance.now() + RESUME_MS_MAX;
    const path = join(this.#directory, "RESERVE");
    while (!existsSync(path)) {
      if (performance.now() > deadline) throw new Fault("no room is kept for a full disk");
      await Bun.sleep(10);
    }
  }

  async end(): Promise<void> {
    await this.#server?.kill();
    await this.#follower.close();
    await this.#rest().catch(() => {});
  }

  async #start(): Promise<void> {
    this.#server = await this.#serve();
    if (this.#ledger.known === 0) await this.#reserved();
    const { port, url } = this.#server;
    await audit(this.#ledger, url);
    this.#ledger.settle();
    await this.#follower.follow(port);
    await this.#caughtUp();
    this.#loading = Promise.all([
      ...this.#writers.map((writer) => writer.run(port)),
      this.#reader.run(url),
    ]);
    this.#loading.catch(() => {});
  }

  async #serve(): Promise<ServerProcess> {
    const options = { directory: this.#directory, flags: this.#flags };
    const { freeBytes } = this.#disk;
    try {
      return await startServerProcess(options);
    } catch (error) {
      const isForRoom = /no space|ENOSPC|disk is full/i.test((error as Error).message);
      if (!isForRoom || freeBytes > START_BYTES_MAX) throw error;
      this.#startsWithoutRoom++;
      this.#disk.empty();
      return await startServerProcess(options);
    }
  }

  /** Kills it as it is, on the disk as it is. */
  async #restart(): Promise<void> {
    await this.#server!.kill();
    await this.#rest();
    await this.#start();
  }

  /** Lets everybody go on for a while. Throws when the server ends, or a client finds a fault. */
  async #goOn(milliseconds: number): Promise<void> {
    const ended = Promise.race([this.#server!.exited, this.#loading]).then(() => {
      throw new Fault("the server has ended, or its connections");
    });
    await Promise.race([Bun.sleep(milliseconds), ended, this.#follower.failed]);
    ended.catch(() => {});
  }

  /** Lets everybody come to an end. */
  async #rest(): Promise<void> {
    for (const one of [...this.#writers, this.#reader]) one.stop();
    await this.#loading;
  }

  async #caughtUp(): Promise<void> {
    const deadline = performance.now() + RESUME_MS_MAX;
    const { told, failed } = this.#follower;
    while (told.position < (this.#ledger.commits.at(-1)?.revision ?? 0)) {
      await Promise.race([Bun.sleep(2), failed]);
      if (performance.now() > deadline) throw new Fault(`the watch stays at ${told.position}`);
    }
    told.check(this.#ledger);
    this.#ledger.forget(Math.min(told.position, this.#ledger.through));
  }

  /** There is room, or will be when all is deleted: writes go on without anybody's help. */
  async #resume(): Promise<void> {
    await this.#rest();
    const { port, url } = this.#server!;
    for (const writer of this.#writers) await writer.deleteAll(port);
    const deadline = performance.now() + RESUME_MS_MAX;
    for (const writer of this.#writers) {
      while (!(await writer.putOnce(port))) {
        if (performance.now() > deadline) throw new Fault("there is room, and writes are refused");
        await Bun.sleep(20);
      }
    }
    await audit(this.#ledger, url);
    await this.#caughtUp();
  }
}
