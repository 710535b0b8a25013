/**
 * The file `DURABLE`: how far the log was known to be synced. It is written after each fdatasync
 * and before the answers, itself unsynced: it survives the death of the process always, a power cut
 * often. Recovery refuses damage below this mark that it could else take for a torn tail.
 */

import { createWhole, readFully, writeFully, type Disk, type DiskFile } from "./disk.ts";
import { withReserve } from "./reserve.ts";
import {
  decodeSlot,
  DURABLE_FILE_BYTES,
  encodeSlot,
  SLOT_BYTES,
  SLOT_OFFSETS,
  type Slot,
} from "./slot-format.ts";

export const DURABLE_FILE = "DURABLE";

/** A place in the log, and the checksum of the record (or segment header) that ends there. */
export type Mark = Omit<Slot, "sequence">;

export class DurableFile {
  readonly #file: DiskFile;
  #sequence: number;

  private constructor(file: DiskFile, sequence: number) {
    this.#file = file;
    this.#sequence = sequence;
  }

  /** Opens the file, or makes it. The mark is absent when there is no sound slot in it. */
  static async open(disk: Disk): Promise<{ durable: DurableFile; mark: Mark | undefined }> {
    const there = disk.list().includes(DURABLE_FILE);
    const file = there
      ? disk.open(DURABLE_FILE)
      : await withReserve(disk, () =>
          createWhole(disk, DURABLE_FILE, new Uint8Array(DURABLE_FILE_BYTES)),
        );
    try {
      const newest = newestSlot(file);
      return { durable: new DurableFile(file, newest?.sequence ?? 0), mark: newest };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /**
   * Notes that the log is synced up to the mark. Alternates between the slots: one is always whole.
   */
  write(mark: Mark): void {
    this.#sequence++;
    writeFully(
      this.#file,
      encodeSlot({ ...mark, sequence: this.#sequence }),
      SLOT_OFFSETS[this.#sequence % 2]!,
    );
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }
}

/** The bytes of a whole file with one mark in it. */
export function durableContent(mark: Mark): Uint8Array {
  const content = new Uint8Array(DURABLE_FILE_BYTES);
  content.set(encodeSlot({ ...mark, sequence: 1 }), SLOT_OFFSETS[1]);
  return content;
}

/** The mark of a directory that is only read; none where there is no sound slot. */
export function readMark(disk: Disk): Mark | undefined {
  if (!disk.list().includes(DURABLE_FILE)) return undefined;
  const file = disk.openReadOnly(DURABLE_FILE);
  try {
    return newestSlot(file);
  } finally {
    file.close();
  }
}

// --- internal ---

/** The newest sound slot. Bytes that a shorter file lacks are zeros. */
function newestSlot(file: DiskFile): Slot | undefined {
  let newest: Slot | undefined;
  for (const offset of SLOT_OFFSETS) {
    const bytes = new Uint8Array(SLOT_BYTES);
    readFully(file, bytes, offset);
    const slot = decodeSlot(bytes);
    if (slot !== undefined && (newest === undefined || slot.sequence > newest.sequence)) {
      newest = slot;
    }
  }
  return newest;
}
