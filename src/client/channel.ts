/**
 * One WebSocket from its opening to its end: requests and their answers, frames, and a heartbeat,
 * because a connection whose other end is gone looks like one where nothing happens. Reconnecting
 * is done above.
 */

import { KvError } from "../errors.ts";
import type { SocketAnswer, SocketFrame, SocketRequest } from "../messages.ts";
import { SUBPROTOCOL } from "../protocol.ts";
import { unreadable } from "./failures.ts";

/** What a channel tells. `closed` comes once, and nothing after it. */
export interface ChannelEvents {
  opened(): void;
  /** `chars` is the length of the message: about what the frame takes in memory. */
  frame(frame: SocketFrame, chars: number): void;
  closed(error: KvError): void;
}

export interface ChannelOptions {
  /** Address of the endpoint: `ws://host:port/v1/ws`. */
  readonly url: string;
  /** Milliseconds until the connection must be open. */
  readonly timeoutMs: number;
  /**
   * Milliseconds of silence after which the other end must show that it is there, in as many again.
   */
  readonly heartbeatMs: number;
}

type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;

export type ChannelRequest = WithoutId<SocketRequest>;

export class Channel {
  readonly #socket: WebSocket;
  readonly #url: string;
  readonly #events: ChannelEvents;
  readonly #answered = new Map<number, (answer: SocketAnswer) => void>();
  #lastId = 0;
  #opening: ReturnType<typeof setTimeout> | undefined;
  #beating: ReturnType<typeof setInterval> | undefined;
  /** Messages since the last beat. */
  #heard = 0;
  #probing = false;
  #closed = false;

  /** @throws `unsupported` where there is no `WebSocket`. */
  constructor({ url, timeoutMs, heartbeatMs }: ChannelOptions, events: ChannelEvents) {
    this.#url = url;
    this.#events = events;
    this.#socket = openSocket(url);
    if (timeoutMs < 2 ** 31) {
      const late = (): void =>
        this.#end(unavailable(`no answer from ${url} within ${timeoutMs / 1000} s`));
      this.#opening = setTimeout(late, timeoutMs);
    }
    this.#socket.onopen = () => this.#open(heartbeatMs);
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onclose = ({ code, reason }) => {
      const why = reason === "" ? `code ${code}` : `code ${code}, ${reason}`;
      this.#end(unavailable(`the connection to ${url} was closed (${why})`));
    };
  }

  /**
   * Sends a request; `answered` is called in the turn in which its answer comes, unless the end
   * comes first.
   */
  request(request: ChannelRequest, answered: (answer: SocketAnswer) => void): void {
    const id = ++this.#lastId;
    this.#answered.set(id, answered);
    this.#socket.send(JSON.stringify({ id, ...request }));
  }

  /** Ends it from above: because of `error`, or silently. */
  close(error?: KvError): void {
    if (error === undefined) this.#release();
    else this.#end(error);
  }

  #open(heartbeatMs: number): void {
    clearTimeout(this.#opening);
    // Every kv selects it, so this is something else, whatever it may say later.
    if (this.#socket.protocol !== SUBPROTOCOL) {
      this.#end(unreadable(this.#url, `no subprotocol ${SUBPROTOCOL}`));
      return;
    }
    this.#beating = setInterval(() => this.#beat(heartbeatMs), heartbeatMs);
    this.#events.opened();
  }

  #beat(heartbeatMs: number): void {
    if (this.#heard > 0) {
      this.#heard = 0;
      this.#probing = false;
    } else if (this.#probing) {
      this.#end(
        unavailable(`the server at ${this.#url} is silent for ${(2 * heartbeatMs) / 1000} s`),
      );
    } else {
      this.#probing = true;
      // The smallest question there is; its answer needs no reader.
      this.request({ op: "list", limit: 1, keys: true }, () => {});
    }
  }

  #receive(data: unknown): void {
    if (this.#closed) return;
    this.#heard++;
    try {
      const message = parse(data);
      if ("id" in message) this.#answer(message);
      else this.#events.frame(message, (data as string).length);
    } catch (error) {
      this.#end(unreadable(this.#url, error instanceof Error ? error.message : `${error}`));
    }
  }

  #answer(answer: SocketAnswer): void {
    const id = answer.id as number;
    const answered = this.#answered.get(id);
    if (answered === undefined) throw new Error("an answer to nothing that was asked");
    this.#answered.delete(id);
    answered(answer);
  }

  #end(error: KvError): void {
    if (this.#closed) return;
    this.#release();
    this.#events.closed(error);
  }

  /** Lets go at once: a peer that is gone would never finish the closing handshake. */
  #release(): void {
    this.#closed = true;
    clearTimeout(this.#opening);
    clearInterval(this.#beating);
    this.#answered.clear();
    this.#socket.onopen = null;
    this.#socket.onmessage = null;
    this.#socket.onclose = null;
    this.#socket.close();
  }
}

// --- internal ---

function openSocket(url: string): WebSocket {
  if (typeof WebSocket === "undefined") {
    throw new KvError(
      "unsupported",
      "watching needs WebSocket, which this platform lacks; Node.js has it from version 22 on",
    );
  }
  const socket = new WebSocket(url, [SUBPROTOCOL]);
  // The close that follows says what there is to say; without a listener some platforms throw.
  socket.onerror = () => {};
  return socket;
}

function unavailable(message: string): KvError {
  return new KvError("unavailable", message);
}

/** A message of the protocol; throws for anything else. Later kinds of frames pass. */
function parse(data: unknown): SocketAnswer | SocketFrame {
  const message = JSON.parse(data as string) as Record<string, unknown> | null;
  const { type, watch, revision, events } = message ?? {};
  if (typeof type !== "string") throw new Error("a message without a type");
  if ("id" in message!) return message as SocketAnswer;
  const isMoving = type === "change" || type === "progress";
  if (typeof watch !== "number" || (isMoving && !Number.isSafeInteger(revision))) {
    throw new Error("a frame without its numbers");
  }
  if (type === "change" && !Array.isArray(events)) throw new Error("a change without events");
  return message as unknown as SocketFrame;
}
