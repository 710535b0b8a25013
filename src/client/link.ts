/**
 * A connection that comes back: the streams on it are asked for anew, each from where it was, after
 * a wait that grows. One link has one stream of a filter, as the server allows; `watches.ts` has
 * further links.
 */

import { KvError, type ErrorCode } from "../errors.ts";
import { backoffMs, type BackoffOptions } from "./backoff.ts";
import type { Channel, ChannelEvents, ChannelFrame, MadeWatch } from "./channel.ts";
import { isLasting } from "./failures.ts";
import { watchToJson } from "./filter.ts";
import { Stream } from "./stream.ts";
import type { Watcher } from "./watcher.ts";

export interface LinkOptions extends BackoffOptions {
  /** Opens a connection, which takes `patience` times as long as usual for one that is gone. */
  readonly open: (events: ChannelEvents, patience: number) => Channel;
  /** Streams on one connection. */
  readonly streamsMax: number;
  /** Finds out why the endpoint cannot be had: a better error than `error`, or `error` itself. */
  readonly diagnose: (error: KvError) => Promise<KvError>;
}

export interface LinkOwner {
  /** Finds a place for a watcher that this link cannot serve. */
  place(watcher: Watcher, except?: Link): void;
  /** A stream has come further: another link may have the same one, at the same place. */
  moved(stream: Stream, link: Link): void;
  /** Nobody needs the link any more; it is closed. */
  retired(link: Link): void;
}

/** The most by which a silence may be longer than usual. */
const PATIENCE_MAX = 16;

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
  /** A frame that takes long to come is silence too: a connection lost by that gets more time. */
  #patience = 1;
  #isRetired = false;

  constructor(options: LinkOptions, owner: LinkOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  /** Takes a watcher on; false when this link cannot serve it. */
  add(watcher: Watcher): boolean {
    const { filter } = watcher;
    const known = this.#streams.get(filter.name);
    if (known === undefined && this.#streams.size >= this.#options.streamsMax) return false;
    const stream = known ?? new Stream(filter);
    const offer = stream.offer(watcher);
    if (offer === "no") return false;
    this.#streams.set(filter.name, stream);
    if (offer === "join") this.#join(stream, watcher);
    if (offer !== "taken" || stream.isMade || stream.isAsked) return true;
    if (this.#isOpen) this.#askSoon(stream);
    else this.#connect();
    return true;
  }

  /** Takes a watcher over that another link has brought as far as this one, or further. */
  adopt(watcher: Watcher): boolean {
    return this.#streams.get(watcher.filter.name)?.adopt(watcher) ?? false;
  }

  remove(watcher: Watcher): void {
    this.#paused.delete(watcher);
    const stream = this.#streams.get(watcher.filter.name);
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
      const events: ChannelEvents = {
        opened: () => this.#opened(),
        frame: (watch, frame, chars) => this.#frame(watch, frame, chars),
        closed: (error, isSilent = false) => void this.#closed(error, isSilent),
      };
      this.#channel = this.#options.open(events, this.#patience);
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

  async #closed(reason: KvError, isSilent: boolean): Promise<void> {
    this.#channel = undefined;
    if (isSilent) this.#patience = Math.min(this.#patience * 2, PATIENCE_MAX);
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
      homeless.push(...stream.unmake());
      // It was kept for its answer only, which does not come any more.
      if (stream.isEmpty) this.#streams.delete(stream.filter.name);
    }
    for (const watcher of [...this.#members(), ...homeless]) watcher.lost(error);
    for (const watcher of homeless) this.#owner.place(watcher, this);
    this.#retireIfIdle();
    if (!this.#isRetired) this.#retryLater();
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    if (this.#streams.size === 0) return;
    const wait = backoffMs(this.#attempts++, this.#options);
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  // Streams

  /** In this turn others may come that can share it. */
  #askSoon(stream: Stream): void {
    const channel = this.#channel;
    queueMicrotask(() => {
      const isAsked = stream.isMade || stream.isAsked;
      const isThere = this.#streams.get(stream.filter.name) === stream && this.#isOpen;
      if (isThere && !isAsked && channel === this.#channel) this.#ask(stream);
    });
  }

  #ask(stream: Stream): void {
    const request = watchToJson(stream.filter, stream.ask());
    this.#channel!.watch(request, (answer) => {
      if (answer instanceof KvError) this.#refused(stream, answer);
      else this.#created(stream, answer);
    });
  }

  #created(stream: Stream, { watch, ...start }: MadeWatch): void {
    this.#attempts = 0;
    this.#numbers.set(watch, stream);
    const { joining, left } = stream.created(watch, start);
    for (const watcher of joining) this.#join(stream, watcher);
    this.#settle(stream, left);
  }

  #refused(stream: Stream, error: KvError): void {
    const isConflict = error.code === "conflict";
    if (!isConflict && !isLasting(error)) {
      this.#channel?.close(error);
      return;
    }
    this.#streams.delete(stream.filter.name);
    const moving = stream.unmake();
    if (isConflict) moving.push(...stream.members);
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
    this.#channel!.askRevision((answer) => {
      if (answer instanceof KvError) this.#channel?.close(answer);
      else if (stream.endJoin(watcher, answer)) this.#settle(stream, [watcher]);
    });
  }

  #frame(watch: number, frame: ChannelFrame, chars: number): void {
    this.#patience = 1;
    const stream = this.#numbers.get(watch);
    // What was on its way when the watch was given up.
    if (stream === undefined) return;
    if (frame.type === "end") return this.#ended(stream, frame.reason);
    this.#settle(stream, stream.receive(frame, chars));
    if (!stream.isEmpty) this.#owner.moved(stream, this);
  }

  /** Finds the place of watchers that may have left their stream. */
  #settle(stream: Stream, watchers: readonly Watcher[]): void {
    // First of all, so that who needs it from another place can have it on this connection.
    if (stream.isEmpty) this.#drop(stream);
    const except = stream.isEmpty ? undefined : this;
    for (const watcher of watchers) {
      if (watcher.isPaused) this.#paused.add(watcher);
      else if (!stream.members.has(watcher)) this.#owner.place(watcher, except);
    }
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
    const homeless = stream.unmake();
    if (stream.isEmpty) this.#streams.delete(stream.filter.name);
    else this.#ask(stream);
    for (const watcher of homeless) this.#owner.place(watcher, this);
    this.#retireIfIdle();
  }

  /** Nobody wants the stream. One that is asked for is dropped when it is answered. */
  #drop(stream: Stream): void {
    if (stream.isAsked) return;
    if (this.#streams.get(stream.filter.name) === stream) this.#streams.delete(stream.filter.name);
    if (stream.watch === undefined) return;
    this.#numbers.delete(stream.watch);
    this.#channel!.unwatch(stream.watch);
    stream.unmake();
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

function watchEnded(code: ErrorCode, reason: string): KvError {
  return new KvError(code, `the server ended the watch (${reason})`);
}
