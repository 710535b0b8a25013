/** Keys as words of four bytes, of which zeros fill the last one. */

/** Words of a key of `length` bytes. */
export function keyWords(length: number): number {
  return (length + 3) >>> 2;
}

/**
 * Order of two keys of which `a` begins at word `aStart` and has `aLength` bytes, and so on:
 * negative, 0 or positive.
 */
export function compareKeyWords(
  a: Uint32Array,
  aStart: number,
  aLength: number,
  b: Uint32Array,
  bStart: number,
  bLength: number,
): number {
  const count = keyWords(Math.min(aLength, bLength));
  for (let at = 0; at < count; at++) {
    const x = a[aStart + at]!;
    const y = b[bStart + at]!;
    if (x !== y) return firstByteHighest(x) < firstByteHighest(y) ? -1 : 1;
  }
  // All words of the shorter one, with their zeros, are the same: it is how the longer one begins.
  return aLength - bLength;
}

/** Writes a key as words, the last one filled up with zeros. */
export function copyKeyWords(
  keys: Uint8Array,
  start: number,
  end: number,
  words: Uint32Array,
  to: number,
): void {
  let at = start;
  for (; at + 4 <= end; at += 4) {
    words[to++] = keys[at]! | (keys[at + 1]! << 8) | (keys[at + 2]! << 16) | (keys[at + 3]! << 24);
  }
  if (at === end) return;
  let last = keys[at]!;
  if (at + 1 < end) last |= keys[at + 1]! << 8;
  if (at + 2 < end) last |= keys[at + 2]! << 16;
  words[to] = last;
}

// --- internal ---

function firstByteHighest(word: number): number {
  const inner = ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00);
  return ((word << 24) | inner | (word >>> 24)) >>> 0;
}
