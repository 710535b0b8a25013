/**
 * A connection that comes back: the streams on it are asked for anew, each from where it was, after
 * a wait that grows. One link has one stream of a range, as the server allows; `watches.ts` has
 * further links.
 */

import { KvError, type ErrorCode } from "../errors.ts";
import type { SocketAnswer, SocketFrame } from "../messages.ts";
import { errorFromJson } from "../json.ts";
import { CLIENT_CONNECTION_WATCHES_MAX } from "../limits.ts";
import { Channel, type ChannelOptions } from "./channel.ts";
import { unreadable } from "./failures.ts";
import { nameOfRange, Stream } from "./stream.ts";
import type { Watcher } from "./watcher.ts";

export interface LinkOptions extends ChannelOptions {
  /**
   * Milliseconds before the first new attempt, and at most before later ones; less by up to half.
   */
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** From 0 up to, but not including, 1. */
  readonly random: () => number;
  /** Finds out why the endpoint cannot be had: a better error than `error`, or `error` itself. */
  readonly diagnose: (error: KvError) => Promise<KvError>;
}

export interface LinkOwner {
  /** Finds a link for a watcher that this one cannot serve. */
  place(watcher: Watcher, except: Link): void;
  /** Nobody needs the link any more; it is closed. */
  retired(link: Link): void;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #owner: LinkOwner;
  readonly #streams = new Map<string, Stream>();
  /** Streams that are live, by the number in their frames. */
  readonly #numbers = new Map<number, Stream>();
  /** Watchers without room: they have no stream, but keep the connection. */
  readonly #paused = new Set<Watcher>();
  #channel: Channel | undefined;
  #isOpen = false;
  /** Finding out why there is no connection. */
  #isFailing = false;
  /** Attempts since a watch was last made. */
  #attempts = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isRetired = false;

  constructor(options: LinkOptions, owner: LinkOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  /** Takes a watcher on; false when this link cannot serve it. */
  add(watcher: Watcher): boolean {
    const name = nameOfRange(watcher.range);
    const stream = this.#streams.get(name) ?? new Stream(watcher.range);
    if (!this.#streams.has(name) && this.#streams.size >= CLIENT_CONNECTION_WATCHES_MAX)
      return false;
    const offer = stream.offer(watcher);
    if (offer === "no") return false;
    this.#streams.set(name, stream);
    if (offer === "join") this.#join(stream, watcher);
    if (offer !== "taken" || stream.isLive || stream.isAsked) return true;
    if (this.#isOpen) this.#ask(stream);
    else this.#connect();
    return true;
  }

  remove(watcher: Watcher): void {
    this.#paused.delete(watcher);
    const name = nameOfRange(watcher.range);
    const stream = this.#streams.get(name);
    if (stream?.remove(watcher) === true && stream.isEmpty) this.#drop(stream);
    this.#retireIfIdle();
  }

  /** A watcher that was paused has found another place, or this one again. */
  unpause(watcher: Watcher): void {
    this.#paused.delete(watcher);
    this.#retireIfIdle();
  }

  // The connection

  #connect(): void {
    if (this.#channel !== undefined || this.#isFailing) return;
    clearTimeout(this.#retry);
    try {
      this.#channel = new Channel(this.#options, {
        opened: () => this.#opened(),
        frame: (frame, chars) => this.#frame(frame, chars),
        closed: (error) => void this.#closed(error),
      });
    } catch (error) {
      const members = this.#members();
      this.#streams.clear();
      for (const watcher of members) watcher.end(error);
      this.#retireIfIdle();
    }
  }

  #opened(): void {
    this.#isOpen = true;
    for (const stream of this.#streams.values()) this.#ask(stream);
  }

  async #closed(reason: KvError): Promise<void> {
    this.#channel = undefined;
    this.#numbers.clear();
    let error = reason;
    if (!this.#isOpen && this.#members().some((watcher) => !watcher.isStarted)) {
      this.#isFailing = true;
      error = await this.#options.diagnose(reason);
      this.#isFailing = false;
    }
    this.#isOpen = false;
    const homeless: Watcher[] = [];
    for (const stream of this.#streams.values()) {
      homeless.push(...stream.reset());
      // It was kept for its answer only, which does not come any more.
      if (stream.isEmpty) this.#streams.delete(nameOfRange(stream.range));
    }
    for (const watcher of [...this.#members(), ...homeless]) watcher.lost(error);
    for (const watcher of homeless) if (!watcher.isEnded) this.#owner.place(watcher, this);
    this.#retireIfIdle();
    if (!this.#isRetired) this.#retryLater();
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    if (this.#streams.size === 0) return;
    const { backoffMsMin, backoffMsMax, random } = this.#options;
    const wait = Math.min(backoffMsMin * 2 ** this.#attempts++, backoffMsMax);
    // Clients that lost the same server must not all come back at the same moment.
    this.#retry = setTimeout(() => this.#connect(), wait * (0.5 + random() / 2));
  }

  // Streams

  #ask(stream: Stream): void {
    const from = stream.ask();
    const request = {
      op: "watch",
      ...stream.range,
      ...(from === undefined ? undefined : { from }),
    } as const;
    this.#channel!.request(request, (answer) => this.#answered(stream, answer));
  }

  #answered(stream: Stream, answer: SocketAnswer): void {
    if (answer.type === "created") {
      const { watch, revision, store } = answer as Extract<SocketAnswer, { type: "created" }>;
      this.#attempts = 0;
      this.#numbers.set(watch, stream);
      for (const watcher of stream.created(watch, { revision, store })) this.#join(stream, watcher);
      if (stream.isEmpty) this.#drop(stream);
      this.#retireIfIdle();
      return;
    }
    const error = errorFromJson(answer);
    if (error === undefined) this.#channel?.close(unreadable(this.#options.url));
    else this.#refused(stream, error);
  }

  #refused(stream: Stream, error: KvError): void {
    const isTemporary = !LASTING.has(error.code) && error.code !== "conflict";
    if (isTemporary) {
      this.#channel?.close(error);
      return;
    }
    this.#streams.delete(nameOfRange(stream.range));
    const moving = stream.reset();
    if (error.code === "conflict") moving.push(...stream.members);
    else for (const watcher of stream.members) watcher.refused(error);
    for (const watcher of moving) this.#owner.place(watcher, this);
    this.#retireIfIdle();
  }

  /**
   * A watcher joins a live stream once it is known what now is: the answer cannot be older than the
   * question.
   */
  #join(stream: Stream, watcher: Watcher): void {
    stream.beginJoin(watcher);
    this.#channel!.request({ op: "list", limit: 1, keys: true }, (answer) => {
      const { revision } = answer as { revision?: unknown };
      if (typeof revision !== "number") {
        this.#channel?.close(errorFromJson(answer) ?? unreadable(this.#options.url));
        return;
      }
      if (stream.endJoin(watcher, revision)) this.#settle(stream, [watcher]);
    });
  }

  #frame(frame: SocketFrame, chars: number): void {
    const stream = this.#numbers.get(frame.watch);
    // What was on its way when the watch was given up.
    if (stream === undefined) return;
    if (frame.type === "change") this.#settle(stream, stream.change(frame, chars));
    else if (frame.type === "progress") stream.progress(frame.revision);
    else if (frame.type === "end") this.#ended(stream, frame.reason);
  }

  /** Finds the place of watchers that may have left their stream. */
  #settle(stream: Stream, watchers: readonly Watcher[]): void {
    for (const watcher of watchers) {
      if (watcher.isPaused) this.#paused.add(watcher);
      else if (!stream.members.has(watcher) && !watcher.isEnded) this.#owner.place(watcher, this);
    }
    if (stream.isEmpty) this.#drop(stream);
    this.#retireIfIdle();
  }

  /**
   * The server ended a watch: it is asked for again, or all of the connection is when the server
   * stops.
   */
  #ended(stream: Stream, reason: string): void {
    this.#numbers.delete(stream.watch!);
    if (reason === "unauthorized") {
      this.#refused(stream, watchEnded("permission_denied", reason));
      return;
    }
    if (reason !== "compacted" && reason !== "too_slow") {
      this.#channel?.close(watchEnded("unavailable", reason));
      return;
    }
    const homeless = stream.reset();
    if (stream.isEmpty) this.#streams.delete(nameOfRange(stream.range));
    else this.#ask(stream);
    for (const watcher of homeless) this.#owner.place(watcher, this);
    this.#retireIfIdle();
  }

  /** Nobody wants the stream. One that is asked for is dropped when it is answered. */
  #drop(stream: Stream): void {
    if (stream.isAsked) return;
    this.#streams.delete(nameOfRange(stream.range));
    if (stream.watch === undefined) return;
    this.#numbers.delete(stream.watch);
    this.#channel!.request({ op: "unwatch", watch: stream.watch }, () => {});
    stream.reset();
  }

  #members(): Watcher[] {
    const members: Watcher[] = [];
    for (const stream of this.#streams.values()) members.push(...stream.members);
    return members;
  }

  #retireIfIdle(): void {
    if (this.#isRetired || this.#paused.size > 0) return;
    for (const stream of this.#streams.values()) if (!stream.isEmpty) return;
    this.#isRetired = true;
    clearTimeout(this.#retry);
    this.#channel?.close();
    this.#channel = undefined;
    this.#owner.retired(this);
  }
}

// --- internal ---

/** Refusals that another attempt would meet again. */
const LASTING: ReadonlySet<ErrorCode> = new Set([
  "compacted",
  "invalid_argument",
  "too_large",
  "unauthenticated",
  "permission_denied",
  "unsupported",
]);

function watchEnded(code: ErrorCode, reason: string): KvError {
  return new KvError(code, `the server ended the watch (${reason})`);
}
