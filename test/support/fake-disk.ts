/**
 * A disk in memory behind the log engine's interface, which forgets, tears, fills up and fails as real
 * ones do. What was written is seen at once; it outlives the process always, and a power cut only after
 * a sync: of a file for its bytes, of the directory for its names. Copies of it, as it would be after a
 * crash at any moment, cost little.
 */

import { KvError } from "../../src/errors.ts";
import type { Disk, DiskFile } from "../../src/log/disk.ts";
import type { Lock } from "../../src/log/lock.ts";
import { Inode } from "./fake-inode.ts";
import type { Random } from "./random.ts";

/** A call that changes something, before it does. */
export interface Call {
  readonly kind: "create" | "write" | "truncate" | "sync" | "rename" | "unlink" | "syncDirectory";
  readonly name: string;
  /** Of a write: where, and what. */
  readonly at?: number;
  readonly bytes?: Uint8Array;
}

/** A call that changes nothing, before it answers. */
export interface Look {
  readonly kind: "list" | "open" | "size" | "read";
  readonly name: string;
}

/** In place of an error's code: a write takes only a part of the bytes, and says so. */
export const SHORT = "SHORT";

export class FakeDisk implements Disk {
  readonly directory = "the fake disk";
  /** Answers with the code of the system's error that the call shall fail with, or `SHORT`. */
  fault: ((call: Call) => string | undefined) | undefined;
  /** As `fault`, for calls that change nothing. */
  lookFault: ((look: Look) => string | undefined) | undefined;
  /** Which bytes a sync that fails has made durable all the same. */
  failedSyncKeeps: () => boolean = () => false;
  /** Bytes that all files may take; a write beyond is cut short, and fails when nothing fits. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** What it says of its size. Files that are not here may take what is above `capacityBytes`. */
  totalBytes = Number.POSITIVE_INFINITY;
  /** Bytes that one write takes at most, as where a system takes long writes in parts. */
  writeBytesMax = Number.POSITIVE_INFINITY;
  /** Bytes that one read answers at most. */
  readBytesMax = Number.POSITIVE_INFINITY;
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
    this.look({ kind: "list", name: "." });
    return [...this.#names.keys()];
  }

  open(name: string): DiskFile {
    this.look({ kind: "open", name });
    return this.#handle(name, this.#inode(name));
  }

  openReadOnly(name: string): DiskFile {
    return this.open(name);
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

  /** Of the names and bytes of all files, as the process sees them. */
  fingerprint(): bigint {
    let hash = 0n;
    for (const name of [...this.#names.keys()].sort()) {
      hash = Bun.hash(this.#inode(name).peek(), Bun.hash(name, hash));
    }
    return hash;
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
    return this.afterPowerCut(random);
  }

  /** The disk as it would be after a power cut now; this one goes on. */
  afterPowerCut(random: Random): FakeDisk {
    const keep = keeping(random);
    const names = new Map(this.#durableNames);
    for (const change of this.#namesPending) if (keep()) apply(change, names);
    return new FakeDisk(mapInodes(names, (inode) => inode.afterPowerCut(keep)));
  }

  /**
   * The disk as the next process would find it after the death of this one now, which goes on. Where
   * it dies in the middle of a write, `bytes` of that are there.
   */
  fork(dying?: Call, bytes = 0): FakeDisk {
    const copies = new Map<Inode, Inode>();
    const copy = (inode: Inode): Inode => {
      const known = copies.get(inode);
      if (known !== undefined) return known;
      const fresh = inode.fork();
      copies.set(inode, fresh);
      return fresh;
    };
    const next = new FakeDisk();
    next.#names = mapInodes(this.#names, copy);
    next.#durableNames = mapInodes(this.#durableNames, copy);
    next.#namesPending = this.#namesPending.map(({ remove, add }) => ({
      ...(remove !== undefined && { remove }),
      ...(add !== undefined && { add: [add[0], copy(add[1])] as const }),
    }));
    if (dying?.bytes !== undefined && bytes > 0) {
      next.#inode(dying.name).change({ at: dying.at!, bytes: dying.bytes.slice(0, bytes) });
    }
    return next;
  }

  /** A disk with the same files, all of them durable. */
  copy(): FakeDisk {
    return new FakeDisk(mapInodes(this.#names, (inode) => inode.copy()));
  }

  checkAlive(): void {
    if (this.#dead) throw systemError("EIO", "the process is dead");
  }

  /** Called by the files too, before each change. Answers whether a write is to be a short one. */
  before(call: Call): boolean {
    this.checkAlive();
    this.calls++;
    const code = this.fault?.(call);
    if (code === undefined) return false;
    if (code === SHORT) return true;
    throw systemError(code, `${call.kind} ${call.name}`);
  }

  /** Called by the files too, before each look. */
  look(look: Look): void {
    this.checkAlive();
    const code = this.lookFault?.(look);
    if (code !== undefined) throw systemError(code, `${look.kind} ${look.name}`);
  }

  /** Bytes that still fit. */
  room(): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return this.capacityBytes;
    let used = 0;
    for (const inode of this.#names.values()) used += inode.size;
    return Math.max(0, this.capacityBytes - used);
  }

  capacity(): number {
    return this.totalBytes;
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

/** Nothing, everything or something of what was not synced is kept. */
function keeping(random: Random): () => boolean {
  return random.pick<() => boolean>([
    () => false,
    () => true,
    () => random.oneIn(2),
    () => !random.oneIn(8),
  ]);
}

/** The same names with other files, where two names of one file stay two names of one. */
function mapInodes(
  names: ReadonlyMap<string, Inode>,
  map: (inode: Inode) => Inode,
): Map<string, Inode> {
  const mapped = new Map<Inode, Inode>();
  const next = new Map<string, Inode>();
  for (const [name, inode] of names) {
    const other = mapped.get(inode) ?? map(inode);
    mapped.set(inode, other);
    next.set(name, other);
  }
  return next;
}

class FakeFile implements DiskFile {
  name: string;
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
    this.#disk.look({ kind: "size", name: this.name });
    return this.#inode.size;
  }

  read(into: Uint8Array, offset: number): number {
    this.#checkOpen();
    this.#disk.look({ kind: "read", name: this.name });
    const wanted = Math.min(into.length, this.#disk.readBytesMax);
    return this.#inode.read(wanted < into.length ? into.subarray(0, wanted) : into, offset);
  }

  async readAsync(into: Uint8Array, offset: number): Promise<number> {
    return this.read(into, offset);
  }

  write(bytes: Uint8Array, offset: number): number {
    this.#checkOpen();
    const isShort = this.#disk.before({ kind: "write", name: this.name, at: offset, bytes });
    const growth = Math.max(0, offset + bytes.length - this.#inode.size);
    const fitting = bytes.length - Math.max(0, growth - this.#disk.room());
    const taken = isShort ? Math.ceil(bytes.length / 2) : bytes.length;
    const count = Math.min(fitting, taken, this.#disk.writeBytesMax);
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
      running.fail(this.#disk.failedSyncKeeps);
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
