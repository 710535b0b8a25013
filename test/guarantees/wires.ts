/**
 * A connection to a server on which watches come in, whichever way: it can stop reading, and be cut
 * at any byte.
 */

import type { JsonError } from "../../src/json.ts";
import type { Range } from "../../src/keys.ts";
import type { JsonWatch, SocketMessage } from "../../src/messages.ts";
import { openRawSocket } from "../support/raw-socket.ts";
import { openHttpStream } from "./http-stream.ts";
import type { Transport, WatchBegin, WatchFilter } from "./record.ts";
import { eventSourceLines, jsonLines, type Arrive } from "./stream-lines.ts";

/** What a watch on a wire is told. */
export interface WatchEnds {
  readonly arrive: Arrive;
  refuse(error: JsonError["error"]): void;
}

export interface Wire {
  /** Begins a watch. All but a WebSocket carry one. */
  watch(filter: WatchFilter, begin: WatchBegin, ends: WatchEnds): void;
  /** Stops reading, until `resume`. */
  pause(): void;
  resume(): void;
  cut(): void;
  /**
   * Resolves when the connection has ended, on whichever side. Rejects when what came is no frame
   * and no answer.
   */
  readonly ended: Promise<unknown>;
}

/** Rejects when nobody listens there. */
export function openWire(transport: Exclude<Transport, "sdk">, url: string): Promise<Wire> {
  return transport === "ws" ? openSocketWire(url) : openStreamWire(transport, url);
}

// --- internal ---

async function openSocketWire(url: string): Promise<Wire> {
  const watches = new Map<number, WatchEnds>();
  const asked = new Map<number, WatchEnds>();
  const take = (text: string): void => {
    const message = JSON.parse(text) as SocketMessage;
    if (!("id" in message)) {
      const { watch, ...frame } = message;
      const ends = watches.get(watch);
      if (ends === undefined) throw new Error(`a frame of no watch: ${text.slice(0, 200)}`);
      ends.arrive(frame, undefined);
      return;
    }
    const ends = asked.get(message.id as number);
    asked.delete(message.id as number);
    if (ends === undefined) throw new Error(`an answer to nothing: ${text.slice(0, 200)}`);
    if (message.type === "error") ends.refuse(message.error);
    else if (message.type === "created") {
      const { watch, revision, store } = message as Extract<SocketMessage, { type: "created" }>;
      watches.set(watch, ends);
      ends.arrive({ type: "created", revision, store }, undefined);
    } else throw new Error(`no answer to a watch: ${text.slice(0, 200)}`);
  };
  const guard = new Guard();
  const socket = await openRawSocket(
    url,
    guard.over(take, () => socket.destroy()),
  );
  let lastId = 0;
  return {
    watch(filter, begin, ends) {
      asked.set(++lastId, ends);
      socket.send({ id: lastId, op: "watch", ...fieldsOf(filter, begin) });
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    cut: () => socket.destroy(),
    ended: Promise.race([socket.closed, guard.fault]),
  };
}

async function openStreamWire(transport: "sse" | "ndjson", url: string): Promise<Wire> {
  const stream = await openHttpStream(url);
  const guard = new Guard();
  return {
    watch(filter, begin, ends) {
      const isSse = transport === "sse";
      const lines = (isSse ? eventSourceLines : jsonLines)((...frame) => ends.arrive(...frame));
      const headers = isSse ? ["Accept: text/event-stream"] : [];
      if (begin.lastEventId !== undefined) headers.push(`Last-Event-ID: ${begin.lastEventId}`);
      stream.get(`/v1/watch?${queryOf(fieldsOf(filter, begin))}`, headers, {
        take: guard.over(lines, () => stream.destroy()),
        refuse: (text) => ends.refuse((JSON.parse(text) as JsonError).error),
      });
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    cut: () => stream.destroy(),
    ended: Promise.race([stream.ended, guard.fault]),
  };
}

/** Keeps what is thrown where nobody could catch it. */
class Guard {
  readonly #fault = Promise.withResolvers<never>();

  get fault(): Promise<never> {
    return this.#fault.promise;
  }

  /** `take`, but for the first error, after which `stop` is called. */
  over(take: (text: string) => void, stop: () => void): (text: string) => void {
    return (text) => {
      try {
        take(text);
      } catch (error) {
        this.#fault.reject(error);
        stop();
      }
    };
  }
}

/** What asks for a watch, in a request on a WebSocket and in the parameters of a stream. */
function fieldsOf(filter: WatchFilter, { from, initial }: WatchBegin): JsonWatch {
  const { prev, keys, latest } = filter;
  return {
    ...rangeFields(filter),
    ...(from === undefined ? undefined : { from }),
    ...(initial === undefined ? undefined : { initial }),
    ...(prev ? { prev } : undefined),
    ...(keys ? { keys } : undefined),
    ...(latest ? { latest } : undefined),
  };
}

function rangeFields({ ranges }: WatchFilter): JsonWatch {
  if (!isSeveral(ranges)) return ranges;
  if (ranges.length === 1) return ranges[0]!;
  const key = ranges.flatMap((range) => (range.key === undefined ? [] : [range.key]));
  const prefix = ranges.flatMap((range) => (range.prefix === undefined ? [] : [range.prefix]));
  return {
    ...(key.length === 0 ? undefined : { key }),
    ...(prefix.length === 0 ? undefined : { prefix }),
  };
}

function isSeveral(ranges: WatchFilter["ranges"]): ranges is readonly Range[] {
  return Array.isArray(ranges);
}

function queryOf(fields: JsonWatch): string {
  const pairs = Object.entries(fields).flatMap(([name, value]: [string, unknown]) => {
    const values = Array.isArray(value) ? (value as unknown[]) : [value];
    return values.map((one) => `${name}=${encodeURIComponent(String(one))}`);
  });
  return pairs.join("&");
}
