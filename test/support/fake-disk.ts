/**
 * A disk in memory behind the log engine's interface, which forgets, tears, fills up and fails as real
 * ones do. What was written is seen at once; it outlives the process always, and a power cut only after
 * a sync: of a file for its bytes, of the directory for its names.
 */

import { KvError } from "../../src/errors.ts";
import type { Disk, DiskFile } from "../../src/log/disk.ts";
import type { Lock } from "../../src/log/lock.ts";
import type { Random } from "./random.ts";

/** A call that changes something, before it does. */
export interface Call {
  readonly kind: "create" | "write" | "truncate" | "sync" | "rename" | "unlink" | "syncDirectory";
  readonly name: string;
}

/** Bytes that a power cut keeps or loses as one. */
const SECTOR_BYTES = 512;

export class FakeDisk implements Disk {
  readonly directory = "the fake disk";
  /** Answers with the code of the system's error that the call shall fail with. */
  fault: ((call: Call) => string | undefined) | undefined;
  /** Bytes that all files may take; a write beyond is cut short, and fails when nothing fits. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Bytes that one write takes at most, as where a system takes long writes in parts. */
  writeBytesMax = Number.POSITIVE_INFINITY;
  /** How many calls there were that change something. */
  calls = 0;
  /** How many files are open. */
  openFiles = 0;
  #locked = false;
  #dead = false;
  #names: Map<string, Inode>;
  #durableNames: Map<string, Inode>;
  #namesPending: NameChange[] = [];

  constructor(names: ReadonlyMap<string, Inode> = new Map()) {
    this.#names = new Map(names);
    this.#durableNames = new Map(names);
  }

  lock(): Lock {
    this.checkAlive();
    if (this.#locked) throw new KvError("conflict", `${this.directory} is in use by another kv`);
    this.#locked = true;
    return { release: () => void (this.#locked = false) };
  }

  list(): string[] {
    this.checkAlive();
    return [...this.#names.keys()];
  }

  open(name: string): DiskFile {
    this.checkAlive();
    return this.#handle(name, this.#inode(name));
  }

  create(name: string): DiskFile {
    this.before({ kind: "create", name });
    if (this.#names.has(name)) throw systemError("EEXIST", name);
    const inode = new Inode();
    this.#change({ add: [name, inode] });
    return this.#handle(name, inode);
  }

  rename(from: string, to: string): void {
    this.before({ kind: "rename", name: from });
    this.#change({ remove: from, add: [to, this.#inode(from)] });
  }

  unlink(name: string): void {
    this.before({ kind: "unlink", name });
    this.#inode(name);
    this.#change({ remove: name });
  }

  async syncDirectory(): Promise<void> {
    this.checkAlive();
    const names = new Map(this.#names);
    const last = this.#namesPending.at(-1);
    // As on a real disk, other work goes on meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    this.before({ kind: "syncDirectory", name: "." });
    this.#durableNames = names;
    if (last !== undefined) this.#namesPending.splice(0, this.#namesPending.indexOf(last) + 1);
  }

  /** The bytes of a file, to look at and to damage. */
  bytes(name: string): Uint8Array {
    return this.#inode(name).bytes();
  }

  /** Puts a file there as if it had always been. */
  place(name: string, bytes: Uint8Array): void {
    const inode = new Inode(bytes);
    this.#names.set(name, inode);
    this.#durableNames.set(name, inode);
  }

  /** Takes a file away as if it had never been. */
  remove(name: string): void {
    this.#names.delete(name);
    this.#durableNames.delete(name);
  }

  /** The process dies: the disk as the next one finds it. Calls on this one fail from now on. */
  kill(): FakeDisk {
    this.#dead = true;
    const next = new FakeDisk();
    next.#names = this.#names;
    next.#durableNames = this.#durableNames;
    next.#namesPending = this.#namesPending;
    return next;
  }

  /** The power is cut: what was not synced stays, is lost or is torn, as `random` has it. */
  powerCut(random: Random): FakeDisk {
    this.#dead = true;
    // Nothing, everything or something of what was not synced is kept.
    const keep = random.pick<() => boolean>([
      () => false,
      () => true,
      () => random.oneIn(2),
      () => !random.oneIn(8),
    ]);
    const names = new Map(this.#durableNames);
    for (const change of this.#namesPending) if (keep()) apply(change, names);
    const after = new Map<Inode, Inode>();
    for (const inode of names.values()) after.set(inode, inode.afterPowerCut(keep));
    return new FakeDisk(new Map([...names].map(([name, inode]) => [name, after.get(inode)!])));
  }

  /** A disk with the same files, all of them durable. */
  copy(): FakeDisk {
    const names = [...this.#names].map(
      ([name, inode]) => [name, new Inode(inode.bytes())] as const,
    );
    return new FakeDisk(new Map(names));
  }

  checkAlive(): void {
    if (this.#dead) throw systemError("EIO", "the process is dead");
  }

  /** Called by the files too, before each change. */
  before(call: Call): void {
    this.checkAlive();
    this.calls++;
    const code = this.fault?.(call);
    if (code !== undefined) throw systemError(code, `${call.kind} ${call.name}`);
  }

  /** Bytes that still fit. */
  room(): number {
    let used = 0;
    for (const inode of this.#names.values()) used += inode.size;
    return Math.max(0, this.capacityBytes - used);
  }

  #inode(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw systemError("ENOENT", name);
    return inode;
  }

  #handle(name: string, inode: Inode): DiskFile {
    this.openFiles++;
    return new FakeFile(this, name, inode);
  }

  #change(change: NameChange): void {
    apply(change, this.#names);
    this.#namesPending.push(change);
  }
}

// --- internal ---

interface NameChange {
  readonly remove?: string;
  readonly add?: readonly [string, Inode];
}

function apply({ remove, add }: NameChange, names: Map<string, Inode>): void {
  if (remove !== undefined) names.delete(remove);
  if (add !== undefined) names.set(...add);
}

function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}

/** A write at an offset, or a cut to a size. */
type FileChange = { readonly at: number; readonly bytes: Uint8Array } | { readonly size: number };

/** The content of a file: as the process sees it, as it is durable, and the way from here to there. */
class Inode {
  #content: Content;
  #durable: Content;
  #pending: FileChange[] = [];

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#content = new Content(bytes);
    this.#durable = new Content(bytes);
  }

  get size(): number {
    return this.#content.size;
  }

  bytes(): Uint8Array {
    return this.#content.bytes();
  }

  change(change: FileChange): void {
    this.#content.apply(change);
    this.#pending.push(change);
  }

  /** Begins a sync; what was written before it is durable when `finish` is called. */
  beginSync(): { finish(): void; fail(): void } {
    const last = this.#pending.at(-1);
    // Up to the last one of then; none where another sync has seen to them meanwhile.
    const take = (): FileChange[] =>
      this.#pending.splice(0, last === undefined ? 0 : this.#pending.indexOf(last) + 1);
    return {
      finish: () => {
        for (const change of take()) this.#durable.apply(change);
      },
      // The system marks the pages clean: they look written, and no later sync writes them.
      fail: () => void take(),
    };
  }

  afterPowerCut(keep: () => boolean): Inode {
    const content = new Content(this.#durable.bytes());
    for (const change of this.#pending) {
      if ("size" in change) {
        if (keep()) content.apply(change);
        continue;
      }
      // The size may be there without the bytes, which then are zeros.
      if (keep()) content.extend(change.at + change.bytes.length);
      for (let done = 0; done < change.bytes.length;) {
        const at = change.at + done;
        const length = Math.min(change.bytes.length - done, SECTOR_BYTES - (at % SECTOR_BYTES));
        if (keep()) content.apply({ at, bytes: change.bytes.subarray(done, done + length) });
        done += length;
      }
    }
    return new Inode(content.bytes());
  }
}

/** Bytes that grow. */
class Content {
  #buffer: Uint8Array;
  size: number;

  constructor(bytes: Uint8Array) {
    this.#buffer = bytes.slice();
    this.size = bytes.length;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.size);
  }

  apply(change: FileChange): void {
    if ("size" in change) {
      this.extend(change.size);
      this.#buffer.fill(0, change.size, this.size);
      this.size = change.size;
    } else {
      this.extend(change.at + change.bytes.length);
      this.#buffer.set(change.bytes, change.at);
    }
  }

  extend(size: number): void {
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(size, this.#buffer.length * 2));
      larger.set(this.bytes());
      this.#buffer = larger;
    }
    this.size = Math.max(this.size, size);
  }
}

class FakeFile implements DiskFile {
  readonly name: string;
  readonly #disk: FakeDisk;
  readonly #inode: Inode;
  #closed = false;

  constructor(disk: FakeDisk, name: string, inode: Inode) {
    this.name = name;
    this.#disk = disk;
    this.#inode = inode;
  }

  size(): number {
    this.#checkOpen();
    return this.#inode.size;
  }

  read(into: Uint8Array, offset: number): number {
    this.#checkOpen();
    const bytes = this.#inode.bytes().subarray(offset, offset + into.length);
    into.set(bytes);
    return bytes.length;
  }

  write(bytes: Uint8Array, offset: number): number {
    this.#checkOpen();
    this.#disk.before({ kind: "write", name: this.name });
    const growth = Math.max(0, offset + bytes.length - this.#inode.size);
    const fitting = bytes.length - Math.max(0, growth - this.#disk.room());
    const count = Math.min(fitting, this.#disk.writeBytesMax);
    if (count <= 0 && bytes.length > 0) throw systemError("ENOSPC", `write ${this.name}`);
    this.#inode.change({ at: offset, bytes: bytes.slice(0, count) });
    return count;
  }

  truncate(size: number): void {
    this.#checkOpen();
    this.#disk.before({ kind: "truncate", name: this.name });
    this.#inode.change({ size });
  }

  async sync(): Promise<void> {
    this.#checkOpen();
    const running = this.#inode.beginSync();
    // As on a real disk, other work goes on meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
    this.#disk.checkAlive();
    try {
      this.#disk.before({ kind: "sync", name: this.name });
    } catch (error) {
      running.fail();
      throw error;
    }
    running.finish();
  }

  close(): void {
    this.#checkOpen();
    this.#closed = true;
    this.#disk.openFiles--;
  }

  #checkOpen(): void {
    if (this.#closed) throw systemError("EBADF", this.name);
  }
}
