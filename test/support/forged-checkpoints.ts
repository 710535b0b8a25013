/**
 * Checkpoints that say what is not so, with checksums that are right: as a fault of kv itself might
 * leave them, or somebody who means harm. They are taken apart into blocks and put together again.
 */

import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  CHECKPOINT_HEADER_BYTES,
  checkpointHeaderCrc,
  makeBlock,
  sealBlock,
  viewOf,
} from "../../src/log/checkpoint-format.ts";
import { crc32 } from "../../src/log/format.ts";
import { CHECKPOINT, withCheckpoint } from "./checkpoints.ts";
import type { FakeDisk } from "./fake-disk.ts";

/** A block that can be changed. */
export interface ForgedBlock {
  kind: number;
  items: number;
  body: Uint8Array;
}

export interface Forged {
  header: DataView;
  blocks: ForgedBlock[];
}

/** Columns of a block of keys, in the order of FORMAT.md. */
export const COLUMN = {
  revision: 0,
  version: 2,
  segment: 4,
  offset: 5,
  length: 7,
  type: 8,
} as const;

/** Where the fields of a checkpoint's header are. */
export const HEADER = { version: 8, segments: 64, keys: 72 } as const;

/** A copy of a disk whose checkpoint was changed and has checksums that are right. */
export function forge(disk: FakeDisk, change: (forged: Forged) => void): FakeDisk {
  const whole = disk.bytes(CHECKPOINT);
  const header = whole.slice(0, CHECKPOINT_HEADER_BYTES);
  const forged = { header: viewOf(header), blocks: blocksOf(whole) };
  change(forged);
  const crc = crc32(header.subarray(16), crc32(header.subarray(0, 12)));
  forged.header.setUint32(12, crc, true);
  let before = checkpointHeaderCrc(header);
  const blocks = forged.blocks.map(({ kind, items, body }) => {
    const block = makeBlock(kind, items, body.length);
    block.set(body, BLOCK_HEADER_BYTES);
    before = sealBlock(block, before);
    return block;
  });
  return withCheckpoint(disk, Buffer.concat([header, ...blocks]));
}

/** The first block of a kind. */
export function blockOf({ blocks }: Forged, kind: keyof typeof BLOCK): ForgedBlock {
  return blocks.find((block) => block.kind === BLOCK[kind])!;
}

/** The head of a column in the body of a block of keys: its base, and from 8 on its width. */
export function headOf({ body }: ForgedBlock, column: number): DataView {
  return viewOf(body, 8 + 16 * column);
}

/** The bytes of a column in the body of a block of keys; most tests have one byte for each value. */
export function columnOf({ body, items }: ForgedBlock, column: number): Uint8Array {
  const view = viewOf(body);
  const bytesOf = (number: number): number =>
    Math.ceil((view.getUint32(8 + 16 * number + 8, true) * items) / 8) * 8;
  let at = 8 + 16 * 9 + view.getUint32(0, true);
  for (let before = 0; before < column; before++) at += bytesOf(before);
  return body.subarray(at, at + bytesOf(column));
}

/** The bytes of the keys in the body of a block of keys, and the zeros behind them. */
export function keysOf(block: ForgedBlock): Uint8Array {
  const last = columnOf(block, 8);
  return block.body.subarray(last.byteOffset - block.body.byteOffset + last.length);
}

// --- internal ---

function blocksOf(whole: Uint8Array): ForgedBlock[] {
  const blocks: ForgedBlock[] = [];
  for (let at = CHECKPOINT_HEADER_BYTES; at < whole.length;) {
    const view = viewOf(whole, at);
    const [bytes, kind, items] = [4, 8, 12].map((field) => view.getUint32(field, true));
    const body = whole.slice(at + BLOCK_HEADER_BYTES, at + BLOCK_HEADER_BYTES + bytes!);
    blocks.push({ kind: kind!, items: items!, body });
    at += BLOCK_HEADER_BYTES + bytes!;
  }
  return blocks;
}
