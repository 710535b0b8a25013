/**
 * The only way of the log engine to the disk: one directory of files. Small, so that tests can put
 * a disk there that tears, drops, fills up and fails. Errors are those of the system, with their
 * `code`.
 */

import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  read,
  readdirSync,
  readSync,
  renameSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { lockDirectory, type Lock } from "./lock.ts";

export interface DiskFile {
  /** What messages call it; whoever renames an open file sets it. */
  name: string;
  /** Bytes in the file. */
  size(): number;
  /** Reads up to `into.length` bytes at an offset. Returns how many; 0 at the end. */
  read(into: Uint8Array, offset: number): number;
  /** As `read`, off the event loop. The file must not be closed meanwhile. */
  readAsync(into: Uint8Array, offset: number): Promise<number>;
  /** Writes up to all of `bytes` at an offset. Returns how many. */
  write(bytes: Uint8Array, offset: number): number;
  truncate(size: number): void;
  /** Makes the content and the size durable, off the event loop (fdatasync). */
  sync(): Promise<void>;
  close(): void;
}

export interface Disk {
  /** What messages call the directory. */
  readonly directory: string;
  /** Takes the exclusive lock. @throws `conflict` when another process has it. */
  lock(): Lock;
  /** Names of all files, in no order. */
  list(): string[];
  /** Opens a file that is there, to read and write. */
  open(name: string): DiskFile;
  /** Opens a file that is there, only to read: also where nothing can be written. */
  openReadOnly(name: string): DiskFile;
  /** Makes a file that is not there, mode 0600. */
  create(name: string): DiskFile;
  /** Takes the place of a file of that name. Durable after `syncDirectory`. */
  rename(from: string, to: string): void;
  unlink(name: string): void;
  /** Bytes that may still be written, as far as the system says: a quota can allow fewer. */
  room(): number;
  /** Bytes of the whole file system, as far as the system says. */
  capacity(): number;
  /** Makes creations, renames and removals durable, off the event loop (fsync). */
  syncDirectory(): Promise<void>;
}

/** A directory of the file system, made (mode 0700) when it is not there. */
export function openDirectory(directory: string): Disk {
  const made = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (made !== undefined) syncNames(resolve(made), resolve(directory));
  return new Directory(directory);
}

/** A directory that is there, whatever it is: nothing is made. @throws the system's error. */
export function openExisting(directory: string): Disk {
  readdirSync(directory);
  return new Directory(directory);
}

/** Reads until `into` is full or the file ends; returns the bytes read. */
export function readFully(file: DiskFile, into: Uint8Array, offset: number): number {
  let done = 0;
  while (done < into.length) {
    const count = file.read(done === 0 ? into : into.subarray(done), offset + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Writes all of `bytes`, also where the system takes them in parts. */
export function writeFully(file: DiskFile, bytes: Uint8Array, offset: number): void {
  let done = 0;
  while (done < bytes.length) {
    const count = file.write(done === 0 ? bytes : bytes.subarray(done), offset + done);
    if (count === 0) throw Object.assign(new Error("the disk took no byte"), { code: "EIO" });
    done += count;
  }
}

/**
 * Makes a whole file or none: written under a temporary name, synced, renamed, the directory
 * synced. A crash at any step leaves either nothing under `name` or all of it. Where it fails
 * before `onNamed` is called there is nothing under `name`. From then on it opens no file: that
 * could fail when it is too late to take the name back.
 */
export async function createWhole(
  disk: Disk,
  name: string,
  content: Uint8Array,
  onNamed: () => void = () => undefined,
): Promise<DiskFile> {
  const temporary = `${name}${TEMPORARY_SUFFIX}`;
  const file = createAnew(disk, temporary);
  try {
    try {
      writeFully(file, content, 0);
      await file.sync();
      disk.rename(temporary, name);
    } catch (error) {
      removeQuietly(disk, temporary);
      throw error;
    }
    onNamed();
    await disk.syncDirectory();
    file.name = name;
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** The disk, a quota or a limit on the size of files has no room. */
export function isSpaceError(error: unknown): error is Error {
  const { code } = error as { code?: string };
  return code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
}

/** No file can be opened: the process, or the system, has as many open as it may. */
export function isOpenFilesError(error: unknown): error is Error {
  const { code } = error as { code?: string };
  return code === "EMFILE" || code === "ENFILE";
}

/** What files that are still being made end in; a start removes them. */
export const TEMPORARY_SUFFIX = ".tmp";

// --- internal ---

/** Removes a file that is of no use, if it is there; where that fails, it does no harm. */
export function removeQuietly(disk: Disk, name: string): void {
  try {
    if (disk.list().includes(name)) disk.unlink(name);
  } catch {
    // What went wrong before is told, and the next one to make it, or the next start, removes it.
  }
}

/** A new file in the place of one that an attempt before has left behind, if there is one. */
export function createAnew(disk: Disk, name: string): DiskFile {
  try {
    return disk.create(name);
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
    disk.unlink(name);
    return disk.create(name);
  }
}

/** Makes the names of new directories durable: `first`, and what was made in it down to `last`. */
function syncNames(first: string, last: string): void {
  for (let path = last; path.length >= first.length; path = dirname(path)) {
    try {
      syncDirectory(dirname(path));
    } catch (error) {
      // Who may write into a directory need not be able to read it, and only then can it be opened.
      if ((error as { code?: string }).code !== "EACCES") throw error;
    }
  }
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

class Directory implements Disk {
  readonly directory: string;
  /** Of the directory itself, while it is locked: no sync of it fails for want of a descriptor. */
  #descriptor: number | undefined;

  constructor(directory: string) {
    this.directory = directory;
  }

  lock(): Lock {
    const lock = lockDirectory(this.directory);
    try {
      this.#descriptor = openSync(this.directory, "r");
    } catch (error) {
      lock.release();
      throw error;
    }
    return {
      release: () => {
        letGo(this.#descriptor);
        this.#descriptor = undefined;
        lock.release();
      },
    };
  }

  list(): string[] {
    return readdirSync(this.directory);
  }

  open(name: string): DiskFile {
    return new File(name, openSync(this.#path(name), constants.O_RDWR | constants.O_NOFOLLOW));
  }

  openReadOnly(name: string): DiskFile {
    return new File(name, openSync(this.#path(name), constants.O_RDONLY | constants.O_NOFOLLOW));
  }

  create(name: string): DiskFile {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    return new File(name, openSync(this.#path(name), flags, 0o600));
  }

  rename(from: string, to: string): void {
    const replaced = this.#hold(to);
    renameSync(this.#path(from), this.#path(to));
    letGo(replaced);
  }

  unlink(name: string): void {
    const removed = this.#hold(name);
    unlinkSync(this.#path(name));
    letGo(removed);
  }

  /**
   * A descriptor of a file that is about to lose its name, if it is there: without one, the call
   * that takes the name would free the blocks, for 100 ms where there are many.
   */
  #hold(name: string): number | undefined {
    try {
      return openSync(this.#path(name), constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch {
      return undefined;
    }
  }

  room(): number {
    const { bavail, bsize, blocks } = statfsSync(this.directory);
    // A file system that does not count its blocks says that it has none at all.
    return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
  }

  capacity(): number {
    const { bsize, blocks } = statfsSync(this.directory);
    return blocks === 0 ? Number.POSITIVE_INFINITY : blocks * bsize;
  }

  async syncDirectory(): Promise<void> {
    const held = this.#descriptor;
    const descriptor = held ?? openSync(this.directory, "r");
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    fsync(descriptor, (error) => (error ? reject(error) : resolve()));
    try {
      await promise;
    } finally {
      if (held === undefined) closeSync(descriptor);
    }
  }

  #path(name: string): string {
    return join(this.directory, name);
  }
}

class File implements DiskFile {
  name: string;
  readonly #descriptor: number;

  constructor(name: string, descriptor: number) {
    this.name = name;
    this.#descriptor = descriptor;
  }

  size(): number {
    return fstatSync(this.#descriptor).size;
  }

  read(into: Uint8Array, offset: number): number {
    return readSync(this.#descriptor, into, 0, into.length, offset);
  }

  readAsync(into: Uint8Array, offset: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    read(this.#descriptor, into, 0, into.length, offset, (error, count) =>
      error ? reject(error) : resolve(count),
    );
    return promise;
  }

  write(bytes: Uint8Array, offset: number): number {
    return writeSync(this.#descriptor, bytes, 0, bytes.length, offset);
  }

  truncate(size: number): void {
    ftruncateSync(this.#descriptor, size);
  }

  sync(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    fdatasync(this.#descriptor, (error) => (error ? reject(error) : resolve()));
    return promise;
  }

  close(): void {
    letGo(this.#descriptor);
  }
}

/** Closes a descriptor off the event loop: that of a file without a name frees its blocks. */
function letGo(descriptor: number | undefined): void {
  // Everything that counts was synced before.
  if (descriptor !== undefined) close(descriptor, () => undefined);
}
