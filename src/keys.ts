/**
 * Keys as text: what is a valid key, their order, and the ranges over them.
 * A key is well-formed text, so it maps one to one to UTF-8 bytes; nothing here needs the bytes.
 */

import { KvError } from "./errors.ts";
import { LIMITS, WATCH_RANGES_MAX } from "./limits.ts";
import { encodeUtf8, isWellFormed } from "./text.ts";

/**
 * Which keys: one key, all keys that begin with `prefix`, or `start` <= key < `end` in byte order
 * (either may be left out). `{}` is every key.
 */
export type Range =
  | { readonly key: string; readonly prefix?: never; readonly start?: never; readonly end?: never }
  | { readonly prefix: string; readonly key?: never; readonly start?: never; readonly end?: never }
  | {
      readonly start?: string;
      readonly end?: string;
      readonly key?: never;
      readonly prefix?: never;
    };

/** One range, or the keys of several together. */
export type Ranges = Range | readonly Range[];

/** Bytes of `text` in UTF-8. */
export function utf8Bytes(text: string): number {
  return encodeUtf8(text).length;
}

/**
 * Throws `invalid_argument` (`too_large` past 1,024 bytes) unless `key` is a valid key: 1 to 1,024
 * bytes of well-formed UTF-8 and no `/`-separated segment `.` or `..`, which no URL can carry.
 */
export function checkKey(key: string, name = "key"): void {
  if (key === "")
    throw new KvError("invalid_argument", `the ${name} is empty; it has 1 to 1024 bytes`);
  checkBound(key, name);
  if (/(^|\/)\.\.?(\/|$)/.test(key)) {
    throw new KvError(
      "invalid_argument",
      `the ${name} has "." or ".." as a whole segment, which no URL can carry; rename that segment`,
    );
  }
}

/** Is it seen at once that the bytes at `start` to `end` are a valid key? Most are so plain. */
export function isPlainKey(bytes: Uint8Array, start: number, end: number): boolean {
  if (end === start || end - start > LIMITS.keyBytesMax) return false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x80 || byte === FULL_STOP) return false;
  }
  return true;
}

/**
 * As `checkKey`, for a prefix or the bound of a range: these may be empty and have dot segments.
 */
export function checkBound(text: string, name: string): void {
  if (!isWellFormed(text)) {
    throw new KvError(
      "invalid_argument",
      `the ${name} is not well-formed Unicode (lone surrogate)`,
    );
  }
  // A UTF-16 unit is at most 3 bytes of UTF-8: short keys need no counting.
  if (text.length * 3 > LIMITS.keyBytesMax && utf8Bytes(text) > LIMITS.keyBytesMax) {
    throw new KvError(
      "too_large",
      `the ${name} has ${utf8Bytes(text)} bytes; at most ${LIMITS.keyBytesMax} are allowed`,
      { limit: LIMITS.keyBytesMax },
    );
  }
}

/**
 * Order of two well-formed texts by their UTF-8 bytes: negative, 0 or positive.
 * JavaScript compares UTF-16 units, which differs only where a surrogate (U+10000 and up) meets
 * U+E000 to U+FFFF: there the surrogate is the larger one.
 */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x === y) continue;
    if (x >= 0xd800 && y >= 0xd800) return rank(x) - rank(y);
    return x - y;
  }
  return a.length - b.length;
}

/** Does `range` hold `key`? */
export function inRange(range: Range, key: string): boolean {
  if (range.key !== undefined) return key === range.key;
  if (range.prefix !== undefined) return key.startsWith(range.prefix);
  if (range.start !== undefined && compareKeys(key, range.start) < 0) return false;
  return range.end === undefined || compareKeys(key, range.end) < 0;
}

/** Does one of `ranges` hold `key`? */
export function inRanges(ranges: readonly Range[], key: string): boolean {
  for (const range of ranges) if (inRange(range, key)) return true;
  return false;
}

/**
 * The same keys in one way of writing: sorted, without what another one holds too. Several ranges
 * are keys and prefixes only, so no two that are left overlap.
 */
export function distinctRanges(ranges: Ranges): readonly Range[] {
  if (!isSeveral(ranges)) return [ranges];
  const sorted = ranges.toSorted((a, b) => compareKeys(rangeStart(a), rangeStart(b)));
  const distinct: Range[] = [];
  for (const range of sorted) {
    const last = distinct.at(-1);
    // In this order a key comes behind every prefix of it; at the same text the prefix has to win.
    if (last !== undefined && holds(last, range)) continue;
    if (last?.key !== undefined && holds(range, last)) distinct.pop();
    distinct.push(range);
  }
  return distinct;
}

/**
 * The smallest text a key of the range can be; a scan begins there and ends at the first key out of
 * it.
 */
export function rangeStart(range: Range): string {
  return range.key ?? range.prefix ?? range.start ?? "";
}

/**
 * The smallest text above every text that begins with `prefix`: its last character replaced by the
 * next one, or by none where that is the last of Unicode. `undefined` when there is no such text.
 */
export function prefixEnd(prefix: string): string | undefined {
  const characters = [...prefix];
  while (characters.length > 0) {
    const last = characters.pop()!.codePointAt(0)!;
    // Between U+D7FF and U+E000 there are no characters.
    if (last < 0x10ffff) {
      return characters.join("") + String.fromCodePoint(last === 0xd7ff ? 0xe000 : last + 1);
    }
  }
  return undefined;
}

/** The smallest text above every key of the range; `undefined` when there is none. */
export function rangeEnd(range: Range): string | undefined {
  if (range.key !== undefined) return keyBehind(range.key);
  if (range.prefix !== undefined) return prefixEnd(range.prefix);
  return range.end;
}

/** The smallest text behind `key`: U+0000 is the smallest character. */
export function keyBehind(key: string): string {
  return `${key}\u0000`;
}

/** Is the range every key, whatever way it says so? */
export function isEverything(range: Range): boolean {
  // U+0000 is the smallest key.
  const fromFirst = compareKeys(rangeStart(range), "\u0000") <= 0;
  return range.key === undefined && fromFirst && rangeEnd(range) === undefined;
}

/**
 * The folder that a key of the range is in: its beginning up to and with the first delimiter behind
 * the prefix. `undefined` when it has none.
 */
export function folderOf(range: Range, delimiter: string, key: string): string | undefined {
  const at = key.indexOf(delimiter, range.prefix?.length ?? 0);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

/**
 * Throws as `checkRange`, and unless several ranges are keys and prefixes, at least one and at most
 * `WATCH_RANGES_MAX`.
 */
export function checkRanges(ranges: Ranges): void {
  if (!isSeveral(ranges)) return checkRange(ranges);
  if (ranges.length === 0) throw new KvError("invalid_argument", "there is no key and no prefix");
  if (ranges.length > WATCH_RANGES_MAX) {
    throw new KvError(
      "too_large",
      `${ranges.length} keys and prefixes; at most ${WATCH_RANGES_MAX} are allowed`,
      { limit: WATCH_RANGES_MAX },
    );
  }
  for (const range of ranges) {
    checkRange(range);
    if (range.key !== undefined || range.prefix !== undefined || ranges.length === 1) continue;
    throw new KvError("invalid_argument", "a range with start or end cannot be one of several");
  }
}

/** Throws as `checkKey` and `checkBound` unless every text of the range is valid. */
export function checkRange(range: Range): void {
  if (range.key !== undefined) checkKey(range.key);
  if (range.prefix !== undefined) checkBound(range.prefix, "prefix");
  if (range.start !== undefined) checkBound(range.start, "start");
  if (range.end !== undefined) checkBound(range.end, "end");
}

// --- internal ---

const FULL_STOP = 0x2e;

function isSeveral(ranges: Ranges): ranges is readonly Range[] {
  return Array.isArray(ranges);
}

/** Does a key or a prefix hold all of another one? */
function holds(outer: Range, inner: Range): boolean {
  if (outer.prefix === undefined) return outer.key === inner.key && inner.prefix === undefined;
  return rangeStart(inner).startsWith(outer.prefix);
}

/** Puts surrogates (0xD800 to 0xDFFF) above 0xE000 to 0xFFFF, the order of their UTF-8 bytes. */
function rank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
