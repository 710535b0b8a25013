/**
 * Holds the content of segments against checksums while something else is done: they are read off
 * the event loop, and compared whenever the other work lets go of it.
 */

import type { CoveredSegment } from "./checkpoint-format.ts";
import { Unusable } from "./checkpoint-reader.ts";
import type { DiskFile } from "./disk.ts";
import { crc32, SEGMENT_HEADER_BYTES } from "./format.ts";

export interface Checked {
  readonly file: DiskFile;
  readonly covered: CoveredSegment;
}

export class ContentCheck {
  readonly #done: Promise<void>;
  readonly #buffers: Uint8Array[] = [];
  #isStopped = false;

  /** Begins with the first of `segments`. */
  constructor(segments: readonly Checked[]) {
    this.#done = this.#run(segments);
    // Whoever waits for it is told.
    this.#done.catch(() => undefined);
  }

  /** Waits for its end. @throws `Unusable` where content is another one; what a read throws. */
  done(): Promise<void> {
    return this.#done;
  }

  /** Breaks it off: nothing is read any more when this resolves. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done.catch(() => undefined);
  }

  async #run(segments: readonly Checked[]): Promise<void> {
    const most = Math.max(0, ...segments.map(({ covered }) => covered.end));
    const bytes = Math.min(PIECE_BYTES, most);
    this.#buffers.push(new Uint8Array(bytes), new Uint8Array(bytes));
    for (const segment of segments) {
      await this.#compare(segment);
      if (this.#isStopped) return;
    }
  }

  /** Reads all that is covered of a segment: what has rotted since must not be taken for known. */
  async #compare({ file, covered: { end, crc } }: Checked): Promise<void> {
    let found = 0;
    let at = SEGMENT_HEADER_BYTES;
    let reading = this.#read(file, at, end);
    while (at < end) {
      const piece = await reading;
      if (this.#isStopped) return;
      if (piece.length === 0) throw new Unusable(`${file.name} is shorter`);
      at += piece.length;
      // The next piece comes while this one is compared.
      reading = this.#read(file, at, end);
      found = crc32(piece, found);
    }
    if (found !== crc) throw new Unusable(`${file.name} has other content`);
  }

  /** Reads into the memory of the last piece but one. */
  async #read(file: DiskFile, at: number, end: number): Promise<Uint8Array> {
    const buffer = this.#buffers.shift()!;
    this.#buffers.push(buffer);
    const piece = buffer.subarray(0, Math.min(buffer.length, end - at));
    return piece.subarray(0, at < end ? await file.readAsync(piece, at) : 0);
  }
}

// --- internal ---

const PIECE_BYTES = 2 * 1024 * 1024;
