/**
 * Small helpers on text that several floors need: strict UTF-8, and the nearest known name for a
 * typo.
 */

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** The text of UTF-8 bytes, or `undefined` when they are no well-formed UTF-8. A BOM stays. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Has it no lone surrogate? Only such text is UTF-8. Node.js has its own way from version 20 on.
 */
export function isWellFormed(text: string): boolean {
  if (typeof text.isWellFormed === "function") return text.isWellFormed();
  return !/\p{Surrogate}/u.test(text);
}

/** UTF-8 bytes of well-formed text. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Writes the UTF-8 bytes of well-formed text to `at` of `into`; answers how many they are. */
export function encodeUtf8Into(text: string, into: Uint8Array, at: number): number {
  return encoder.encodeInto(text, into.subarray(at)).written;
}

/** The name of `known` that `name` was most likely meant to be, when there is one close enough. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const isStart = name.length >= 3 && candidate.toLowerCase().startsWith(name.toLowerCase());
    // Who stops short means the whole name, however much of it is left.
    const distance = isStart ? 1 : editDistance(name.toLowerCase(), candidate.toLowerCase());
    // As many edits as letters make any name out of any other.
    const alike = distance < Math.max(name.length, candidate.length);
    if (alike && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `; did you mean "limit"?`, or what else is known when nothing is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const near = nearest(name.slice(0, 64), known);
  if (near !== undefined) return `; did you mean "${near}"?`;
  return known.length === 0 ? "; there are none here" : `; known are ${known.join(", ")}`;
}

/**
 * `text` fit for a message of one line: cut to 80 characters, control characters escaped, quoted.
 */
export function quote(text: string): string {
  const cut = text.length > 80 ? `${text.slice(0, 79)}…` : text;
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** A number of bytes for a reader: exact below 1 KiB, with one decimal place above. */
export function showBytes(bytes: number): string {
  if (bytes < 1_024) return bytes === 1 ? "1 byte" : `${bytes.toLocaleString("en-US")} bytes`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1_024 ** power).toFixed(1)} ${units[power - 1]}`;
}

// --- internal ---

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(replaced, row[j]! + 1, next[j - 1]! + 1);
      const isSwap = j > 1 && i > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) least = Math.min(least, before[j - 2]! + 1);
      next.push(least);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}
