/** Values, times and sizes as people read them, each short enough for a cell of a table. */

import { decodeUtf8 } from "../text.ts";
import { escapeControls, jsonLine } from "./output.ts";

/** The beginning of a text, in quotes and escaped; of anything else only how much there is. */
export function previewValue(value: Uint8Array, contentType: string): string {
  const text = decodeUtf8(value);
  if (text === undefined)
    return `(${showCount(value.length, "byte")}, ${escapeControls(contentType)})`;
  const cut = text.length > PREVIEW_CHARS ? `${text.slice(0, PREVIEW_CHARS)}…` : text;
  return jsonLine(cut).trimEnd();
}

/** `1 key`, `2 keys`, `12,345 keys`. */
export function showCount(count: number, noun: string): string {
  return `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A time in its two largest units, rounded: `450ms`, `29s`, `4m 10s`, `3d 4h`. */
export function showDuration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.ceil(milliseconds)}ms`;
  const exact = Math.round(milliseconds / 1_000);
  const [, step] = UNITS[unitOf(exact) + 1] ?? ["", 1];
  const seconds = Math.round(exact / step) * step;
  // What is rounded up may have become one of the larger unit.
  const at = unitOf(seconds);
  const [unit, size] = UNITS[at]!;
  const rest = seconds % size;
  const first = `${Math.floor(seconds / size)}${unit}`;
  if (rest === 0) return first;
  const [nextUnit, nextSize] = UNITS[at + 1]!;
  return `${first} ${rest / nextSize}${nextUnit}`;
}

/** How long it is until a moment, by the clock of this machine; `passed` when that was before. */
export function timeLeft(expiresAt: number): string {
  const milliseconds = expiresAt - Date.now();
  return milliseconds > 0 ? showDuration(milliseconds) : "passed";
}

// --- internal ---

/** Characters of a value that are shown. */
const PREVIEW_CHARS = 100;

const UNITS: readonly (readonly [unit: string, seconds: number])[] = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
];

/** The largest unit that a time has one of. */
function unitOf(seconds: number): number {
  return UNITS.findIndex(([, size]) => seconds >= size);
}
