/**
 * The text of the frames of a watch. An event is encoded once for all filters that it goes to; a
 * commit whose frame would be too large is split between events.
 */

import { eventToJson } from "../json.ts";
import { utf8Bytes } from "../keys.ts";
import type { Commit } from "../kv.ts";
import type { EndReason } from "../messages.ts";

/** Bytes of a `change` frame beside its events: the longest numbers, and `"more":true`. */
const FRAME_AROUND_BYTES = 96;

export function progressFrame(watch: number, revision: number): string {
  return `{"watch":${watch},"type":"progress","revision":${revision}}`;
}

export function endFrame(watch: number, reason: EndReason): string {
  return `{"watch":${watch},"type":"end","reason":"${reason}"}`;
}

/** The events of one commit as JSON, each encoded when it is first asked for. */
export class EncodedCommit {
  readonly commit: Commit;
  readonly #texts: string[] = [];

  constructor(commit: Commit) {
    this.commit = commit;
  }

  /** A frame with the events of these positions; `undefined` when it would pass `bytesMax`. */
  frame(watch: number, positions: readonly number[], bytesMax: number): string | undefined {
    let bytes = FRAME_AROUND_BYTES;
    for (const position of positions) {
      const event = this.commit.events[position]!;
      // JSON is never shorter than the value: what is too large already need not be encoded.
      if (event.type === "put" && event.value.length > bytesMax) return undefined;
      bytes += utf8Bytes(this.#text(position)) + 1;
      if (bytes > bytesMax) return undefined;
    }
    const texts = positions.map((position) => this.#text(position));
    return changeFrame(watch, this.commit.revision, texts, false);
  }

  /**
   * The frame that begins with event `first`: as many events as `bytesMax` takes, at least one.
   * `end` is the position behind its last event; when events are left, the frame says
   * `"more":true`.
   */
  frameFrom(watch: number, first: number, bytesMax: number): { text: string; end: number } {
    const { events, revision } = this.commit;
    const texts: string[] = [];
    let bytes = FRAME_AROUND_BYTES;
    let end = first;
    while (end < events.length) {
      const text = this.#text(end);
      bytes += utf8Bytes(text) + 1;
      if (bytes > bytesMax && end > first) break;
      texts.push(text);
      end++;
    }
    return { text: changeFrame(watch, revision, texts, end < events.length), end };
  }

  #text(position: number): string {
    return (this.#texts[position] ??= JSON.stringify(eventToJson(this.commit.events[position]!)));
  }
}

// --- internal ---

function changeFrame(
  watch: number,
  revision: number,
  events: readonly string[],
  more: boolean,
): string {
  const head = `{"watch":${watch},"type":"change","revision":${revision},"events":[`;
  return `${head}${events.join(",")}]${more ? ',"more":true' : ""}}`;
}
