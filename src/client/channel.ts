/**
 * What a link asks of its connection, whichever it is: a WebSocket with many watches, or an HTTP
 * stream that is one. A channel lives from its opening to its end; reconnecting is done above.
 */

import type { KvError } from "../errors.ts";
import type { JsonWatch, WatchFrame } from "../messages.ts";
import type { WatchStart } from "./parts.ts";

/** The frames behind `created`. */
export type ChannelFrame = Exclude<WatchFrame, { type: "created" }>;

/** What a channel tells. `closed` comes once, and nothing after it. */
export interface ChannelEvents {
  opened(): void;
  /** `chars` is the length of the message: about what the frame takes in memory. */
  frame(watch: number, frame: ChannelFrame, chars: number): void;
  /** `isSilent`: nothing was heard for too long, or what came takes longer than that. */
  closed(error: KvError, isSilent?: boolean): void;
}

/** A watch that the server has made; its frames carry the number. */
export interface MadeWatch extends WatchStart {
  readonly watch: number;
}

/** Answers come in a turn of their own, unless the end of the channel comes first. */
export interface Channel {
  watch(request: JsonWatch, answered: (answer: MadeWatch | KvError) => void): void;
  /** No frame of the watch comes any more until another one is made. */
  unwatch(watch: number): void;
  /** The store's revision: not older than the question. */
  askRevision(answered: (answer: number | KvError) => void): void;
  /** Ends it from above: because of `error`, or silently. */
  close(error?: KvError): void;
}

/** What every channel is opened with. */
export interface ChannelOptions {
  /** Milliseconds until the connection must be open, or a stream begun. */
  readonly timeoutMs: number;
  /**
   * Milliseconds of silence after which the other end must show that it is there, in as many again.
   */
  readonly heartbeatMs: number;
}

/** @throws unless the message is a frame as the protocol has it. Later kinds of frames pass. */
export function checkFrame(message: Record<string, unknown>): ChannelFrame {
  const { type, revision, events, entries, store } = message;
  const hasRevision = Number.isSafeInteger(revision);
  const isSound =
    (type === "change" && hasRevision && Array.isArray(events)) ||
    (type === "progress" && hasRevision) ||
    (type === "state" && Array.isArray(entries)) ||
    ((type === "sync" || type === "reset") && hasRevision && typeof store === "string") ||
    (typeof type === "string" && !CHECKED.has(type));
  if (!isSound) throw new Error("a frame without what it is made of");
  return message as unknown as ChannelFrame;
}

/** What `created` says. @throws when it says something else. */
export function checkCreated({ revision, store }: Record<string, unknown>): WatchStart {
  if (Number.isSafeInteger(revision) && typeof store === "string") {
    return { revision: revision as number, store };
  }
  throw new Error("a watch without its beginning");
}

// --- internal ---

const CHECKED: ReadonlySet<string> = new Set(["change", "progress", "state", "sync", "reset"]);
