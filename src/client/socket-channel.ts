/**
 * One WebSocket from its opening to its end: requests and their answers, frames, and a heartbeat,
 * because a connection whose other end is gone looks like one where nothing happens.
 */

import { KvError } from "../errors.ts";
import { errorFromJson } from "../json.ts";
import type { JsonWatch, SocketAnswer, SocketRequest } from "../messages.ts";
import { SUBPROTOCOL } from "../protocol.ts";
import {
  checkCreated,
  checkFrame,
  type Channel,
  type ChannelEvents,
  type ChannelOptions,
  type MadeWatch,
} from "./channel.ts";
import { unreadable } from "./failures.ts";

export class SocketChannel implements Channel {
  readonly #socket: WebSocket;
  readonly #url: string;
  readonly #events: ChannelEvents;
  readonly #answered = new Map<number, Answered>();
  #lastId = 0;
  #opening: ReturnType<typeof setTimeout> | undefined;
  #beating: ReturnType<typeof setInterval> | undefined;
  /** Messages since the last beat. */
  #heard = 0;
  #probing = false;
  #closed = false;

  /** `url` is the address of the endpoint: `ws://host:port/v1/ws`. */
  constructor(url: string, { timeoutMs, heartbeatMs }: ChannelOptions, events: ChannelEvents) {
    this.#url = url;
    this.#events = events;
    this.#socket = new WebSocket(url, [SUBPROTOCOL]);
    // The close that follows says what there is to say; without a listener some platforms throw.
    this.#socket.onerror = () => {};
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

  watch(request: JsonWatch, answered: (answer: MadeWatch | KvError) => void): void {
    this.#request({ op: "watch", ...request }, (answer) => {
      if (answer instanceof KvError) return answered(answer);
      const { watch } = answer;
      if (answer.type !== "created" || typeof watch !== "number") throw new Error("no watch");
      answered({ watch, ...checkCreated({ ...answer }) });
    });
  }

  unwatch(watch: number): void {
    this.#request({ op: "unwatch", watch }, () => {});
  }

  askRevision(answered: (answer: number | KvError) => void): void {
    // The smallest question there is.
    this.#request({ op: "list", limit: 1, keys: true }, (answer) => {
      if (answer instanceof KvError) return answered(answer);
      if (!("revision" in answer) || typeof answer.revision !== "number") {
        throw new Error("an answer without a revision");
      }
      answered(answer.revision);
    });
  }

  close(error?: KvError): void {
    if (error === undefined) this.#release();
    else this.#end(error);
  }

  #request(request: WithoutId<SocketRequest>, answered: Answered): void {
    const id = ++this.#lastId;
    this.#answered.set(id, answered);
    this.#socket.send(JSON.stringify({ id, ...request }));
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
      const why = `the server at ${this.#url} is silent for ${(2 * heartbeatMs) / 1000} s`;
      this.#end(unavailable(why), true);
    } else {
      this.#probing = true;
      this.askRevision(() => {});
    }
  }

  #receive(data: unknown): void {
    if (this.#closed) return;
    this.#heard++;
    try {
      const message = JSON.parse(data as string) as Record<string, unknown> | null;
      if (typeof message?.["type"] !== "string") throw new Error("a message without a type");
      if ("id" in message) return this.#answer(message as SocketAnswer);
      const { watch } = message;
      if (typeof watch !== "number") throw new Error("a frame without its number");
      this.#events.frame(watch, checkFrame(message), (data as string).length);
    } catch (error) {
      this.#end(unreadable(this.#url, error instanceof Error ? error.message : `${error}`));
    }
  }

  #answer(answer: SocketAnswer): void {
    const id = answer.id as number;
    const answered = this.#answered.get(id);
    if (answered === undefined) throw new Error("an answer to nothing that was asked");
    this.#answered.delete(id);
    if (answer.type !== "error") return answered(answer);
    const error = errorFromJson(answer);
    if (error === undefined) throw new Error("an error without a code");
    answered(error);
  }

  #end(error: KvError, isSilent = false): void {
    if (this.#closed) return;
    this.#release();
    this.#events.closed(error, isSilent);
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

type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;

type Answered = (answer: Exclude<SocketAnswer, { type: "error" }> | KvError) => void;

function unavailable(message: string): KvError {
  return new KvError("unavailable", message);
}
