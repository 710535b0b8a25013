/**
 * JSON that clients send, as a value. A hostile text of tens of MiB becomes more than a GiB of
 * empty lists, and the platform lets the garbage of large texts pile up: both are bounded here.
 */

import { KvError } from "../errors.ts";
import { BODY_PIECE_BYTES_MAX, JSON_GARBAGE_BYTES, JSON_VALUES_MAX } from "../limits.ts";

/**
 * As `JSON.parse`; `collect` looks for garbage.
 * @throws `too_large` for a text with more than `JSON_VALUES_MAX` values, what `JSON.parse` does.
 */
export function parseJson(text: string, collect = () => Bun.gc(true)): unknown {
  if (isGarbageDue(text.length)) collect();
  if (countValues(text, JSON_VALUES_MAX) > JSON_VALUES_MAX) {
    const message = `the JSON has more than the ${JSON_VALUES_MAX} values allowed`;
    throw new KvError("too_large", message, { limit: JSON_VALUES_MAX });
  }
  return JSON.parse(text);
}

/**
 * Counts what makes values: `[`, `{` and `,` outside of strings. Stops above `countMax`, and need
 * not look at a text that is too short for so many. Of what is no JSON the number says nothing.
 */
export function countValues(text: string, countMax: number): number {
  if (text.length <= countMax) return 0;
  let count = 0;
  for (let at = 0; at < text.length && count <= countMax; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === COMMA || code === BRACKET || code === BRACE) count++;
  }
  return count;
}

// --- internal ---

const QUOTE = 0x22;
const COMMA = 0x2c;
const BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const BRACE = 0x7b;

/** Characters of a string that are looked at one by one before the platform searches its end. */
const STEPS = 64;

/** The position of the quote that ends the string which begins at `start`, or the text's end. */
function endOfString(text: string, start: number): number {
  let stepped = start;
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) {
      at++;
      stepped = at;
    } else if (at - stepped > STEPS) {
      const quote = text.indexOf('"', at);
      if (quote < 0) return text.length;
      if (text.charCodeAt(quote - 1) !== BACKSLASH) return quote;
      // Escaped or not is decided by all the backslashes in a row before it.
      at = beforeBackslashes(text, quote, at);
      stepped = at;
    }
  }
  return text.length;
}

/** The last position from `from` on with no backslash between it and the quote. */
function beforeBackslashes(text: string, quote: number, from: number): number {
  let at = quote - 1;
  while (at > from && text.charCodeAt(at) === BACKSLASH) at--;
  return at;
}

/** Characters of large texts that were parsed since the last collection. */
let garbageChars = 0;

/**
 * Each large text leaves several times its size behind, which the platform is slow to look for.
 * Asked before the next one is parsed: then nothing of the last one is needed any more.
 */
function isGarbageDue(chars: number): boolean {
  if (chars <= BODY_PIECE_BYTES_MAX) return false;
  const isDue = garbageChars + chars > JSON_GARBAGE_BYTES;
  garbageChars = isDue ? chars : garbageChars + chars;
  return isDue;
}
