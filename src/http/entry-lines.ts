/**
 * Entries as lines of JSON, written as bytes: what is plain, and most is, is copied as it stands in
 * the store's memory. A line is that of `JSON.stringify(entryToJson(entry))`.
 */

import { viewOf } from "../binary-frame.ts";
import { copyBytes } from "../copy-bytes.ts";
import type { EntrySink } from "../entry-sink.ts";
import { valueToJson } from "../json.ts";
import { STREAM_PIECE_BYTES } from "../limits.ts";
import { decodeUtf8, encodeUtf8, encodeUtf8Into } from "../text.ts";

export class EntryLines implements EntrySink {
  #bytes = new Uint8Array(0);
  #view = viewOf(this.#bytes);
  #at = 0;
  #count = 0;
  /** Where keys and values come from: mostly the same memory, and to make a view takes long. */
  readonly #keys = new Source();
  readonly #values = new Source();
  /** The content type of the entry before, and what a line has of it. */
  #type = "";
  #typeText = TYPE_BEGIN;

  get isFull(): boolean {
    return this.#at >= STREAM_PIECE_BYTES;
  }

  /** How many lines there are. */
  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#at = 0;
    this.#count = 0;
  }

  /** The lines, each with its end, which are the caller's own; the next ones begin anew. */
  take(): Uint8Array {
    const isTight = this.#bytes.length - this.#at <= SPARE_BYTES_MAX;
    const lines = isTight ? this.#bytes.subarray(0, this.#at) : this.#bytes.slice(0, this.#at);
    this.clear();
    this.#replace(0);
    this.#keys.forget();
    this.#values.forget();
    return lines;
  }

  entry(
    key: Uint8Array,
    keyEnd: number,
    contentType: string,
    revision: number,
    createRevision: number,
    version: number,
    deadline: number,
    value?: Uint8Array,
    start = 0,
    end = value?.length ?? 0,
  ): void {
    this.#reserve(keyEnd + LINE_BYTES_MAX);
    this.#fixed(KEY_BEGIN);
    this.#key(key, keyEnd);
    if (value !== undefined) this.#value(value, start, end);
    this.#contentType(contentType);
    this.#number(revision);
    this.#fixed(CREATE_BEGIN);
    this.#number(createRevision);
    this.#fixed(VERSION_BEGIN);
    this.#number(version);
    if (deadline !== 0) this.#slow(`,"expiresAt":"${new Date(deadline).toISOString()}"`);
    this.#fixed(LINE_END);
    this.#count++;
  }

  #key(key: Uint8Array, end: number): void {
    const at = this.#at;
    if (this.#plain(this.#keys.view(key), 0, end)) return this.#fixed(QUOTE);
    this.#at = at - 1;
    this.#slow(JSON.stringify(decodeUtf8(key.subarray(0, end))));
  }

  #value(value: Uint8Array, start: number, end: number): void {
    this.#reserve(end - start + LINE_BYTES_MAX);
    const at = this.#at;
    this.#fixed(VALUE_BEGIN);
    if (this.#plain(this.#values.view(value), start, end)) return this.#fixed(QUOTE);
    this.#at = at;
    this.#slow(`,${JSON.stringify(valueToJson(value.subarray(start, end))).slice(1, -1)}`);
  }

  #contentType(type: string): void {
    if (type !== this.#type) {
      this.#type = type;
      this.#typeText = encodeUtf8(`,"contentType":${JSON.stringify(type)},"revision":`);
    }
    this.#fixed(this.#typeText);
  }

  /** Copies bytes as long as they are printable ASCII that JSON needs no escape for. */
  #plain(source: DataView, start: number, end: number): boolean {
    const into = this.#view;
    let to = this.#at;
    let at = start;
    for (; at + 4 <= end; at += 4) {
      const word = source.getInt32(at, true);
      if (hasSpecial(word)) return false;
      into.setInt32(to, word, true);
      to += 4;
    }
    for (; at < end; at++) {
      const byte = source.getUint8(at);
      if (hasSpecial(byte | PLAIN_BYTES)) return false;
      into.setUint8(to++, byte);
    }
    this.#at = to;
    return true;
  }

  #fixed(text: Uint8Array): void {
    copyBytes(text, 0, text.length, this.#bytes, this.#at);
    this.#at += text.length;
  }

  #number(number: number): void {
    if (number > INT_MAX) return this.#slow(String(number));
    let digits = 1;
    for (let power = 10; power <= number && digits < 10; power *= 10) digits++;
    const bytes = this.#bytes;
    let rest = number | 0;
    for (let at = this.#at + digits; at-- > this.#at;) {
      const next = (rest / 10) | 0;
      bytes[at] = DIGIT_0 + rest - next * 10;
      rest = next;
    }
    this.#at += digits;
  }

  /** Text of whatever length and characters. */
  #slow(text: string): void {
    if (text.length <= SHORT_CHARS_MAX) {
      this.#reserve(3 * text.length + LINE_BYTES_MAX);
      this.#at += encodeUtf8Into(text, this.#bytes, this.#at);
      return;
    }
    // Three bytes for each character would be far too many for most.
    const bytes = encodeUtf8(text);
    this.#reserve(bytes.length + LINE_BYTES_MAX);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #reserve(bytes: number): void {
    const wanted = this.#at + bytes;
    if (wanted > this.#bytes.length) {
      this.#replace(Math.max(wanted, PIECE_ROOM, Math.ceil(1.5 * this.#at)));
    }
  }

  #replace(length: number): void {
    const before = this.#bytes.subarray(0, this.#at);
    this.#bytes = new Uint8Array(length);
    if (length > 0) this.#bytes.set(before);
    this.#view = viewOf(this.#bytes);
  }
}

// --- internal ---

const NOTHING: Uint8Array = new Uint8Array(0);
const NO_VIEW = viewOf(NOTHING);

/** A view of the bytes that were asked for last. */
class Source {
  #bytes = NOTHING;
  #view = NO_VIEW;

  view(bytes: Uint8Array): DataView {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = viewOf(bytes);
    }
    return this.#view;
  }

  /** Lets go of the bytes, which may be a large value. */
  forget(): void {
    this.#bytes = NOTHING;
    this.#view = NO_VIEW;
  }
}

const KEY_BEGIN = encodeUtf8('{"key":"');
const VALUE_BEGIN = encodeUtf8(',"value":"');
const TYPE_BEGIN = encodeUtf8(',"contentType":"","revision":');
const CREATE_BEGIN = encodeUtf8(',"createRevision":');
const VERSION_BEGIN = encodeUtf8(',"version":');
const QUOTE = encodeUtf8('"');
const LINE_END = encodeUtf8("}\n");

/** Bytes of a line without its key and value. A content type has 255 characters at most. */
const LINE_BYTES_MAX = 2_048;
/** Bytes for the lines of a piece, the last of which may go beyond it. */
const PIECE_ROOM = STREAM_PIECE_BYTES + 4 * 1_024;
/** Bytes of memory beyond the lines that a client may hold with them. */
const SPARE_BYTES_MAX = PIECE_ROOM;
/** Characters for which three bytes each are reserved. */
const SHORT_CHARS_MAX = 4_096;
const INT_MAX = 2 ** 31 - 1;
const DIGIT_0 = 0x30;
/** Three bytes that are plain, below which one fits in. */
const PLAIN_BYTES = 0x30303000;
const HIGHEST_BITS = 0x80808080 | 0;

/**
 * Is one of four bytes a control character, a quotation mark, a backslash, or no ASCII? A byte that
 * is borrowed from may seem to be one too, but only above one that is.
 */
function hasSpecial(word: number): boolean {
  const controls = word - 0x20202020;
  const quotes = (word ^ 0x22222222) - 0x01010101;
  const backslashes = (word ^ 0x5c5c5c5c) - 0x01010101;
  // Where all bytes are ASCII, a highest bit comes from a borrow only.
  return ((word | controls | quotes | backslashes) & HIGHEST_BITS) !== 0;
}
