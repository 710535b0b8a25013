/**
 * Reads a checkpoint, and believes nothing in it that its checksums, lengths and order do not bear
 * out. What it says of the log is held against the log elsewhere.
 */

import { compareKeys } from "../keys.ts";
import { CHECKPOINT_BLOCK_BYTES_MAX } from "../limits.ts";
import {
  BLOCK,
  BLOCK_HEADER_BYTES,
  blockCrc,
  CHECKPOINT_FILE,
  CHECKPOINT_HEADER_BYTES,
  checkpointHeaderCrc,
  decodeBlockHeader,
  decodeCheckpointHeader,
  keysOfEndBlock,
  segmentOfBlock,
  voidsOfBlock,
  type CheckpointHeader,
  type CoveredSegment,
} from "./checkpoint-format.ts";
import { readKeysBlock, type VisitKey } from "./checkpoint-keys.ts";
import { readFully, type Disk, type DiskFile } from "./disk.ts";
import type { Void } from "./horizon.ts";

/** A checkpoint cannot be used; the message says why. */
export class Unusable extends Error {
  override readonly name = "Unusable";
}

export class CheckpointReader {
  readonly #file: DiskFile;
  readonly bytes: number;
  readonly header: CheckpointHeader;
  readonly segments: readonly CoveredSegment[];
  readonly voids: readonly Void[];
  #at = CHECKPOINT_HEADER_BYTES;
  /** The checksum of the block before, or of the header. */
  #crc: number;

  /** Opens the checkpoint of a directory; `undefined` when there is none. @throws `Unusable`. */
  static open(disk: Disk): CheckpointReader | undefined {
    if (!disk.list().includes(CHECKPOINT_FILE)) return undefined;
    const file = disk.open(CHECKPOINT_FILE);
    try {
      return new CheckpointReader(file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Reads all but the keys. */
  private constructor(file: DiskFile) {
    this.#file = file;
    this.bytes = file.size();
    const bytes = this.#read(0, Math.min(CHECKPOINT_HEADER_BYTES, this.bytes));
    const header = decodeCheckpointHeader(bytes);
    if (typeof header === "string") throw new Unusable(header);
    this.header = header;
    this.#crc = checkpointHeaderCrc(bytes);
    const segments: CoveredSegment[] = [];
    for (let left = header.segments; left > 0; left--) {
      const { kind, items, body } = this.#block();
      const segment = kind === BLOCK.segment ? segmentOfBlock(body, items) : undefined;
      segments.push(sound(segment, "a block of a segment"));
    }
    this.segments = segments;
    const { kind, items, body } = this.#block();
    const voids = kind === BLOCK.voids ? voidsOfBlock(body, items) : undefined;
    this.voids = sound(voids, "the block of voids");
  }

  /** Visits all keys, in order. To be called once. @throws `Unusable`, at the end at the latest. */
  readKeys(visit: VisitKey): void {
    const types = new Map<string, string>();
    // One string for all keys of a type.
    const intern = (type: string): string => {
      if (!types.has(type)) types.set(type, type);
      return types.get(type)!;
    };
    let keys = 0;
    let last = "";
    const check: VisitKey = (key, newest, place, offset) => {
      if (compareKeys(last, key) >= 0) throw new Unusable("its keys are not in order");
      last = key;
      keys++;
      visit(key, newest, place, offset);
    };
    for (;;) {
      const { kind, items, body } = this.#block();
      if (kind === BLOCK.end) {
        if (keysOfEndBlock(body) !== keys) throw new Unusable("its keys are not all there");
        if (this.#at !== this.bytes) throw new Unusable("there is more behind its end");
        return;
      }
      const isSound = kind === BLOCK.keys && readKeysBlock(body, items, intern, check);
      sound(isSound || undefined, "a block of keys");
    }
  }

  close(): void {
    this.#file.close();
  }

  #block(): { readonly kind: number; readonly items: number; readonly body: Uint8Array } {
    const { crc, bytes, kind, items } = decodeBlockHeader(this.#read(this.#at, BLOCK_HEADER_BYTES));
    if (bytes > CHECKPOINT_BLOCK_BYTES_MAX) throw new Unusable("a block is too long");
    const block = this.#read(this.#at, BLOCK_HEADER_BYTES + bytes);
    if (blockCrc(block, this.#crc) !== crc) throw new Unusable("a block fails its checksum");
    this.#crc = crc;
    this.#at += block.length;
    return { kind, items, body: block.subarray(BLOCK_HEADER_BYTES) };
  }

  #read(at: number, bytes: number): Uint8Array {
    const into = new Uint8Array(bytes);
    if (readFully(this.#file, into, at) < bytes) throw new Unusable("it is cut short");
    return into;
  }
}

// --- internal ---

function sound<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Unusable(`${what} is not what it says`);
  return value;
}
