/**
 * The bytes of one key at a time, as words of four bytes: so it is hashed and compared with those
 * of the index without an object made for it.
 */

export class WantedKey {
  bytes = new Uint8Array(BYTES_USUAL);
  /** The same bytes; zeros fill the last word of the key. */
  words = new Uint32Array(this.bytes.buffer);
  /** Bytes of the key. */
  length = 0;

  /** Takes the bytes from `start` to `end`. */
  set(from: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.#reserve(length);
    const { bytes } = this;
    for (let at = 0; at < length; at++) bytes[at] = from[start + at]!;
    this.#end(length);
  }

  /** Takes text as UTF-8. A lone surrogate, which no key has, becomes what is no UTF-8. */
  setText(text: string): void {
    this.#reserve(3 * text.length);
    const { bytes } = this;
    let at = 0;
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit >= 0x80) break;
      bytes[at] = unit;
    }
    this.#end(at < text.length ? this.#setRest(text, at) : at);
  }

  /** Takes all but the ASCII that it begins with; answers how many bytes the whole has. */
  #setRest(text: string, from: number): number {
    const { bytes } = this;
    let end = from;
    for (let at = from; at < text.length; at++) {
      const character = text.codePointAt(at)!;
      if (character < 0x80) bytes[end++] = character;
      else {
        if (character < 0x800) bytes[end++] = 0xc0 | (character >> 6);
        else {
          if (character < 0x10000) bytes[end++] = 0xe0 | (character >> 12);
          else {
            at++;
            bytes[end++] = 0xf0 | (character >> 18);
            bytes[end++] = 0x80 | ((character >> 12) & 0x3f);
          }
          bytes[end++] = 0x80 | ((character >> 6) & 0x3f);
        }
        bytes[end++] = 0x80 | (character & 0x3f);
      }
    }
    return end;
  }

  #end(length: number): void {
    const { bytes } = this;
    bytes[length] = 0;
    bytes[length + 1] = 0;
    bytes[length + 2] = 0;
    this.length = length;
  }

  #reserve(length: number): void {
    if (length + 4 <= this.bytes.length) return;
    this.bytes = new Uint8Array(2 * (length + 4 + (-length & 3)));
    this.words = new Uint32Array(this.bytes.buffer);
  }
}

// --- internal ---

/** Room for a usual key as text, three bytes for each character, and zeros behind it. */
const BYTES_USUAL = 256;
