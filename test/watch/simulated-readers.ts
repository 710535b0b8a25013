/**
 * Readers of a simulated hub that note what they get: connections with a number as what is unsent, and
 * streams that are read now and then.
 */

import type { WatchFrame } from "../../src/messages.ts";
import type { Frame } from "../../src/watch/frames.ts";
import type { Hub } from "../../src/watch/hub.ts";
import type { StreamTransport, WatchStream } from "../../src/watch/stream-subscriber.ts";
import type { Subscriber } from "../../src/watch/subscriber.ts";
import type { WatchSession } from "../../src/watch/watch-session.ts";
import { abridgedFrame } from "../guarantees/abridged.ts";
import {
  type Arrival,
  firstWanted,
  type RecordedSession,
  type Transport,
  type WatchBegin,
  type WatcherRecord,
  type WatchFilter,
} from "../guarantees/record.ts";

/** What a platform takes before it closes a connection. */
const UNSENT_BYTES_MAX = 16 * 1024 * 1024;

/** What becomes a record, once the watch is over or everything has come. */
export class Recording {
  readonly arrivals: Arrival[] = [];
  readonly transport: Transport;
  readonly filter: WatchFilter;
  readonly begin: WatchBegin;
  ended: number | undefined;
  refusal: RecordedSession["refusal"];
  readonly #asked = performance.now();
  readonly #known: number;

  constructor(transport: Transport, filter: WatchFilter, begin: WatchBegin, known: number) {
    this.transport = transport;
    this.filter = filter;
    this.begin = begin;
    this.#known = known;
  }

  take(whole: WatchFrame, id?: number): void {
    if (this.ended !== undefined) throw new Error(`behind the end: ${JSON.stringify(whole)}`);
    const frame = abridgedFrame(whole);
    const at = performance.now();
    this.arrivals.push(id === undefined ? { at, frame } : { at, frame, id });
    if (frame.type === "end") this.end();
  }

  end(): void {
    this.ended ??= performance.now();
  }

  /** The watch has said that everything up to here was sent; -1 before all of a state is there. */
  get through(): number {
    const last = this.arrivals.findLast(
      ({ frame }) => frame.type !== "state" && (frame.type !== "change" || frame.more !== true),
    )?.frame;
    if (last === undefined || last.type === "reset" || !("revision" in last)) return -1;
    const awaitsState = this.begin.initial === true && firstWanted(this.begin) === undefined;
    return last.type === "created" && awaitsState ? -1 : last.revision;
  }

  /** `reaches` is the revision that a watch which is still open must have come to. */
  record(name: string, reaches: number): WatcherRecord {
    const session: RecordedSession = {
      begin: this.begin,
      resumes: false,
      asked: this.#asked,
      known: this.#known,
      arrivals: this.arrivals,
      pauses: [],
      ended: this.ended ?? performance.now(),
      ...(this.refusal === undefined ? undefined : { refusal: this.refusal }),
      ...(this.ended === undefined ? { reaches } : undefined),
    };
    return { name, transport: this.transport, filter: this.filter, sessions: [session] };
  }
}

export class SimulatedSocket implements Subscriber {
  readonly transport = "ws";
  readonly topics = new Set<string>();
  readonly open = new Map<number, Recording>();
  readonly session: WatchSession;
  unsent = 0;
  slow = false;
  closed = false;
  readonly #failed: (error: unknown) => void;

  constructor(hub: Hub, failed: (error: unknown) => void) {
    this.#failed = failed;
    this.session = hub.connect(this);
  }

  take({ socketText }: Frame): void {
    if (this.closed) throw new Error("a frame for a closed connection");
    if (this.slow) this.unsent += socketText.length;
    if (this.unsent > UNSENT_BYTES_MAX) throw new Error("more than a platform takes is unsent");
    const { watch, ...frame } = JSON.parse(socketText) as WatchFrame & { watch: number };
    const recording = this.open.get(watch);
    if (recording === undefined) throw new Error(`of no watch: ${socketText.slice(0, 100)}`);
    recording.take(frame);
    if (frame.type === "end") this.open.delete(watch);
  }

  send(frame: Frame): void {
    this.take(frame);
  }

  together(run: () => void): void {
    run();
  }

  unsentBytes(): number {
    return this.unsent;
  }

  subscribe(topic: string): void {
    if (this.topics.has(topic)) throw new Error(`subscribed to ${topic} twice`);
    this.topics.add(topic);
  }

  unsubscribe(topic: string): void {
    if (!this.topics.delete(topic)) throw new Error(`not subscribed to ${topic}`);
  }

  fail(error: unknown): void {
    this.#failed(error);
  }
}

export class SimulatedStream {
  readonly recording: Recording;
  readonly #stream: WatchStream;
  #reading = false;
  closed = false;

  constructor(stream: WatchStream, recording: Recording) {
    this.#stream = stream;
    this.recording = recording;
  }

  /** Takes one piece, where there is one. */
  async read(): Promise<void> {
    if (this.#reading || this.closed) return;
    this.#reading = true;
    try {
      const piece = await this.#stream.read(1);
      if (piece === "end") this.recording.end();
      else if (piece !== "idle" && !this.closed) this.#take(piece);
    } finally {
      this.#reading = false;
    }
  }

  close(): void {
    this.closed = true;
    this.recording.end();
    this.#stream.close();
  }

  #take(piece: Uint8Array): void {
    const isSse = this.recording.transport === "sse";
    const texts = Buffer.from(piece)
      .toString()
      .split(isSse ? "\n\n" : "\n");
    if (texts.pop() !== "") throw new Error("a piece with a part of a frame");
    for (const text of texts) {
      const { id, ...frame } = isSse ? parseEvent(text) : (JSON.parse(text) as ParsedFrame);
      this.recording.take(frame as WatchFrame, id);
    }
  }
}

export function isStream(transport: Transport): transport is StreamTransport {
  return transport === "sse" || transport === "ndjson";
}

type ParsedFrame = WatchFrame & { id?: number };

function parseEvent(text: string): ParsedFrame {
  const fields = Object.fromEntries(
    text.split("\n").map((line) => {
      const at = line.indexOf(": ");
      return [line.slice(0, at), line.slice(at + 2)];
    }),
  );
  const frame = { type: fields["event"], ...JSON.parse(fields["data"]!) } as ParsedFrame;
  return fields["id"] === undefined ? frame : { ...frame, id: Number(fields["id"]) };
}
