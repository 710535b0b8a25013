/**
 * A directory that is only read, under changes that are in memory: what is done to it is seen
 * through this disk and nowhere else. A start can be tried on it.
 */

import type { Disk, DiskFile } from "./disk.ts";
import type { Lock } from "./lock.ts";

export class OverlayDisk implements Disk {
  readonly directory: string;
  readonly #under: Disk;
  readonly #files = new Map<string, Content>();
  readonly #removed: Set<string>;
  readonly #onRead: (bytes: number) => void;

  /** `hidden`: names of files that are as if they were not there. `onRead`: see `Content`. */
  constructor(under: Disk, hidden: readonly string[], onRead: (bytes: number) => void) {
    this.directory = under.directory;
    this.#under = under;
    this.#removed = new Set(hidden);
    this.#onRead = onRead;
  }

  /** Closes the files of the directory under it. */
  release(): void {
    for (const content of this.#files.values()) content.close();
    this.#files.clear();
  }

  /** Nobody else sees what is done here. */
  lock(): Lock {
    return { release: () => undefined };
  }

  list(): string[] {
    const under = this.#under.list().filter((name) => !this.#removed.has(name));
    return [...new Set([...under, ...this.#files.keys()])];
  }

  open(name: string): DiskFile {
    return new OverlayFile(name, this.#content(name));
  }

  openReadOnly(name: string): DiskFile {
    return this.open(name);
  }

  create(name: string): DiskFile {
    const content = new Content(undefined, this.#onRead);
    this.#put(name, content);
    return new OverlayFile(name, content);
  }

  rename(from: string, to: string): void {
    const content = this.#content(from);
    this.unlink(from);
    this.#put(to, content);
  }

  unlink(name: string): void {
    this.#files.delete(name);
    this.#removed.add(name);
  }

  room(): number {
    return Number.POSITIVE_INFINITY;
  }

  capacity(): number {
    return Number.POSITIVE_INFINITY;
  }

  async syncDirectory(): Promise<void> {}

  #content(name: string): Content {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    if (this.#removed.has(name)) {
      throw Object.assign(new Error(`ENOENT: ${name}`), { code: "ENOENT" });
    }
    const content = new Content(this.#under.openReadOnly(name), this.#onRead);
    this.#files.set(name, content);
    return content;
  }

  #put(name: string, content: Content): void {
    this.#files.set(name, content);
    this.#removed.delete(name);
  }
}

// --- internal ---

/** What a file holds: its own bytes up to a size, and what was written over them. */
class Content {
  readonly #under: DiskFile | undefined;
  readonly #onRead: (bytes: number) => void;
  readonly #writes: { readonly at: number; readonly bytes: Uint8Array }[] = [];
  size: number;
  /** How much of the file under it is still to be seen. */
  #kept: number;

  /** `onRead` is told how many bytes were asked for. */
  constructor(under: DiskFile | undefined, onRead: (bytes: number) => void) {
    this.#under = under;
    this.#onRead = onRead;
    this.size = under?.size() ?? 0;
    this.#kept = this.size;
  }

  read(into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, this.size - offset));
    const wanted = into.subarray(0, count);
    this.#onRead(count);
    const kept = Math.max(0, Math.min(count, this.#kept - offset));
    if (kept > 0) {
      const read = this.#under!.read(wanted.subarray(0, kept), offset);
      if (this.#writes.length === 0) return read;
      if (read < kept) return read;
    }
    wanted.fill(0, kept);
    for (const { at, bytes } of this.#writes) {
      const from = Math.max(at, offset);
      const to = Math.min(at + bytes.length, offset + count);
      if (from < to) wanted.set(bytes.subarray(from - at, to - at), from - offset);
    }
    return count;
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#writes.push({ at: offset, bytes: bytes.slice() });
    this.size = Math.max(this.size, offset + bytes.length);
  }

  truncate(size: number): void {
    this.#kept = Math.min(this.#kept, size);
    this.size = size;
    for (const [at, write] of this.#writes.entries()) {
      const left = Math.max(0, size - write.at);
      this.#writes[at] = { at: write.at, bytes: write.bytes.subarray(0, left) };
    }
  }

  close(): void {
    this.#under?.close();
  }
}

class OverlayFile implements DiskFile {
  name: string;
  readonly #content: Content;

  constructor(name: string, content: Content) {
    this.name = name;
    this.#content = content;
  }

  size(): number {
    return this.#content.size;
  }

  read(into: Uint8Array, offset: number): number {
    return this.#content.read(into, offset);
  }

  async readAsync(into: Uint8Array, offset: number): Promise<number> {
    return this.read(into, offset);
  }

  write(bytes: Uint8Array, offset: number): number {
    this.#content.write(bytes, offset);
    return bytes.length;
  }

  truncate(size: number): void {
    this.#content.truncate(size);
  }

  async sync(): Promise<void> {}

  close(): void {}
}
