/**
 * The blocks of keys in `CHECKPOINT`, to and from memory: see FORMAT.md. Apart from the rest of the
 * format since a start with millions of keys hangs on it.
 */

import { decodeUtf8 } from "../text.ts";
import { BLOCK, BLOCK_HEADER_BYTES, makeBlock, viewOf } from "./checkpoint-format.ts";
import { getInteger, setInteger } from "./format.ts";
import type { Newest } from "./key-index.ts";

/** The newest record of a key, the position of which is for the visitor to fill in. */
export type Unplaced = { -readonly [Field in keyof Newest]: Newest[Field] };

/**
 * Called with a key, its record, at which place among those covered its segment is, and where the
 * record stands there. One object for each key, which the index keeps: there may be many.
 */
export type VisitKey = (key: string, newest: Unplaced, place: number, offset: number) => void;

/** Gathers keys, in order, into a block. */
export class KeysBlock {
  readonly #keysMax: number;
  readonly #keyBytesMax: number;
  readonly #heads: Buffer;
  readonly #view: DataView;
  readonly #keys: Buffer;
  #count = 0;
  #keyBytes = 0;
  readonly #types = new Map<string, number>();

  /** A block is full when it has that many keys, or that many bytes of them. */
  constructor(keysMax: number, keyBytesMax: number) {
    this.#keysMax = keysMax;
    this.#keyBytesMax = keyBytesMax;
    this.#heads = Buffer.alloc(keysMax * KEY_BYTES);
    this.#view = viewOf(this.#heads);
    this.#keys = Buffer.alloc(keyBytesMax + KEY_BYTES_MAX);
  }

  get isFull(): boolean {
    return this.#count === this.#keysMax || this.#keyBytes >= this.#keyBytesMax;
  }

  /** Adds a key whose record is in the segment at `place` of those covered. */
  add(key: string, newest: Newest, place: number, offset: number): void {
    const view = this.#view;
    const at = this.#count * KEY_BYTES;
    const keyBytes = this.#keys.write(key, this.#keyBytes);
    setInteger(view, at, newest.revision);
    setInteger(view, at + 8, newest.createRevision);
    setInteger(view, at + 16, newest.version);
    setInteger(view, at + 24, newest.deadline);
    view.setUint32(at + 32, place, true);
    view.setUint32(at + 36, offset, true);
    view.setUint32(at + 40, newest.bytes, true);
    view.setUint16(at + 44, keyBytes, true);
    view.setUint16(at + 46, this.#typeOf(newest.contentType), true);
    this.#count++;
    this.#keyBytes += keyBytes;
  }

  /** The block of what was gathered; begins the next one. */
  take(): Uint8Array {
    const types = Buffer.concat([...this.#types.keys()].map(typeBytes));
    const heads = this.#count * KEY_BYTES;
    const size = 4 + types.length + heads + this.#keyBytes;
    const block = makeBlock(BLOCK.keys, this.#count, size);
    viewOf(block).setUint32(BLOCK_HEADER_BYTES, this.#types.size, true);
    block.set(types, BLOCK_HEADER_BYTES + 4);
    block.set(this.#heads.subarray(0, heads), BLOCK_HEADER_BYTES + 4 + types.length);
    block.set(this.#keys.subarray(0, this.#keyBytes), block.length - this.#keyBytes);
    this.#count = 0;
    this.#keyBytes = 0;
    this.#types.clear();
    return block;
  }

  #typeOf(contentType: string): number {
    const known = this.#types.get(contentType);
    if (known !== undefined) return known;
    this.#types.set(contentType, this.#types.size);
    return this.#types.size - 1;
  }
}

/** Visits the keys of a block; answers false when its lengths cannot be. */
export function readKeysBlock(
  body: Uint8Array,
  items: number,
  intern: (type: string) => string,
  visit: VisitKey,
): boolean {
  const view = viewOf(body);
  if (body.length < 4) return false;
  const types: string[] = [];
  let at = 4;
  for (let left = view.getUint32(0, true); left > 0; left--) {
    if (at + 2 > body.length) return false;
    const bytes = view.getUint16(at, true);
    types.push(intern(latin1.decode(body.subarray(at + 2, at + 2 + bytes))));
    at += 2 + bytes;
  }
  const keyBytes = body.length - at - items * KEY_BYTES;
  if (keyBytes < 0) return false;
  const keys = new KeyTexts(body.subarray(body.length - keyBytes));
  for (let index = 0; index < items; index++, at += KEY_BYTES) {
    const key = keys.next(view.getUint16(at + 44, true));
    const contentType = types[view.getUint16(at + 46, true)];
    if (key === undefined || contentType === undefined) return false;
    const newest = {
      revision: getInteger(view, at),
      createRevision: getInteger(view, at + 8),
      version: getInteger(view, at + 16),
      contentType,
      deadline: getInteger(view, at + 24),
      position: 0,
      bytes: view.getUint32(at + 40, true),
    };
    visit(key, newest, view.getUint32(at + 32, true), view.getUint32(at + 36, true));
  }
  return keys.isAtEnd;
}

// --- internal ---

const KEY_BYTES = 48;
/** What the field of its length holds. */
const KEY_BYTES_MAX = 2 ** 16;

const latin1 = new TextDecoder("latin1");

/** Keys one after the other. Most are ASCII, which needs no decoder for each. */
class KeyTexts {
  readonly #bytes: Buffer;
  readonly #isAscii: boolean;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#isAscii = decodeUtf8(bytes)?.length === bytes.length;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  next(bytes: number): string | undefined {
    const start = this.#at;
    this.#at += bytes;
    if (this.#at > this.#bytes.length) return undefined;
    if (this.#isAscii) return this.#bytes.toString("latin1", start, this.#at);
    return decodeUtf8(this.#bytes.subarray(start, this.#at));
  }
}

function typeBytes(type: string): Buffer {
  const bytes = Buffer.alloc(2 + type.length);
  bytes.writeUInt16LE(type.length, 0);
  bytes.write(type, 2, "latin1");
  return bytes;
}
