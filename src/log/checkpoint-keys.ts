/**
 * The blocks of keys in `CHECKPOINT`, to and from columns in memory: see FORMAT.md. Apart from the
 * rest of the format since a start with millions of keys hangs on it.
 */

import { isAscii, isUtf8 } from "node:buffer";
import {
  columnBytes,
  headOfColumn,
  isWidth,
  readColumn,
  writeColumn,
  type ColumnHead,
} from "./checkpoint-columns.ts";
import { BLOCK, BLOCK_HEADER_BYTES, makeBlock, viewOf } from "./checkpoint-format.ts";
import { getInteger, setInteger } from "./format.ts";
import type { KeyColumns } from "./key-columns.ts";
import { offsetOf, segmentOf } from "./key-index.ts";

/** Where the records of a block stand: in which of the segments covered, and where there. */
export class Places {
  readonly segments: Float64Array;
  readonly offsets: Float64Array;

  constructor(keysMax: number) {
    this.segments = new Float64Array(keysMax);
    this.offsets = new Float64Array(keysMax);
  }
}

/** Makes blocks of columns, and columns of blocks, of up to `keysMax` keys. */
export class KeysBlocks {
  readonly #places: Places;
  readonly #ages: Float64Array;
  readonly #lengths: Float64Array;
  readonly #types: Float64Array;

  constructor(keysMax: number) {
    this.#places = new Places(keysMax);
    this.#ages = new Float64Array(keysMax);
    this.#lengths = new Float64Array(keysMax);
    this.#types = new Float64Array(keysMax);
  }

  /** The block of the keys in `columns`. `placeOf` tells which of those covered a segment is. */
  encode(columns: KeyColumns, placeOf: (segment: number) => number): Uint8Array {
    const { count } = columns;
    this.#placesOf(columns, placeOf);
    this.#agesAndLengthsOf(columns);
    const types = this.#typesOf(columns);
    const values = this.#columnsOf(columns);
    const heads = values.map((column) => headOfColumn(column, count));
    const keyBytes = columns.keysEnd;
    const first = HEADS_END + types.length;
    const size = heads.reduce(
      (sum, head) => sum + columnBytes(head, count),
      first + aligned(keyBytes),
    );
    const block = makeBlock(BLOCK.keys, count, size);
    const body = block.subarray(BLOCK_HEADER_BYTES);
    const view = viewOf(body);
    view.setUint32(0, types.length, true);
    view.setUint32(4, keyBytes, true);
    body.set(types, HEADS_END);
    let at = first;
    for (const [index, head] of heads.entries()) {
      setInteger(view, HEADS_AT + index * HEAD_BYTES, head.base);
      view.setUint32(HEADS_AT + index * HEAD_BYTES + 8, head.width, true);
      writeColumn(body, at, head, values[index]!, count);
      at += columnBytes(head, count);
    }
    body.set(columns.keys.subarray(0, keyBytes), at);
    return block;
  }

  /**
   * Fills `columns` from the body of a block, all but the positions: `places` are what these are to
   * be made from, until the next call. `undefined` when lengths or texts cannot be.
   */
  decode(
    body: Uint8Array,
    items: number,
    intern: (type: string) => string,
    columns: KeyColumns,
  ): Places | undefined {
    if (body.length < HEADS_END || items > columns.keysMax || items === 0) return undefined;
    const view = viewOf(body);
    const typeBytes = view.getUint32(0, true);
    const keyBytes = view.getUint32(4, true);
    let at = HEADS_END + typeBytes;
    if (typeBytes % 8 !== 0 || at > body.length) return undefined;
    columns.count = items;
    for (const [index, column] of this.#columnsOf(columns).entries()) {
      const head = headAt(view, HEADS_AT + index * HEAD_BYTES);
      if (!isWidth(head.width) || at + columnBytes(head, items) > body.length) return undefined;
      readColumn(body, at, head, column, items);
      at += columnBytes(head, items);
    }
    if (body.length - at !== aligned(keyBytes)) return undefined;
    columns.reserveKeys(keyBytes);
    columns.keys.set(body.subarray(at, at + keyBytes));
    const types = typesIn(body.subarray(HEADS_END, HEADS_END + typeBytes), intern);
    const isSound =
      types !== undefined && this.#putTypes(columns, types) && this.#putKeys(columns, keyBytes);
    return isSound ? this.#places : undefined;
  }

  /** In the order of FORMAT.md. */
  #columnsOf({ revisions, versions, deadlines, recordBytes }: KeyColumns): Float64Array[] {
    const { segments, offsets } = this.#places;
    const lengths = this.#lengths;
    return [
      revisions,
      this.#ages,
      versions,
      deadlines,
      segments,
      offsets,
      recordBytes,
      lengths,
      this.#types,
    ];
  }

  #placesOf({ positions, count }: KeyColumns, placeOf: (segment: number) => number): void {
    const { segments, offsets } = this.#places;
    let segment = -1;
    let place = -1;
    for (let at = 0; at < count; at++) {
      const position = positions[at]!;
      const of = segmentOf(position);
      if (of !== segment) place = placeOf((segment = of));
      segments[at] = place;
      offsets[at] = offsetOf(position);
    }
  }

  #agesAndLengthsOf({ revisions, createRevisions, keyEnds, count }: KeyColumns): void {
    let start = 0;
    for (let at = 0; at < count; at++) {
      this.#ages[at] = revisions[at]! - createRevisions[at]!;
      this.#lengths[at] = keyEnds[at]! - start;
      start = keyEnds[at]!;
    }
  }

  /** Numbers the content types; answers the bytes of their texts. */
  #typesOf({ contentTypes, count }: KeyColumns): Uint8Array {
    const numbers = new Map<string, number>();
    let last: string | undefined;
    let number = 0;
    for (let at = 0; at < count; at++) {
      const type = contentTypes[at]!;
      if (type !== last) {
        last = type;
        number = numbers.get(type) ?? numbers.size;
        numbers.set(type, number);
      }
      this.#types[at] = number;
    }
    const texts = [...numbers.keys()].map(typeBytes);
    const bytes = texts.reduce((sum, { length }) => sum + length, 0);
    return Buffer.concat(texts, aligned(bytes));
  }

  #putTypes({ contentTypes, count }: KeyColumns, types: readonly string[]): boolean {
    for (let at = 0; at < count; at++) {
      const type = types[this.#types[at]!];
      if (type === undefined) return false;
      contentTypes[at] = type;
    }
    return true;
  }

  /** Makes ends of lengths, and the rest of what is not told as it is. */
  #putKeys({ revisions, createRevisions, keyEnds, keys, count }: KeyColumns, bytes: number) {
    let end = 0;
    for (let at = 0; at < count; at++) {
      createRevisions[at] = revisions[at]! - this.#ages[at]!;
      end += this.#lengths[at]!;
      keyEnds[at] = end;
    }
    if (end !== bytes) return false;
    const texts = keys.subarray(0, bytes);
    if (isAscii(texts)) return true;
    if (!isUtf8(texts)) return false;
    // All of it is well-formed, and so is each key: if none begins within a character.
    for (let at = 0; at < count - 1; at++) {
      if ((keys[keyEnds[at]!]! & 0xc0) === 0x80) return false;
    }
    return true;
  }
}

// --- internal ---

const HEADS_AT = 8;
const HEAD_BYTES = 16;
const COLUMNS = 9;
const HEADS_END = HEADS_AT + COLUMNS * HEAD_BYTES;

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function headAt(view: DataView, at: number): ColumnHead {
  return { base: getInteger(view, at), width: view.getUint32(at + 8, true) };
}

const latin1 = new TextDecoder("latin1");

/** Zeros behind the last one are the text of no type: they are never asked for. */
function typesIn(bytes: Uint8Array, intern: (type: string) => string): string[] | undefined {
  const view = viewOf(bytes);
  const types: string[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const length = view.getUint16(at, true);
    if (at + 2 + length > bytes.length) return undefined;
    types.push(intern(latin1.decode(bytes.subarray(at + 2, at + 2 + length))));
    at += 2 + length;
  }
  return types;
}

function typeBytes(type: string): Buffer {
  const bytes = Buffer.alloc(2 + type.length);
  bytes.writeUInt16LE(type.length, 0);
  bytes.write(type, 2, "latin1");
  return bytes;
}
