/**
 * One WebSocket connection: which of its requests may run, when it is read from, and what waits to
 * be sent. Requests take effect in the order sent.
 *
 * Writes are handed to the store one behind the other without waiting, and the store keeps their
 * order. A read behind unanswered writes waits for them, and a write behind an unanswered read too,
 * so that neither shows what the other's place in the order forbids. Most reads are answered in
 * the turn in which they begin; one that is not is waited for, lest the next one shows what is
 * older. Compaction waits for all before it, and all behind it for the compaction.
 */

import { KvError } from "../errors.ts";
import type { MaybePromise, Store } from "../kv.ts";
import {
  SOCKET_ANSWER_BYTES_MAX,
  SOCKET_IDLE_SECONDS,
  SOCKET_PING_SECONDS,
  SOCKET_REQUEST_BYTES_MAX,
  SOCKET_REQUESTS_MAX,
  SOCKET_SMALL_REQUEST_BYTES,
  SOCKETS_REQUEST_BYTES_MAX,
  WATCHER_UNSENT_BYTES_MAX,
} from "../limits.ts";
import type { RequestId } from "../messages.ts";
import type { Frame } from "../watch/frames.ts";
import type { Hub } from "../watch/hub.ts";
import { Queue } from "../watch/queue.ts";
import type { Subscriber } from "../watch/subscriber.ts";
import type { CreatedWatch, WatchSession } from "../watch/watch-session.ts";
import { frameError, type FramePool } from "./socket-frames.ts";
import { parseRequest, type RequestContext } from "./socket-requests.ts";
import { RequestError, type Turn, type TurnKind } from "./socket-turn.ts";

/** What a connection needs of the platform's socket. */
export interface Socket {
  /** Takes the message as it is now. */
  send(message: string | Uint8Array): unknown;
  /** What is sent during the call leaves at its end, or when it has become much. */
  cork(run: () => void): unknown;
  ping(): unknown;
  close(code: number, reason: string): void;
  terminate(): void;
  getBufferedAmount(): number;
  subscribe(topic: string): unknown;
  unsubscribe(topic: string): unknown;
  pause(): void;
  resume(): void;
}

export interface ConnectionOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly frames: FramePool;
  /** Bytes of the requests that all connections hold: read and not answered yet. */
  readonly requests: { bytes: number };
  /** Gets what is a fault of the server and not of a request. */
  readonly onError: (error: unknown) => void;
}

/**
 * Bytes unsent above which nothing more is given to the platform, which closes past its own limit.
 */
const HOLD_BYTES = WATCHER_UNSENT_BYTES_MAX;

/** Requests of a kind that run at the same time. */
const RUNNING_MAX: Readonly<Record<TurnKind, number>> = {
  read: 1,
  write: SOCKET_REQUESTS_MAX,
  alone: 1,
};

export class Connection implements Subscriber {
  readonly transport = "ws";
  readonly #socket: Socket;
  readonly #onError: (error: unknown) => void;
  readonly #session: WatchSession;
  readonly #context: RequestContext;
  readonly #frames: FramePool;
  readonly #requests: { bytes: number };
  /** What this connection has in `#requests`. */
  #sharedBytes = 0;
  /** Messages that were read and not looked at, and in their places those that were not taken. */
  #messages = new Queue<string | Uint8Array | RequestError>();
  /** The request whose turn is next, while it has to wait. */
  #next: Turn | undefined;
  /** Requests begun and not answered, all of one kind, and the bytes of their messages. */
  #running = 0;
  #runningBytes = 0;
  #kind: TurnKind = "read";
  /** What was to be sent while too much was unsent. */
  readonly #held = new Queue<string | Uint8Array>();
  #paused = false;
  /** Pings since the peer was last heard. */
  #silentPings = 0;
  #stopping = false;
  #closed = false;
  readonly #quiet = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();

  constructor(socket: Socket, { store, hub, frames, requests, onError }: ConnectionOptions) {
    this.#socket = socket;
    this.#frames = frames;
    this.#requests = requests;
    this.#onError = onError;
    this.#session = hub.connect(this);
    const created = (id: RequestId, { watch, revision, store }: CreatedWatch): void => {
      this.#send(JSON.stringify({ id, type: "created", watch, revision, store }));
    };
    this.#context = { store, session: this.#session, created };
  }

  /** A message has come in. */
  receive(message: string | Uint8Array): void {
    this.heard();
    if (this.#hasRoom(message.length)) this.#messages.push(message, message.length);
    else this.#messages.push(this.#refused(message), 0);
    this.#run();
  }

  /** The socket has taken some of what was unsent. */
  drained(): void {
    while (this.#held.size > 0 && this.#socket.getBufferedAmount() <= HOLD_BYTES) {
      this.#socket.send(this.#held.shift()!);
    }
    this.#session.drained();
    this.#run();
  }

  /** The peer has shown that it is there. */
  heard(): void {
    this.#silentPings = 0;
  }

  /**
   * Keeps the connection open on its way, and cuts it when the peer has been silent for too long.
   * Where something is unsent no ping is needed: the platform cuts a socket that takes nothing.
   */
  ping(): void {
    if (this.#closed || this.#paused || this.#socket.getBufferedAmount() > 0) return;
    if (this.#silentPings * SOCKET_PING_SECONDS >= SOCKET_IDLE_SECONDS) this.#socket.terminate();
    else {
      this.#silentPings++;
      this.#socket.ping();
    }
  }

  /** The socket is closed, by whichever side. */
  closed(): void {
    this.#closed = true;
    this.#session.close();
    this.#messages = new Queue();
    this.#next = undefined;
    this.#share();
    this.#quiet.resolve();
    this.#gone.resolve();
  }

  /** Answers what has begun, refuses the rest, and closes; resolves when the socket is closed. */
  async stop(code: number, reason: string): Promise<void> {
    this.#stopping = true;
    this.#run();
    await this.#quiet.promise;
    if (!this.#closed) this.#socket.close(code, reason);
    await this.#gone.promise;
  }

  /** Breaks the connection, sent or not. */
  terminate(): void {
    if (!this.#closed) this.#socket.terminate();
  }

  // Subscriber

  send(frame: Frame): void {
    this.#send(frame.socketText);
  }

  together(run: () => void): void {
    if (this.#closed) run();
    else this.#socket.cork(run);
  }

  unsentBytes(): number {
    return this.#socket.getBufferedAmount() + this.#held.bytes;
  }

  subscribe(topic: string): void {
    this.#socket.subscribe(topic);
  }

  unsubscribe(topic: string): void {
    this.#socket.unsubscribe(topic);
  }

  fail(error: unknown): void {
    this.#onError(error);
    if (!this.#closed) this.#socket.close(1011, "internal error");
  }

  readonly #send = (message: string | Uint8Array): void => {
    if (this.#closed) return;
    const holds = this.#held.size > 0 || this.#socket.getBufferedAmount() > HOLD_BYTES;
    if (holds)
      this.#held.push(typeof message === "string" ? message : message.slice(), message.length);
    else this.#socket.send(message);
    // What is published must neither overtake what is held nor pile up behind something large.
    if (this.unsentBytes() > HOLD_BYTES) this.#session.sent();
  };

  // Requests

  /** Begins every request that may begin now. */
  #run(): void {
    while (!this.#closed && (this.#stopping || this.unsentBytes() <= SOCKET_ANSWER_BYTES_MAX)) {
      this.#next ??= this.#parseNext();
      if (this.#next === undefined) break;
      if (!this.#stopping && !this.#mayBegin(this.#next)) break;
      const next = this.#next;
      this.#next = undefined;
      if (this.#stopping) this.#fails(next, stoppingError());
      else this.#begin(next);
    }
    this.#regulate();
    if (this.#isQuiet()) this.#quiet.resolve();
  }

  /** The next request among the messages; those that are none get their error here. */
  #parseNext(): Turn | undefined {
    while (this.#messages.size > 0) {
      const message = this.#messages.shift()!;
      try {
        if (message instanceof RequestError) throw message;
        return this.#parse(message);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        this.#fails(error, error.cause);
      }
    }
    return undefined;
  }

  #parse(message: string | Uint8Array): Turn {
    if (typeof message === "string") return parseRequest(this.#context, message);
    return this.#frames.parse(message);
  }

  /** What a request is answered with for which there is no room; only its id is kept. */
  #refused(message: string | Uint8Array): RequestError {
    if (typeof message !== "string") return frameError(message, noRoomError());
    try {
      const answer = parseRequest(this.#context, message).refusal(noRoomError());
      return new RequestError(() => answer, noRoomError());
    } catch (error) {
      if (error instanceof RequestError) return error;
      throw error;
    }
  }

  #mayBegin({ kind, bytes }: Turn): boolean {
    if (this.#running === 0) return true;
    if (kind !== this.#kind) return false;
    if (this.#runningBytes + bytes > SOCKET_REQUEST_BYTES_MAX) return false;
    return this.#running < RUNNING_MAX[kind];
  }

  #begin(turn: Turn): void {
    // What is done with may be used again, for another message.
    const { kind, bytes } = turn;
    let running: MaybePromise<void>;
    try {
      running = turn.run(this.#send);
    } catch (error) {
      this.#fails(turn, error);
      return;
    }
    if (!(running instanceof Promise)) return;
    this.#kind = kind;
    this.#running++;
    this.#runningBytes += bytes;
    const ended = (): void => {
      this.#running--;
      this.#runningBytes -= bytes;
      this.#run();
    };
    running.then(ended, (error: unknown) => {
      this.#fails(turn, error);
      ended();
    });
  }

  #fails(request: Pick<Turn, "refusal">, error: unknown): void {
    const known = error instanceof KvError ? error : undefined;
    if (known === undefined || known.code === "internal") this.#onError(error);
    const answer = known ?? new KvError("internal", "an unexpected error; see the server's log");
    this.#send(request.refusal(answer));
  }

  // Reading

  /** Reads from the socket only while what was read can be worked on. */
  #regulate(): void {
    this.#share();
    const full = !this.#stopping && this.#isFull();
    if (this.#closed || full === this.#paused) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  #isFull(): boolean {
    const requests = this.#running + this.#messages.size + (this.#next === undefined ? 0 : 1);
    const bytes = this.#requestBytes();
    // Whoever is not read from for the sake of all has something that will be answered, and is
    // looked at again then.
    const isLarge = bytes > SOCKET_SMALL_REQUEST_BYTES;
    return (
      requests >= SOCKET_REQUESTS_MAX ||
      bytes >= SOCKET_REQUEST_BYTES_MAX ||
      (isLarge && this.#requests.bytes > SOCKETS_REQUEST_BYTES_MAX / 2) ||
      this.unsentBytes() > SOCKET_ANSWER_BYTES_MAX
    );
  }

  #requestBytes(): number {
    return this.#runningBytes + this.#messages.bytes + (this.#next?.bytes ?? 0);
  }

  /** Adds to what all connections hold what this one has come to hold since. */
  #share(): void {
    const bytes = this.#requestBytes();
    this.#requests.bytes += bytes - this.#sharedBytes;
    this.#sharedBytes = bytes;
  }

  #hasRoom(bytes: number): boolean {
    if (bytes <= SOCKET_SMALL_REQUEST_BYTES) return true;
    return this.#requests.bytes + bytes <= SOCKETS_REQUEST_BYTES_MAX;
  }

  #isQuiet(): boolean {
    // The platform may drop what is unsent when the server stops.
    return this.#stopping && this.#running === 0 && this.unsentBytes() === 0;
  }
}

// --- internal ---

function noRoomError(): KvError {
  return new KvError(
    "unavailable",
    `the server holds ${SOCKETS_REQUEST_BYTES_MAX} bytes of other requests; nothing was stored, try again`,
    { limit: SOCKETS_REQUEST_BYTES_MAX },
  );
}

function stoppingError(): KvError {
  return new KvError("unavailable", "the server is stopping and has not done this; connect again");
}
