/**
 * Reads a checkpoint, and believes nothing in it that its checksums, lengths and order do not bear
 * out. What it says of the log is held against the log elsewhere.
 */

import { CHECKPOINT_BLOCK_BYTES_MAX, CHECKPOINT_BLOCK_KEYS_MAX } from "../limits.ts";
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
import { KeysBlocks, type Places } from "./checkpoint-keys.ts";
import { readFully, type Disk, type DiskFile } from "./disk.ts";
import type { Void } from "./horizon.ts";
import { KeyColumns } from "./key-columns.ts";

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
  /** What was read last. */
  #buffer = new Uint8Array(CHECKPOINT_HEADER_BYTES);
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

  /**
   * Visits all keys, a block at a time; their order is for `visit` to check. What it is called with
   * is used again for the next one. Lets go of the event loop between two blocks. To be called
   * once.
   * @throws `Unusable`, at the end at the latest.
   */
  async readKeys(visit: (columns: KeyColumns, places: Places) => void): Promise<void> {
    let blocks = new KeysBlocks(0);
    let columns = new KeyColumns(0);
    const intern = interning();
    let keys = 0;
    for (;;) {
      const { kind, items, body } = this.#block();
      if (kind === BLOCK.end) {
        if (keysOfEndBlock(body) !== keys) throw new Unusable("its keys are not all there");
        if (this.#at !== this.bytes) throw new Unusable("there is more behind its end");
        return;
      }
      if (kind === BLOCK.keys && items > columns.keysMax && items <= CHECKPOINT_BLOCK_KEYS_MAX) {
        // The first block is as large as those behind it, or all there is.
        blocks = new KeysBlocks(items);
        columns = new KeyColumns(items);
      }
      const places = kind === BLOCK.keys ? blocks.decode(body, items, intern, columns) : undefined;
      keys += items;
      visit(columns, sound(places, "a block of keys"));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  close(): void {
    this.#file.close();
  }

  /** The next block: its body is good until the one after it is read. */
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
    if (bytes > this.#buffer.length) this.#buffer = new Uint8Array(2 * bytes);
    const into = this.#buffer.subarray(0, bytes);
    if (readFully(this.#file, into, at) < bytes) throw new Unusable("it is cut short");
    return into;
  }
}

// --- internal ---

/** One string for all keys of a type. */
function interning(): (type: string) => string {
  const types = new Map<string, string>();
  return (type) => {
    if (!types.has(type)) types.set(type, type);
    return types.get(type)!;
  };
}

function sound<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Unusable(`${what} is not what it says`);
  return value;
}
