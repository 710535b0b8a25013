/**
 * A watch whose frames are pulled: what is published or sent waits in a queue until the reader
 * takes it. The frames are shared with all others who get them, so a queue holds little of its own;
 * the hub sees how much waits, and lets a reader that is slow go on from the log.
 */

import { STREAM_PIECE_BYTES, WATCHER_UNSENT_BYTES_MAX } from "../limits.ts";
import type { Frame, Transport } from "./frames.ts";
import { Queue } from "./queue.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Listener, Topics } from "./topics.ts";
import type { WatchSession } from "./watch-session.ts";

export type StreamTransport = Exclude<Transport, "ws">;

/** What a reader pulls. */
export interface WatchStream {
  /**
   * The next whole frames, about `STREAM_PIECE_BYTES` and one at least, as soon as there is one.
   * `idle` when none has come in `idleMs`, `end` behind the last one. One call at a time.
   * @throws what the watch fails with for a reason that no frame has.
   */
  read(idleMs: number): Promise<Uint8Array | "idle" | "end">;
  /** The id of the last frame that was read, where it has one. */
  readonly through: number | undefined;
  /** Ends the watch; what was not read is dropped, and a `read` under way answers `end`. */
  close(): void;
}

export class StreamSubscriber implements Subscriber, Listener, WatchStream {
  readonly transport: StreamTransport;
  readonly #topics: Topics;
  #session: WatchSession | undefined;
  #frames = new Queue<Frame>();
  #through: number | undefined;
  #isOver = false;
  #failure: { readonly error: unknown } | undefined;
  #wake = (): void => {};

  constructor(transport: StreamTransport, topics: Topics) {
    this.transport = transport;
    this.#topics = topics;
  }

  /** To be called before anything is sent. */
  begin(session: WatchSession): void {
    this.#session = session;
  }

  // WatchStream

  async read(idleMs: number): Promise<Uint8Array | "idle" | "end"> {
    if (this.#isQuiet()) await this.#wait(idleMs);
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#frames.size > 0) return this.#take();
    return this.#isOver ? "end" : "idle";
  }

  close(): void {
    this.#isOver = true;
    this.#frames = new Queue();
    this.#session?.close();
    this.#wake();
  }

  get through(): number | undefined {
    return this.#through;
  }

  // Subscriber

  send(frame: Frame): void {
    this.receive(frame);
    // What is published must not pile up behind something large.
    if (this.unsentBytes() > WATCHER_UNSENT_BYTES_MAX) this.#session?.sent();
  }

  /** The reader takes what there is, however it came. */
  together(run: () => void): void {
    run();
  }

  unsentBytes(): number {
    return this.#frames.bytes;
  }

  subscribe(topic: string): void {
    this.#topics.add(topic, this);
  }

  unsubscribe(topic: string): void {
    this.#topics.remove(topic, this);
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  // Listener

  receive(frame: Frame): void {
    if (this.#isOver) return;
    this.#frames.push(frame, frame.bytes);
    if (frame.type === "end") this.#isOver = true;
    this.#wake();
  }

  #isQuiet(): boolean {
    return this.#frames.size === 0 && !this.#isOver && this.#failure === undefined;
  }

  /** Until something has happened, or for `idleMs`. */
  async #wait(idleMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, idleMs);
    await promise;
    clearTimeout(timer);
  }

  #take(): Uint8Array {
    const taken: Frame[] = [];
    let bytes = 0;
    for (let next = this.#frames.first; next !== undefined; next = this.#frames.first) {
      if (taken.length > 0 && bytes + next.bytes > STREAM_PIECE_BYTES) break;
      taken.push(next);
      bytes += next.bytes;
      this.#frames.shift();
    }
    this.#through = taken.at(-1)?.id;
    this.#session?.drained();
    const pieces = taken.map((frame) => (this.transport === "sse" ? frame.sse : frame.ndjson));
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }
}
