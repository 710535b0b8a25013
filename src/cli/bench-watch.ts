/**
 * The load of a watch: many connections watch all keys of the bench, one connection puts them one
 * after another. An operation is an event that one watcher got; its time begins when the put of it
 * is sent.
 */

import type { ServerUrl } from "../client/url.ts";
import { KvError } from "../errors.ts";
import { errorFromJson } from "../json.ts";
import { openHttp } from "./bench-http.ts";
import { KEY_DIGITS, type Link, type Traffic } from "./bench-link.ts";
import type { Span } from "./bench-load.ts";
import { openSocket, type OpenSocket } from "./bench-socket.ts";
import type { Tally } from "./bench-tally.ts";

export interface WatchPlan {
  readonly url: ServerUrl;
  readonly traffic: Traffic;
  readonly watchers: number;
  /** Its operations are puts. */
  readonly span: Span;
  /** Milliseconds without an answer or an event that is due, after which it fails. */
  readonly timeoutMs: number;
  readonly onProgress: () => void;
  readonly signal: AbortSignal;
}

/**
 * Runs the load and counts into `tally`; events that never came are errors. A connection that
 * breaks ends it.
 * @throws `unavailable`.
 */
export async function driveWatch(plan: WatchPlan, tally: Tally): Promise<void> {
  plan.signal.throwIfAborted();
  const load = new WatchLoad(plan, tally);
  await load.run();
}

/** Bytes of a value, at least: it begins with the number of its put. */
export const WATCH_VALUE_BYTES_MIN = KEY_DIGITS;

// --- internal ---

/** Puts whose times are remembered; no watcher is further behind. */
const PUTS_KEPT = 2 ** 16;
/** Events on their way above which no further put is sent, and below which it goes on. */
const PENDING_MAX = PUTS_KEPT / 2;
const LOOK_MS = 100;
/** What stands ahead of a value in a frame; no key has it, since quotes are escaped there. */
const VALUE = '"value":"';

class WatchLoad {
  readonly #plan: WatchPlan;
  readonly #tally: Tally;
  readonly #over = Promise.withResolvers<void>();
  readonly #sockets: OpenSocket[] = [];
  readonly #sentAt = new Float64Array(PUTS_KEPT);
  #writer: Link | undefined;
  #sent = 0;
  #refused = 0;
  #delivered = 0;
  #began = 0;
  /** When the last event or answer came; before the first put, when the last watch began. */
  #heardAt = 0;
  #isWaiting = false;
  #isPaused = false;
  #isEnding = false;

  constructor(plan: WatchPlan, tally: Tally) {
    this.#plan = plan;
    this.#tally = tally;
  }

  async run(): Promise<void> {
    const { span, signal } = this.#plan;
    const end = (): void => this.#end();
    signal.addEventListener("abort", end);
    this.#heardAt = performance.now();
    const looking = setInterval(() => this.#look(), LOOK_MS);
    let ending: ReturnType<typeof setTimeout> | undefined;
    try {
      await Promise.race([this.#open(), this.#over.promise]);
      this.#began = performance.now();
      this.#heardAt = this.#began;
      if ("milliseconds" in span) ending = setTimeout(end, span.milliseconds);
      this.#put();
      await this.#over.promise;
      this.#tally.elapsedMs = Math.max(0, this.#heardAt - this.#began);
    } finally {
      clearInterval(looking);
      clearTimeout(ending);
      signal.removeEventListener("abort", end);
      this.#writer?.close();
      for (const socket of this.#sockets) socket.close();
    }
  }

  async #open(): Promise<void> {
    const { url, traffic, watchers } = this.#plan;
    const numbers = { key: () => this.#sent % traffic.keys, value: () => this.#sent };
    const lost = (error: KvError): void => this.#over.reject(error);
    const [writer] = await Promise.all([
      openHttp(
        url,
        traffic,
        {
          answered: (operations) => this.#answered(operations),
          failed: (error, operations) => this.#tally.failed(error, operations),
          lost,
        },
        numbers,
      ),
      ...Array.from({ length: watchers }, () => this.#watch(lost)),
    ]);
    this.#writer = writer;
  }

  /** Resolves when the watch is there: it gets each event from then on. */
  async #watch(lost: (error: KvError) => void): Promise<void> {
    const created = Promise.withResolvers<void>();
    const receive = (data: string | ArrayBuffer): void => {
      const text = typeof data === "string" ? data : "";
      const at = text.indexOf(VALUE);
      if (at !== -1) return this.#deliver(text, at + VALUE.length);
      const message = JSON.parse(text) as { type?: unknown; reason?: unknown };
      if (message.type === "created") created.resolve();
      const error = errorFromJson(message);
      if (message.type === "end") lost(new KvError("unavailable", `a watch: ${message.reason}`));
      if (error !== undefined) created.reject(error);
    };
    const socket = await openSocket(this.#plan.url, receive, lost);
    this.#sockets.push(socket);
    socket.send(JSON.stringify({ id: 1, op: "watch", prefix: this.#plan.traffic.prefix }));
    await created.promise;
    this.#heardAt = performance.now();
  }

  #put(): void {
    if (this.#isEnding || this.#isWaiting) return;
    const { span, watchers } = this.#plan;
    if ("operations" in span && this.#sent >= span.operations) return this.#end();
    this.#isPaused = this.#due(watchers) > PENDING_MAX;
    if (this.#isPaused) return;
    this.#isWaiting = true;
    this.#sentAt[this.#sent % PUTS_KEPT] = performance.now();
    this.#writer!.send();
  }

  #answered(operations: number): void {
    this.#isWaiting = false;
    this.#sent++;
    if (operations === 0) this.#refused++;
    this.#heardAt = performance.now();
    if (this.#isEnding) this.#finish();
    else this.#put();
  }

  #deliver(text: string, at: number): void {
    const number = Number(text.slice(at, at + KEY_DIGITS));
    const now = performance.now();
    // What others put under the prefix is none of ours.
    if (!(number >= 0 && number <= this.#sent)) return;
    this.#delivered++;
    this.#heardAt = now;
    this.#tally.succeeded(1, now - this.#sentAt[number % PUTS_KEPT]!);
    if (this.#isEnding) this.#finish();
    else if (this.#isPaused && this.#due(this.#plan.watchers) < PENDING_MAX / 2) this.#put();
  }

  /** Events that were put and have not come yet. */
  #due(watchers: number): number {
    return (this.#sent - this.#refused) * watchers - this.#delivered;
  }

  /** No further put; what is on its way is waited for. */
  #end(): void {
    this.#isEnding = true;
    this.#finish();
  }

  #finish(): void {
    if (this.#plan.signal.aborted) this.#over.resolve();
    if (!this.#isWaiting && this.#due(this.#plan.watchers) <= 0) this.#over.resolve();
  }

  #look(): void {
    const { timeoutMs, watchers, onProgress } = this.#plan;
    if (this.#began !== 0) this.#tally.elapsedMs = performance.now() - this.#began;
    onProgress();
    if (performance.now() - this.#heardAt <= timeoutMs) return;
    const missing = this.#due(watchers);
    const waited = `within ${timeoutMs / 1_000} s`;
    if (this.#began === 0) {
      this.#over.reject(new KvError("unavailable", `no watch began ${waited}`));
    } else if (this.#isWaiting) {
      this.#over.reject(new KvError("unavailable", `no answer to a put ${waited}`));
    } else if (missing > 0) {
      const error = new KvError("unavailable", `events did not come ${waited}`);
      this.#tally.failed(error, missing);
      this.#over.resolve();
    }
  }
}
