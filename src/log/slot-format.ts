/**
 * The bytes of a slot of `DURABLE`, to and from memory. The layout is in FORMAT.md, and only there.
 */

import { crc32, getInteger, setInteger } from "./format.ts";

export const SLOT_BYTES = 64;
/** The two slots lie in different blocks, so that one torn write cannot hit both. */
export const SLOT_OFFSETS = [0, 4096] as const;
export const DURABLE_FILE_BYTES = 8192;

export interface Slot {
  readonly sequence: number;
  readonly segment: number;
  readonly end: number;
  readonly lastCrc: number;
}

export function encodeSlot(slot: Slot): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SLOT_MAGIC, true);
  setInteger(view, 8, slot.sequence);
  setInteger(view, 16, slot.segment);
  setInteger(view, 24, slot.end);
  view.setUint32(32, slot.lastCrc, true);
  view.setUint32(4, crc32(bytes.subarray(8)), true);
  return bytes;
}

/** The slot, or `undefined` when it was never written or is torn. */
export function decodeSlot(bytes: Uint8Array): Slot | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < SLOT_BYTES || view.getUint32(0, true) !== SLOT_MAGIC) return undefined;
  if (view.getUint32(4, true) !== crc32(bytes.subarray(8, SLOT_BYTES))) return undefined;
  return {
    sequence: getInteger(view, 8),
    segment: getInteger(view, 16),
    end: getInteger(view, 24),
    lastCrc: view.getUint32(32, true),
  };
}

// --- internal ---

const SLOT_MAGIC = 0x6b76_4455;
