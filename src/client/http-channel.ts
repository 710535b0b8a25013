/**
 * One watch as an HTTP stream of JSON lines, for platforms without WebSocket and for networks that
 * do not let it pass. Nothing is open before the watch is asked for.
 *
 * A connection whose other end is gone looks like one where nothing happens. When nothing was heard
 * for longer than the server is ever silent, it is asked for its revision: as long as the stream
 * has got as far, nothing is missing; else a frame is due, and a stream that brings none is dead.
 */

import { KvError } from "../errors.ts";
import { CLIENT_STREAM_PATH_BYTES_MAX } from "../limits.ts";
import type { JsonWatch } from "../messages.ts";
import {
  checkCreated,
  checkFrame,
  type Channel,
  type ChannelEvents,
  type ChannelFrame,
  type ChannelOptions,
  type MadeWatch,
} from "./channel.ts";
import { unreadable } from "./failures.ts";
import { watchPath } from "./filter.ts";
import type { HttpStream, HttpTransport } from "./http-transport.ts";
import { Lines } from "./lines.ts";
import { listPage } from "./listing.ts";

/** Beats in which a stream that owes something may be silent. */
const SILENT_BEATS_MAX = 2;

export class HttpChannel implements Channel {
  readonly #transport: HttpTransport;
  readonly #options: ChannelOptions;
  readonly #events: ChannelEvents;
  /** The number of the newest watch; earlier ones are over. */
  #watch = 0;
  #stream: HttpStream | undefined;
  /** Ends the watch that is being asked for, and questions. */
  readonly #ending = new AbortController();
  #beating: ReturnType<typeof setInterval> | undefined;
  /** Has anything come since the last beat? */
  #heard = false;
  /** Everything up to here has come; -1 as long as there is no such revision. */
  #position = -1;
  /** What the server's revision was in the silence that goes on, and the beats since then. */
  #owed = -1;
  #silentBeats = 0;
  #closed = false;

  constructor(transport: HttpTransport, options: ChannelOptions, events: ChannelEvents) {
    this.#transport = transport;
    this.#options = options;
    this.#events = events;
    queueMicrotask(() => {
      if (!this.#closed) events.opened();
    });
  }

  watch(request: JsonWatch, answered: (answer: MadeWatch | KvError) => void): void {
    this.unwatch(this.#watch);
    void this.#follow(this.#watch, request, answered);
  }

  unwatch(watch: number): void {
    if (watch !== this.#watch) return;
    this.#watch++;
    this.#stream?.cancel();
    this.#stream = undefined;
    clearInterval(this.#beating);
  }

  askRevision(answered: (answer: number | KvError) => void): void {
    void this.#readRevision().then((answer) => {
      if (!this.#closed) this.#guard(() => answered(answer));
    });
  }

  close(error?: KvError): void {
    if (error === undefined) this.#release();
    else this.#end(error);
  }

  async #follow(
    watch: number,
    request: JsonWatch,
    answered: (answer: MadeWatch | KvError) => void,
  ): Promise<void> {
    const isOver = (): boolean => this.#closed || watch !== this.#watch;
    let stream: HttpStream;
    try {
      stream = await this.#open(watchPath(request));
    } catch (error) {
      // What refuses a watch, or keeps it from the server, is its answer.
      if (!isOver()) this.#guard(() => answered(this.#toKvError(error)));
      return;
    }
    if (isOver()) {
      stream.cancel();
      return;
    }
    this.#stream = stream;
    this.#beating = setInterval(() => this.#beat(), this.#options.heartbeatMs);
    try {
      const lines = this.#lines(stream);
      const start = checkCreated(parseLine((await lines.next()).value));
      if (isOver()) return;
      const isState = request.initial === true && request.from === undefined;
      this.#position = isState ? -1 : start.revision;
      answered({ watch, ...start });
      for await (const line of lines) {
        if (isOver()) return;
        const frame = checkFrame(parseLine(line));
        this.#advance(frame);
        this.#events.frame(watch, frame, line.length);
      }
    } catch (error) {
      if (!isOver()) this.#end(this.#toKvError(error));
    }
  }

  async #open(path: string): Promise<HttpStream> {
    if (path.length > CLIENT_STREAM_PATH_BYTES_MAX) {
      const what = "the keys and prefixes of the watch do not fit into the address of a stream";
      const limit = CLIENT_STREAM_PATH_BYTES_MAX;
      throw new KvError("too_large", `${what}; over WebSocket they would`, { limit });
    }
    const { timeoutMs } = this.#options;
    return this.#transport.stream(path, { timeoutMs, signal: this.#ending.signal });
  }

  /** The lines of a stream, for ever. @throws `unavailable` at its end. */
  async *#lines(stream: HttpStream): AsyncGenerator<string, never> {
    const lines = new Lines();
    for (;;) {
      const bytes = await stream.read();
      if (bytes === undefined) {
        const what = `the stream from ${this.#transport.url.http} was cut`;
        throw new KvError("unavailable", what);
      }
      this.#heard = true;
      // An empty line is a sign of life.
      for (const line of lines.push(bytes)) if (line !== "") yield line;
    }
  }

  #advance(frame: ChannelFrame): void {
    if (frame.type === "reset") this.#position = -1;
    else if (frame.type === "sync" || frame.type === "progress") this.#position = frame.revision;
    else if (frame.type === "change" && frame.more !== true) this.#position = frame.revision;
  }

  #beat(): void {
    if (this.#heard) {
      this.#heard = false;
      this.#owed = -1;
      this.#silentBeats = 0;
    } else if (this.#owed <= this.#position) {
      this.askRevision((answer) => {
        if (!(answer instanceof KvError)) this.#owed = answer;
        // A server that is busy is there.
        else if (answer.code !== "too_many_requests") this.#end(answer);
      });
    } else if (++this.#silentBeats > SILENT_BEATS_MAX) {
      const seconds = ((this.#silentBeats + 1) * this.#options.heartbeatMs) / 1000;
      const what = `the stream from ${this.#transport.url.http} is silent for ${seconds} s`;
      this.#end(new KvError("unavailable", what), true);
    }
  }

  async #readRevision(): Promise<number | KvError> {
    try {
      const { timeoutMs } = this.#options;
      const { signal } = this.#ending;
      const asked = { limit: 1, keys: true, timeoutMs, signal };
      return (await listPage(this.#transport, {}, asked)).revision;
    } catch (error) {
      return this.#toKvError(error);
    }
  }

  /** What cannot be read is none of kv's. */
  #toKvError(error: unknown): KvError {
    if (error instanceof KvError) return error;
    const why = error instanceof Error ? error.message : `${error}`;
    return unreadable(this.#transport.url.http, why);
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#end(this.#toKvError(error));
    }
  }

  #end(error: KvError, isSilent = false): void {
    if (this.#closed) return;
    this.#release();
    this.#events.closed(error, isSilent);
  }

  #release(): void {
    this.#closed = true;
    clearInterval(this.#beating);
    this.#ending.abort();
    this.#stream?.cancel();
  }
}

// --- internal ---

function parseLine(line: string): Record<string, unknown> {
  const frame = JSON.parse(line) as Record<string, unknown> | null;
  if (typeof frame !== "object" || frame === null) throw new Error("a line that is no frame");
  return frame;
}
