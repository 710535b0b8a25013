/**
 * Work of the log that nobody waits for: one job at a time, in short slices, between which requests
 * have their turn. Jobs move records and write files; they never run beside each other.
 */

import { BACKGROUND_LOOK_MS, BACKGROUND_RETRY_MS, BACKGROUND_SLICE_MS } from "../limits.ts";
import { Slice } from "../slice.ts";
import { isSpaceError } from "./disk.ts";
import type { Timer } from "./expiry.ts";

/** A piece of background work. */
export interface Job {
  /** What messages call it. */
  readonly name: string;
  /** Is there something to do? Asked often: it must be cheap. May fail as `run`. */
  isDue(): boolean;
  /** Can it become due by time alone? Then it is looked for from time to time. */
  waits?(): boolean;
  /**
   * Does it. Where it fails, it leaves the log as it was; it is tried again after a while. What
   * ends the store is not thrown but told to the engine.
   */
  run(turns: Turns): Promise<void>;
}

/** The store closes: a job ends where it is, and takes back what it had begun. */
export class Stopped extends Error {
  override readonly name = "Stopped";
}

/** The slices in which a job runs. */
export class Turns {
  readonly slice: Slice;
  readonly #isStopped: () => boolean;

  /** `stepsALook`: see `Slice`. */
  constructor(isStopped: () => boolean, stepsALook = 16) {
    this.#isStopped = isStopped;
    this.slice = new Slice(stepsALook, BACKGROUND_SLICE_MS);
  }

  /** Is the slice over? To be asked after each step of a row that cannot wait itself. */
  isOver(): boolean {
    return this.slice.isOver();
  }

  /** Lets others have their turn. @throws `Stopped`. */
  async next(): Promise<void> {
    await this.slice.next();
    this.check();
  }

  /** After a step: `next` when the slice is over. @throws `Stopped`. */
  async pause(): Promise<void> {
    if (this.isOver()) await this.next();
  }

  /** To be called after waiting for anything. @throws `Stopped`. */
  check(): void {
    if (this.#isStopped()) throw new Stopped();
  }
}

export interface BackgroundOptions {
  /** The more important first: after each job the search for one begins anew. */
  readonly jobs: readonly Job[];
  readonly timer: Timer;
  /** Told in one line when a job failed. */
  readonly notice: (message: string) => void;
}

export class Background {
  readonly #options: BackgroundOptions;
  /** Jobs that failed, until they are tried again. */
  readonly #resting = new Set<Job>();
  /** Jobs of which it was told that they fail; until they succeed. */
  readonly #failing = new Set<Job>();
  #running: Promise<void> | undefined;
  #stopped = false;
  #cancel: () => void = () => undefined;

  constructor(options: BackgroundOptions) {
    this.#options = options;
  }

  /** Looks whether there is something to do; and later again while a job waits for its time. */
  wake(): void {
    if (this.#stopped) return;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing is due any more, or cannot be done. */
  async idle(): Promise<void> {
    this.wake();
    await this.#running;
  }

  /** Ends what is under way, and begins nothing more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#running;
  }

  async #run(): Promise<void> {
    // Not in the turn of the one who woke it.
    await Promise.resolve();
    this.#cancel();
    for (let job = this.#next(); job !== undefined; job = this.#next()) await this.#do(job);
    this.#running = undefined;
    const waits = this.#resting.size > 0 || this.#options.jobs.some((one) => one.waits?.());
    if (!waits || this.#stopped) return;
    this.#cancel = this.#options.timer(() => this.wake(), BACKGROUND_LOOK_MS);
  }

  #next(): Job | undefined {
    if (this.#stopped) return undefined;
    return this.#options.jobs.find((job) => !this.#resting.has(job) && this.#isDue(job));
  }

  #isDue(job: Job): boolean {
    try {
      return job.isDue();
    } catch (error) {
      this.#rest(job, error as Error);
      return false;
    }
  }

  async #do(job: Job): Promise<void> {
    try {
      await job.run(new Turns(() => this.#stopped));
      this.#failing.delete(job);
    } catch (error) {
      if (!(error instanceof Stopped)) this.#rest(job, error as Error);
    }
  }

  #rest(job: Job, error: Error): void {
    // What fails because the store has ended is no news.
    if (this.#stopped) return;
    const { notice, timer } = this.#options;
    if (!this.#failing.has(job)) {
      notice(`${job.name} failed, and is tried again: ${error.message}`);
    }
    this.#failing.add(job);
    this.#resting.add(job);
    // Room comes and goes, and some wait for what the job frees.
    const isForRoom = isSpaceError(error) || (error as { code?: string }).code === "storage_full";
    const restMs = isForRoom ? BACKGROUND_LOOK_MS : BACKGROUND_RETRY_MS;
    timer(() => void this.#resting.delete(job), restMs);
  }
}
