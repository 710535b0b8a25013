/** Events and entries with a digest for each large value: thousands of them are kept in memory. */

import type { JsonEntry, JsonEvent } from "../../src/json.ts";
import type { WatchFrame } from "../../src/messages.ts";

export function abridgedFrame(frame: WatchFrame): WatchFrame {
  if (frame.type === "state") return { ...frame, entries: frame.entries.map(abridged) };
  if (frame.type === "change") return { ...frame, events: frame.events.map(abridgedEvent) };
  return frame;
}

export function abridgedEvent(event: JsonEvent): JsonEvent {
  const { prev } = event;
  const short = event.type === "put" ? abridged(event) : event;
  return prev === undefined ? short : { ...short, prev: abridged(prev) };
}

// --- internal ---

/** Characters of a value that are kept. */
const CHARACTERS_MAX = 200;

function abridged<T extends JsonEntry>(entry: T): T {
  const { value, base64 } = entry;
  if (isLarge(value)) return { ...entry, value: digest(value) };
  return isLarge(base64) ? { ...entry, base64: digest(base64) } : entry;
}

function isLarge(text: string | undefined): text is string {
  return text !== undefined && text.length > CHARACTERS_MAX;
}

function digest(text: string): string {
  return `${text.length} characters with hash ${Bun.hash(text)}`;
}
