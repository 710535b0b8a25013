/**
 * HalfSipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF"): who does not know
 * its secret cannot find keys that collide, and make a server slow with them.
 */

/** The hash of `length` bytes in `words` from word `from` on; zeros fill the last word. */
export type HashWords = (words: Uint32Array, from: number, length: number) => number;

/** A hash with a secret of its own. */
export function secretHash(secret = crypto.getRandomValues(new Uint32Array(2))): HashWords {
  const first = secret[0]! | 0;
  const second = secret[1]! | 0;
  return (words, from, length) => {
    let a = first;
    let b = second;
    let c = 0x6c796765 ^ first;
    let d = 0x74656462 ^ second;
    // One round for each word and for the length, and three at the end.
    const end = from + ((length + 3) >>> 2);
    for (let at = from; at < end + 4; at++) {
      const word = at < end ? words[at]! | 0 : at === end ? length : 0;
      if (at === end + 1) c ^= 0xff;
      d ^= word;
      a = (a + b) | 0;
      b = ((b << 5) | (b >>> 27)) ^ a;
      a = (a << 16) | (a >>> 16);
      c = (c + d) | 0;
      d = ((d << 8) | (d >>> 24)) ^ c;
      a = (a + d) | 0;
      d = ((d << 7) | (d >>> 25)) ^ a;
      c = (c + b) | 0;
      b = ((b << 13) | (b >>> 19)) ^ c;
      c = (c << 16) | (c >>> 16);
      a ^= word;
    }
    return (b ^ d) >>> 0;
  };
}
