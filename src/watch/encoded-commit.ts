/**
 * A commit as frames of the filters that it goes to. An event is encoded once for all filters that
 * show the same of it; a commit whose frame would be too large is split between events.
 */

import { eventKeysToJson, eventToJson } from "../json.ts";
import { utf8Bytes } from "../keys.ts";
import type { Commit, Event } from "../kv.ts";
import { changeFrame, FRAME_AROUND_BYTES, type Frame } from "./frames.ts";

/** What a filter shows of events. */
export interface Encoding {
  /** The filter's number. */
  readonly number: number;
  /** Leave the values out. */
  readonly keys: boolean;
  /** Each event with what was there before. */
  readonly prev: boolean;
}

/** An event with what was there before, or `undefined` when that is not at hand. */
export type AddPrevious = (event: Event) => Event | undefined;

export class EncodedCommit {
  readonly commit: Commit;
  readonly #addPrevious: AddPrevious;
  readonly #withPrevious: Event[] = [];
  /** The texts of the events for each of the four ways to show them. */
  readonly #texts: (string[] | undefined)[] = [];

  /** `addPrevious` is left out where the events of the commit have what was there before. */
  constructor(commit: Commit, addPrevious: AddPrevious = (event) => event) {
    this.commit = commit;
    this.#addPrevious = addPrevious;
  }

  /**
   * A frame with the events of these positions; `undefined` when it would pass `bytesMax`, or what
   * was there before is wanted and not at hand.
   */
  frame(encoding: Encoding, positions: readonly number[], bytesMax: number): Frame | undefined {
    const texts: string[] = [];
    let bytes = 0;
    for (const position of positions) {
      const event = this.#event(encoding, position);
      if (event === undefined || isLarger(event, encoding, bytesMax)) return undefined;
      const text = this.#text(encoding, position, event);
      bytes += utf8Bytes(text) + 1;
      if (FRAME_AROUND_BYTES + bytes > bytesMax) return undefined;
      texts.push(text);
    }
    return changeFrame(encoding.number, this.commit.revision, texts, bytes, { more: false });
  }

  /**
   * The frame that begins with event `first`: as many events as `bytesMax` takes, at least one.
   * `end` is the position behind its last event; when events are left, the frame says
   * `"more":true`.
   */
  frameFrom(encoding: Encoding, first: number, bytesMax: number): { frame: Frame; end: number } {
    const { events, revision } = this.commit;
    const texts: string[] = [];
    let bytes = 0;
    let end = first;
    for (; end < events.length; end++) {
      const text = this.#text(encoding, end, events[end]!);
      const size = utf8Bytes(text) + 1;
      if (FRAME_AROUND_BYTES + bytes + size > bytesMax && end > first) break;
      bytes += size;
      texts.push(text);
    }
    const more = end < events.length;
    return { frame: changeFrame(encoding.number, revision, texts, bytes, { more }), end };
  }

  #event({ prev }: Encoding, position: number): Event | undefined {
    const event = this.commit.events[position]!;
    if (!prev) return event;
    return (this.#withPrevious[position] ??= this.#addPrevious(event)!);
  }

  #text({ keys, prev }: Encoding, position: number, event: Event): string {
    const texts = (this.#texts[(keys ? 1 : 0) + (prev ? 2 : 0)] ??= []);
    return (texts[position] ??= eventText(event, keys));
  }
}

/** The JSON of an event. */
export function eventText(event: Event, keys: boolean): string {
  return JSON.stringify(keys ? eventKeysToJson(event) : eventToJson(event));
}

// --- internal ---

/** JSON is never shorter than the values: what is too large already need not be encoded. */
function isLarger(event: Event, { keys }: Encoding, bytesMax: number): boolean {
  if (keys) return false;
  const value = event.type === "put" ? event.value.length : 0;
  return value + (event.prev?.value.length ?? 0) > bytesMax;
}
