/**
 * Drives a load in a closed loop: each connection sends a request, waits for its answer, and sends
 * the next one, until the time is over or all requests are sent.
 */

import { KvError } from "../errors.ts";
import type { Link, LinkEvents } from "./bench-link.ts";
import type { Tally } from "./bench-tally.ts";

/** How long a workload goes on. */
export type Span = { readonly milliseconds: number } | { readonly operations: number };

export interface LoadPlan {
  readonly connections: number;
  /** Operations of one request. */
  readonly batch: number;
  readonly span: Span;
  /** Milliseconds without an answer after which a request has failed. */
  readonly timeoutMs: number;
  readonly open: (events: LinkEvents) => Promise<Link>;
  /** Called now and then. */
  readonly onProgress: () => void;
  /** Ends it before its time; what was counted until then stays. */
  readonly signal: AbortSignal;
}

/**
 * Runs the load and counts into `tally`. With a time, a tenth of it (at most a second) goes ahead
 * to warm up and is not counted.
 * @throws `unavailable` when a connection cannot be opened, and when for as long as the timeout no
 * connection is opened, or no request succeeds.
 */
export async function drive(plan: LoadPlan, tally: Tally): Promise<void> {
  const load = new Load(plan, tally);
  await load.run();
}

// --- internal ---

/** Milliseconds between two looks at what is late. */
const LOOK_MS = 100;
/** Milliseconds before a connection that was lost is opened again. */
const REOPEN_MS = 100;
const WARM_UP_MS_MAX = 1_000;

class Load {
  readonly #plan: LoadPlan;
  readonly #tally: Tally;
  readonly #over = Promise.withResolvers<void>();
  #lines: Line[] = [];
  /** Of `performance.now()`. */
  #began = 0;
  #until = Number.POSITIVE_INFINITY;
  #unsent = Number.POSITIVE_INFINITY;
  /** When a request did last, or, as long as none was sent, the opening of a connection. */
  #succeededAt = 0;
  #isOver = false;

  constructor(plan: LoadPlan, tally: Tally) {
    this.#plan = plan;
    this.#tally = tally;
  }

  async run(): Promise<void> {
    const { connections, span, signal } = this.#plan;
    signal.throwIfAborted();
    this.#succeededAt = performance.now();
    const lines = Array.from({ length: connections }, () => new Line(this.#plan, this));
    this.#lines = lines;
    const end = (): void => this.end();
    signal.addEventListener("abort", end);
    const looking = setInterval(() => this.#look(), LOOK_MS);
    let ending: ReturnType<typeof setTimeout> | undefined;
    try {
      await Promise.race([Promise.all(lines.map((line) => line.open())), this.#over.promise]);
      this.#begin(span);
      if ("milliseconds" in span) ending = this.#endAt(end);
      for (const line of lines) line.next();
      await this.#over.promise;
      this.#clock();
    } finally {
      clearInterval(looking);
      clearTimeout(ending);
      signal.removeEventListener("abort", end);
      this.#isOver = true;
      for (const line of lines) line.close();
    }
  }

  opened(): void {
    if (this.#began === 0) this.#succeededAt = performance.now();
  }

  /** Takes the operations of the next request; false when there is none. */
  take(): boolean {
    if (this.#isOver || this.#unsent <= 0) return false;
    this.#unsent -= this.#plan.batch;
    return true;
  }

  answered(operations: number, milliseconds: number): void {
    const now = performance.now();
    if (now >= this.#until) return this.end();
    if (operations === 0) return;
    this.#succeededAt = now;
    if (now >= this.#began) this.#tally.succeeded(operations, milliseconds);
  }

  failed(error: KvError, operations: number): void {
    if (!this.#isOver) this.#tally.failed(error, operations);
  }

  /** A connection has nothing more to send. */
  finished(): void {
    if (this.#lines.every((line) => line.isFinished)) this.end();
  }

  end(): void {
    this.#isOver = true;
    this.#over.resolve();
  }

  #begin(span: Span): void {
    const now = performance.now();
    this.#succeededAt = now;
    this.#began = now;
    if ("operations" in span) {
      this.#unsent = span.operations;
      return;
    }
    this.#began += Math.min(WARM_UP_MS_MAX, span.milliseconds / 10);
    this.#until = this.#began + span.milliseconds;
  }

  #clock(): void {
    const now = Math.min(performance.now(), this.#until);
    if (this.#began !== 0) this.#tally.elapsedMs = Math.max(0, now - this.#began);
  }

  /** A timer may come a millisecond too early. */
  #endAt(end: () => void): ReturnType<typeof setTimeout> {
    return setTimeout(end, Math.ceil(this.#until - performance.now()) + 1);
  }

  #look(): void {
    const { timeoutMs, onProgress } = this.#plan;
    this.#clock();
    onProgress();
    const now = performance.now();
    for (const line of this.#lines) line.look(now);
    if (now - this.#succeededAt <= timeoutMs) return;
    const [last] = this.#tally.errors().slice(-1);
    const why = last === undefined ? "" : `; the last error was: ${last.message}`;
    const nothing = this.#began === 0 ? "no connection was opened" : "no request has succeeded";
    const what = `${nothing} for ${timeoutMs / 1_000} s${why}`;
    this.#over.reject(new KvError("unavailable", what));
  }
}

/** One of the connections, through all the sockets that it takes. */
class Line implements LinkEvents {
  readonly #plan: LoadPlan;
  readonly #load: Load;
  #link: Link | undefined;
  /** When the request that waits was sent; -1 when none does. */
  #sentAt = -1;
  #reopening: ReturnType<typeof setTimeout> | undefined;
  isFinished = false;

  constructor(plan: LoadPlan, load: Load) {
    this.#plan = plan;
    this.#load = load;
  }

  async open(): Promise<void> {
    const link = await this.#plan.open(this);
    if (this.isFinished) return link.close();
    this.#link = link;
    this.#load.opened();
  }

  next(): void {
    if (this.#link === undefined) return;
    if (this.#load.take()) {
      this.#sentAt = performance.now();
      this.#link.send();
      return;
    }
    this.isFinished = true;
    this.#load.finished();
  }

  answered(operations: number): void {
    const sentAt = this.#sentAt;
    this.#sentAt = -1;
    this.#load.answered(operations, performance.now() - sentAt);
    this.next();
  }

  failed(error: KvError, operations: number): void {
    this.#load.failed(error, operations);
  }

  lost(error: KvError): void {
    this.#link = undefined;
    // A server, or a proxy, may end a connection that nobody waits at.
    if (this.#sentAt !== -1) this.failed(error, this.#plan.batch);
    this.#sentAt = -1;
    if (this.isFinished) return;
    this.#reopening = setTimeout(() => void this.#reopen(), REOPEN_MS);
  }

  /** Gives up what waits for too long. */
  look(now: number): void {
    const { timeoutMs } = this.#plan;
    if (this.#sentAt === -1 || now - this.#sentAt <= timeoutMs) return;
    this.#link?.close();
    this.lost(new KvError("unavailable", `no answer within ${timeoutMs / 1_000} s`));
  }

  close(): void {
    this.isFinished = true;
    clearTimeout(this.#reopening);
    this.#link?.close();
  }

  async #reopen(): Promise<void> {
    try {
      await this.open();
    } catch (error) {
      if (!this.isFinished) this.lost(error as KvError);
      return;
    }
    this.next();
  }
}
