/** What a watch tells, as text for stdout: JSON for programs, lines for people, or whole frames. */

import type { KvFrame } from "../client/index.ts";
import { entryToJson, eventToJson } from "../json.ts";
import type { ListedEntry } from "../kv.ts";
import type { WatchFrame } from "../messages.ts";
import { hasColors, isTerminal, jsonLine, paint, showText } from "./output.ts";
import { previewValue, showCount } from "./preview.ts";
import { itemsOf, type WatchItem } from "./watch-items.ts";

export type WatchOutput = "json" | "table" | "frames";

export function watchPrinter(
  output: WatchOutput | undefined,
  withPrev: boolean,
): (frame: KvFrame) => string {
  if (output === "frames") return (frame) => jsonLine(frameToJson(frame));
  if (output === "json" || (output === undefined && !isTerminal(1))) {
    return (frame) => itemsOf(frame).map(itemLine).join("");
  }
  const color: Color = hasColors(1) ? paint : String;
  const describe = (item: WatchItem): string => `${describeItem(item, color, withPrev)}\n`;
  return (frame) => itemsOf(frame).map(describe).join("");
}

// --- internal ---

type Color = (text: string, color: number) => string;

const COLORS = { put: 32, delete: 31, expire: 33, state: 36, sync: 90, reset: 35 } as const;
const GREY = 90;

const MEANINGS = {
  sync: "that is all that is there; changes follow",
  reset: "what came before counts no more; what is there now follows",
} as const;

function frameToJson(frame: KvFrame): WatchFrame {
  if (frame.type === "state") return { type: "state", entries: frame.entries.map(entryToJson) };
  if (frame.type !== "change") {
    return { type: frame.type, revision: frame.revision, store: frame.store };
  }
  const { revision, events, skipped } = frame;
  return {
    type: "change",
    revision,
    events: events.map(eventToJson),
    ...(skipped === undefined ? undefined : { skipped }),
  };
}

function itemLine({ skipped, ...item }: WatchItem): string {
  const left = skipped === undefined ? undefined : { skipped };
  if (item.type === "state") return jsonLine({ type: "state", ...entryToJson(item) });
  if ("key" in item) return jsonLine({ ...eventToJson(item), ...left });
  return jsonLine({ type: item.type, revision: item.revision, store: item.store });
}

function describeItem(item: WatchItem, color: Color, withPrev: boolean): string {
  const head = `${color(String(item.revision), GREY)} ${color(item.type, COLORS[item.type])}`;
  if (!("key" in item)) return `${head} ${MEANINGS[item.type]}`;
  const words = [head, showText(item.key), ...shownValue(item)];
  if (withPrev && item.type !== "state") {
    const [before] = item.prev === undefined ? ["absent"] : shownValue(item.prev);
    words.push(`(was ${before ?? `at ${item.prev!.revision}`})`);
  }
  if (item.skipped !== undefined) {
    words.push(color(`(${showCount(item.skipped, "event")} left out before)`, GREY));
  }
  return words.join(" ");
}

/** Nothing where there is no value, or it was left out. */
function shownValue(entry: Partial<ListedEntry>): string[] {
  const { value, contentType } = entry;
  return value === undefined || contentType === undefined ? [] : [previewValue(value, contentType)];
}
