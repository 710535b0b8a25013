/**
 * Many operations of one call over binary frames: as many frames as it takes, some of them at the
 * same time, and what becomes of those whose answers are lost. Without a connection for frames each
 * is a request of its own.
 */

import type { FrameAnswer } from "../binary-answer.ts";
import { STATUS } from "../binary-frame.ts";
import { operationBytes, type FrameOperation } from "../binary-request.ts";
import { KvError } from "../errors.ts";
import {
  CLIENT_FRAME_ATTEMPTS_MAX,
  CLIENT_FRAME_BYTES,
  CLIENT_FRAME_OPERATIONS,
  CLIENT_FRAMES_MAX,
  CLIENT_REQUESTS_MAX,
  CLIENT_TIMEOUT_MS,
} from "../limits.ts";
import { MANY } from "../many.ts";
import { connectionLost, notSent, timedOut, type Attempt } from "./failures.ts";
import type { FrameChannel } from "./frame-channel.ts";
import type { Frames } from "./frames.ts";
import type { HttpTransport, RequestOptions } from "./http-transport.ts";
import { Stop } from "./stop.ts";

/** One operation, and the ways to get it done. */
export interface Single<T> {
  readonly key: string;
  readonly operation: FrameOperation;
  /** What an answer means that is no failure; an error where it answers something else. */
  read(answer: FrameAnswer): T | KvError;
  /** The same as a request of its own. */
  alone(options: RequestOptions): Promise<T>;
}

export interface ManyTools {
  readonly transport: HttpTransport;
  readonly frames: Frames;
}

/**
 * Runs operations that are all gets, or all writes, each for itself and in their order; answers
 * what each came to. Gets whose answers are lost are asked for again. Writes whose answers are lost
 * are `outcome_unknown`, and those behind them that were not sent are `unavailable`.
 * @throws only the reason of an abort.
 */
export async function runSingles<T>(
  { transport, frames }: ManyTools,
  singles: readonly Single<T>[],
  options: RequestOptions = {},
): Promise<readonly (T | KvError)[]> {
  const { timeoutMs = transport.timeoutMs } = options;
  const sources = [transport.signal, options.signal];
  for (const source of sources) source?.throwIfAborted();
  const stop = new Stop(timeoutMs, sources);
  const run = new Run(transport.url.http, singles, timeoutMs, stop.signal);
  try {
    await run.overFrames(frames);
    await run.alone(options.signal);
  } finally {
    stop.forget();
  }
  for (const source of sources) source?.throwIfAborted();
  return run.outcomes();
}

// --- internal ---

/** How far an operation has come. */
const STATE = { waiting: 0, sent: 1, settled: 2 } as const;

class Run<T> {
  readonly #singles: readonly Single<T>[];
  readonly #attempt: Attempt;
  readonly #timeoutMs: number;
  readonly #startedAt = performance.now();
  readonly #signal: AbortSignal;
  /** Resolves when it is to be given up. */
  readonly #stopped: Promise<"stopped">;
  readonly #states: Uint8Array;
  readonly #outcomes: (T | KvError)[] = [];
  /** Indexes of what waits, from `#first` on. */
  readonly #queue: number[];
  #first = 0;
  /** Connections that broke, and the last of them. */
  #losses = 0;
  #lost: FrameChannel | undefined;
  /** Why nothing more is sent. */
  #broken: KvError | undefined;

  constructor(url: string, singles: readonly Single<T>[], timeoutMs: number, signal: AbortSignal) {
    this.#singles = singles;
    this.#attempt = { url, write: singles.some(({ operation }) => operation.kind !== MANY.get) };
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#states = new Uint8Array(singles.length);
    this.#queue = [...singles.keys()];
    this.#stopped = new Promise((resolve) => {
      signal.addEventListener("abort", () => resolve("stopped"));
    });
  }

  /** What each came to, when all is over that was begun. */
  outcomes(): readonly (T | KvError)[] {
    const { url } = this.#attempt;
    const late = timedOut(this.#attempt, this.#timeoutMs);
    const unsent =
      this.#broken === undefined
        ? timedOut({ url, write: false }, this.#timeoutMs)
        : notSent(this.#attempt, this.#broken);
    for (const [index, state] of this.#states.entries()) {
      if (state === STATE.sent) this.#outcomes[index] = late;
      else if (state === STATE.waiting) this.#outcomes[index] = unsent;
    }
    return this.#outcomes;
  }

  /** Does what can be done over frames: nothing, where no connection can be had. */
  async overFrames(frames: Frames): Promise<void> {
    const workers = Array.from({ length: CLIENT_FRAMES_MAX }, () => this.#sendFrames(frames));
    await Promise.all(workers);
  }

  /** Does the rest, each as a request of its own; those of one key one after the other. */
  async alone(signal: AbortSignal | undefined): Promise<void> {
    const last = new Map<string, Promise<void>>();
    const work = async (): Promise<void> => {
      for (let index = this.#take(); index !== undefined; index = this.#take()) {
        const { key } = this.#singles[index]!;
        const before = last.get(key);
        const running = this.#runAlone(index, before, signal);
        last.set(key, running);
        await running;
      }
    };
    await Promise.all(Array.from({ length: CLIENT_REQUESTS_MAX }, work));
  }

  async #sendFrames(frames: Frames): Promise<void> {
    while (this.#isGoingOn) {
      const opened = frames.channel ?? (await this.#open(frames));
      if (opened === undefined) return;
      const taken = this.#takeFrame();
      if (taken.length === 0) return;
      const sentAt = performance.now();
      const asked = opened.ask(taken.map((index) => this.#singles[index]!.operation));
      const answer = await Promise.race([asked, this.#stopped]);
      if (answer === undefined) this.#lose(taken, opened);
      else if (answer !== "stopped") this.#settle(taken, answer);
      // A connection whose other end is gone looks like one where nothing happens.
      else if (opened.heardAt < sentAt) opened.close();
    }
  }

  /** Where none opens, half of the time must be left to do without. */
  async #open(frames: Frames): Promise<FrameChannel | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"late">((resolve) => {
      const halfMs = Math.min(this.#timeoutMs, CLIENT_TIMEOUT_MS) / 2;
      timer = setTimeout(() => resolve("late"), halfMs);
    });
    const opened = await Promise.race([frames.open(), late, this.#stopped]);
    clearTimeout(timer);
    return typeof opened === "string" ? undefined : opened;
  }

  get #isGoingOn(): boolean {
    const isOver = this.#broken !== undefined || this.#signal.aborted;
    return !isOver && this.#first < this.#queue.length;
  }

  #take(): number | undefined {
    if (!this.#isGoingOn) return undefined;
    const index = this.#queue[this.#first++]!;
    this.#states[index] = STATE.sent;
    return index;
  }

  #takeFrame(): number[] {
    const taken: number[] = [];
    let bytes = 0;
    while (taken.length < CLIENT_FRAME_OPERATIONS && bytes < CLIENT_FRAME_BYTES) {
      const index = this.#take();
      if (index === undefined) break;
      taken.push(index);
      bytes += operationBytes(this.#singles[index]!.operation);
    }
    return taken;
  }

  #settle(taken: readonly number[], answer: readonly FrameAnswer[] | KvError): void {
    for (const [at, index] of taken.entries()) {
      if (answer instanceof KvError) this.#settleOne(index, answer);
      else if (answer[at]!.status === STATUS.unread) this.#wait(index);
      else this.#settleOne(index, answer[at]!.error ?? this.#singles[index]!.read(answer[at]!));
    }
  }

  #settleOne(index: number, outcome: T | KvError): void {
    this.#outcomes[index] = outcome;
    this.#states[index] = STATE.settled;
  }

  #wait(index: number): void {
    this.#states[index] = STATE.waiting;
    this.#queue.push(index);
  }

  /** The connection broke before the answers to these came. */
  #lose(taken: readonly number[], channel: FrameChannel): void {
    const error = connectionLost(this.#attempt);
    // Several frames may have been on their way.
    if (channel !== this.#lost) this.#losses++;
    this.#lost = channel;
    const isFinal = this.#attempt.write || this.#losses >= CLIENT_FRAME_ATTEMPTS_MAX;
    if (isFinal) this.#broken ??= error;
    for (const index of taken) {
      if (isFinal) this.#settleOne(index, error);
      else this.#wait(index);
    }
  }

  async #runAlone(
    index: number,
    before: Promise<void> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await before;
    // What is lost may still come to pass, so nothing of its key may overtake it.
    if (this.#broken !== undefined) {
      this.#states[index] = STATE.waiting;
      return;
    }
    const leftMs = this.#timeoutMs - (performance.now() - this.#startedAt);
    const timeoutMs = Math.max(1, Math.ceil(leftMs));
    try {
      this.#settleOne(index, await this.#singles[index]!.alone({ timeoutMs, signal }));
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      this.#settleOne(index, error);
      // Where the server cannot be reached, the others would wait for nothing.
      if (isLoss(error)) this.#broken ??= error;
    }
  }
}

function isLoss({ code }: KvError): boolean {
  return code === "unavailable" || code === "outcome_unknown";
}
