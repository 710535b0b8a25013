/**
 * The content of a file on the fake disk: as the process sees it, as it is durable, and the changes
 * from here to there, each of which a power cut can keep, lose or tear. Bytes are shared between
 * copies until one of them changes: thousands of images of a disk cost little.
 */

/** A write at an offset, or a cut to a size. */
export type FileChange =
  { readonly at: number; readonly bytes: Uint8Array } | { readonly size: number };

/** Bytes that a power cut keeps or loses as one. */
const SECTOR_BYTES = 512;

export class Inode {
  #content: Content;
  #durable: Content;
  #pending: FileChange[] = [];
  /** A sync has failed: the content is not what is durable and pending together. */
  #lost = false;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#content = new Content(bytes.slice(), bytes.length);
    this.#durable = this.#content.share();
  }

  get size(): number {
    return this.#content.size;
  }

  /** The bytes as the process sees them, to be changed by nobody. */
  peek(): Uint8Array {
    return this.#content.bytes();
  }

  /** Fills `into` with the bytes from an offset on; answers how many there were. */
  read(into: Uint8Array, offset: number): number {
    return this.#content.read(into, offset);
  }

  /** The bytes as the process sees them, also to be damaged: nothing else has them. */
  bytes(): Uint8Array {
    this.#content.own(this.#content.size);
    return this.#content.bytes();
  }

  change(change: FileChange): void {
    this.#content.apply(change);
    this.#pending.push(change);
  }

  /** Begins a sync; what was written before it is durable when `finish` is called. */
  beginSync(): { finish(): void; fail(keep: () => boolean): void } {
    const last = this.#pending.at(-1);
    // Up to the last one of then; none where another sync has seen to them meanwhile.
    const take = (): FileChange[] =>
      this.#pending.splice(0, last === undefined ? 0 : this.#pending.indexOf(last) + 1);
    return {
      finish: () => {
        const changes = take();
        if (!this.#lost && this.#pending.length === 0) this.#durable = this.#content.share();
        else for (const change of changes) this.#durable.apply(change);
      },
      // The system marks the pages clean: they look written, and no later sync writes them.
      fail: (keep) => {
        this.#lost = true;
        tear(take(), this.#durable, keep);
      },
    };
  }

  /** The file that is there after a power cut which keeps what `keep` says. */
  afterPowerCut(keep: () => boolean): Inode {
    const content = this.#durable.share();
    tear(this.#pending, content, keep);
    return Inode.#of(content);
  }

  /** The same file for another process: the changes that are not durable are still on their way. */
  fork(): Inode {
    const copy = Inode.#of(this.#content.share());
    copy.#durable = this.#durable.share();
    copy.#pending = [...this.#pending];
    copy.#lost = this.#lost;
    return copy;
  }

  /** The same file, all of it durable. */
  copy(): Inode {
    return Inode.#of(this.#content.share());
  }

  static #of(content: Content): Inode {
    const inode = new Inode(NONE);
    inode.#content = content;
    inode.#durable = content.share();
    return inode;
  }
}

// --- internal ---

const NONE = new Uint8Array(0);

/** Applies what `keep` says of changes, sector by sector. */
function tear(changes: readonly FileChange[], to: Content, keep: () => boolean): void {
  for (const change of changes) {
    if ("size" in change) {
      if (keep()) to.apply(change);
      continue;
    }
    const { at: start, bytes } = change;
    // The size may be there without the bytes, which then are zeros.
    if (keep()) to.extend(start + bytes.length);
    for (let done = 0; done < bytes.length;) {
      const at = start + done;
      const length = Math.min(bytes.length - done, SECTOR_BYTES - (at % SECTOR_BYTES));
      const isAll = length === bytes.length;
      if (keep()) to.apply({ at, bytes: isAll ? bytes : bytes.subarray(done, done + length) });
      done += length;
    }
  }
}

/** Bytes that grow, and that others may have too. */
class Content {
  #buffer: Uint8Array;
  #isShared = false;
  size: number;

  constructor(buffer: Uint8Array, size: number) {
    this.#buffer = buffer;
    this.size = size;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.size);
  }

  read(into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, this.size - offset));
    if (count > 0) into.set(this.#buffer.subarray(offset, offset + count));
    return count;
  }

  /** The same bytes; whoever of the two changes them first takes a copy. */
  share(): Content {
    this.#isShared = true;
    const other = new Content(this.#buffer, this.size);
    other.#isShared = true;
    return other;
  }

  /** Makes the buffer one that nobody else has, with room for `size` bytes. */
  own(size: number): void {
    if (!this.#isShared && size <= this.#buffer.length) return;
    const isRoomy = size <= this.#buffer.length;
    const capacity = isRoomy ? this.#buffer.length : Math.max(size, this.#buffer.length * 2);
    const buffer = new Uint8Array(capacity);
    buffer.set(isRoomy ? this.#buffer : this.bytes());
    this.#buffer = buffer;
    this.#isShared = false;
  }

  apply(change: FileChange): void {
    if ("size" in change) {
      this.extend(change.size);
      this.own(this.size);
      this.#buffer.fill(0, change.size, this.size);
      this.size = change.size;
    } else {
      const end = change.at + change.bytes.length;
      this.own(Math.max(end, this.size));
      this.size = Math.max(end, this.size);
      this.#buffer.set(change.bytes, change.at);
    }
  }

  extend(size: number): void {
    if (size <= this.size) return;
    this.own(size);
    this.size = size;
  }
}
